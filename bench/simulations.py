"""Dry runs on the whole way: from a record in the log, by way of the rail's simulation over HTTP, to the answer in the log."""

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from msgspec.structs import replace

from bench.messages import DP_TOPIC, dp
from bench.place import Place
from bench.processes import CASE_ROLES, hub_process
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.topics import make_log
from kvitt.config import load_settings
from kvitt.contracts.helved.topics import DRY_RUNS
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import TopicPartition
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.settings import Settings, SimulationSettings
from kvitt.transports.log.embedded_log import CHANNEL, NewRecord, append, ends_of, read

LEAST_PER_SECOND = 300
MOST_P99_MS = 200
_PER_SECOND = 50
_ANSWERS = DRY_RUNS[Scheme.DAGPENGER]
_APPENDED_AT_ONCE = 500
_AT_ONCE = 1_000
_LOOK_SECONDS = 0.05
_LONGEST_SECONDS = 120.0


def dry_run(number: int) -> NewRecord:
    """A dry run about a case that is not there yet, 14 days of dagpenger."""
    body = dp(f"case-{number}")
    return NewRecord(DP_TOPIC, f"key-{number}".encode(), body[:-1] + b',"dryrun":true}')


def _log(connection: psycopg.Connection[Any], first: int, count: int) -> None:
    records = [dry_run(number) for number in range(first, first + count)]
    for start in range(0, count, _APPENDED_AT_ONCE):
        append(connection, records[start : start + _APPENDED_AT_ONCE], utc_now())


def _settings(asked: SimulationSettings) -> Settings:
    """The emulator listens where the hub asks, in whatever process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    rail = f"http://127.0.0.1:{port}"
    simulation = replace(asked, url=f"{rail}/simulerFpServiceWSBinding", token_url=rail, user="kvitt", password="kvitt")
    return replace(load_settings(), emulator_port=port, simulation=simulation)


def _await(settings: Settings) -> None:
    """Returns when the emulator listens."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", settings.emulator_port or 0)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@contextmanager
def running(conninfo: str, asked: SimulationSettings | None = None) -> Iterator[None]:
    """The hub in one process, the emulator in another; `asked`: how it asks there."""
    settings = _settings(asked or SimulationSettings())
    with ExitStack() as running:
        running.enter_context(hub_process(conninfo, ["emulator"], settings))
        _await(settings)
        running.enter_context(hub_process(conninfo, [role for role in CASE_ROLES if role != "emulator"], settings))
        yield


def _answers(connection: psycopg.Connection[Any]) -> int:
    return sum(ends_of(connection, _ANSWERS).values())


def per_second(connection: psycopg.Connection[Any], first: int, count: int) -> float:
    """Dry runs per second to their answers, of a backlog of `count`."""
    before, started = _answers(connection), time.perf_counter()
    _log(connection, first, count)
    while (answered := _answers(connection) - before) < count:
        if time.perf_counter() > started + _LONGEST_SECONDS:
            raise TimeoutError(f"{count - answered} dry runs were not answered with a simulation")
        time.sleep(_LOOK_SECONDS)
    return count / (time.perf_counter() - started)


def latencies(connection: psycopg.Connection[Any], first: int, seconds: float) -> list[float]:
    """Milliseconds from when each dry run was due to when its answer could be read; they come at a fixed rate."""
    count = int(_PER_SECOND * seconds)
    positions = {TopicPartition(_ANSWERS, partition): position for partition, position in ends_of(connection, _ANSWERS).items()}
    connection.execute(f"LISTEN {CHANNEL}")
    started = time.perf_counter()
    due = {f"key-{first + number}".encode(): started + number / _PER_SECOND for number in range(count)}
    taken: list[float] = []
    sent = 0
    while len(taken) < count:
        while sent < count and time.perf_counter() >= started + sent / _PER_SECOND:
            append(connection, [dry_run(first + sent)], utc_now())
            sent += 1
        for record in read(connection, positions, _AT_ONCE):
            positions[TopicPartition(record.topic, record.partition)] = record.position + 1
            taken.append(1000 * (time.perf_counter() - due[record.key or b""]))
        if time.perf_counter() > started + seconds + _LONGEST_SECONDS:
            raise TimeoutError(f"{count - len(taken)} dry runs were not answered")
        following = started + sent / _PER_SECOND - time.perf_counter() if sent < count else _LONGEST_SECONDS
        for _ in connection.notifies(timeout=max(0.0, min(following, 1.0)), stop_after=1):
            pass
    connection.execute(f"UNLISTEN {CHANNEL}")
    return taken


def run(place: Place, size: Size) -> None:
    """Dry runs of 14 days about new cases: how many a second of a backlog, how long each takes at a fixed rate; the best round counts."""
    rates, rounds, given = [], [], size.dry_runs // 10
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        make_log(conninfo)
        with running(conninfo):
            per_second(connection, 0, given)
            for _ in range(size.rounds):
                rates.append(per_second(connection, given, size.dry_runs))
                given += size.dry_runs
                taken = latencies(connection, given, size.open_loop_seconds)
                given += len(taken)
                rounds.append(statistics.quantiles(taken, n=100))
    best = min(rounds, key=lambda each: each[98])
    durability = place.durability()
    report(
        Figure(
            name="simulations",
            value=rounded(max(rates)),
            unit="answers/s, all in",
            on=f"{size.dry_runs} dry runs of 14 days",
            samples=[rounded(rate) for rate in rates],
            target=Target(least=LEAST_PER_SECOND),
            durability=durability,
        )
    )
    on = f"{int(_PER_SECOND * size.open_loop_seconds)} dry runs at {_PER_SECOND}/s"
    report(Figure(name="simulations p50", value=rounded(best[49]), unit="ms", on=on, durability=durability))
    p99s = [rounded(each[98]) for each in rounds]
    target = Target(most=MOST_P99_MS)
    report(Figure(name="simulations p99", value=rounded(best[98]), unit="ms", on=on, samples=p99s, target=target, durability=durability))
