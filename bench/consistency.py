"""Consistency reconciliation: how long it takes to report very many lines in force, and whether the memory that it takes grows."""

import time
from datetime import date

from bench.large_store import fill
from bench.messages import Feed
from bench.place import Place
from bench.processes import own_mib
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from kvitt.app.ports import PORTS
from kvitt.disbursement.reconcile.consistency import Consistency, LinesRun
from kvitt.disbursement.reconcile.runs import Cause, Trigger
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.fetch import fetch_value

MOST_SECONDS, MOST_MIB = 90, 200
_MILLION = 1_000_000
_AREA = "DP"


def run(place: Place, size: Size) -> None:
    """Makes the run of an area with so many lines in force, ten to a case, until its messages are stored."""
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        fill(connection, Feed(), size.active_lines)
        day = _age(connection)
        resident: list[float] = []

        def look(_run: LinesRun) -> None:
            resident.append(own_mib())

        started = time.monotonic()
        made = Consistency(connection, PORTS, utc_now).make(_AREA, Cause(Trigger.SCHEDULE), day=day, made=look)
        seconds = time.monotonic() - started
    report(
        Figure(
            name="consistency",
            value=rounded(seconds * _MILLION / made.lines),
            unit="seconds for a million lines",
            on=f"{made.lines} lines of {made.cases} cases, {rounded(seconds)} seconds",
            target=Target(most=MOST_SECONDS),
            durability=place.durability(),
        )
    )
    report(
        Figure(
            name="consistency memory",
            value=rounded(max(resident)),
            unit="MiB resident",
            on=f"{made.lines} lines",
            ratio=rounded(resident[-1] / resident[0]),
            baseline="the same after the first part",
            target=Target(most=MOST_MIB),
        )
    )


def _age(connection: Connection) -> date:
    """Makes all orders so old that they count on the first day of all lines, which it returns."""
    connection.execute("UPDATE orders SET settled_at = '2000-01-01'")
    connection.execute("VACUUM (ANALYZE)")
    first: date = fetch_value(connection, "SELECT min(start_on) FROM order_lines")
    return first
