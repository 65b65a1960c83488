"""The ledger on PostgreSQL against a plain model of the contract: arbitrary calls, alone and in batches, on one history."""

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.kernel.database import connect
from kvitt.ledger.calls import Call, Done
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.rules import (
    INT64_MAX,
    INT64_MIN,
    Batch,
    InvalidPostings,
    InvalidRequest,
    Operation,
    Posting,
)
from support.ledger_model import Answer, Model, reasons_in
from support.ledger_stage import clock, made, sums_are_zero
from support.tried import tried

_runs = count()


@pytest.fixture(scope="module")
def connection(ledger_database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with connect(ledger_database) as connection:
        yield connection


def calls(accounts: list[int]) -> st.SearchStrategy[list[tuple[str, Operation, tuple[Batch, ...]]]]:
    """Calls on two plans, of few batches and few different postings, so that repeats and conflicts are common."""
    account = st.sampled_from([*accounts, *accounts, 10**15])
    posting = st.builds(
        Posting, account, account, st.sampled_from([0, 1, 5, 100, -1]), st.sampled_from(["RUB", "RUB", "RUB", "USD"]), st.just("x")
    )
    postings = st.lists(posting, min_size=0, max_size=3).map(tuple)
    batch = st.builds(Batch, st.sampled_from([1, 1, 1, 2, 2, 3, INT64_MAX, INT64_MIN]), postings)
    hold = st.tuples(st.sampled_from("pq"), st.just(Operation.HOLD), st.tuples(batch))
    end = st.tuples(st.sampled_from("pq"), st.sampled_from([Operation.COMMIT, Operation.ROLLBACK]), st.lists(batch, max_size=3).map(tuple))
    return st.lists(hold | hold | end, min_size=1, max_size=14)


def answer_of(result: object) -> Answer:
    if isinstance(result, Done):
        return {account: tuple(state.totals) for account, state in result.affected.items()}
    if isinstance(result, InvalidRequest):
        return result.error
    assert isinstance(result, InvalidPostings), result
    return reasons_in({posting: [text] for posting, text in result.wrong})


@tried(120)
@given(data=st.data())
def test_the_ledger_answers_and_counts_as_the_model_does(connection: psycopg.Connection[tuple[object, ...]], data: st.DataObject) -> None:
    post, run = LedgerWriter(connection, clock).execute, next(_runs)
    accounts = made(post, 3)
    drawn = data.draw(calls(accounts))
    # What was held in full is often ended in full, or nothing would ever be committed.
    model = Model(dict.fromkeys(accounts, "RUB"))
    batch: list[Call] = []
    expected: list[Answer] = []
    for name, operation, batches in drawn:
        plan_id = f"{name}{run}"
        if operation is not Operation.HOLD and data.draw(st.booleans()):
            batches = tuple(Batch(each, tuple(postings)) for each, postings in model.plans.get(plan_id, {}).items())  # noqa: PLW2901
        batch.append(Call(plan_id, operation, batches))
        expected.append(model.call(plan_id, operation, batches))
        if data.draw(st.booleans()):
            assert [answer_of(each) for each in post(batch)] == expected
            batch, expected = [], []
    assert [answer_of(each) for each in post(batch)] == expected
    stored = {
        account: totals
        for account, *totals in connection.execute("SELECT account_id, posted, available_min, available_max FROM ledger.accounts")
    }
    assert {account: tuple(stored[account]) for account in accounts} == {account: model.totals(account) for account in accounts}
    sums_are_zero(connection)
