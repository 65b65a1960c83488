"""The hub over real Kafka and Artemis: rate to the final status, latency to MOTTATT, and the ratio to the embedded run."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

from confluent_kafka import Message

from bench import end_to_end
from bench.brokers import Neighbour, Site, begin_here, site
from bench.place import Place
from bench.processes import CASE_ROLES, hub_process
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.spent import Meter

LEAST_PER_SECOND, MOST_P99_MS = 400, 250
_WARMING = 600
_HUB = [role for role in CASE_ROLES if role not in ("emulator", "rapid")]
_RECEIVED, _FINAL = b'"status":"MOTTATT"', (b'"status":"OK"', b'"status":"FEILET"')
_EVERYTHING = "PostgreSQL, Kafka, Artemis, hub, rail and sender on the same cores"


class _Finals:
    """Gathers the keys of the messages that have their final status."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()

    def __call__(self, message: Message) -> None:
        value = message.value() or b""
        if any(final in value for final in _FINAL):
            self.keys.add(message.key() or b"")


class _Received:
    """Milliseconds from when each message was due to when its MOTTATT was heard."""

    def __init__(self) -> None:
        self.due: dict[bytes, float] = {}
        self.taken: dict[bytes, float] = {}

    def __call__(self, message: Message) -> None:
        key = message.key() or b""
        if key in self.due and key not in self.taken and _RECEIVED in (message.value() or b""):
            self.taken[key] = 1000 * (time.perf_counter() - self.due[key])


@contextmanager
def _warm(place: Place, at: Site) -> Iterator[tuple[Neighbour, BaseProcess]]:
    """A sender, and a new hub that has brought its first messages to their end: every part has been used, and the JVMs have compiled."""
    settings = at.settings()
    begin_here(settings)
    with place.database() as conninfo, hub_process(conninfo, ["emulator"], settings), hub_process(conninfo, _HUB, settings) as hub:
        neighbour = Neighbour(at)
        try:
            _finish(neighbour, 0, _WARMING)
            yield neighbour, hub
        finally:
            neighbour.close()


def _finish(neighbour: Neighbour, first: int, count: int) -> None:
    """Sends so many messages, numbered from `first`, and hears the final status of each."""
    finals = _Finals()
    for number in range(first, first + count):
        neighbour.send(number)
    neighbour.flush()
    neighbour.hear(lambda: len(finals.keys) >= count, finals)


def per_second(place: Place, at: Site, messages: int, meter: Meter) -> float:
    """Messages per second from the first one sent to the last final status heard."""
    with _warm(place, at) as (neighbour, hub), meter.counting(hub):
        started = time.perf_counter()
        _finish(neighbour, _WARMING, messages)
        return messages / (time.perf_counter() - started)


def latencies(place: Place, at: Site, rate: float, seconds: float) -> list[float]:
    """Milliseconds to MOTTATT of each message; they are sent at a fixed rate, whether or not earlier ones are done."""
    messages = int(rate * seconds)
    with _warm(place, at) as (neighbour, _):
        received = _Received()

        def send() -> None:
            started = time.perf_counter()
            for number in range(messages):
                due = started + number / rate
                if (left := due - time.perf_counter()) > 0:
                    time.sleep(left)
                received.due[neighbour.key(_WARMING + number)] = due
                neighbour.send(_WARMING + number)
            neighbour.flush()

        sender = threading.Thread(target=send)
        sender.start()
        neighbour.hear(lambda: len(received.taken) >= messages, received)
        sender.join()
    return list(received.taken.values())


def run(place: Place, size: Size) -> None:
    """New cases of dagpenger with 14 days each; hub and rail in a process each; the best round counts."""
    with site() as at:
        best = _run_rate(place, at, size)
        # Half of the rate that is asked for, or of what the machine gives now.
        _run_latency(place, at, size, min(LEAST_PER_SECOND, best) / 2)


def _run_rate(place: Place, at: Site, size: Size) -> float:
    """In turn with the embedded log and queue, so that a busy machine is busy for both."""
    meter = place.meter()
    rounds = [
        (per_second(place, at, size.end_to_end, meter), end_to_end.per_second(place, size.end_to_end, apart=True))
        for _ in range(size.rounds)
    ]
    rates, embedded = [rate for rate, _ in rounds], max(rate for _, rate in rounds)
    report(
        Figure(
            name="end to end over brokers",
            value=rounded(max(rates)),
            unit="messages/s",
            on=f"{size.end_to_end} messages of 14 days; {_EVERYTHING}",
            ratio=rounded(max(rates) / embedded),
            baseline=f"embedded log and queue in the same run, emulator apart: {rounded(embedded)} messages/s",
            samples=[rounded(rate) for rate in rates],
            target=Target(least=LEAST_PER_SECOND),
            durability=place.durability(),
            brokers=at.durability,
            spent=meter.spent(size.end_to_end * size.rounds),
        )
    )
    return max(rates)


def _run_latency(place: Place, at: Site, size: Size, rate: float) -> None:
    rounds = [statistics.quantiles(latencies(place, at, rate, size.open_loop_seconds), n=100) for _ in range(size.rounds)]
    best = min(rounds, key=lambda each: each[98])
    p50 = Figure(
        name="MOTTATT over brokers p50",
        value=rounded(best[49]),
        unit="ms",
        on=f"{int(rate * size.open_loop_seconds)} messages at {rate:.0f}/s; {_EVERYTHING}",
        durability=place.durability(),
        brokers=at.durability,
    )
    report(p50)
    report(
        Figure(
            name="MOTTATT over brokers p99",
            value=rounded(best[98]),
            unit="ms",
            on=p50.on,
            samples=[rounded(each[98]) for each in rounds],
            target=Target(most=MOST_P99_MS),
            durability=p50.durability,
            brokers=p50.brokers,
        )
    )
