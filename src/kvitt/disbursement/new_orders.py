"""The rows of a new order: itself, its lines, and the versions of payments that it makes."""

from collections.abc import Sequence
from datetime import date, datetime

from kvitt.disbursement import payment_document
from kvitt.disbursement.case import Case
from kvitt.disbursement.catalogue import SCHEMES
from kvitt.disbursement.holding import HoldReason, encode_all
from kvitt.disbursement.rail import Encoded
from kvitt.disbursement.rows import LineRow, OrderRow, PaymentRow
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Action, Order, OrderLine, Payment
from kvitt.kernel.money import Kroner

POSITIONS_PER_ORDER = 100_000
"""Room for the payments of one order in the numbers that keep the case list in order."""


def store_order(
    work: UnitOfWork,
    case: Case,
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


def _payment_row(case: Case, order: Order, place: int, payment: Payment, *, chosen: bool) -> PaymentRow:
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
