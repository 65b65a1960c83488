"""Interface reconciliation: how long a day with very many orders takes, what memory that needs, and what submit loses beside it."""

import time
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe

from bench.large_case import accept_ready
from bench.messages import DP_TOPIC, Feed, dp
from bench.place import Place
from bench.processes import peak_mib
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.submit import per_second, writers
from kvitt.app.ports import PORTS
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, Trigger
from kvitt.disbursement.submit import Submit
from kvitt.kernel.clock import oslo, utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load

MOST_SECONDS, MOST_MIB, LEAST_RATIO = 60, 200, 0.8
_MILLION = 1_000_000
_AREA, _TEMPLATE = "DP", "template"
_TURN, _TURNS_ALONE = 1_000, 10
_SQL, _FILL = load("reconciliation", package="bench"), load("fill", package="bench")
_BY = Cause(Trigger.OPERATOR, operator=Operator("bench", "to see how long it takes"))


def run(place: Place, size: Size) -> None:
    """All orders of one day, one in a hundred refused or without an answer; then a day more, beside which new cases come in."""
    count, feed = size.reconciled_orders, Feed()
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        _fill(connection, feed, count)
        seconds, orders, mib = _made(conninfo, days_ago=1)
        assert orders == count, "every order of the day is in its run"
        connection.execute(_SQL.move_on)
        # Else cleaning up behind that would go on beside what is measured.
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
        rates, beside = _beside(conninfo, feed)
    durability, on = place.durability(), f"{count} orders"
    for name, value, unit, most in (
        ("reconciliation", seconds * _MILLION / count, "seconds for a million orders", MOST_SECONDS),
        ("reconciliation memory", mib, "MiB at most", MOST_MIB),
    ):
        report(Figure(name=name, value=rounded(value), unit=unit, on=on, target=Target(most=most), durability=durability))
    report(
        Figure(
            name="submit beside reconciliation",
            value=rounded(beside),
            unit="messages/s",
            on=f"{_TURN} messages a turn, beside a run over {count} orders",
            ratio=rounded(beside / rates),
            baseline=f"submit alone, {rounded(rates)} messages/s",
            target=Target(least=LEAST_RATIO * rates),
            durability=durability,
        )
    )


def _fill(connection: Connection, feed: Feed, orders: int) -> None:
    """So many accepted orders of yesterday, written set by set after one that was really made."""
    Submit(connection, utc_now, PORTS).execute([feed.incoming(DP_TOPIC, dp(_TEMPLATE, 1))])
    accept_ready(connection)
    (template,) = connection.execute("SELECT case_no FROM cases WHERE case_id = %s", (_TEMPLATE,)).fetchone() or (None,)
    arguments = {"template": template, "cases": orders - 1}
    with connection.transaction():
        connection.execute(_FILL.copy_cases, arguments)
        connection.execute(_FILL.copy_orders, arguments)
        connection.execute(_SQL.answer, arguments)
        connection.execute(_SQL.made_on, {"day": oslo(utc_now()).date() - timedelta(days=1)})
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")


def _make(conninfo: str, days_ago: int, answer: Pipe) -> None:
    def clock() -> object:
        return utc_now() + timedelta(days=1 - days_ago)

    with connect(conninfo, application="kvitt bench") as connection:
        reconcile = Reconcile(connection, PORTS, clock)  # type: ignore[arg-type]  # a moment, by the machine's clock
        days = reconcile.next_range(_AREA)
        assert days is not None, "a day is over that is not reconciled"
        started = time.perf_counter()
        made = reconcile.make(_AREA, days, _BY)
        answer.send((time.perf_counter() - started, made.orders, peak_mib()))


def _begin(conninfo: str, days_ago: int) -> Pipe:
    """Makes the run in a process of its own; what it found comes through the pipe."""
    here, there = get_context("spawn").Pipe()
    get_context("spawn").Process(target=_make, args=(conninfo, days_ago, there), daemon=True).start()
    there.close()
    return here


def _made(conninfo: str, *, days_ago: int) -> tuple[float, int, float]:
    seconds, orders, mib = _begin(conninfo, days_ago).recv()
    return seconds, orders, mib


def _beside(conninfo: str, feed: Feed) -> tuple[float, float]:
    """The rate of submit alone, and while a run is made."""
    with writers(conninfo) as group:
        per_second(group, feed.new_cases(_TURN))
        alone = sum(per_second(group, feed.new_cases(_TURN)) for _ in range(_TURNS_ALONE)) / _TURNS_ALONE
        pipe, rates = _begin(conninfo, 0), []
        while not pipe.poll():
            rates.append(per_second(group, feed.new_cases(_TURN)))
        assert pipe.recv()[1], "there were orders to report"
    # The first turn is beside a process that only starts, the last one may end alone.
    inner = rates[1:-1] or rates
    return alone, sum(inner) / len(inner)
