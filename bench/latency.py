"""Latency in the open: messages arrive at a fixed rate whether or not earlier ones are done, and each waits for its own commit."""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Future

from bench.messages import Feed
from bench.place import Place
from bench.report import Figure, Target, rounded, tell
from bench.size import Size
from bench.submit import LEAST_PER_SECOND, Writers, per_second, writers
from kvitt.hub.submit import Outcome
from kvitt.hub.taken import Incoming

PER_SECOND = LEAST_PER_SECOND / 2
MOST_P99_MS = 50


def _arrive(group: Writers, messages: Sequence[Incoming]) -> list[float]:
    """Milliseconds from when each message was due to when it was durable; a late start counts as waiting."""
    taken: list[float] = []
    started = time.perf_counter()
    futures = []
    for number, message in enumerate(messages):
        due = started + number / PER_SECOND
        if (left := due - time.perf_counter()) > 0:
            time.sleep(left)
        futures.append(_timed(group.submit(message, message.partition), due, taken))
    for future in futures:
        future.result()
    return taken


def _timed(future: "Future[Outcome]", due: float, taken: list[float]) -> "Future[Outcome]":
    future.add_done_callback(lambda _: taken.append(1000 * (time.perf_counter() - due)))
    return future


def run(place: Place, size: Size) -> None:
    """New cases of dagpenger arrive at half of the rate that is asked of submit; the best round counts."""
    feed = Feed()
    count = int(PER_SECOND * size.open_loop_seconds)
    with place.database() as conninfo, writers(conninfo) as group:
        per_second(group, feed.new_cases(300))
        rounds = [statistics.quantiles(_arrive(group, feed.new_cases(count)), n=100) for _ in range(size.rounds)]
    best = min(rounds, key=lambda quantiles: quantiles[98])
    on, durability = f"{count} messages at {PER_SECOND:.0f}/s", place.durability()
    tell(Figure(name="latency p50", value=rounded(best[49]), unit="ms", on=on, durability=durability))
    p99s = [rounded(quantiles[98]) for quantiles in rounds]
    target = Target(most=MOST_P99_MS)
    tell(Figure(name="latency p99", value=rounded(best[98]), unit="ms", on=on, samples=p99s, target=target, durability=durability))
