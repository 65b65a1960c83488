"""Workers: what a hub does with as many as this machine has use for, beside what it does as one process, in turns on the same server."""

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Literal

from msgspec.structs import replace

from bench.end_to_end import log_new_cases, per_second, wait_until_answered
from bench.place import Place
from bench.processes import hub_process
from bench.report import Figure, report, rounded
from bench.size import Size
from bench.spent import Meter
from bench.topics import make_log
from kvitt.app.roles import processors, workers_of
from kvitt.config import load_settings
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.fetch import fetch_value

_LOOK_SECONDS, _LONGEST_SECONDS = 0.01, 300.0
_ONE_BY_ONE = 100
_TAKEN = "SELECT coalesce(max(message_no), 0) FROM messages"
_READERS = "SELECT count(DISTINCT owner) FROM leases WHERE lease ^@ 'intake:' AND until >= now()"
Workers = int | Literal["auto"]


def taken_per_second(place: Place, count: int, workers: Workers, meter: Meter | None = None) -> float:
    """Records of the embedded log that are taken in and derived each second, where nobody sends what comes of them."""
    warming = max(count // 10, 100)
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        make_log(conninfo)
        with hub_process(conninfo, ["intake"], workers=workers) as hub:
            _wait_until_shared(connection, workers_of(replace(load_settings(), workers=workers), ["intake"]))
            log_new_cases(connection, 0, warming)
            _wait_until_taken(connection, warming)
            with meter.counting(hub) if meter else nullcontext():
                started = time.perf_counter()
                log_new_cases(connection, warming, count)
                _wait_until_taken(connection, warming + count)
                return count / (time.perf_counter() - started)


def _wait_until_shared(connection: Connection, readers: int) -> None:
    """Until so many intakes have their parts of the log: those that begin first have all of it for a second."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while fetch_value(connection, _READERS) < readers:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{readers} intakes did not share the log within {_LONGEST_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)


def _wait_until_taken(connection: Connection, count: int) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    # Numbers are given before rows are there, so the last look counts.
    while fetch_value(connection, _TAKEN) < count or fetch_value(connection, "SELECT count(*) FROM messages") < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all of {count} records were taken in within {_LONGEST_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)


def milliseconds_to_answer(place: Place, workers: Workers) -> float:
    """How long one message takes from the log to its final status in the log, while nothing else is there; the median."""
    taken = []
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        make_log(conninfo)
        with hub_process(conninfo, workers=workers):
            for number in range(_ONE_BY_ONE):
                started = time.perf_counter()
                log_new_cases(connection, number, 1)
                wait_until_answered(connection, number + 1, look_seconds=0.0005)
                taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[_ONE_BY_ONE // 10 :])


def run(place: Place, size: Size) -> None:
    """End to end, taking in alone, and one message after the other; the best round of each counts."""
    on = f"{processors()} processors"
    _compare(place, size.rounds, ("end to end", on), size.end_to_end, partial(_end_to_end, place, size.end_to_end))
    _compare(place, size.rounds, ("taken in", on), size.messages, partial(taken_per_second, place, size.messages))
    for workers in (1, "auto"):
        value = min(milliseconds_to_answer(place, workers) for _ in range(size.rounds))
        on = f"{_ONE_BY_ONE} messages, one after the other"
        report(Figure(name=f"answered, workers {workers}", value=rounded(value), unit="ms", on=on, durability=place.durability()))


def _end_to_end(place: Place, count: int, workers: Workers, meter: Meter) -> float:
    return per_second(place, count, apart=False, workers=workers, meter=meter)


def _compare(place: Place, rounds: int, what: tuple[str, str], count: int, measure: Callable[[Workers, Meter], float]) -> None:
    """One process and several in turns, so that both have the same weather."""
    meters: dict[Workers, Meter] = {1: place.meter(), "auto": place.meter()}
    rates: dict[Workers, list[float]] = {1: [], "auto": []}
    for _ in range(rounds):
        for workers, meter in meters.items():
            rates[workers].append(measure(workers, meter))
    alone, (name, on) = max(rates[1]), what
    for workers, samples in rates.items():
        several = workers != 1
        report(
            Figure(
                name=f"{name}, workers {workers}",
                value=rounded(max(samples)),
                unit="messages/s",
                on=f"{count} messages, {on}",
                ratio=rounded(max(samples) / alone) if several else None,
                baseline=f"{name}, workers 1" if several else None,
                samples=[rounded(each) for each in samples],
                durability=place.durability(),
                spent=meters[workers].spent(count * rounds),
            )
        )
