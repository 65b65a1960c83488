"""The forwarded order of a need: its sender's own lines, in the line model that all orders share (rapid §2.3, design §7)."""

from datetime import datetime, timedelta

from kvitt.contracts.rapid.needs import (
    RATE_TYPES,
    Need,
    NeedLine,
    priority,
    reconciliation_key,
)
from kvitt.disbursement.derive.micro_chained import order_id
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.simulation import SimulationFailure
from kvitt.disbursement.simulation_requests import by_call, request
from kvitt.disbursement.values import (
    DecisionId,
    ForwardedLine,
    ForwardedOrder,
    LineChange,
    LineId,
    Order,
    OrderLine,
    Scheme,
)
from kvitt.kernel.clock import oslo
from kvitt.kernel.database import Connection

_FREQUENCY = "MND"


def forwarded_order(need: Need, number: int, key: int, made_at: datetime) -> Order:
    """The order that a need asks for, its lines as they are; `key` is the reconciliation key, `made_at` an Oslo time."""
    return Order(
        order_id=order_id(Scheme.SYKEPENGER, need.area, need.case_id, number),
        scheme=Scheme.SYKEPENGER,
        area=need.area,
        case_id=need.case_id,
        number=number,
        is_first_order=need.change is LineChange.NEW,
        frequency=_FREQUENCY,
        person=need.person,
        caseworker=need.caseworker,
        office=None,
        hold_back=None,
        made_at=made_at,
        lines=tuple([_line(need, line) for line in need.lines]),
        payments=(),
        priority=priority(need),
        reconciliation_key=key,
        forwarded=ForwardedOrder(need.change, need.recipient, need.last_day),
    )


def _line(need: Need, line: NeedLine) -> OrderLine:
    """The names of lines and of what they refer to are unique over all cases; that of its sender stays beside them."""
    refers_to = None if line.ref_line is None else LineId(_name((line.ref_case or need.case_id).strip(), line.ref_line))
    return OrderLine(
        line_id=LineId(_name(need.case_id, line.line_id)),
        refers_to=refers_to,
        payment_id=need.payment_id,
        class_code=line.class_code,
        start=line.start,
        end=line.end,
        amount=line.amount,
        decided_rate=None,
        rate_type=RATE_TYPES[line.rate],
        ceased_from=line.ceased_from if line.ceased else None,
        decided_on="",
        caseworker=need.caseworker,
        approver=need.caseworker,
        decision_id=DecisionId(need.payment_id),
        forwarded=ForwardedLine(
            number=line.line_id,
            ref_number=line.ref_line,
            ref_case=line.ref_case,
            change=line.change,
            class_from=line.class_from,
            ceased=line.ceased,
            ceased_from=line.ceased_from,
            grade=line.grade,
        ),
    )


def _name(case_id: str, number: int) -> str:
    """The name of a line over all cases: senders count their lines anew in each case."""
    return f"{case_id}#{number}"


def ask(connection: Connection, rails: Rails, question: Need, caller: str, *, now: datetime, seconds: float) -> int | SimulationFailure:
    """Stores the question and returns the number of its request, or why it is not asked; after so many seconds nobody waits for it.

    Its order is never made, so its number in the case says nothing. Raises psycopg errors.
    """
    order = forwarded_order(question, 1, reconciliation_key(now, 0), oslo(now))
    asked = by_call("rapid", caller, now + timedelta(seconds=seconds))
    return request(connection, rails, (Scheme.SYKEPENGER, question.case_id), asked, [order], now=now)
