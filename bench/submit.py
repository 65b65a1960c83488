"""Submit: messages as bytes become durable orders and outbox rows; by group commit, and one per transaction as the baseline."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from bench.messages import Feed
from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.spent import Meter
from kvitt.app.hub import lane_writer
from kvitt.app.ports import PORTS
from kvitt.config import load_settings
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome
from kvitt.kernel.group_commit import GroupCommit

LEAST_PER_SECOND = 3000
_AS_SET = load_settings()
Writers = GroupCommit[Incoming, Outcome]


@contextmanager
def writers(conninfo: str, *, lanes: int = _AS_SET.lanes, max_batch: int = _AS_SET.max_batch) -> Iterator[Writers]:
    """The writers of the intake as the settings have them, each with a connection of its own."""
    group: Writers = GroupCommit(lambda _: lane_writer(conninfo, PORTS, _nothing), lanes=lanes, max_batch=max_batch)
    try:
        yield group
    finally:
        group.close()


def _nothing() -> None:
    """Nobody waits for orders or records here."""


def per_second(group: Writers, messages: Sequence[Incoming], meter: Meter | None = None) -> float:
    """Hands in everything and waits until all of it is durable."""
    with meter.counting() if meter else nullcontext():
        started = time.perf_counter()
        futures = [group.submit(each, each.partition) for each in messages]
        outcomes = [future.result() for future in futures]
        seconds = time.perf_counter() - started
    assert set(outcomes) == {Outcome.DERIVED}, "every message of a new case gives an order"
    return len(messages) / seconds


def run(place: Place, size: Size) -> None:
    """New cases of dagpenger with 14 days each: JSON bytes in, order and outbox durable. The best of some rounds counts."""
    feed, meter = Feed(), place.meter()
    with place.database() as conninfo:
        with writers(conninfo) as group:
            per_second(group, feed.new_cases(300))
            rates = [per_second(group, feed.new_cases(size.messages), meter) for _ in range(size.rounds)]
        with writers(conninfo, lanes=1, max_batch=1) as group:
            alone = max(per_second(group, feed.new_cases(size.alone)) for _ in range(size.rounds))
    durability = place.durability()
    baseline = Figure(name="submit one by one", value=rounded(alone), unit="messages/s", on=f"{size.alone} messages", durability=durability)
    report(baseline)
    report(
        Figure(
            name="submit",
            value=rounded(max(rates)),
            unit="messages/s",
            on=f"{size.messages} messages of 14 days",
            ratio=rounded(max(rates) / alone),
            baseline=baseline.name,
            samples=[rounded(rate) for rate in rates],
            target=Target(least=LEAST_PER_SECOND),
            durability=durability,
            spent=meter.spent(size.messages * size.rounds),
        )
    )
