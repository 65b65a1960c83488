"""End to end: from a record in the log to status OK in the log, by way of the order, the queue, the rail and its receipt."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from multiprocessing.process import BaseProcess
from typing import Any, Literal

import psycopg

from bench.messages import DP_TOPIC, dp
from bench.place import Place
from bench.processes import CASE_ROLES, hub_process
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.spent import Meter
from bench.topics import make_log
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.transports.log.embedded_log import NewRecord, append

LEAST_PER_SECOND = 800
_APPENDED_AT_ONCE = 500
_LOOK_SECONDS = 0.05
_LONGEST_SECONDS = 300.0
_UNFINISHED = "SELECT EXISTS (SELECT FROM messages WHERE state <> 'answered') OR EXISTS (SELECT FROM unpublished)"
_CAME_IN = "SELECT count(*) >= %s FROM messages"
_OK = 'SELECT count(*) FROM messages WHERE answer LIKE \'{"status":"OK"%\''


def log_new_cases(connection: psycopg.Connection[Any], first: int, count: int) -> None:
    """Appends one dagpenger message for each of `count` new cases, numbered from `first`, to the log."""
    records = [NewRecord(DP_TOPIC, f"key-{number}".encode(), dp(f"case-{number}")) for number in range(first, first + count)]
    for start in range(0, count, _APPENDED_AT_ONCE):
        append(connection, records[start : start + _APPENDED_AT_ONCE], utc_now())


def wait_until_answered(connection: psycopg.Connection[Any], count: int, *, look_seconds: float = _LOOK_SECONDS) -> None:
    """Until `count` messages in all have come in, are answered, and everything is published; raises TimeoutError."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline:
        # Counted, since a number may be given to a message before it is there, and dear: not while messages are unfinished.
        if _is_finished(connection) and connection.execute(_CAME_IN, (count,)).fetchone() == (True,) and _is_finished(connection):
            return
        time.sleep(look_seconds)
    raise TimeoutError(f"not all of {count} messages were answered within {_LONGEST_SECONDS:.0f} s")


def _is_finished(connection: psycopg.Connection[Any]) -> bool:
    return connection.execute(_UNFINISHED).fetchone() == (False,)


@contextmanager
def _running(conninfo: str, *, apart: bool, workers: int | Literal["auto"]) -> Iterator[BaseProcess]:
    """The process of the hub, after that of the emulator where it is apart."""
    with ExitStack() as running:
        if apart:
            running.enter_context(hub_process(conninfo, ["emulator"]))
        roles = [role for role in CASE_ROLES if not apart or role != "emulator"]
        yield running.enter_context(hub_process(conninfo, roles, workers=workers))


def per_second(place: Place, count: int, *, apart: bool, workers: int | Literal["auto"] = 1, meter: Meter | None = None) -> float:
    """Messages per second to their final status on the embedded log and queue; `apart`: the emulator in a process of its own."""
    warming = max(count // 10, 100)
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        make_log(conninfo)
        with _running(conninfo, apart=apart, workers=workers) as hub:
            log_new_cases(connection, 0, warming)
            wait_until_answered(connection, warming)
            with meter.counting(hub) if meter else nullcontext():
                started = time.perf_counter()
                log_new_cases(connection, warming, count)
                wait_until_answered(connection, warming + count)
                seconds = time.perf_counter() - started
        accepted = connection.execute(_OK).fetchone()
        assert accepted == (warming + count,), "every message ends in status OK"
    return count / seconds


def run(place: Place, size: Size) -> None:
    """New cases of dagpenger with 14 days each, all roles in one process, and with the emulator in its own; the best round counts."""
    for apart, name in ((False, "end to end"), (True, "end to end, emulator apart")):
        meter = place.meter()
        rates = [per_second(place, size.end_to_end, apart=apart, meter=meter) for _ in range(size.rounds)]
        report(
            Figure(
                name=name,
                value=rounded(max(rates)),
                unit="messages/s",
                on=f"{size.end_to_end} messages of 14 days",
                samples=[rounded(rate) for rate in rates],
                target=Target(least=LEAST_PER_SECOND),
                durability=place.durability(),
                spent=meter.spent(size.end_to_end * size.rounds),
            )
        )
