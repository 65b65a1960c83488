"""The baseline: each hold and each commit a transaction of its own with row locks, from several worker processes (payouts §4.4)."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
from typing import Any

import psycopg

from bench.ledger_shapes import Transfer
from kvitt.kernel.database import connect
from kvitt.kernel.money import Minor
from kvitt.kernel.queries import load
from kvitt.ledger.calls import Call
from kvitt.ledger.rules import (
    INT64_MAX,
    Operation,
    Posting,
    Totals,
    after_final,
    after_hold,
    net_by_account,
)

_SQL = load("ledger_baseline", package="bench")
_Cursor = psycopg.Cursor[Any]
Shape = Callable[[Sequence[int], int, str], list[Transfer]]


def _call(connection: psycopg.Connection[Any], call: Call) -> None:
    """Does one call whole; raises AssertionError where the contract refuses, which no transfer of the benchmark comes to."""
    batch = call.batches[0]
    named: dict[str, object] = {"plan_id": call.plan_id, "batch_id": batch.batch_id, "operation": "HOLD"}
    is_hold = call.operation is Operation.HOLD
    with connection.transaction(), connection.cursor() as cursor:
        earlier = cursor.execute(_SQL.read_plan, named).fetchone()
        assert cursor.execute(_SQL.hold_plan if is_hold else _SQL.end_plan, named).fetchone(), "the plan is in no state for this"
        if earlier:
            stored = {(row[0], Posting(*row[1:])) for row in cursor.execute(_SQL.read_postings, named)}
            assert stored == {(batch.batch_id, posting) for posting in batch.postings}, "the plan was held with these postings"
        _write(cursor, call, INT64_MAX if not is_hold else batch.batch_id)


def _write(cursor: _Cursor, call: Call, log_batch_id: int) -> None:
    batch, operation = call.batches[0], call.operation
    net = net_by_account(batch.postings)
    ids = {"ids": sorted(net)}
    cursor.execute(_SQL.lock_accounts, ids)
    states = {row[0]: (row[1], Totals(row[2], row[4], row[3])) for row in cursor.execute(_SQL.read_states, ids)}
    for posting in batch.postings:
        assert states[posting.source][0] == states[posting.target][0] == posting.currency, "accounts are of one currency"
        cursor.execute(_SQL.add_posting, (call.plan_id, batch.batch_id, *posting[:2], operation.value, *posting[2:]))
    for account_id, change in net.items():
        was = states[account_id][1]
        now = after_hold(was, Minor(0), change) if operation is Operation.HOLD else after_final(was, operation, change)
        moved = (now.posted - was.posted, now.available_max - was.available_max, now.available_min - was.available_min)
        row = (
            call.plan_id,
            log_batch_id,
            account_id,
            operation.value,
            now.posted,
            now.available_max,
            now.available_min,
            *moved,
            change < 0,
        )
        cursor.execute(_SQL.add_account_log, row)


def _work(conninfo: str, make: Callable[[], list[Transfer]], starting: Any, started: Any) -> None:
    transfers = make()
    with connect(conninfo, application="kvitt bench") as connection:
        starting.release()
        started.wait()
        for each in transfers:
            _call(connection, each.hold)
            _call(connection, each.commit)


def per_second(conninfo: str, shape: Shape, accounts: int, count: int, workers: int) -> float:
    """Transfers per second of `workers` processes that share `count` transfers of a shape over `accounts` fresh accounts."""
    with connect(conninfo, application="kvitt bench") as connection:
        connection.execute(_SQL.make_tables)
        ids = [int(str(row[0])) for row in connection.execute(_SQL.make_accounts, {"count": accounts})]
        context = get_context("spawn")
        starting, started = context.Semaphore(0), context.Event()
        each = count // workers
        crew = [
            context.Process(target=_work, args=(conninfo, partial(shape, ids, each, f"w{worker}"), starting, started), daemon=True)
            for worker in range(workers)
        ]
        for process in crew:
            process.start()
        for _ in crew:
            starting.acquire()
        began = time.perf_counter()
        started.set()
        for process in crew:
            process.join()
        seconds = time.perf_counter() - began
        assert all(process.exitcode == 0 for process in crew), "every worker did all of its transfers"
        assert connection.execute(_SQL.sums).fetchone() == (0, 0), "sums are zero and nothing is open"
    return each * workers / seconds
