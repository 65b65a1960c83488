"""Gathers what one transaction writes, row by row, writes it set by set, and counts what it came to once it has committed.

What contracts make of events goes to the outbox, in the transaction of its cause (design §1). After the commit the log gets a line for the
batch, and the counters of this process count it: lines and labels hold numbers, ids of our own, schemes and outcomes; never keys, bodies,
people or case ids (design §11).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import structlog

from kvitt.disbursement import payment_document
from kvitt.disbursement.catalogue import AREAS, SCHEMES
from kvitt.disbursement.contract import Contract, Contracts
from kvitt.disbursement.events import (
    Announcement,
    Event,
    MessageInProgress,
    OutboxRecord,
)
from kvitt.disbursement.holding import HoldReason, encode_all
from kvitt.disbursement.rail import Encoded
from kvitt.disbursement.rows import (
    CaseStep,
    DeadLetterRow,
    DecisionRow,
    DeferredRow,
    IdempotencyRow,
    LineRow,
    MessageRow,
    MessageStep,
    OrderCheckRow,
    OrderRow,
    OutsideFindingRow,
    PaymentRow,
    ReceiptRow,
    SimulationRow,
    SourceHourRow,
    TriggerRow,
)
from kvitt.disbursement.values import Action, Area, Order, OrderLine, Payment
from kvitt.kernel.audit import AuditRow
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.kernel.money import Kroner
from kvitt.kernel.outbox import OutboxRow
from kvitt.kernel.rows import Row, write_all

if TYPE_CHECKING:
    from kvitt.disbursement.case import Case

POSITIONS_PER_ORDER = 100_000
"""Room for the payments of one order in the numbers that keep the case list in order."""


class UnitOfWork:
    """The rows of a transaction by kind. Rows of one kind keep the order in which they were added."""

    def __init__(self) -> None:
        self.messages: list[MessageRow] = []
        self.idempotency: list[IdempotencyRow] = []
        self.steps: list[MessageStep] = []
        self.orders: list[OrderRow] = []
        self.lines: list[LineRow] = []
        self.payments: list[PaymentRow] = []
        self.receipts: list[ReceiptRow] = []
        self.outbox: list[OutboxRow] = []
        self.audit: list[AuditRow] = []
        self.cases: list[CaseStep] = []
        self.dead: list[DeadLetterRow] = []
        self.deferred: list[DeferredRow] = []
        self.simulations: list[SimulationRow] = []
        self.checks: list[OrderCheckRow] = []
        self.triggers: list[TriggerRow] = []
        self.decisions: list[DecisionRow] = []
        self.outside: list[OutsideFindingRow] = []
        self.source_hours: list[SourceHourRow] = []

    def kinds(self) -> Sequence[Sequence[Row]]:
        """The rows by kind, in the order in which they are written."""
        return (
            self.messages,
            self.idempotency,
            self.steps,
            self.orders,
            self.lines,
            self.payments,
            self.receipts,
            self.outbox,
            self.audit,
            self.cases,
            self.dead,
            self.deferred,
            self.simulations,
            self.checks,
            self.triggers,
            self.decisions,
            self.outside,
            self.source_hours,
        )

    def add(self, other: "UnitOfWork") -> None:
        """Takes over the rows of one message once all of them are known to be sound."""
        for mine, theirs in zip(self.kinds(), other.kinds(), strict=True):
            mine.extend(theirs)  # type: ignore[attr-defined]

    def write(self, cursor: psycopg.Cursor[Any]) -> None:
        """Writes all of them, in as few statements as may be."""
        write_all(cursor, self.kinds())


def publish(work: UnitOfWork, records: Iterable[OutboxRecord], message_no: int | None, at: datetime) -> None:
    """Adds records about a message, or about none, to what the transaction writes."""
    for each in records:
        case_no, payment_id, version = each.payment or (None, None, None)
        work.outbox.append(
            OutboxRow(
                topic=each.topic,
                key=each.key,
                value=each.value,
                headers=each.headers,
                event_id=each.event_id,
                message_no=message_no,
                order_id=each.order_id,
                made_at=at,
                case_no=case_no,
                payment_id=payment_id,
                version=version,
            )
        )


class OutboxWriter:
    """Publishes what happens to messages whose orders are under way."""

    def __init__(self, contracts: Contracts, work: UnitOfWork) -> None:
        self._contracts, self._work = contracts, work

    def publish(self, event: Event, message: MessageInProgress, at: datetime) -> bytes | None:
        """Publishes what the message's contract makes of an event; returns the answer to keep from now on, None when it stays."""
        reply = self._contracts.of[message.source].reply(event, message, at)
        publish(self._work, reply.records, message.message_no, at)
        return reply.answer

    def announce(self, contract: Contract, event: Announcement, message_no: int | None, at: datetime) -> None:
        """Publishes what a contract makes of what happens to no message alone."""
        publish(self._work, contract.announce(event, at), message_no, at)


def copy_event(message_id: str, digest: bytes) -> str:
    """The id of publishing a receipt as it came; made so that the database can make it too (`kvitt check` joins by it)."""
    return str(UUID(hex=hashlib.md5(f"{message_id} {digest.hex()}".encode(), usedforsecurity=False).hexdigest()))


_log = structlog.get_logger(__name__)
_NAMED = 8
"""Of a longer batch only so many ids are written; the store has them all."""
NO_SCHEME = "none"
"""Stands for the scheme where there is none to be known."""


def count_handled(work: UnitOfWork, outcomes: Sequence[StrEnum]) -> None:
    """A batch of records was committed with these outcomes."""
    kinds = _by_word(outcomes)
    stored = Counter((message.scheme, message.state) for message in work.messages)
    for (scheme, state), times in stored.items():
        METRICS.add(Counted.MESSAGES, scheme, state, times=times)
    unstored = kinds - Counter(message.state for message in work.messages)
    for outcome, times in unstored.items():
        METRICS.add(Counted.MESSAGES, NO_SCHEME, outcome, times=times)
    METRICS.batch("submit", len(outcomes))
    _count_made(work)
    _say_over_limit(work)
    numbers = [message.message_no for message in work.messages]
    schemes = sorted({scheme for scheme, _ in stored})
    _say("messages taken", records=len(outcomes), **kinds, schemes=schemes, message_nos=numbers[:_NAMED], **_made(work))


def _by_word(outcomes: Sequence[StrEnum]) -> Counter[str]:
    """How often each outcome's word came: the words are looked up once each, which costs more than counting."""
    return Counter({outcome.value: times for outcome, times in Counter(outcomes).items()})


def count_sent(order_ids: Sequence[str]) -> None:
    """Orders were put on the queue, and it is committed that they are."""
    if order_ids:
        METRICS.add(Counted.SENT, times=len(order_ids))
        _say("orders sent", orders=len(order_ids), order_ids=list(order_ids[:_NAMED]))


def count_settled(outcomes: Sequence[StrEnum], orders: Sequence[tuple[str, str, StrEnum]], work: UnitOfWork) -> None:
    """A batch of receipts was committed: with these outcomes, of which these moved orders (id, area, outcome)."""
    kinds = _by_word(outcomes)
    for outcome, times in kinds.items():
        METRICS.add(Counted.RECEIPTS, outcome, times=times)
    for (area, outcome), times in Counter((area, outcome.value) for _, area, outcome in orders).items():
        METRICS.add(Counted.ORDERS, scheme_of(area), outcome, times=times)
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


def _say_over_limit(work: UnitOfWork) -> None:
    """Two people have to look: a source is over its limit."""
    held = [row.order_id for row in work.outside if row.other_case_no is None]
    if held and structlog.is_configured():
        _log.error("a source is over its limit, and its orders are held", orders=len(held), order_ids=held[:_NAMED])


def _count_made(work: UnitOfWork) -> None:
    for area, times in Counter(order.area for order in work.orders).items():
        METRICS.add(Counted.ORDERS, scheme_of(area), "made", times=times)
    areas = {order.order_id: order.area for order in work.orders} if work.checks else {}
    for check in work.checks:
        if check.finding is not None:
            METRICS.add(Counted.CHECKS, scheme_of(areas[check.order_id]), check.finding)


def _made(work: UnitOfWork) -> dict[str, object]:
    """The new orders of a transaction as fields of a line; none when there are none."""
    return {"orders": len(work.orders), "order_ids": [order.order_id for order in work.orders[:_NAMED]]} if work.orders else {}


def store_order(
    work: UnitOfWork,
    case: "Case",
    order: Order,
    encoded: Encoded,
    reasons: Sequence[HoldReason],
    *,
    message_no: int,
    now: datetime,
    published_under: bytes | None = None,
    chosen_ids: bool = False,
) -> None:
    """Adds the rows of an order; `reasons` hold it, its records on the order topic have the key `published_under`, or their sender's.

    `chosen_ids`: its payments have ids that their sender chose, also where those of its scheme are derived.
    """
    work.orders.append(
        OrderRow(
            order_id=order.order_id,
            case_no=case.case_no,
            number=order.number,
            area=order.area,
            person=order.person,
            message_no=message_no,
            rail=encoded.rail,
            message=encoded.message,
            correlation_time=encoded.correlation_time,
            correlation_key=encoded.correlation_key,
            rail_document=encoded.document,
            is_first_order=order.is_first_order,
            made_at=now,
            held_for=encode_all(reasons),
            day=order.made_at.date(),
            sum_kroner=Kroner(sum([line.amount for line in order.lines])),
            priority=order.priority,
            reconciliation_key=order.reconciliation_key,
            published_under=published_under,
        )
    )
    recipient = order.forwarded.recipient if order.forwarded else order.person
    work.lines += [_line_row(order, place, line, recipient) for place, line in enumerate(order.lines)]
    chosen = chosen_ids or SCHEMES[order.scheme].sender_chooses_ids
    work.payments += [_payment_row(case, order, place, payment, chosen=chosen) for place, payment in enumerate(order.payments)]
    case.pending |= {payment.payment_id for payment in order.payments}


def _line_row(order: Order, place: int, line: OrderLine, recipient: str) -> LineRow:
    return LineRow(
        order_id=order.order_id,
        position=place,
        line_id=line.line_id,
        refers_to=line.refers_to,
        payment_id=line.payment_id,
        class_code=line.class_code,
        start_on=line.start,
        end_on=line.end,
        amount=line.amount,
        decided_rate=line.decided_rate,
        ceased_from=line.ceased_from,
        decision_id=line.decision_id,
        forwarded=line.forwarded is not None,
        rate_type=line.rate_type.value,
        decided_on=date.fromisoformat(line.decided_on) if line.decided_on else None,
        caseworker=line.caseworker,
        approver=line.approver,
        recipient=recipient,
        office=order.office,
        grade=line.forwarded.grade if line.forwarded else None,
    )


def _payment_row(case: "Case", order: Order, place: int, payment: Payment, *, chosen: bool) -> PaymentRow:
    kept = case.position_in_case.get(payment.payment_id)
    position_in_case = order.number * POSITIONS_PER_ORDER + place if kept is None or payment.action is Action.CREATE else kept
    return PaymentRow(
        case_no=case.case_no,
        payment_id=payment.payment_id,
        version=order.number,
        order_id=order.order_id,
        area=order.area,
        action=payment.action.value,
        client_chose=chosen,
        position_in_case=position_in_case,
        last_line=payment.last_line,
        document=payment_document.encode(payment),
        position=place,
        currency=payment.currency,
    )
