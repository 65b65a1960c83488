"""Checks of orders end by what the rail said, under the lock of their case, in the transaction that ends the request (design §14)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg
import structlog
from msgspec.json import encode

from kvitt.disbursement import payment_document
from kvitt.disbursement.calendar import is_working_day, next_working_day, previous_working_day
from kvitt.disbursement.case import Case, load_lines, load_payments
from kvitt.disbursement.expected_pay import ExpectedPay, pay_by_lines, pay_by_payments
from kvitt.disbursement.holding import UNCHECKED, HoldReason, decode_all, encode_all
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.seen_simulation import Seen, refusal_by_seen, refuse_message
from kvitt.disbursement.simulate import EndedRequest
from kvitt.disbursement.simulation import FailureReason, SimulationFailure, SimulationOutcome
from kvitt.disbursement.simulation_check import (
    CheckCircumstances,
    CheckedOrder,
    CheckFinding,
    CheckMode,
    SimulationCheck,
    check_order,
    held_after,
    reasons_of,
)
from kvitt.disbursement.states import What
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import LineAtRail, Payment
from kvitt.kernel.audit import digest
from kvitt.kernel.clock import oslo, oslo_midnight
from kvitt.kernel.fetch import fetch
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL = load("order_checks", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
AGAIN_AFTER: Final = timedelta(minutes=5)
"""When a rail is asked again that was closed or did not answer, unless it is closed still."""


_REFUSED_BEFORE: Final = "another order of the message was refused"


class OpenCheck(NamedTuple):
    """A check that is still to end, and the order that it is of."""

    order_id: str
    message_no: int
    mode: CheckMode
    most_recovered: int | None
    waits: bool
    seen: bytes | None
    area: str
    is_first_order: bool
    held_for: tuple[HoldReason, ...]
    accepted_at: datetime | None


class _OrderedPayment(NamedTuple):
    order_id: str
    document: bytes


class _OrderedLine(NamedTuple):
    order_id: str
    line: LineAtRail


class OrderChecks:
    """Ends checks by what the rail said, under the lock of their case, in the transaction that ends the request."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def ended(self, cursor: psycopg.Cursor[Any], work: UnitOfWork, case: Case, request: EndedRequest, now: datetime) -> None:
        """Compares orders with what the rail said of each; each leaves then, or is held, or waits for the rail.

        Those about which it was not asked any more, because it refused one before them, are asked about alone.
        """
        outcomes, left = _by_order(request)
        rows = fetch(cursor, OpenCheck, _SQL.open_checks, [list(outcomes)], mode=CheckMode, held_for=decode_all)
        waiting = [each for each in rows if UNCHECKED in each.held_for]
        if not waiting:
            _wait(cursor, left, now, _REFUSED_BEFORE)
            return
        unanswered = [*(each.order_id for each in waiting), *left]
        if isinstance(request.outcome, SimulationFailure) and request.outcome.reason is FailureReason.OUR_FAULT:
            # What made kvitt fail is not tried again here: it would end whoever ends checks.
            _wait(cursor, unanswered, _next_attempt(waiting, now), request.outcome.text)
            return
        pay = self._pay(cursor, case, {each.order_id: each.area for each in waiting})
        checked = [(each, self._checked(case, each, pay[each.order_id], outcomes[each.order_id][0], now)) for each in waiting]
        silent = next((check for each, check in checked if each.waits and check.finding is CheckFinding.UNAVAILABLE), None)
        if silent is not None:
            _wait(cursor, unanswered, _next_attempt(waiting, now), silent.text)
            return
        _wait(cursor, left, now, _REFUSED_BEFORE)
        self._end(cursor, checked, request.found.request.request_no, now)
        for each, check in checked:
            content = digest(check.finding.value.encode(), outcomes[each.order_id][1])
            case.note(work, now, What.CHECKED, content, message_no=each.message_no, order_id=each.order_id)
        _say(case.scheme.value, [(each.order_id, check) for each, check in checked], waiting[0].mode)
        first = waiting[0]
        if first.seen is None:
            return
        now_said = {each.area: outcomes[each.order_id][0] for each in waiting}
        if refusal := refusal_by_seen(cursor, self._ports, case, Seen(first.seen, first.message_no, now), now_said):
            refuse_message(cursor, work, case, (first.message_no, refusal, now), self._ports)

    def _pay(self, cursor: psycopg.Cursor[Any], case: Case, areas: Mapping[str, str]) -> dict[str, ExpectedPay]:
        """The pay of each order, as the derivation has it; `areas` has the area of each."""
        order_ids = list(areas)
        if self._ports.contracts.forwards(case.scheme):
            load_lines(cursor, [case])
            lines: dict[str, list[LineAtRail]] = {each: [] for each in order_ids}
            for ordered in fetch(cursor, _OrderedLine, _SQL.lines_of_orders, [order_ids], line=LineAtRail):
                lines[ordered.order_id].append(ordered.line)
            return {order_id: pay_by_lines(asked, case.forwarded) for order_id, asked in lines.items()}
        load_payments(cursor, [case])
        payments: dict[str, list[Payment]] = {each: [] for each in order_ids}
        for paid in fetch(cursor, _OrderedPayment, _SQL.payments_of_orders, [order_ids]):
            payments[paid.order_id].append(payment_document.decode(paid.document))
        state = case.state()
        return {order_id: pay_by_payments(areas[order_id], changed, state) for order_id, changed in payments.items()}

    @staticmethod
    def _checked(case: Case, of: OpenCheck, pay: ExpectedPay, outcome: SimulationOutcome, now: datetime) -> SimulationCheck:
        most = None if of.most_recovered is None else Kroner(of.most_recovered)
        when = CheckCircumstances(oslo(now).date(), most, posted=is_posted(of.accepted_at, now))
        return check_order(CheckedOrder(of.area, case.case_id, of.is_first_order), pay, outcome, when)

    @staticmethod
    def _end(cursor: psycopg.Cursor[Any], checked: Sequence[tuple[OpenCheck, SimulationCheck]], request_no: int, now: datetime) -> None:
        orders = [each.order_id for each, _ in checked]
        cursor.execute(
            _SQL.end_checks,
            {
                "now": now,
                "request_no": request_no,
                "today": oslo(now).date(),
                "orders": orders,
                "findings": [check.finding.value for _, check in checked],
                "posted": [is_posted(each.accepted_at, now) for each, _ in checked],
                "recovered": [check.recovered for _, check in checked],
                "differences": [encode(check.differences).decode() for _, check in checked],
                "pictures": [encode(check.picture).decode() for _, check in checked],
                "notes": [check.text for _, check in checked],
            },
        )
        held = [encode_all(held_after(each.held_for, reasons_of(check, each.mode))) for each, check in checked]
        cursor.execute(_SQL.hold_orders, {"orders": orders, "held_for": held})


def _by_order(request: EndedRequest) -> tuple[dict[str, tuple[SimulationOutcome, bytes]], list[str]]:
    """The answer about each order, and its bytes; and the orders about which there is none. Without any answer its end is of all."""
    orders = [each.order_id or "" for each in request.found.questions]
    if not request.answers:
        return dict.fromkeys(orders, (request.outcome, b"")), []
    found = {order_id: (asked.outcome, asked.answer) for order_id, asked in zip(orders, request.answers, strict=False)}
    return found, orders[len(found) :]


def _wait(cursor: psycopg.Cursor[Any], order_ids: Sequence[str], due_at: datetime, waits_for: str) -> None:
    """Orders go on to wait for their simulation, and are asked about again at a time."""
    if order_ids:
        cursor.execute(_SQL.wait_for_rail, {"orders": [*order_ids], "due_at": due_at, "waits_for": waits_for})


def _next_attempt(waiting: Sequence[OpenCheck], now: datetime) -> datetime:
    """In a while; where the rail has to post first, on the working day on which it has."""
    if all(is_posted(each.accepted_at, now) for each in waiting):
        return now + AGAIN_AFTER
    return max(now + AGAIN_AFTER, oslo_midnight(next_working_day(oslo(now).date())))


def is_posted(accepted_at: datetime | None, now: datetime) -> bool:
    """Whether a rail has posted by now what it accepted: it does so on the working day after."""
    day = oslo(now).date()
    day = day if is_working_day(day) else previous_working_day(day)
    return accepted_at is None or accepted_at < oslo_midnight(day)


def _say(scheme: str, checked: Sequence[tuple[str, SimulationCheck]], mode: CheckMode) -> None:
    """Counts what was found, and logs what is no agreement."""
    for order_id, check in checked:
        METRICS.add(Counted.CHECKS, scheme, check.finding.value)
        if check.finding is not CheckFinding.AGREES and structlog.is_configured():
            differences = [each.kind.value for each in check.differences]
            _log.warning(
                "order is simulated otherwise", order_id=order_id, finding=check.finding.value, mode=mode.value, differences=differences
            )
