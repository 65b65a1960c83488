"""Tells what a batch about cases came to: a log line each, and counts of this process.

Lines and labels hold numbers, ids of our own, schemes and outcomes; never keys, bodies, people or case ids (design §11).
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import structlog

from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Area
from kvitt.kernel.metrics import METRICS, Counted

_log = structlog.get_logger(__name__)
_NAMED = 8
"""Of a longer batch only so many ids are written; the store has them all."""
NO_SCHEME = "none"
"""Stands for the scheme where there is none to be known."""


def submitted(work: UnitOfWork, outcomes: Sequence[StrEnum]) -> None:
    """A batch of records was committed with these outcomes."""
    kinds = Counter(outcome.value for outcome in outcomes)
    stored = Counter((message.scheme, message.state) for message in work.messages)
    for (scheme, state), times in stored.items():
        METRICS.add(Counted.MESSAGES, scheme, state, times=times)
    unstored = kinds - Counter(message.state for message in work.messages)
    for outcome, times in unstored.items():
        METRICS.add(Counted.MESSAGES, NO_SCHEME, outcome, times=times)
    METRICS.batch("submit", len(outcomes))
    _count_made(work)
    numbers = [message.message_no for message in work.messages]
    schemes = sorted({scheme for scheme, _ in stored})
    _say("messages taken", records=len(outcomes), **kinds, schemes=schemes, message_nos=numbers[:_NAMED], **_made(work))


def sent(order_ids: Sequence[str]) -> None:
    """Orders were put on the queue, and it is committed that they are."""
    if order_ids:
        METRICS.add(Counted.SENT, times=len(order_ids))
        _say("orders sent", orders=len(order_ids), order_ids=list(order_ids[:_NAMED]))


def settled(outcomes: Sequence[StrEnum], orders: Sequence[tuple[str, str, StrEnum]], work: UnitOfWork) -> None:
    """A batch of receipts was committed: with these outcomes, of which these moved orders (id, area, outcome)."""
    kinds = Counter(outcome.value for outcome in outcomes)
    for outcome, times in kinds.items():
        METRICS.add(Counted.RECEIPTS, outcome, times=times)
    for _, area, outcome in orders:
        METRICS.add(Counted.ORDERS, scheme_of(area), outcome.value)
    _count_made(work)
    answered = [step.message_no for step in work.steps if step.answered_at]
    moved = [order_id for order_id, _, _ in orders]
    _say(
        "receipts settled",
        receipts=len(outcomes),
        **kinds,
        settled_ids=moved[:_NAMED],
        answered=len(answered),
        message_nos=answered[:_NAMED],
        **_made(work),
    )


def _say(event: str, **fields: object) -> None:
    """A line, once a log is set up: without, structlog would print each batch to standard output."""
    if structlog.is_configured():
        _log.info(event, **fields)


def scheme_of(area: str) -> str:
    """The scheme that owns an area, as a label."""
    return AREAS[Area(area)].scheme.value if Area(area) in AREAS else NO_SCHEME


def _count_made(work: UnitOfWork) -> None:
    for order in work.orders:
        METRICS.add(Counted.ORDERS, scheme_of(order.area), "made")


def _made(work: UnitOfWork) -> dict[str, object]:
    """The new orders of a transaction as fields of a line; none when there are none."""
    return {"orders": len(work.orders), "order_ids": [order.order_id for order in work.orders[:_NAMED]]} if work.orders else {}
