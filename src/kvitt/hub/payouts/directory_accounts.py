"""The ledger accounts of a directory: those that its file names are looked up, all others are made, once for each shop and currency.

An account is made under a request key, such as `party/party-1/shop-1/settlement`, so that a repeated loading finds it again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from kvitt.errors import BadDirectory
from kvitt.hub.ledger.calls import Account, NewAccount
from kvitt.hub.ledger.post import Post
from kvitt.hub.ledger.read import Ledger
from kvitt.hub.payouts.directory_file import Accounts, HouseAccounts, PartyEntry, ShopEntry
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load
from kvitt.rules.payouts import AccountType

_LEDGER_SQL = load("ledger", "kvitt.store")
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


class Slot(Struct, frozen=True):
    """An account that a directory has: where it stands, the key it is made under, and its id where the file names one."""

    place: str
    key: str
    currency: str
    account_id: int | None


class Found(Struct, frozen=True):
    """The accounts of a directory: ids by key, and the keys of those that the ledger does not have yet."""

    ids: Mapping[str, int]
    fresh: tuple[str, ...]


def slots_of(parties: Sequence[PartyEntry], house: Sequence[HouseAccounts]) -> list[Slot]:
    """Every account that these have, in their order."""
    return [*_shop_slots(parties), *_house_slots(house)]


def find_accounts(connection: Connection, slots: Sequence[Slot], *, own_ledger: bool) -> Found:
    """The accounts that are there. Raises BadDirectory with every account that can't be used, or can't be made.

    Where the ledger is another service nothing is known of its accounts, and each has to be named.
    """
    named = {slot.key: slot.account_id for slot in slots if slot.account_id is not None}
    nameless = [slot for slot in slots if slot.account_id is None]
    if not own_ledger:
        _refuse([f"{slot.place}: is not named, and the ledger is another service, in which none is made" for slot in nameless])
        return Found(named, ())
    keyed = _made_before(connection, nameless)
    _refuse([*_strange(connection, slots), *_of_other_currency(nameless, keyed)])
    fresh = tuple(slot.key for slot in nameless if slot.key not in keyed)
    return Found(named | {key: account.account_id for key, account in keyed.items()}, fresh)


def make_accounts(connection: Connection, clock: Clock, slots: Sequence[Slot], found: Found) -> Mapping[str, int]:
    """The ids of all accounts by key, after those that are not there were made. Raises BadDirectory when the ledger refuses one."""
    fresh = [slot for slot in slots if slot.key in set(found.fresh)]
    if not fresh:
        return found.ids
    results = Post(connection, clock).execute([NewAccount(slot.currency, slot.key, None, slot.key) for slot in fresh])
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


def _shop_slots(parties: Sequence[PartyEntry]) -> Iterator[Slot]:
    for number, party in enumerate(parties):
        for at, shop in enumerate(party.shops):
            place, key = f"parties[{number}].shops[{at}].accounts", _shop_key(party, shop)
            for name, account_id in asdict(shop.accounts).items():
                yield Slot(f"{place}.{name}", f"{key}/{name}", shop.currency, account_id)


def _house_slots(house: Sequence[HouseAccounts]) -> Iterator[Slot]:
    for each in house:
        for name in HOUSE_ACCOUNTS:
            yield Slot(f"house {each.currency}.{name}", f"{_house_key(each)}/{name}", each.currency, getattr(each, name))


def _shop_key(party: PartyEntry, shop: ShopEntry) -> str:
    return f"party/{_part(party.id)}/{_part(shop.id)}"


def _house_key(house: HouseAccounts) -> str:
    return f"house/{_part(house.currency)}"


def _part(text: str) -> str:
    """A part of a key; escaped, so that the shops `b/c` of `a` and `c` of `a/b` do not share their accounts."""
    return text.replace("%", "%25").replace("/", "%2F")


def _ids(names: Mapping[str, AccountType], key: str, ids: Mapping[str, int]) -> dict[str, int | None]:
    return {name: ids.get(f"{key}/{name}") for name in names}


def _made_before(connection: Connection, slots: Sequence[Slot]) -> dict[str, Account]:
    rows: list[Any] = connection.execute(_LEDGER_SQL.accounts_by_key, ([slot.key for slot in slots],), binary=True).fetchall()
    return {key: Account(account_id, currency, description, made_at) for account_id, key, currency, description, made_at in rows}


def _strange(connection: Connection, slots: Sequence[Slot]) -> Iterator[str]:
    """Accounts that the file names and the ledger does not have so."""
    named = [(slot, slot.account_id) for slot in slots if slot.account_id is not None]
    states = Ledger(connection).states({account_id for _, account_id in named})
    for slot, account_id in named:
        if account_id not in states:
            yield f"{slot.place}: the ledger has no account {account_id}"
        elif (other := states[account_id].account.currency) != slot.currency:
            yield f"{slot.place}: account {account_id} is in {other}, not in {slot.currency}"


def _of_other_currency(slots: Sequence[Slot], keyed: Mapping[str, Account]) -> Iterator[str]:
    """Accounts that were made when the shop had another currency; another one has to be named for it."""
    for slot in slots:
        made = keyed.get(slot.key)
        if made is not None and made.currency != slot.currency:
            yield f"{slot.place}: account {made.account_id} was made for it in {made.currency}, not in {slot.currency}; name another one"


def _refuse(complaints: Sequence[str]) -> None:
    if complaints:
        raise BadDirectory(complaints)
