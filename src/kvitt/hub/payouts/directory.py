"""The local directory: parties are loaded from a file into tables, and answer as PartyManagement would (design §9; payouts §3)."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import psycopg
from msgspec import Struct
from msgspec.json import Decoder
from msgspec.json import encode as to_json

from kvitt.errors import InvalidPayout, PartyNotFound, PayoutNotFound, PayoutsFailed
from kvitt.hub.payouts.directory_accounts import by_type, find_accounts, make_accounts, slots_of, with_accounts, with_house_accounts
from kvitt.hub.payouts.directory_file import ContractEntry, Directory, HouseAccounts, PartyEntry, ShopEntry, decode_party, encode_party
from kvitt.hub.payouts.parties import Party, Shop, params_text
from kvitt.hub.payouts.values import Cash
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import LOCK_MS, Connection, pool
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.rules.fees import TermsDoNotFit, cash_flow_of
from kvitt.rules.payouts import TOO_MUCH, CashFlowPosting
from kvitt.wire.instants import instant_text

_SQL = load("parties", "kvitt.store")
_READERS: Final = 4
_house_decoder = Decoder(HouseAccounts)


class Known(Struct, frozen=True):
    """A party of the directory, with how often it was loaded otherwise than before."""

    entry: PartyEntry
    revision: int
    loaded_at: datetime


class Loaded(Struct, frozen=True):
    """What loading a file did, or would do: parties by id with their new revision, those as before, the keys of accounts that were
    made, and the currencies in which the house's accounts are others than before.
    """

    changed: Mapping[str, int]
    unchanged: tuple[str, ...]
    accounts: tuple[str, ...]
    house: tuple[str, ...]


class LocalParties:
    """The directory as payouts ask it. Safe for use by several threads; close it when done."""

    def __init__(self, conninfo: str) -> None:
        self._pool = pool(conninfo, application="kvitt parties", size=_READERS, lock_timeout_ms=LOCK_MS)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party | None:  # noqa: ARG002 - it is at hand
        """The party as it was loaded last, or None."""
        with self._pool.connection() as connection:
            entry = _entry(connection, party_id)
        if entry is None:
            return None
        shops = {shop.id: Shop(shop.id, shop.contract, shop.payout_tool, shop.accounts.settlement, shop.currency) for shop in entry.shops}
        tools = {contract.id: frozenset(tool.id for tool in contract.payout_tools) for contract in entry.contracts}
        return Party(entry.id, shops, tools)

    def cash_flow(
        self,
        party_id: str,
        shop_id: str,
        cash: Cash,
        created_at: datetime,
        payout_tool_id: str,
        *,
        deadline: datetime | None = None,  # noqa: ARG002 - it is at hand
    ) -> tuple[CashFlowPosting, ...]:
        """The movements by the terms that hold at `created_at`. Raises PayoutNotFound, InvalidPayout, PayoutsFailed."""
        with self._pool.connection() as connection:
            entry, house = _entry(connection, party_id), _house(connection, cash.currency)
        told = f"partyId='{party_id}', payoutParams='{params_text(shop_id, cash, instant_text(created_at), payout_tool_id)}'"
        if entry is None:
            raise PayoutNotFound(f"PartyNotFound, {told}")
        shop = next((shop for shop in entry.shops if shop.id == shop_id), None)
        if shop is None:
            raise PayoutNotFound(f"ShopNotFound, {told}")
        contract = next(contract for contract in entry.contracts if contract.id == shop.contract)
        tool = next((tool for tool in contract.payout_tools if tool.id == payout_tool_id), None)
        if tool is None:
            raise PayoutNotFound(f"PayoutToolNotFound, {told}")
        if wrong := _not_permitted(entry, shop, cash.currency, tool.currency):
            raise InvalidPayout(f"OperationNotPermitted: {wrong}, partyId='{party_id}', shopId='{shop_id}'")
        return _computed(contract, shop, house, cash, created_at)


def _not_permitted(party: PartyEntry, shop: ShopEntry, currency: str, tool_currency: str) -> str | None:
    """Why a shop may not be paid, or None."""
    for whose, entry in (("party", party), ("shop", shop)):
        if entry.blocked or entry.suspended:
            return f"the {whose} is {'blocked' if entry.blocked else 'suspended'}"
    for whose, other in (("shop", shop.currency), ("payout tool", tool_currency)):
        if other != currency:
            return f"the {whose} is in {other}, not in {currency}"
    return None


def _computed(
    contract: ContractEntry, shop: ShopEntry, house: HouseAccounts | None, cash: Cash, at: datetime
) -> tuple[CashFlowPosting, ...]:
    terms = next((terms for terms in contract.terms if terms.holds_at(at) and terms.currency in (None, cash.currency)), None)
    if terms is None:
        in_it = f" in {cash.currency}" if any(terms.holds_at(at) for terms in contract.terms) else ""
        raise InvalidPayout(f"OperationNotPermitted: contract {contract.id} has no terms{in_it} at {instant_text(at)}")
    found = cash_flow_of(terms.cash_flow, cash.amount, cash.currency, by_type(shop, house))
    if isinstance(found, TermsDoNotFit):
        if found.too_much:
            raise InvalidPayout(TOO_MUCH)
        raise PayoutsFailed(f"the terms of contract {contract.id} give no cash flow: {found.reason}")
    return found


def load_directory(
    connection: Connection,
    clock: Clock,
    found: Directory,
    *,
    dry_run: bool = False,
    own_ledger: bool = True,
    operator: Operator | None = None,
    alone: bool = False,
) -> Loaded:
    """Stores a directory, and makes the ledger accounts that it does not name, once for each shop and currency, however often it is loaded.

    What the file does not have stays as it is: other parties, and the house's accounts in other currencies. `own_ledger` False: the
    ledger is another service, in which none is made. A dry run gives what would be done, and does nothing. Where an `operator` loads it,
    what has changed is in the operators' audit chain, with the digest of each party; a second person approves it, unless the operator is
    `alone` with the database. Raises NeedsSecondPerson, and BadDirectory for accounts that the ledger does not have, or has in another
    currency, or that are neither named nor can be made.
    """
    if operator and not alone:
        operator.need_second_person("this decides where money goes")
    house = _houses(connection, found)
    slots = slots_of(found.parties, house)
    accounts = find_accounts(connection, slots, own_ledger=own_ledger)
    ids = accounts.ids if dry_run else make_accounts(connection, clock, slots, accounts)
    parties = {each.id: encode_party(with_accounts(each, ids)) for each in found.parties}
    houses = {each.currency: to_json(with_house_accounts(each, ids)) for each in house}
    changed, currencies = _differing(connection, parties, houses) if dry_run else _put(connection, clock, parties, houses, operator)
    return Loaded(changed, tuple(each for each in parties if each not in changed), accounts.fresh, tuple(sorted(currencies)))


def known(connection: Connection, party_id: str) -> Known:
    """A party of the directory. Raises PartyNotFound."""
    row: Any = connection.execute(_SQL.party, (party_id,), binary=True).fetchone()
    if row is None:
        raise PartyNotFound(f"the directory has no party {party_id}")
    return Known(decode_party(row[0]), row[1], row[2])


def all_known(connection: Connection) -> list[Known]:
    """All parties of the directory by id."""
    rows: list[Any] = connection.execute(_SQL.parties, binary=True).fetchall()
    return [Known(decode_party(document), revision, loaded_at) for _, revision, loaded_at, document in rows]


def _entry(connection: psycopg.Connection[Any], party_id: str) -> PartyEntry | None:
    row = connection.execute(_SQL.party, (party_id,), binary=True).fetchone()
    return decode_party(row[0]) if row else None


def _house(connection: psycopg.Connection[Any], currency: str) -> HouseAccounts | None:
    row = connection.execute(_SQL.house, (currency,), binary=True).fetchone()
    return _house_decoder.decode(row[0]) if row else None


def _houses(connection: Connection, found: Directory) -> list[HouseAccounts]:
    """The house's accounts that the file has, and fresh ones in every other currency of a shop in which there are none yet."""
    wanted = {shop.currency for party in found.parties for shop in party.shops} - {each.currency for each in found.house}
    there = {row[0] for row in connection.execute(_SQL.houses, (sorted(wanted),), binary=True)}
    return [*found.house, *(HouseAccounts(currency=currency) for currency in sorted(wanted - there))]


Documents = Mapping[str, bytes]
"""What is stored, by the id of a party or by a currency."""


def _put(
    connection: Connection, clock: Clock, parties: Documents, houses: Documents, operator: Operator | None
) -> tuple[dict[str, int], set[str]]:
    """Stores documents; gives the new revisions of parties that changed, and the currencies of the house that did."""
    with transaction(connection, "the directory of parties"), connection.cursor() as cursor:
        now = clock()
        columns = {"ids": list(parties), "documents": list(parties.values()), "now": now}
        changed = {row[0]: row[1] for row in cursor.execute(_SQL.put_parties, columns, binary=True)}
        columns = {"currencies": list(houses), "documents": list(houses.values()), "now": now}
        currencies = {row[0] for row in cursor.execute(_SQL.put_house, columns, binary=True)}
        if operator:
            told = [f"{key} {sha256(parties[key]).hexdigest()}" for key in sorted(changed)]
            told += [f"house/{key} {sha256(houses[key]).hexdigest()}" for key in sorted(currencies)]
            for subject in told:
                note(cursor, now, "party load", operator, subject)
        return changed, currencies


def _differing(connection: Connection, parties: Documents, houses: Documents) -> tuple[dict[str, int], set[str]]:
    """What storing documents would give. One that lacks an account which is still to be made is never as before."""
    rows: list[Any] = connection.execute(_SQL.some_parties, (list(parties),), binary=True).fetchall()
    before = {party_id: (document, revision) for party_id, document, revision in rows}
    stored = dict(connection.execute(_SQL.houses, (list(houses),), binary=True).fetchall())
    told = {key: before.get(key, (None, 0)) for key in parties}
    changed = {key: revision + 1 for key, (document, revision) in told.items() if document != parties[key]}
    return changed, {key for key, document in houses.items() if stored.get(key) != document}
