"""The ledger on PostgreSQL: the worked examples, repeats, what is append-only, and many at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from kvitt.errors import AccountNotFound, PlanNotFound
from kvitt.kernel.database import connect
from kvitt.ledger.calls import (
    Account,
    Call,
    Done,
    NewAccount,
)
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import (
    INT64_MAX,
    INT64_MIN,
    InvalidRequest,
    Operation,
    Overflow,
    PlanState,
    Totals,
)
from kvitt.ledger.service import LedgerService
from support.ledger_stage import Execute, clock, commit, hold, made, moved, rollback, totals
from support.patience import PATIENCE_SECONDS, until


@pytest.fixture
def connection(ledger_database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with connect(ledger_database) as connection:
        yield connection


@pytest.fixture
def post(connection: psycopg.Connection[tuple[object, ...]]) -> Execute:
    return LedgerWriter(connection, clock).execute


def test_worked_example_two_three_plans_and_a_duplicate(post: Execute) -> None:
    a, b, c, d = made(post, 4)
    one, two = (moved(a, b, 10), moved(c, a, 25)), (moved(a, b, 7), moved(c, a, 18))
    three = (moved(a, b, 70), moved(c, d, 180))
    first = totals(post([hold("e2.1", *one)])[0])
    assert first == {a: (0, 0, 15), b: (0, 0, 10), c: (0, -25, 0)}
    assert totals(post([hold("e2.2", *two)])[0]) == {a: (0, 0, 26), b: (0, 0, 17), c: (0, -43, 0)}
    assert totals(post([commit("e2.2", *two)])[0]) == {a: (11, 11, 26), b: (7, 7, 17), c: (-18, -43, -18)}
    held = totals(post([hold("e2.3", *three)])[0])
    assert held == {a: (11, -59, 26), b: (7, 7, 87), c: (-18, -223, -18), d: (0, 0, 180)}
    back = totals(post([rollback("e2.3", *three)])[0])
    assert back == {a: (11, 11, 26), b: (7, 7, 17), c: (-18, -43, -18), d: (0, 0, 0)}
    assert totals(post([hold("e2.1", *one)])[0]) == first
    ended = totals(post([commit("e2.1", *one)])[0])
    assert ended == {a: (26, 26, 26), b: (17, 17, 17), c: (-43, -43, -43)}
    assert totals(post([commit("e2.1", *one)])[0]) == ended


def test_what_is_refused_leaves_nothing_and_its_neighbours_alone(post: Execute, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    a, b = made(post, 2)
    refused, held, unknown = post([hold("n.1", moved(a, 10**15, 5)), hold("n.2", moved(a, b, 5)), commit("n.3", moved(a, b, 5))])
    assert not isinstance(refused, Done)
    assert totals(held) == {a: (0, -5, 0), b: (0, 0, 5)}
    assert unknown == InvalidRequest("Posting plan not found: n.3")
    with pytest.raises(PlanNotFound):
        LedgerReader(connection).plan("n.1")


def test_an_overflow_is_refused_and_does_not_wrap(post: Execute) -> None:
    a, b = made(post, 2)
    assert totals(post([hold("o.1", moved(a, b, INT64_MAX))])[0]) == {a: (0, -INT64_MAX, 0), b: (0, 0, INT64_MAX)}
    assert post([hold("o.2", moved(a, b, 2))])[0] == Overflow(f"Plan (o.2) would move account {a} below {INT64_MIN}", a)
    assert totals(post([hold("o.2", moved(b, a, 1))])[0])[a] == (0, -INT64_MAX, 1)


def test_facts_can_only_be_added(post: Execute, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    a, b = made(post, 2)
    post([hold("f.1", moved(a, b, 5))])
    for table in ("postings", "steps", "entries"):
        for statement in (f"UPDATE ledger.{table} SET plan_id = 'x'", f"DELETE FROM ledger.{table}", f"TRUNCATE ledger.{table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_plans_balances_of_the_past_and_histories_can_be_read(post: Execute, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    a, b = made(post, 2)
    before = clock()
    post([hold("r.1", moved(a, b, 5)), hold("r.1", moved(a, b, 3), batch_id=2)])
    between = clock()
    x, y = hold("r.1", moved(a, b, 5)).batches[0], hold("r.1", moved(a, b, 3), batch_id=2).batches[0]
    post([Call("r.1", Operation.COMMIT, (y, x))])
    ledger = LedgerReader(connection)
    plan = ledger.plan("r.1")
    assert (plan.state, plan.batches) == (PlanState.COMMITTED, (x, y))
    assert ledger.totals_before(b, before, clock()) == Totals()
    assert ledger.totals_before(b, between, clock()) == Totals(0, 0, 8)
    assert ledger.totals_before(b, clock(), clock()) == Totals(8, 8, 8)
    published = [(entry.number, entry.operation, entry.batch_id, tuple(entry.totals)) for entry in ledger.statement(b)]
    assert published == [(1, "HOLD", 1, (0, 0, 5)), (2, "HOLD", 2, (0, 0, 8)), (3, "COMMIT", None, (8, 8, 8))]
    assert [entry.number for entry in ledger.history(b, after=1, limit=1)] == [2]
    for look in (ledger.account, lambda account: ledger.totals_before(account, before, clock()), ledger.history):
        with pytest.raises(AccountNotFound):
            look(10**15)


def test_a_request_key_makes_one_account(post: Execute) -> None:
    asked = NewAccount("RUB", "payouts", request_key="k-1")
    one, two, other = post([asked, asked, NewAccount("USD", request_key="k-1")])
    assert isinstance(one, Account)
    assert one == two == post([asked])[0]
    assert other == InvalidRequest("The request key was used for another account")
    assert isinstance(post([NewAccount("RUBLES")])[0], InvalidRequest)


def test_who_waits_for_a_request_key_has_locked_no_account_that_its_owner_may_need(
    ledger_database: str, post: Execute, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    asked = NewAccount("RUB", request_key="k-2")
    a, b = made(post, 2)
    with connect(ledger_database) as other, ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            (first,) = post([asked])
            batch = pool.submit(LedgerWriter(other, clock).execute, [hold("k.other", moved(a, b, 5)), asked])
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s"
            until(lambda: connection.execute(waits, (other.info.backend_pid,)).fetchone() != (0,))
            free = "SELECT account_id FROM ledger.accounts WHERE account_id = ANY (%s) ORDER BY account_id FOR UPDATE NOWAIT"
            assert connection.execute(free, ([a, b],)).fetchall() == [(a,), (b,)]
        held, second = batch.result()
    assert (totals(held), second) == ({a: (0, -5, 0), b: (0, 0, 5)}, first)


def test_accounts_are_looked_at_though_the_connection_has_ended_meanwhile(database: str) -> None:
    with closing(LedgerService(database, clock)) as ledger, connect(database) as connection:
        (account_id,) = made(LedgerWriter(connection, clock).execute, 1)
        before = ledger.account(account_id).result(PATIENCE_SECONDS)
        assert before is not None
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}")
        assert ledger.account(account_id).result(PATIENCE_SECONDS) == before
