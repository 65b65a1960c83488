"""The states of orders, payments and messages, and the arcs between them (design §6). What is not an arc is refused."""

from collections.abc import Mapping
from enum import StrEnum


class OrderState(StrEnum):
    """`unknown` means: it may have reached the rail; a receipt, a query of the queue, or an operator will say."""

    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class PaymentState(StrEnum):
    """A version of a payment: waiting for its receipt, the truth (or once the truth), or never to be."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DROPPED = "dropped"


class MessageState(StrEnum):
    """Where a message is: taken in, queued behind an open order, ordered, answered for good, or kept for an operator."""

    RECEIVED = "received"
    QUEUED = "queued"
    DERIVED = "derived"
    ANSWERED = "answered"
    DEAD = "dead"


ORDER_ARCS: Mapping[OrderState, frozenset[OrderState]] = {
    # Settled only where it was unknown before, and is ready to be sent again: the first copy may be answered first.
    OrderState.READY: frozenset({OrderState.SENDING, OrderState.WITHDRAWN, OrderState.UNKNOWN, OrderState.ACCEPTED, OrderState.REJECTED}),
    # Back to ready only where the queue says for certain that nothing was put: an order whose queue is down stays ready (design §12).
    OrderState.SENDING: frozenset({OrderState.READY, OrderState.SENT, OrderState.UNKNOWN, OrderState.ACCEPTED, OrderState.REJECTED}),
    # Ready again by two people, where no receipt comes: a copy of its own, while the first may be at the rail.
    OrderState.SENT: frozenset({OrderState.READY, OrderState.UNKNOWN, OrderState.ACCEPTED, OrderState.REJECTED}),
    OrderState.UNKNOWN: frozenset({OrderState.READY, OrderState.SENDING, OrderState.SENT, OrderState.ACCEPTED, OrderState.REJECTED}),
    OrderState.ACCEPTED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.WITHDRAWN: frozenset(),
}
PAYMENT_ARCS: Mapping[PaymentState, frozenset[PaymentState]] = {
    PaymentState.PENDING: frozenset({PaymentState.ACCEPTED, PaymentState.DROPPED}),
    PaymentState.ACCEPTED: frozenset(),
    PaymentState.DROPPED: frozenset(),
}
MESSAGE_ARCS: Mapping[MessageState, frozenset[MessageState]] = {
    MessageState.RECEIVED: frozenset({MessageState.QUEUED, MessageState.DERIVED, MessageState.ANSWERED, MessageState.DEAD}),
    MessageState.QUEUED: frozenset({MessageState.DERIVED, MessageState.ANSWERED}),
    MessageState.DERIVED: frozenset({MessageState.ANSWERED}),
    MessageState.ANSWERED: frozenset(),
    MessageState.DEAD: frozenset(),
}
OPEN_ORDER = frozenset({OrderState.READY, OrderState.SENDING, OrderState.SENT, OrderState.UNKNOWN})
"""While a case has an order in one of these states, its next message waits."""

ORDER_TURNS: Mapping[OrderState, frozenset[OrderState]] = {
    OrderState.ACCEPTED: frozenset({OrderState.REJECTED}),
    OrderState.REJECTED: frozenset({OrderState.ACCEPTED}),
    OrderState.WITHDRAWN: frozenset({OrderState.ACCEPTED}),
}
"""Arcs that two people alone may take, and only to what a receipt of the rail says against what stands (design §12)."""
PAYMENT_TURNS: Mapping[PaymentState, frozenset[PaymentState]] = {
    PaymentState.ACCEPTED: frozenset({PaymentState.DROPPED}),
    PaymentState.DROPPED: frozenset({PaymentState.ACCEPTED}),
}
"""With the order that they belong to, when it is turned."""
MESSAGE_TURNS: Mapping[MessageState, frozenset[MessageState]] = {MessageState.DERIVED: frozenset({MessageState.QUEUED})}
"""When its orders, which have not left, are taken back to be derived against what an order was turned to."""


class What(StrEnum):
    """Kinds of entries of a case's chain."""

    IMPORTED = "imported"
    LEFT_OUT = "left out"
    FORGOTTEN = "forgotten"
    MIGRATED = "migrated"
    QUEUED = "queued"
    ORDERED = "ordered"
    CHECKED = "checked"
    CHECK_OUTDATED = "check outdated"
    SIMULATED = "simulated"
    SIMULATION_ENDED = "simulation ended"
    ANSWERED = "answered"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    WITHDRAWN = "withdrawn"
    CONTRADICTED = "contradicted"
    ADOPTED = "adopted"
    KEPT = "kept"
    REQUEUED = "requeued"


EARLIER_WORDS: Mapping[str, What] = {"waiting": What.QUEUED}
"""Words of older entries, which their chains' hashes cover and which therefore stay."""
