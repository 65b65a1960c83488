"""Counts what this process has done since it began. Nothing here is a fact; it may be lost with the process.

Labels come from short closed lists; they are never keys, bodies, people or case ids (design §11).
"""

import threading
from bisect import bisect_left
from collections import Counter
from enum import StrEnum

from msgspec import Struct

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


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


class Counters:
    """Counts of one process; threads of all roles add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Counted, tuple[str, ...]]] = Counter()
        self._sizes: dict[str, list[int]] = {}
        self._totals: Counter[str] = Counter()

    def add(self, what: Counted, *labels: str, times: int = 1) -> None:
        """Something happened."""
        with self._lock:
            self._counts[what, labels] += times

    def batch(self, step: str, size: int) -> None:
        """A step had a batch of this size (> 0)."""
        with self._lock:
            self._sizes.setdefault(step, [0] * (len(BATCH_SIZES) + 1))[bisect_left(BATCH_SIZES, size)] += 1
            self._totals[step] += size

    def counts(self) -> list[Count]:
        """Everything counted until now."""
        with self._lock:
            return [Count(what, labels, times) for (what, labels), times in self._counts.items()]

    def batches(self) -> list[Batches]:
        """The sizes of all batches until now, per step."""
        with self._lock:
            return [Batches(step, tuple(sizes), self._totals[step]) for step, sizes in self._sizes.items()]


METRICS = Counters()
"""What this process has done."""
