"""Counts what this process has done since it began. Nothing here is a fact; it may be lost with the process.

Labels come from short closed lists; they are never keys, bodies, people or case ids (design §11).
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

AT_THE_RAIL = "simulation at the rail"
"""The name under which `took` counts simulations."""


class Counted(StrEnum):
    """Counters, each with its own labels."""

    MESSAGES = "messages"  # scheme, outcome
    ORDERS = "orders"  # scheme, made or what its receipt did
    SENT = "sent"
    RECEIPTS = "receipts"  # outcome
    CHECKS = "checks"  # scheme, finding
    RELAYED = "relayed"
    RESTARTS = "restarts"  # role
    CALLS = "calls"  # API, method or route, outcome
    REFUSED = "refused"  # API, why
    SIMULATIONS = "simulations"  # scheme, outcome
    WORKERS = "workers"  # worker


class Count(Struct, frozen=True):
    """How often something with these labels has happened."""

    what: Counted
    labels: tuple[str, ...]
    times: int


class Batches(Struct, frozen=True):
    """How large the batches of a step were: how many of at most each of BATCH_SIZES and above the one before, the last: of more."""

    step: str
    sizes: tuple[int, ...]
    total: int


class Durations(Struct, frozen=True):
    """How long something took each time: how often at most each of SECONDS and longer than the one before, the last: longer."""

    what: str
    times: tuple[int, ...]
    total: float


class Tally(Struct, frozen=True):
    """Everything that one process has counted until now."""

    counts: tuple[Count, ...] = ()
    batches: tuple[Batches, ...] = ()
    durations: tuple[Durations, ...] = ()


class Counters:
    """Counts of one process; threads of all roles add to it. Those of several processes may be added up in one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Counted, tuple[str, ...]]] = Counter()
        self._sizes: dict[str, list[int]] = {}
        self._totals: Counter[str] = Counter()
        self._times: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def add(self, what: Counted, *labels: str, times: int = 1) -> None:
        """Something happened."""
        with self._lock:
            self._counts[what, labels] += times

    def batch(self, step: str, size: int) -> None:
        """A step had a batch of this size (> 0)."""
        with self._lock:
            self._sizes.setdefault(step, [0] * (len(BATCH_SIZES) + 1))[bisect_left(BATCH_SIZES, size)] += 1
            self._totals[step] += size

    def took(self, what: str, seconds: float) -> None:
        """Something took so long."""
        with self._lock:
            self._times.setdefault(what, [0] * (len(SECONDS) + 1))[bisect_left(SECONDS, seconds)] += 1
            self._seconds[what] = self._seconds.get(what, 0.0) + seconds

    def counts(self) -> list[Count]:
        """Everything counted until now."""
        with self._lock:
            return [Count(what, labels, times) for (what, labels), times in self._counts.items()]

    def batches(self) -> list[Batches]:
        """The sizes of all batches until now, per step."""
        with self._lock:
            return [Batches(step, tuple(sizes), self._totals[step]) for step, sizes in self._sizes.items()]

    def durations(self, what: str) -> Durations:
        """How long it took until now."""
        with self._lock:
            return Durations(what, tuple(self._times.get(what, [0] * (len(SECONDS) + 1))), self._seconds.get(what, 0.0))

    def tally(self) -> Tally:
        """All of it, to be added to what others have counted."""
        with self._lock:
            kinds = list(self._times)
        return Tally(tuple(self.counts()), tuple(self.batches()), tuple(map(self.durations, kinds)))

    def include(self, tally: Tally) -> None:
        """Adds what another process has counted."""
        with self._lock:
            for count in tally.counts:
                self._counts[count.what, count.labels] += count.times
            for batches in tally.batches:
                self._sizes[batches.step] = _sums(self._sizes.get(batches.step), batches.sizes)
                self._totals[batches.step] += batches.total
            for each in tally.durations:
                self._times[each.what] = _sums(self._times.get(each.what), each.times)
                self._seconds[each.what] = self._seconds.get(each.what, 0.0) + each.total


def _sums(known: Sequence[int] | None, more: Sequence[int]) -> list[int]:
    return list(more) if known is None else [one + another for one, another in zip(known, more, strict=True)]


METRICS = Counters()
"""What this process has done."""
