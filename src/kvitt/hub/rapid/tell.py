"""What is told on the rapid about one need: answers on the need itself, and the events that others listen to (rapid §2.3–§2.6)."""

import hashlib
from datetime import datetime
from uuid import UUID

from kvitt.hub.taken import Address
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.kernel.clock import oslo
from kvitt.rules.ids import event_id, named_uuid
from kvitt.rules.needs import Need, NeedKind
from kvitt.rules.rail_port import Observation
from kvitt.rules.values import OrderId
from kvitt.store.rows import OutboxRow
from kvitt.wire import topics
from kvitt.wire.rapid import events, packet
from kvitt.wire.rapid.packet import Trace
from kvitt.wire.rapid.receipt_text import normalised
from kvitt.wire.times import mapper_text

_EVENTS = UUID("5e1ac1b0-1d8c-5a3f-9c64-2f7e0d5b9a37").bytes
_PLAIN = topics.encode_headers(())


class NeedTeller:
    """Writes records of the rapid about one need; `read_at` is when it came in, `now` is when this is told."""

    def __init__(self, facts: UnitOfWork, address: Address, body: bytes, read_at: datetime, now: datetime) -> None:
        self._facts, self._address, self._now, self._at = facts, address, now, oslo(now)
        self._packet = packet.parse(body, oslo(read_at))
        self.need_trace = packet.trace_of(self._packet)
        self.kinds = tuple(kind for kind in NeedKind if kind.value in self.need_trace.behov)

    @property
    def at(self) -> datetime:
        """The time of telling, as Oslo's clocks show it."""
        return self._at

    def event(self, kind: str) -> str:
        """The id of something told of the need itself, before there is an order."""
        address = self._address
        return named_uuid(_EVENTS, f"{address.source}\0{address.partition}\0{address.position}\0{kind}")

    def _tell(self, key: bytes | None, value: bytes, event: str) -> None:
        self._facts.outbox.append(OutboxRow(topics.RAPID, key, value, _PLAIN, event, self._address.message_no, None, self._now))

    def answer(self, solution: bytes, event: str, cause: Trace | None = None) -> None:
        """The need once more with its solution; `cause` None: the need itself."""
        value = packet.answered(self._packet, self.kinds, solution, event_id=event, at=self._at, cause=cause or self.need_trace)
        self._tell(self._address.key, value, event)

    def payment_order(self, need: Need, key: int, order_id: OrderId) -> None:
        """That there is an order, for those who keep their own books of orders."""
        event = event_id(order_id, "payment order")
        self._tell(self._address.key, events.payment_order(need, key, event, self._at, self.need_trace), event)

    def transferred(self, need: Need, key: int, xml: bytes, order_id: OrderId, made_at: datetime) -> Trace:
        """That the order is on the queue, with its bytes; gives how the answer names this as its cause."""
        event = event_id(order_id, "transferred")
        made = event_id(order_id, "payment order")
        value = events.transferred(need, key, xml, event_id=event, at=self._at, made_at=oslo(made_at), made_event_id=made)
        self._tell(self._address.key, value, event)
        return Trace(event, packet.default_text(self._at), events.ORDER_EVENT)

    def transaction_status(self, need: Need, key: int, receipt: Observation, body: bytes, *, order_id: OrderId, mark: str) -> Trace:
        """What the rail said, under the person's key; gives how the answer names this as its cause."""
        event = event_id(order_id, f"status {receipt.raw_severity}{mark}")
        value = events.transaction_status(need, key, receipt, original=normalised(body), event_id=event, at=self._at)
        self._tell(need.person.encode(), value, event)
        return Trace(event, mapper_text(self._at), events.STATUS_EVENT)


def tell_raw_receipt(facts: UnitOfWork, message_id: str, digest: bytes, body: bytes, now: datetime) -> None:
    """A copy of a receipt as it came, before anything is made of it; it has no key and belongs to no need (rapid §3.3 step 2)."""
    event = raw_receipt_event(message_id, digest)
    value = events.raw_receipt(normalised(body), event, oslo(now))
    facts.outbox.append(OutboxRow(topics.RAPID, None, value, _PLAIN, event, None, None, now))


def raw_receipt_event(message_id: str, digest: bytes) -> str:
    """The id of telling a raw receipt; made so that the database can make it too (`kvitt check` joins by it)."""
    return str(UUID(hex=hashlib.md5(f"{message_id} {digest.hex()}".encode(), usedforsecurity=False).hexdigest()))
