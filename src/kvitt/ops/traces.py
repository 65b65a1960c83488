"""Traces of messages, made of what the store knows: a span for each step from intake to the final status (docs/operations.md).

Nothing is noted on the way. A message's trace has the id that its sender gave it (`traceparent`), or one that follows from where the record
stood; so do its spans, whoever makes them and however often.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.states import OrderState
from kvitt.formats.topics import decode_headers
from kvitt.formats.traceparent import TRACEPARENT, trace_parent_of

_RANGE: Final = 1 << 64
Attributes = Mapping[str, str | int]


class TraceSpan(Struct, frozen=True):
    """A step: from when until when, under which other step. `failed`: it ended otherwise than its sender wants."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start: datetime
    end: datetime
    attributes: Attributes
    failed: bool = False


class TracedMessage(NamedTuple):
    """A message that has its final answer."""

    message_no: int
    case_no: int | None
    scheme: str | None
    source: str
    partition: int
    position: int
    headers: bytes | None
    received_at: datetime
    derived_at: datetime | None
    answered_at: datetime


class TracedOrder(NamedTuple):
    """An order, and the receipt that settled it."""

    message_no: int
    order_id: str
    area: str
    rail: str
    state: str
    made_at: datetime
    sending_at: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    receipt_no: int | None
    severity: str | None
    received_at: datetime | None


class TracedRecord(NamedTuple):
    """A record that was published about a message."""

    message_no: int
    outbox_no: int
    topic: str
    made_at: datetime
    relayed_at: datetime


class _Parent(NamedTuple):
    trace_id: int
    span_id: int | None
    sampled: bool | None


class MessageTrace:
    """Makes the spans of one message."""

    def __init__(self, message: TracedMessage, orders: Iterable[TracedOrder], records: Sequence[TracedRecord]) -> None:
        self._message, self._orders, self._records = message, orders, records
        self._parent = _parent_of(message)
        self._root = _id(f"message {message.message_no}")

    def is_wanted(self, ratio: float) -> bool:
        """Whether it is one of those that are sent: its sender says so, or else its id."""
        sampled = self._parent.sampled
        return (self._parent.trace_id % _RANGE) / _RANGE < ratio if sampled is None else sampled

    def spans(self) -> Iterator[TraceSpan]:
        """The message, and under it its derivation, its orders and what was published."""
        message = self._message
        end = max([message.answered_at, *(each.relayed_at for each in self._records)])
        where: Attributes = {"messaging.destination.name": message.source, "messaging.destination.partition.id": message.partition}
        about = {**where, "messaging.kafka.offset": message.position, "kvitt.message": message.message_no}
        known = {"kvitt.case": message.case_no, "kvitt.scheme": message.scheme}
        about |= {name: value for name, value in known.items() if value is not None}
        yield TraceSpan("message", self._parent.trace_id, self._root, self._parent.span_id, message.received_at, end, about)
        yield self._span("intake", f"intake {message.message_no}", message.received_at, message.received_at)
        if message.derived_at:
            yield self._span("decide", f"decide {message.message_no}", message.received_at, message.derived_at)
        for order in self._orders:
            yield from self._of_order(order)
        for record in self._records:
            about = {"messaging.destination.name": record.topic, "kvitt.outbox": record.outbox_no}
            yield self._span("publish", f"publish {record.outbox_no}", record.made_at, record.relayed_at, about)

    def _of_order(self, order: TracedOrder) -> Iterator[TraceSpan]:
        about = {"kvitt.order": order.order_id, "kvitt.area": order.area, "kvitt.rail": order.rail, "kvitt.state": order.state}
        own, end = _id(f"order {order.order_id}"), order.settled_at or order.sent_at or order.made_at
        rejected = order.state == OrderState.REJECTED
        yield self._span("order", f"order {order.order_id}", order.made_at, end, about, failed=rejected)
        if order.sent_at:
            yield self._span("send", f"send {order.order_id}", order.sending_at or order.made_at, order.sent_at, parent=own)
        if order.receipt_no is not None and order.received_at:
            said: Attributes = {"kvitt.receipt": order.receipt_no, "kvitt.severity": order.severity or ""}
            begun = order.sent_at or order.made_at
            yield self._span(
                "receipt", f"receipt {order.receipt_no} {order.order_id}", begun, order.received_at, said, parent=own, failed=rejected
            )

    def _span(
        self,
        name: str,
        identity: str,
        start: datetime,
        end: datetime,
        about: Attributes | None = None,
        *,
        parent: int | None = None,
        failed: bool = False,
    ) -> TraceSpan:
        # Of two machines one may be ahead: no span ends before it begins.
        return TraceSpan(name, self._parent.trace_id, _id(identity), parent or self._root, start, max(start, end), about or {}, failed)


def _parent_of(message: TracedMessage) -> _Parent:
    """The trace that the sender is in, or else the one that follows from where the record stood."""
    if message.headers and TRACEPARENT.encode() in message.headers.lower():
        for name, value in reversed(decode_headers(message.headers)):
            if name.casefold() == TRACEPARENT and (named := trace_parent_of(value)):
                return _Parent(*named)
    where = f"{message.source}/{message.partition}/{message.position}"
    return _Parent(int.from_bytes(sha256(where.encode()).digest()[:16]) or 1, None, None)


def _id(identity: str) -> int:
    return int.from_bytes(sha256(identity.encode()).digest()[:8]) or 1
