"""Values that are read of a case or of one of its orders, and the reads that both pages share."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.disbursement.answers import Answer
from kvitt.disbursement.holding import HoldReason
from kvitt.disbursement.rows import LineRow
from kvitt.disbursement.schedule import Owed
from kvitt.disbursement.values import (
    Area,
    Payment,
    PaymentId,
    Period,
)
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL = load("history", "kvitt.disbursement")


class MessageFacts(Struct, frozen=True):
    """A message with the bytes that came in, and how far it has come."""

    message_no: int
    source: str
    partition: int
    position: int
    key: str
    state: str
    dry_run: bool
    received_at: datetime
    derived_at: datetime | None
    answered_at: datetime | None
    body: bytes


class MessageOfCase(MessageFacts, frozen=True):
    """A message with its last answer, None as long as there is none."""

    answer: Answer | None


class OrderFacts(Struct, frozen=True):
    """An order with its times, and the bytes that the rail gets."""

    order_id: str
    number: int
    area: Area
    message_no: int
    state: str
    is_first_order: bool
    held_for: tuple[HoldReason, ...]
    made_at: datetime
    sending_at: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    receipt_no: int | None
    message: bytes


class OrderOfCase(OrderFacts, frozen=True):
    """An order with its lines."""

    lines: tuple[LineRow, ...]


class ReceiptOfCase(Struct, frozen=True):
    """A receipt as it came, and what it was taken for."""

    receipt_no: int
    order_id: str
    received_at: datetime
    severity: str | None
    code: str | None
    outcome: str
    note: str
    body: bytes


class ContradictionOfCase(Struct, frozen=True):
    """A contradiction: what a receipt said against what stood of an order; the last five are None as long as nobody has resolved it."""

    contradiction_no: int
    order_id: str
    receipt_no: int
    ours: str
    rails: str
    found_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    approved_by: str | None
    reason: str | None


class DeferredOfCase(Struct, frozen=True):
    """A message (with its place and key) or a receipt (with its id on the queue) that came while somebody else had locked the case."""

    deferred_no: int
    came_at: datetime
    source: str | None
    partition: int | None
    position: int | None
    key: str
    message_id: str | None
    body: bytes


class PublishedFacts(Struct, frozen=True):
    """A record of the outbox; `relayed_at` is None until it is out."""

    outbox_no: int
    message_no: int
    made_at: datetime
    relayed_at: datetime | None


class PublishedAnswer(PublishedFacts, frozen=True):
    """One answer that was published to a sender."""

    answer: Answer


class PaymentOfCase(Struct, frozen=True):
    """One version of a payment: accepted, or pending until the receipt of its order."""

    payment_id: PaymentId
    version: int
    order_id: str
    document: Payment

    @property
    def periods(self) -> tuple[Period, ...]:
        """Returns what is paid; nothing once it has ceased."""
        return self.document.wanted

    @property
    def owed(self) -> tuple[Owed, ...]:
        """Returns what is paid, as a schedule is made of."""
        document = self.document
        return tuple(Owed(each.start, each.end, each.amount, document.rate_of(each), document.benefit) for each in self.periods)


class ChainEntry(NamedTuple):
    """An entry in the audit chain of a case."""

    seq: int
    at: datetime
    what: str
    message_no: int | None
    order_id: str | None
    receipt_no: int | None


class Act(NamedTuple):
    """An act of an operator on an order, and who answers for it."""

    at: datetime
    what: str
    order_id: str
    by: str
    approved_by: str | None
    reason: str


About = Mapping[str, object]
"""What is read: of a case (`case_no`), everything or what is about one order (`order_id`)."""


def lines_of(cursor: psycopg.Cursor[Any], about: About) -> tuple[LineRow, ...]:
    """The lines of orders, in their order."""
    return tuple(fetch(cursor, LineRow, _SQL.lines, about))


def receipts_of(cursor: psycopg.Cursor[Any], about: About) -> tuple[ReceiptOfCase, ...]:
    """The receipts that answer orders, as they came in."""
    return tuple(fetch(cursor, ReceiptOfCase, _SQL.receipts, about))


def contradictions_of(cursor: psycopg.Cursor[Any], about: About) -> tuple[ContradictionOfCase, ...]:
    """Returns what the rail said against what stood of orders, oldest first."""
    return tuple(fetch(cursor, ContradictionOfCase, _SQL.contradictions, about))


def acts_on(cursor: psycopg.Cursor[Any], about: About) -> tuple[Act, ...]:
    """Returns what operators did to orders, oldest first."""
    return tuple(fetch(cursor, Act, _SQL.acts, about))


def entries_about(cursor: psycopg.Cursor[Any], about: About) -> tuple[ChainEntry, ...]:
    """Returns what the audit chain of the case has, oldest first."""
    return tuple(fetch(cursor, ChainEntry, _SQL.audit, about))
