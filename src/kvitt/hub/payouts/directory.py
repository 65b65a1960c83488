"""The local directory: parties are loaded from a file into tables, and answer as PartyManagement would (design §9; payout_manager §3)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from msgspec import Struct
from msgspec.json import Decoder
from msgspec.json import encode as to_json
from msgspec.structs import asdict, replace

from kvitt.errors import BadDirectory, InvalidPayout, PartyNotFound, PayoutNotFound, PayoutsFailed
from kvitt.hub.ledger.calls import Account, NewAccount
from kvitt.hub.ledger.post import Post
from kvitt.hub.ledger.read import Ledger
from kvitt.hub.payouts.directory_file import (
    ContractEntry,
    Directory,
    HouseAccounts,
    PartyEntry,
    ShopEntry,
    decode_party,
    encode_party,
)
from kvitt.hub.payouts.parties import Party, Shop, params_text
from kvitt.hub.payouts.values import Cash
from kvitt.hub.submit import Clock, Connection
from kvitt.rules.fees import TermsDoNotFit, cash_flow_of
from kvitt.rules.payouts import AccountType, CashFlowPosting
from kvitt.store.database import pool
from kvitt.store.queries import load
from kvitt.wire.instants import instant_text

_SQL, _LEDGER_SQL = load("parties"), load("ledger")
_READERS: Final = 4
_SHOP_ACCOUNTS: Final = {
    "settlement": AccountType.MERCHANT_SETTLEMENT,
    "guarantee": AccountType.MERCHANT_GUARANTEE,
    "payout": AccountType.MERCHANT_PAYOUT,
}
_HOUSE_ACCOUNTS: Final = {
    "provider_settlement": AccountType.PROVIDER_SETTLEMENT,
    "system_settlement": AccountType.SYSTEM_SETTLEMENT,
    "external_income": AccountType.EXTERNAL_INCOME,
    "external_outcome": AccountType.EXTERNAL_OUTCOME,
}
_house_decoder = Decoder(HouseAccounts)


class Known(Struct, frozen=True):
    """A party of the directory, with how often it was loaded otherwise than before."""

    entry: PartyEntry
    revision: int
    loaded_at: datetime


class Loaded(Struct, frozen=True):
    """What loading a file did, or would do: parties by id with their new revision, those as before, accounts that were made."""

    changed: Mapping[str, int]
    unchanged: tuple[str, ...]
    accounts: tuple[str, ...]


class LocalParties:
    """The directory as payouts ask it. Safe for use by several threads; close it when done."""

    def __init__(self, conninfo: str) -> None:
        self._pool = pool(conninfo, application="kvitt parties", size=_READERS)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party | None:  # noqa: ARG002 - it is at hand
        """The party as it was loaded last, or None."""
        with self._pool.connection() as connection:
            entry = _entry(connection, party_id)
        if entry is None:
            return None
        shops = {shop.id: Shop(shop.id, shop.contract, shop.payout_tool, shop.accounts.settlement) for shop in entry.shops}
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
    terms = next((terms for terms in contract.terms if terms.holds_at(at)), None)
    if terms is None:
        raise InvalidPayout(f"OperationNotPermitted: contract {contract.id} has no terms at {instant_text(at)}")
    accounts = _named(asdict(shop.accounts), _SHOP_ACCOUNTS) | (_named(asdict(house), _HOUSE_ACCOUNTS) if house else {})
    found = cash_flow_of(terms.cash_flow, cash.amount, cash.currency, accounts)
    if isinstance(found, TermsDoNotFit):
        raise PayoutsFailed(f"the terms of contract {contract.id} give no cash flow: {found.reason}")
    return found


def _named(accounts: Mapping[str, Any], types: Mapping[str, AccountType]) -> dict[AccountType, int]:
    return {kind: accounts[name] for name, kind in types.items() if accounts[name] is not None}


def load_directory(connection: Connection, clock: Clock, found: Directory, *, dry_run: bool = False, own_ledger: bool = True) -> Loaded:
    """Stores a directory, and makes the ledger accounts that it does not name, once for each shop and currency, however often it is loaded.

    Parties that the file does not have stay as they are. Where the ledger is not our own, every account has to be named. Raises
    BadDirectory for accounts that the ledger does not have, or in another currency, or that are not named.
    """
    wanted = list(_missing(found))
    if own_ledger:
        _refuse_strange_accounts(connection, found)
    elif wanted:
        raise BadDirectory([f"{key}: is not named, and the ledger is another service, in which none is made" for key, _ in wanted])
    there = _there(connection, wanted)
    fresh = tuple(key for key, _ in wanted if key not in there)
    if dry_run:
        return _would_load(connection, found, fresh)
    made = dict(zip([key for key, _ in wanted], _make(connection, clock, wanted), strict=True))
    parties = [_completed(party, made) for party in found.parties]
    house = [_with(each, f"house/{each.currency}", made) for each in _houses(found)]
    with connection.transaction(), connection.cursor() as cursor:
        documents = {"ids": [each.id for each in parties], "documents": list(map(encode_party, parties)), "now": clock()}
        changed = {row[0]: row[1] for row in cursor.execute(_SQL.put_parties, documents, binary=True).fetchall()} if parties else {}
        if house:
            columns = {"currencies": [each.currency for each in house], "documents": list(map(to_json, house)), "now": clock()}
            cursor.execute(_SQL.put_house, columns, binary=True)
    return Loaded(changed, tuple(each.id for each in parties if each.id not in changed), fresh)


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


def _houses(found: Directory) -> list[HouseAccounts]:
    """The house's accounts in every currency that a shop has."""
    named = {each.currency: each for each in found.house}
    currencies = dict.fromkeys([*named, *(shop.currency for party in found.parties for shop in party.shops)])
    return [named.get(currency) or HouseAccounts(currency=currency) for currency in currencies]


Missing = tuple[str, str]
"""The request key of an account that is to be made, and its currency."""


def _missing(found: Directory) -> Sequence[Missing]:
    wanted: list[Missing] = []
    for party in found.parties:
        for shop in party.shops:
            place = f"party/{party.id}/{shop.id}"
            wanted += [(f"{place}/{name}", shop.currency) for name in _SHOP_ACCOUNTS if getattr(shop.accounts, name) is None]
    for house in _houses(found):
        wanted += [(f"house/{house.currency}/{name}", house.currency) for name in _HOUSE_ACCOUNTS if getattr(house, name) is None]
    return wanted


def _make(connection: Connection, clock: Clock, wanted: Sequence[Missing]) -> list[int]:
    if not wanted:
        return []
    results = Post(connection, clock)([NewAccount(currency, key, None, key) for key, currency in wanted])
    refused = [f"{key}: {result}" for (key, _), result in zip(wanted, results, strict=True) if not isinstance(result, Account)]
    if refused:
        raise BadDirectory(refused)
    return [result.account_id for result in results if isinstance(result, Account)]


def _completed(party: PartyEntry, made: Mapping[str, int]) -> PartyEntry:
    shops = [replace(shop, accounts=_with(shop.accounts, f"party/{party.id}/{shop.id}", made)) for shop in party.shops]
    return replace(party, shops=tuple(shops))


def _with(accounts: Any, place: str, made: Mapping[str, int]) -> Any:
    names = (name for name, account_id in asdict(accounts).items() if account_id is None)
    return replace(accounts, **{name: made[f"{place}/{name}"] for name in names})


def _refuse_strange_accounts(connection: Connection, found: Directory) -> None:
    """Raises BadDirectory for accounts that the file names and the ledger does not have so."""
    named: list[tuple[str, int, str]] = []
    for number, party in enumerate(found.parties):
        for at, shop in enumerate(party.shops):
            place = f"parties[{number}].shops[{at}].accounts"
            named += [(f"{place}.{name}", each, shop.currency) for name, each in asdict(shop.accounts).items() if each is not None]
    for number, house in enumerate(found.house):
        ids = {name: getattr(house, name) for name in _HOUSE_ACCOUNTS}
        named += [(f"house[{number}].{name}", each, house.currency) for name, each in ids.items() if each is not None]
    states = Ledger(connection).states({account_id for _, account_id, _ in named})
    wrong = []
    for place, account_id, currency in named:
        if account_id not in states:
            wrong.append(f"{place}: the ledger has no account {account_id}")
        elif (other := states[account_id].account.currency) != currency:
            wrong.append(f"{place}: account {account_id} is in {other}, not in {currency}")
    if wrong:
        raise BadDirectory(wrong)


def _would_load(connection: Connection, found: Directory, fresh: tuple[str, ...]) -> Loaded:
    """What loading would do; accounts that an earlier loading made are taken from there."""
    changed: dict[str, int] = {}
    unchanged: list[str] = []
    for party in found.parties:
        row: Any = connection.execute(_SQL.party, (party.id,), binary=True).fetchone()
        before = decode_party(row[0]) if row else None
        if before is not None and encode_party(_as_before(party, before)) == row[0]:
            unchanged.append(party.id)
        else:
            changed[party.id] = row[1] + 1 if row else 1
    return Loaded(changed, tuple(unchanged), fresh)


def _there(connection: Connection, wanted: Sequence[Missing]) -> set[str]:
    """The request keys of accounts that an earlier loading made."""
    keys = [key for key, _ in wanted]
    return {str(row[1]) for row in connection.execute(_LEDGER_SQL.accounts_by_key, (keys,), binary=True)}


def _as_before(party: PartyEntry, before: PartyEntry) -> PartyEntry:
    """The party with accounts that it does not name taken from how it was loaded before."""
    accounts = {shop.id: shop.accounts for shop in before.shops}
    shops = []
    for shop in party.shops:
        old = asdict(accounts[shop.id]) if shop.id in accounts else {}
        names = (name for name, account_id in asdict(shop.accounts).items() if account_id is None)
        shops.append(replace(shop, accounts=replace(shop.accounts, **{name: old.get(name) for name in names})))
    return replace(party, shops=tuple(shops))
