"""Makes accounts, and finds them with their totals (payouts §4.3)."""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct

from kvitt.kernel.actor import encode
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.identifiers import wrong_id, wrong_text
from kvitt.ledger.calls import Account, AccountState, LedgerResult, NewAccount
from kvitt.ledger.repository import SQL
from kvitt.ledger.rules import MAX_CURRENCY, MAX_DESCRIPTION, InvalidRequest, Totals


class _KeyedAccount(Struct, frozen=True):
    request_key: str | None
    account: Account


def make_accounts(connection: Connection, wanted: Sequence[NewAccount], now: datetime) -> list[LedgerResult]:
    """One account per request, in order; a request key that was used before leads to the account of then, if it asked for the same."""
    results: list[LedgerResult | None] = [_wrong(each) for each in wanted]
    sound = [(place, each) for place, each in enumerate(wanted) if results[place] is None]
    if sound:
        accounts = _accounts_of(connection, [each for _, each in sound], now)
        for (place, each), made in zip(sound, accounts, strict=True):
            same = (made.currency, made.description) == (each.currency, each.description)
            results[place] = made if same else InvalidRequest("The request key was used for another account")
    return [each for each in results if each is not None]


def _accounts_of(connection: Connection, wanted: Sequence[NewAccount], now: datetime) -> list[Account]:
    """The accounts of requests that break no rule: one for each without a key, one for each key."""
    once: dict[str, NewAccount] = {}
    fresh = [each for each in wanted if each.request_key is None or once.setdefault(each.request_key, each) is each]
    made = _add_accounts(connection, fresh, now)
    by_key = accounts_by_key(connection, list(once))
    keyless = iter([row.account for row in made if row.request_key is None])
    return [next(keyless) if each.request_key is None else by_key[each.request_key] for each in wanted]


def _wrong(wanted: NewAccount) -> InvalidRequest | None:
    if wrong := wrong_id(wanted.currency, MAX_CURRENCY):
        return InvalidRequest(f"Currency code {wrong}")
    if wanted.description is not None and (wrong := wrong_text(wanted.description, MAX_DESCRIPTION)):
        return InvalidRequest(f"Description {wrong}")
    return None


def _add_accounts(connection: Connection, wanted: Sequence[NewAccount], now: datetime) -> list[_KeyedAccount]:
    """Makes accounts, in their order; one whose request key was used before is not made again, and not among them."""
    columns = {
        "currencies": [each.currency for each in wanted],
        "descriptions": [each.description for each in wanted],
        "created": [each.created_at or now for each in wanted],
        "keys": [each.request_key for each in wanted],
        "actors": [encode(each.actor) for each in wanted],
    }
    return fetch(connection, _KeyedAccount, SQL.add_accounts, columns, account=Account)


def accounts_by_key(connection: Connection, keys: Sequence[str]) -> dict[str, Account]:
    """The accounts that were made under request keys."""
    rows = fetch(connection, _KeyedAccount, SQL.accounts_by_key, [keys], account=Account) if keys else []
    return {row.request_key: row.account for row in rows if row.request_key is not None}


def states_of(connection: Connection, account_ids: Collection[int]) -> dict[int, AccountState]:
    """Those of the accounts that exist, by id, with their latest totals, without a lock."""
    found = fetch(connection, AccountState, SQL.accounts, [list(account_ids)], account=Account, totals=Totals)
    return {each.account.account_id: each for each in found}
