"""What this process has done: a log line per batch, and counts since it began. Nothing here is a fact; it may be lost with the process.

Lines and labels hold numbers, ids of our own, schemes and verdicts; never keys, bodies, people or case ids (design §11).
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import structlog
from msgspec import Struct

from kvitt.hub.facts import Facts
from kvitt.rules.catalogue import AREAS
from kvitt.rules.values import Area

_log = structlog.get_logger(__name__)
_NAMED = 8
"""Of a longer batch only so many ids are written; the store has them all."""
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
NO_SCHEME = "none"
"""Stands for the scheme where there is none to be known."""


class Counted(StrEnum):
    """What is counted, each with its own labels."""

    MESSAGES = "messages"  # scheme, outcome
    ORDERS = "orders"  # scheme, made or what its receipt did
    SENT = "sent"
    RECEIPTS = "receipts"  # verdict
    RELAYED = "relayed"
    RESTARTS = "restarts"  # role
    CALLS = "calls"  # door, method or route, outcome
    REFUSED = "refused"  # door, why


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


class Work:
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


WORK = Work()
"""What this process has done."""


def taken(facts: Facts, outcomes: Sequence[StrEnum]) -> None:
    """A batch of records was committed with these outcomes."""
    kinds = Counter(outcome.value for outcome in outcomes)
    stored = Counter((message.scheme, message.state) for message in facts.messages)
    for (scheme, state), times in stored.items():
        WORK.add(Counted.MESSAGES, scheme, state, times=times)
    unstored = kinds - Counter(message.state for message in facts.messages)
    for outcome, times in unstored.items():
        WORK.add(Counted.MESSAGES, NO_SCHEME, outcome, times=times)
    WORK.batch("submit", len(outcomes))
    _count_made(facts)
    numbers = [message.message_no for message in facts.messages]
    schemes = sorted({scheme for scheme, _ in stored})
    _say("messages taken", records=len(outcomes), **kinds, schemes=schemes, message_nos=numbers[:_NAMED], **_made(facts))


def sent(order_ids: Sequence[str]) -> None:
    """Orders were put on the queue, and it is committed that they are."""
    if order_ids:
        WORK.add(Counted.SENT, times=len(order_ids))
        _say("orders sent", orders=len(order_ids), order_ids=list(order_ids[:_NAMED]))


def settled(verdicts: Sequence[StrEnum], orders: Sequence[tuple[str, str, StrEnum]], facts: Facts) -> None:
    """A batch of receipts was committed: with these verdicts, of which these moved orders (id, area, verdict)."""
    kinds = Counter(verdict.value for verdict in verdicts)
    for verdict, times in kinds.items():
        WORK.add(Counted.RECEIPTS, verdict, times=times)
    for _, area, verdict in orders:
        WORK.add(Counted.ORDERS, scheme_of(area), verdict.value)
    _count_made(facts)
    answered = [step.message_no for step in facts.steps if step.answered_at]
    moved = [order_id for order_id, _, _ in orders]
    _say(
        "receipts settled",
        receipts=len(verdicts),
        **kinds,
        settled_ids=moved[:_NAMED],
        answered=len(answered),
        message_nos=answered[:_NAMED],
        **_made(facts),
    )


def _say(event: str, **fields: object) -> None:
    """A line, once a log is set up: without, structlog would print each batch to standard output."""
    if structlog.is_configured():
        _log.info(event, **fields)


def scheme_of(area: str) -> str:
    """The scheme that owns an area, as a label."""
    return AREAS[Area(area)].scheme.value if Area(area) in AREAS else NO_SCHEME


def _count_made(facts: Facts) -> None:
    for order in facts.orders:
        WORK.add(Counted.ORDERS, scheme_of(order.area), "made")


def _made(facts: Facts) -> dict[str, object]:
    """The new orders of a transaction as fields of a line; none when there are none."""
    return {"orders": len(facts.orders), "order_ids": [order.order_id for order in facts.orders[:_NAMED]]} if facts.orders else {}
