"""What an operator reads of one case: everything that happened to it in order of time, what is accepted, what is pending, what waits."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

import psycopg
from msgspec import Struct

from kvitt.disbursement import payment_document
from kvitt.disbursement.answers import Answer
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.holds import HoldReason, decode_all
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rows import LineRow
from kvitt.disbursement.schedule import Owed, expand
from kvitt.disbursement.states import What
from kvitt.disbursement.values import (
    Area,
    Payment,
    PaymentId,
    Period,
    Scheme,
)
from kvitt.errors import CaseNotFound
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load

_SQL = load("history", "kvitt.disbursement")


class Happening(StrEnum):
    """What an event tells of. At one moment they follow each other in this order."""

    RECEIVED = "received"
    ACTED = "acted"
    RECEIPTED = "receipted"
    CONTRADICTED = "contradicted"
    RESOLVED = "resolved"
    NOTED = "noted"
    SIMULATED = "simulated"
    ORDERED = "ordered"
    SENDING = "sending"
    SENT = "sent"
    TOLD = "told"


class Event(Struct, frozen=True):
    """One thing that happened, with the ids of what it is about; `text` says it in a few words, without personal data."""

    at: datetime
    what: Happening
    text: str
    message_no: int | None = None
    order_id: str | None = None
    receipt_no: int | None = None


class MessageOfCase(Struct, frozen=True):
    """A message with the bytes that came in and the last answer, None as long as there is none."""

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
    answer: Answer | None


class OrderOfCase(Struct, frozen=True):
    """An order with its lines, its times, and the bytes that the rail gets."""

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
    lines: tuple[LineRow, ...]


class ReceiptOfCase(Struct, frozen=True):
    """A receipt as it came, and what it was taken for."""

    receipt_no: int
    order_id: str
    received_at: datetime
    severity: str | None
    outcome: str
    note: str
    body: bytes


class ContradictionOfCase(Struct, frozen=True):
    """What a receipt said against what stood of an order; the last five are None as long as nobody has resolved it."""

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


class Told(Struct, frozen=True):
    """One status that a sender was told; `relayed_at` is None until it is out."""

    outbox_no: int
    message_no: int
    made_at: datetime
    relayed_at: datetime | None
    answer: Answer


class AmountOfDay(Struct, frozen=True):
    """What is paid for one day, in kroner; a monthly or one-off amount stands on its first day."""

    day: date
    amount: int


class PaymentOfCase(Struct, frozen=True):
    """One version of a payment: accepted, or pending until the receipt of its order."""

    payment_id: PaymentId
    version: int
    order_id: str
    document: Payment

    @property
    def periods(self) -> tuple[Period, ...]:
        """What is paid; nothing once it has ceased."""
        return self.document.wanted

    @property
    def schedule_days(self) -> tuple[AmountOfDay, ...]:
        """What is paid day by day, in order of days, as far as a schedule is expanded; only days that the rate type pays for."""
        return tuple(AmountOfDay(due.day, due.amount) for due in expand(self.owed).days)

    @property
    def owed(self) -> tuple[Owed, ...]:
        """What is paid, as a schedule is made of."""
        document = self.document
        return tuple(Owed(each.start, each.end, each.amount, document.rate_type, document.benefit) for each in self.periods)


class CaseHistory(Struct, frozen=True):
    """Everything about one case. `events` is all of it in order of time; `waiting` are the messages in its queue.

    `deferred` is what has not been looked at yet, because somebody else has locked the case, or a row of it.
    """

    scheme: Scheme
    case_id: str
    person: str | None
    areas: tuple[Area, ...]
    orders_made: int
    open_orders: int
    messages: tuple[MessageOfCase, ...]
    orders: tuple[OrderOfCase, ...]
    receipts: tuple[ReceiptOfCase, ...]
    contradictions: tuple[ContradictionOfCase, ...]
    told: tuple[Told, ...]
    events: tuple[Event, ...]
    accepted: tuple[PaymentOfCase, ...]
    pending: tuple[PaymentOfCase, ...]
    deferred: tuple[DeferredOfCase, ...]

    @property
    def waiting(self) -> tuple[MessageOfCase, ...]:
        """The messages that wait behind an open order or a contradiction, in the order in which they will be handled."""
        return tuple(message for message in self.messages if message.state == "waiting")


def history(conninfo: str, ports: Ports, scheme: Scheme, case_id: str) -> CaseHistory:
    """Reads one case in one snapshot. Raises CaseNotFound."""
    with connect(conninfo, application="kvitt history") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction(), connection.cursor() as cursor:
            return _read(cursor, ports.contracts, scheme, case_id)


def _read(cursor: psycopg.Cursor[Any], contracts: Contracts, scheme: Scheme, case_id: str) -> CaseHistory:
    head = cursor.execute(_SQL.case_row, {"scheme": scheme.value, "case_id": case_id}).fetchone()
    if head is None:
        raise CaseNotFound(scheme.value, case_id)

    def rows(statement: str, **more: object) -> list[Any]:
        return cursor.execute(statement, {"case_no": head[0], **more}, binary=True).fetchall()

    messages = tuple(MessageOfCase(*(*row[:11], _kept(contracts, row[1], row[11]))) for row in rows(_SQL.messages))
    lines = _by_order(LineRow(*row) for row in rows(_SQL.lines))
    orders = tuple(OrderOfCase(*(*row[:6], decode_all(row[6]), *row[7:], lines.get(row[0], ()))) for row in rows(_SQL.orders))
    receipts = tuple(ReceiptOfCase(*row) for row in rows(_SQL.receipts))
    contradictions = tuple(ContradictionOfCase(*row) for row in rows(_SQL.contradictions))
    answers = rows(_SQL.told, topics=[contract.answers_on for contract in contracts])
    told = tuple(Told(*(*row[:4], answer)) for row in answers if (answer := _published(contracts, row[5], row[4])))
    payments = [(row[2], PaymentOfCase(row[0], row[1], row[3], payment_document.decode(row[4]))) for row in rows(_SQL.payments)]
    audit = rows(_SQL.audit)
    happened = (
        *_noted(audit),
        *_simulated(audit),
        *_acted(rows(_SQL.acts), orders),
        *_of_messages(messages),
        *_of_orders(orders),
        *_of_receipts(receipts),
        *_of_contradictions(contradictions, orders),
        *_of_told(told),
    )
    events = sorted(happened, key=lambda event: (event.at, _ORDER[event.what]))
    return CaseHistory(
        scheme=scheme,
        case_id=case_id,
        person=head[1],
        areas=tuple(Area(area) for area in head[2]),
        orders_made=head[3],
        open_orders=head[4],
        messages=messages,
        orders=orders,
        receipts=receipts,
        contradictions=contradictions,
        told=told,
        events=tuple(events),
        accepted=tuple(each for state, each in payments if state == "accepted"),
        pending=tuple(each for state, each in payments if state == "pending"),
        deferred=tuple(DeferredOfCase(*row) for row in rows(_SQL.deferred, scheme=scheme.value, case_id=case_id)),
    )


_ORDER = {what: place for place, what in enumerate(Happening)}


def _kept(contracts: Contracts, source: str, answer: bytes | None) -> Answer | None:
    """The last answer of a message, in the core's words; None stays None."""
    return contracts.of(source).in_short(answer) if answer else None


def _published(contracts: Contracts, topic: str, value: bytes) -> Answer | None:
    """The answer in a record that was published; None for a record that is none."""
    contract = contracts.answering_on(topic)
    return contract.published_answer(value) if contract else None


def _by_order(lines: Iterator[LineRow]) -> dict[str, tuple[LineRow, ...]]:
    return {order_id: tuple(group) for order_id, group in groupby(lines, key=lambda line: line.order_id)}


def _noted(entries: Sequence[Any]) -> Iterator[Event]:
    """The entries of the audit chain, in their own words."""
    for seq, at, what, message_no, order_id, receipt_no in entries:
        yield Event(at, Happening.NOTED, f"audit {seq}: {what}", message_no, order_id, receipt_no)


def _simulated(entries: Sequence[Any]) -> Iterator[Event]:
    """The dry runs whose simulation was asked for: no order and no status tells of them, only the audit chain."""
    for _, at, what, message_no, _, _ in entries:
        if what == What.SIMULATED:
            yield Event(at, Happening.SIMULATED, f"simulation of message {message_no} asked for", message_no)


def _acted(acts: Sequence[Any], orders: Sequence[OrderOfCase]) -> Iterator[Event]:
    """What operators did to the orders of the case, who approved it, and why."""
    numbers = {each.order_id: each.number for each in orders}
    for at, what, order_id, by, approved_by, reason in acts:
        approved = f", approved by {approved_by}" if approved_by else ""
        yield Event(at, Happening.ACTED, f"{what} of order {numbers[order_id]} by {by}{approved}: {reason}", None, order_id)


def _of_messages(messages: Sequence[MessageOfCase]) -> Iterator[Event]:
    for each in messages:
        dry_run = ", dry run" if each.dry_run else ""
        where = f"{each.source}/{each.partition}/{each.position}"
        yield Event(each.received_at, Happening.RECEIVED, f"message {each.message_no} from {where}{dry_run}", each.message_no)


def _of_orders(orders: Sequence[OrderOfCase]) -> Iterator[Event]:
    for each in orders:
        what = f"order {each.number} to {each.area}"
        times = (
            (each.made_at, Happening.ORDERED, f"{what}, {len(each.lines)} line(s){', held' if each.held_for else ''}"),
            (each.sending_at, Happening.SENDING, f"{what} begun to send"),
            (each.sent_at, Happening.SENT, f"{what} with the rail"),
        )
        for at, happening, text in times:
            if at is not None:
                yield Event(at, happening, text, each.message_no, each.order_id)


def _of_receipts(receipts: Sequence[ReceiptOfCase]) -> Iterator[Event]:
    for each in receipts:
        text = f"receipt {each.receipt_no} with severity {each.severity or 'none'}: {each.outcome}"
        yield Event(each.received_at, Happening.RECEIPTED, text, None, each.order_id, each.receipt_no)


def _of_contradictions(contradictions: Sequence[ContradictionOfCase], orders: Sequence[OrderOfCase]) -> Iterator[Event]:
    numbers = {order.order_id: order.number for order in orders}
    for each in contradictions:
        what = f"order {numbers.get(each.order_id)} stands as {each.ours}, and the rail says {each.rails}"
        yield Event(each.found_at, Happening.CONTRADICTED, what, None, each.order_id, each.receipt_no)
        if each.resolved_at is not None:
            who = f"{each.resolved_by} and {each.approved_by}: {each.reason}"
            what = f"the rail's word about order {numbers.get(each.order_id)}" if each.resolution == "adopted" else "what stands"
            yield Event(each.resolved_at, Happening.RESOLVED, f"{each.resolution} {what}, by {who}", None, each.order_id, each.receipt_no)


def _of_told(told: Sequence[Told]) -> Iterator[Event]:
    for each in told:
        yield Event(each.made_at, Happening.TOLD, f"told {each.answer.status.value}", each.message_no)
