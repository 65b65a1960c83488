"""A rail that hangs beside the work: submit's latency, and how fast orders leave, with its simulation answering and hanging in turns."""

import statistics
import time
from typing import Any, NamedTuple

import psycopg
from msgspec.structs import replace

from bench.end_to_end import log_new_cases
from bench.latency import arrive
from bench.messages import Feed
from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.simulations import dry_run, running
from bench.size import Size
from bench.submit import Writers, per_second, writers
from bench.topics import make_log
from kvitt.contracts.helved.topics import INTERNAL_INPUTS
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator.faults import Chance
from kvitt.rails.oppdrag.emulator.habits import ServiceFaults, set_service_faults
from kvitt.settings import SimulationSettings
from kvitt.transports.log.embedded_log import append

MOST_P99_RATIO = 1.2
LEAST_RATE_RATIO = 0.8
_PER_SECOND = 300
_WARMING = 300
_LONGEST_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_ASKED = SimulationSettings().at_once + SimulationSettings().hanging
"""So many cases are asked about in each turn: in one of the two all of them hang, and no more are asked."""
_FIRST_DRY_RUN, _FIRST_SENT = 10_000_000, 20_000_000
_OPEN = "SELECT count(*) FROM simulation_requests WHERE state IN ('requested', 'asked')"
_AT_THE_RAIL = "SELECT count(*) FROM simulation_requests WHERE state = 'asked'"
_SENT = "SELECT count(*) FROM orders WHERE sent_at IS NOT NULL"
_UNSENT = "SELECT count(*) FROM orders WHERE sent_at IS NULL"


class _Turn(NamedTuple):
    milliseconds: list[float]
    orders_per_second: float

    @property
    def p99_ms(self) -> float:
        return _p99(self.milliseconds)


_Pair = tuple[_Turn, _Turn]
"""One beside a rail that answers, and one beside a rail that hangs."""


class _Stage:
    """Plays the turns, on a hub that runs."""

    def __init__(self, connection: psycopg.Connection[Any], group: Writers, size: Size) -> None:
        self._connection, self._group, self._size, self._feed = connection, group, size, Feed()
        self._dry_runs, self._sent = _FIRST_DRY_RUN, _FIRST_SENT
        per_second(group, self._new_cases(_WARMING))

    def turn(self, *, hangs: bool) -> _Turn:
        """One turn. All that is asked in it has ended when this returns."""
        # Longer than a question has time; who asked goes away then.
        slow = ServiceFaults(slow=Chance(probability=1.0), slow_seconds=600.0)
        set_service_faults(self._connection, slow if hangs else ServiceFaults())
        self._ask()
        if hangs:
            self._until(_AT_THE_RAIL, _ASKED)
        milliseconds = arrive(self._group, self._new_cases(int(_PER_SECOND * self._size.open_loop_seconds)), _PER_SECOND)
        self._until(_UNSENT, 0)
        rate = self._leaving()
        set_service_faults(self._connection, ServiceFaults())
        self._until(_OPEN, 0)
        return _Turn(milliseconds, rate)

    def _new_cases(self, count: int) -> list[Incoming]:
        """Messages of another topic than those that the hub reads meanwhile, whose positions they would take."""
        return [replace(each, source=INTERNAL_INPUTS[Scheme.DAGPENGER]) for each in self._feed.new_cases(count)]

    def _ask(self) -> None:
        append(self._connection, [dry_run(self._dry_runs + number) for number in range(_ASKED)], utc_now())
        self._dry_runs += _ASKED

    def _leaving(self) -> float:
        """Orders a second, from messages in the log to the rail's queue."""
        count, before = self._size.end_to_end // 2, self._number(_SENT)
        started = time.perf_counter()
        log_new_cases(self._connection, self._sent, count)
        self._sent += count
        self._until(_SENT, before + count)
        return count / (time.perf_counter() - started)

    def _number(self, query: str) -> int:
        (number,) = self._connection.execute(query.encode()).fetchone() or (0,)
        return int(number)

    def _until(self, query: str, number: int) -> None:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while self._number(query) != number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not {number} after {_LONGEST_SECONDS:.0f} s: {query}")
            time.sleep(_LOOK_SECONDS)


def run(place: Place, size: Size) -> None:
    """New cases arrive at a fixed rate, and orders leave, beside a rail that answers simulations and one that hangs, in turns."""
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        make_log(conninfo)
        # Long enough for a turn, and no longer: the next one begins when all have ended.
        asked = SimulationSettings(seconds=3 * size.open_loop_seconds + 10, hangs_seconds=0.2)
        with running(conninfo, asked), writers(conninfo) as group:
            stage = _Stage(connection, group, size)
            pairs = [_pair(stage, number) for number in range(2 * size.rounds)]
    _tell_latency(pairs, place, size)
    _tell_rate(pairs, place, size)


def _pair(stage: _Stage, number: int) -> _Pair:
    """Either kind comes first in every other pair."""
    turns = {hangs: stage.turn(hangs=hangs) for hangs in ((False, True) if number % 2 == 0 else (True, False))}
    return turns[False], turns[True]


def _tell_latency(pairs: list[_Pair], place: Place, size: Size) -> None:
    count = 2 * size.rounds * int(_PER_SECOND * size.open_loop_seconds)
    on, durability = f"{count} messages at {_PER_SECOND}/s beside {_ASKED} questions in each turn", place.durability()
    p99s = []
    for name, turns in (("the rail answers", [each for each, _ in pairs]), ("the rail hangs", [each for _, each in pairs])):
        p99s.append(_p99([each for turn in turns for each in turn.milliseconds]))
        samples = [rounded(turn.p99_ms) for turn in turns]
        report(Figure(name=f"submit p99, {name}", value=rounded(p99s[-1]), unit="ms", on=on, samples=samples, durability=durability))
    answering, hanging = p99s
    report(
        Figure(
            name="submit p99, hanging to answering",
            value=rounded(hanging / answering),
            unit="ratio, over all turns",
            on=on,
            samples=[rounded(other.p99_ms / one.p99_ms) for one, other in pairs],
            target=Target(most=MOST_P99_RATIO),
            durability=durability,
        )
    )


def _tell_rate(pairs: list[_Pair], place: Place, size: Size) -> None:
    answering, hanging = zip(*[(one.orders_per_second, other.orders_per_second) for one, other in pairs], strict=True)
    ratios = [other / one for one, other in zip(answering, hanging, strict=True)]
    report(
        Figure(
            name="orders leaving, hanging to answering",
            value=rounded(statistics.median(ratios)),
            unit="ratio, median of pairs",
            on=f"{size.end_to_end // 2} orders from the log to the queue, {rounded(max(answering)):.0f}/s beside a rail that answers",
            samples=[rounded(each) for each in ratios],
            target=Target(least=LEAST_RATE_RATIO),
            durability=place.durability(),
        )
    )


def _p99(milliseconds: list[float]) -> float:
    return statistics.quantiles(milliseconds, n=100)[98]
