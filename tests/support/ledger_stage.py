"""Parts of ledger tests: accounts to move money between, calls in few words, and the sums that must hold whatever happened."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import psycopg

from kvitt.ledger.calls import (
    Account,
    Call,
    Done,
    LedgerCommand,
    LedgerResult,
    NewAccount,
)
from kvitt.ledger.rules import Batch, Operation, Posting

Execute = Callable[[Sequence[LedgerCommand]], list[LedgerResult | Exception]]


def clock() -> datetime:
    """The time of the tests."""
    return datetime.now(UTC)


def made(post: Execute, count: int, currency: str = "RUB") -> list[int]:
    """New accounts, by id."""
    accounts = post([NewAccount(currency) for _ in range(count)])
    return [account.account_id for account in accounts if isinstance(account, Account)]


def moved(source: int, target: int, amount: int, description: str = "x") -> Posting:
    """A posting in RUB."""
    return Posting(source, target, amount, "RUB", description)


def hold(plan_id: str, *postings: Posting, batch_id: int = 1) -> Call:
    """A hold of one batch."""
    return Call(plan_id, Operation.HOLD, (Batch(batch_id, postings),))


def commit(plan_id: str, *postings: Posting) -> Call:
    """The commit of a plan of one batch."""
    return Call(plan_id, Operation.COMMIT, (Batch(1, postings),))


def rollback(plan_id: str, *postings: Posting) -> Call:
    """The rollback of a plan of one batch."""
    return Call(plan_id, Operation.ROLLBACK, (Batch(1, postings),))


def totals(result: object) -> dict[int, tuple[int, int, int]]:
    """What a call that went through was answered."""
    assert isinstance(result, Done), result
    return {account: tuple(state.totals) for account, state in result.affected.items()}


def sums_are_zero(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """own adds up to zero in each currency, and what may leave is what may come (payouts §4.3)."""
    query = """SELECT currency FROM ledger.accounts GROUP BY currency
               HAVING sum(posted) <> 0 OR sum(available_min - posted) <> -sum(available_max - posted)"""
    assert connection.execute(query).fetchall() == []
