"""The local directory: parties are loaded from a file into tables (design §9; payouts §3).

Ledger accounts that its file names are looked up; all others are made when it is loaded, under a request key such as
`party/party-1/shop-1/settlement`, so that a repeated loading finds them again.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from msgspec import Struct
from msgspec.json import encode as to_json
from msgspec.structs import asdict, replace

from kvitt.errors import BadDirectory, PartyNotFound
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.ledger.accounts import accounts_by_key, states_of
from kvitt.ledger.calls import Account, NewAccount
from kvitt.ledger.post import LedgerWriter
from kvitt.payouts.directory_file import (
    Accounts,
    Directory,
    HouseAccounts,
    PartyEntry,
    ShopEntry,
    decode_party,
    encode_party,
)
from kvitt.payouts.rules import AccountType

SQL: Final = load("parties", "kvitt.payouts")
SHOP_ACCOUNTS: Final = {
    "settlement": AccountType.MERCHANT_SETTLEMENT,
    "guarantee": AccountType.MERCHANT_GUARANTEE,
    "payout": AccountType.MERCHANT_PAYOUT,
}
HOUSE_ACCOUNTS: Final = {
    "provider_settlement": AccountType.PROVIDER_SETTLEMENT,
    "system_settlement": AccountType.SYSTEM_SETTLEMENT,
    "external_income": AccountType.EXTERNAL_INCOME,
    "external_outcome": AccountType.EXTERNAL_OUTCOME,
}


class DirectoryEntry(Struct, frozen=True):
    """A party of the directory, with how often it was loaded otherwise than before."""

    entry: PartyEntry
    revision: int
    loaded_at: datetime


class PartyRow(Struct, frozen=True):
    """A party as it is stored."""

    party_id: str
    revision: int
    loaded_at: datetime
    document: bytes


class HouseRow(Struct, frozen=True):
    """The house's accounts in one currency as they are stored."""

    currency: str
    document: bytes


class _Changed(Struct, frozen=True):
    party_id: str
    revision: int


class _Currency(Struct, frozen=True):
    currency: str


class LoadResult(Struct, frozen=True):
    """The outcome of loading a file: parties by id with their new revision, those as before, the keys of accounts that were
    made, and the currencies in which the house's accounts are others than before.
    """

    changed: Mapping[str, int]
    unchanged: tuple[str, ...]
    accounts: tuple[str, ...]
    house: tuple[str, ...]


def load_directory(
    connection: Connection,
    clock: Clock,
    found: Directory,
    *,
    dry_run: bool = False,
    own_ledger: bool = True,
    operator: Operator | None = None,
    alone: bool = False,
) -> LoadResult:
    """Stores a directory, and makes the ledger accounts that it does not name, once for each shop and currency, however often it is loaded.

    What the file does not have stays as it is: other parties, and the house's accounts in other currencies. `own_ledger` False: the
    ledger is another service, in which none is made. A dry run returns what would be done, and does nothing. Where an `operator` loads it,
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
    return LoadResult(changed, tuple(each for each in parties if each not in changed), accounts.fresh, tuple(sorted(currencies)))


def known(connection: Connection, party_id: str) -> DirectoryEntry:
    """A party of the directory. Raises PartyNotFound."""
    row = fetch_one(connection, PartyRow, SQL.party, (party_id,))
    if row is None:
        raise PartyNotFound(f"the directory has no party {party_id}")
    return DirectoryEntry(decode_party(row.document), row.revision, row.loaded_at)


def all_known(connection: Connection) -> list[DirectoryEntry]:
    """All parties of the directory by id."""
    rows = fetch(connection, PartyRow, SQL.parties)
    return [DirectoryEntry(decode_party(row.document), row.revision, row.loaded_at) for row in rows]


def _houses(connection: Connection, found: Directory) -> list[HouseAccounts]:
    """The house's accounts that the file has, and fresh ones in every other currency of a shop in which there are none yet."""
    wanted = {shop.currency for party in found.parties for shop in party.shops} - {each.currency for each in found.house}
    there = {row.currency for row in fetch(connection, HouseRow, SQL.houses, (sorted(wanted),))}
    return [*found.house, *(HouseAccounts(currency=currency) for currency in sorted(wanted - there))]


Documents = Mapping[str, bytes]
"""Stored documents by the id of a party or by a currency."""


def _put(
    connection: Connection, clock: Clock, parties: Documents, houses: Documents, operator: Operator | None
) -> tuple[dict[str, int], set[str]]:
    """Stores documents; returns the new revisions of parties that changed, and the currencies of the house that did."""
    with transaction(connection, "the directory of parties"), connection.cursor() as cursor:
        now = clock()
        columns = {"ids": list(parties), "documents": list(parties.values()), "now": now}
        changed = {row.party_id: row.revision for row in fetch(connection, _Changed, SQL.put_parties, columns)}
        columns = {"currencies": list(houses), "documents": list(houses.values()), "now": now}
        currencies = {row.currency for row in fetch(connection, _Currency, SQL.put_house, columns)}
        if operator:
            subjects = [f"{key} {sha256(parties[key]).hexdigest()}" for key in sorted(changed)]
            subjects += [f"house/{key} {sha256(houses[key]).hexdigest()}" for key in sorted(currencies)]
            for subject in subjects:
                note(cursor, now, "party load", operator, subject)
        return changed, currencies


def _differing(connection: Connection, parties: Documents, houses: Documents) -> tuple[dict[str, int], set[str]]:
    """Compares documents with the stored ones. One that lacks an account which is still to be made is never as before."""
    rows = fetch(connection, PartyRow, SQL.some_parties, (list(parties),))
    before = {row.party_id: (row.document, row.revision) for row in rows}
    stored = {row.currency: row.document for row in fetch(connection, HouseRow, SQL.houses, (list(houses),))}
    before_each = {key: before.get(key, (None, 0)) for key in parties}
    changed = {key: revision + 1 for key, (document, revision) in before_each.items() if document != parties[key]}
    return changed, {key for key, document in houses.items() if stored.get(key) != document}


class AccountSlot(Struct, frozen=True):
    """An account that a directory has: where it stands, the key it is made under, and its id where the file names one."""

    place: str
    key: str
    currency: str
    account_id: int | None


class DirectoryAccounts(Struct, frozen=True):
    """The accounts of a directory: ids by key, and the keys of those that the ledger does not have yet."""

    ids: Mapping[str, int]
    fresh: tuple[str, ...]


def slots_of(parties: Sequence[PartyEntry], house: Sequence[HouseAccounts]) -> list[AccountSlot]:
    """Every account that these have, in their order."""
    return [*_shop_slots(parties), *_house_slots(house)]


def find_accounts(connection: Connection, slots: Sequence[AccountSlot], *, own_ledger: bool) -> DirectoryAccounts:
    """The accounts that are there. Raises BadDirectory with every account that can't be used, or can't be made.

    Where the ledger is another service nothing is known of its accounts, and each has to be named.
    """
    named = {slot.key: slot.account_id for slot in slots if slot.account_id is not None}
    nameless = [slot for slot in slots if slot.account_id is None]
    if not own_ledger:
        _refuse([f"{slot.place}: is not named, and the ledger is another service, in which none is made" for slot in nameless])
        return DirectoryAccounts(named, ())
    keyed = _made_before(connection, nameless)
    _refuse([*_strange(connection, slots), *_of_other_currency(nameless, keyed)])
    fresh = tuple(slot.key for slot in nameless if slot.key not in keyed)
    return DirectoryAccounts(named | {key: account.account_id for key, account in keyed.items()}, fresh)


def make_accounts(connection: Connection, clock: Clock, slots: Sequence[AccountSlot], found: DirectoryAccounts) -> Mapping[str, int]:
    """The ids of all accounts by key, after those that are not there were made. Raises BadDirectory when the ledger refuses one."""
    fresh = [slot for slot in slots if slot.key in set(found.fresh)]
    if not fresh:
        return found.ids
    results = LedgerWriter(connection, clock).execute([NewAccount(slot.currency, slot.key, None, slot.key) for slot in fresh])
    for failed in (each for each in results if isinstance(each, Exception)):
        raise failed
    answered = list(zip(fresh, results, strict=True))
    _refuse([f"{slot.place}: {result}" for slot, result in answered if not isinstance(result, Account)])
    return {**found.ids, **{slot.key: result.account_id for slot, result in answered if isinstance(result, Account)}}


def with_accounts(party: PartyEntry, ids: Mapping[str, int]) -> PartyEntry:
    """The party with every account filled in that `ids` has."""
    shops = [replace(shop, accounts=Accounts(**_ids(SHOP_ACCOUNTS, _shop_key(party, shop), ids))) for shop in party.shops]
    return replace(party, shops=tuple(shops))


def with_house_accounts(house: HouseAccounts, ids: Mapping[str, int]) -> HouseAccounts:
    """The house's accounts in one currency with every id filled in that `ids` has."""
    return HouseAccounts(currency=house.currency, **_ids(HOUSE_ACCOUNTS, _house_key(house), ids))


def by_type(shop: ShopEntry, house: HouseAccounts | None) -> dict[AccountType, int]:
    """The accounts of a shop and of the house, those that there are."""
    pairs = [(SHOP_ACCOUNTS, asdict(shop.accounts)), (HOUSE_ACCOUNTS, asdict(house) if house else {})]
    return {kind: each[name] for types, each in pairs for name, kind in types.items() if each.get(name) is not None}


def _shop_slots(parties: Sequence[PartyEntry]) -> Iterator[AccountSlot]:
    for number, party in enumerate(parties):
        for at, shop in enumerate(party.shops):
            place, key = f"parties[{number}].shops[{at}].accounts", _shop_key(party, shop)
            for name, account_id in asdict(shop.accounts).items():
                yield AccountSlot(f"{place}.{name}", f"{key}/{name}", shop.currency, account_id)


def _house_slots(house: Sequence[HouseAccounts]) -> Iterator[AccountSlot]:
    for each in house:
        for name in HOUSE_ACCOUNTS:
            yield AccountSlot(f"house {each.currency}.{name}", f"{_house_key(each)}/{name}", each.currency, getattr(each, name))


def _shop_key(party: PartyEntry, shop: ShopEntry) -> str:
    return f"party/{_part(party.id)}/{_part(shop.id)}"


def _house_key(house: HouseAccounts) -> str:
    return f"house/{_part(house.currency)}"


def _part(text: str) -> str:
    """A part of a key; escaped, so that the shops `b/c` of `a` and `c` of `a/b` do not share their accounts."""
    return text.replace("%", "%25").replace("/", "%2F")


def _ids(names: Mapping[str, AccountType], key: str, ids: Mapping[str, int]) -> dict[str, int | None]:
    return {name: ids.get(f"{key}/{name}") for name in names}


def _made_before(connection: Connection, slots: Sequence[AccountSlot]) -> dict[str, Account]:
    return accounts_by_key(connection, [slot.key for slot in slots])


def _strange(connection: Connection, slots: Sequence[AccountSlot]) -> Iterator[str]:
    """Accounts that the file names and the ledger does not have so."""
    named = [(slot, slot.account_id) for slot in slots if slot.account_id is not None]
    states = states_of(connection, {account_id for _, account_id in named})
    for slot, account_id in named:
        if account_id not in states:
            yield f"{slot.place}: the ledger has no account {account_id}"
        elif (other := states[account_id].account.currency) != slot.currency:
            yield f"{slot.place}: account {account_id} is in {other}, not in {slot.currency}"


def _of_other_currency(slots: Sequence[AccountSlot], keyed: Mapping[str, Account]) -> Iterator[str]:
    """Accounts that were made when the shop had another currency; another one has to be named for it."""
    for slot in slots:
        made = keyed.get(slot.key)
        if made is not None and made.currency != slot.currency:
            yield f"{slot.place}: account {made.account_id} was made for it in {made.currency}, not in {slot.currency}; name another one"


def _refuse(complaints: Sequence[str]) -> None:
    if complaints:
        raise BadDirectory(complaints)
