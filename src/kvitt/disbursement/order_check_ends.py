"""Checks of orders end by what the rail said, under the lock of their case, in the transaction that ends the request (design §14)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeGuard

import psycopg
import structlog
from msgspec.json import encode

from kvitt.disbursement import payment_document
from kvitt.disbursement.calendar import is_working_day, next_working_day, previous_working_day, working_days_after
from kvitt.disbursement.case import Case, load_lines, load_payments
from kvitt.disbursement.expected_pay import ExpectedPay, pay_by_lines, pay_by_payments
from kvitt.disbursement.holding import UNCHECKED, HoldReason, decode_all, encode_all
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.seen_simulation import Seen, refusal_by_seen, refuse_message
from kvitt.disbursement.simulate import EndedRequest
from kvitt.disbursement.simulation import FailureReason, SimulationFailure, SimulationOutcome
from kvitt.disbursement.simulation_check import (
    RULES,
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
from kvitt.kernel.fetch import fetch, look_up
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


class _EndedCheck(NamedTuple):
    of: OpenCheck
    check: SimulationCheck


class _Said(NamedTuple):
    """Holds what the rail said of each order, with its bytes; the orders about which it was not asked; in which request, and when."""

    request_no: int
    outcomes: Mapping[str, tuple[SimulationOutcome, bytes]]
    left: Sequence[str]
    now: datetime


class OrderChecks:
    """Ends checks by what the rail said, under the lock of their case, in the transaction that ends the request."""

    def __init__(self, ports: Ports, valid_days: int = 1) -> None:
        """`valid_days` is how many working days the rail's word holds, also that which an approver saw."""
        self._ports, self._valid_days = ports, valid_days

    def ended(self, cursor: psycopg.Cursor[Any], work: UnitOfWork, case: Case, request: EndedRequest, now: datetime) -> None:
        """Compares orders with what the rail said of each; each leaves then, or is held, or waits for the rail.

        Those about which it was not asked any more, because it refused one before them, are asked about alone.
        """
        outcomes, left = _by_order(request)
        rows = fetch(cursor, OpenCheck, _SQL.open_checks, [list(outcomes)], mode=CheckMode, held_for=decode_all)
        waiting = [each for each in rows if UNCHECKED in each.held_for]
        if not waiting:
            _wait(cursor, left, now, _REFUSED_BEFORE)
        elif _failed_by_us(request.outcome):
            # What made kvitt fail is not tried again here: it would end whoever ends checks.
            self._waits(cursor, waiting, left, request.outcome.text, now)
        else:
            self._compare(cursor, work, case, waiting, _Said(request.found.request.request_no, outcomes, left, now))

    def _compare(self, cursor: psycopg.Cursor[Any], work: UnitOfWork, case: Case, waiting: Sequence[OpenCheck], said: _Said) -> None:
        pay = self._pay(cursor, case, {each.order_id: each.area for each in waiting})
        checked = [
            _EndedCheck(each, self._checked(case, each, pay[each.order_id], said.outcomes[each.order_id][0], said.now)) for each in waiting
        ]
        silent = next((each.check for each in checked if each.of.waits and each.check.finding is CheckFinding.UNAVAILABLE), None)
        if silent is not None:
            self._waits(cursor, waiting, said.left, silent.text, said.now)
            return
        self._decides(cursor, work, case, checked, said)
        self._refuses(cursor, work, case, waiting, said)

    @staticmethod
    def _waits(cursor: psycopg.Cursor[Any], waiting: Sequence[OpenCheck], left: Sequence[str], why: str, now: datetime) -> None:
        """All orders of the message go on to wait, and are asked about together."""
        _wait(cursor, [*(each.order_id for each in waiting), *left], _next_attempt(waiting, now), why)

    def _decides(self, cursor: psycopg.Cursor[Any], work: UnitOfWork, case: Case, checked: Sequence[_EndedCheck], said: _Said) -> None:
        """Each order leaves, or is held; those about which the rail was not asked are asked about alone."""
        _wait(cursor, said.left, said.now, _REFUSED_BEFORE)
        _end(cursor, checked, said)
        self._hold(cursor, checked, said.now)
        for each in checked:
            content = digest(each.check.finding.value.encode(), said.outcomes[each.of.order_id][1])
            case.note(work, said.now, What.CHECKED, content, message_no=each.of.message_no, order_id=each.of.order_id)
        _say(case.scheme.value, [(each.of.order_id, each.check) for each in checked], checked[0].of.mode)

    def _refuses(self, cursor: psycopg.Cursor[Any], work: UnitOfWork, case: Case, waiting: Sequence[OpenCheck], said: _Said) -> None:
        """Refuses the message where its approver saw something else than the rail says now."""
        first = waiting[0]
        if first.seen is None:
            return
        seen = Seen(first.seen, first.message_no, said.now, self._valid_days)
        if refusal := refusal_by_seen(cursor, self._ports, case, seen, {each.area: said.outcomes[each.order_id][0] for each in waiting}):
            refuse_message(cursor, work, case, (first.message_no, refusal, said.now), self._ports)

    def _pay(self, cursor: psycopg.Cursor[Any], case: Case, areas: Mapping[str, str]) -> dict[str, ExpectedPay]:
        """The pay of each order, as the derivation has it; `areas` has the area of each."""
        order_ids = list(areas)
        if case.scheme in self._ports.contracts.forwarding:
            look_up(cursor, load_lines(cursor, [case]))
            lines: dict[str, list[LineAtRail]] = {each: [] for each in order_ids}
            for ordered in fetch(cursor, _OrderedLine, _SQL.lines_of_orders, [order_ids], line=LineAtRail):
                lines[ordered.order_id].append(ordered.line)
            return {order_id: pay_by_lines(asked, case.forwarded) for order_id, asked in lines.items()}
        look_up(cursor, load_payments(cursor, [case]))
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

    def _hold(self, cursor: psycopg.Cursor[Any], checked: Sequence[_EndedCheck], now: datetime) -> None:
        """Holds orders for what was found; those that leave by it do so as long as it holds."""
        until = working_days_after(now, self._valid_days)
        reasons = [reasons_of(each.check, each.of.mode) for each in checked]
        agreed = [
            not found and (each.check.finding is CheckFinding.AGREES or each.of.seen is not None)
            for each, found in zip(checked, reasons, strict=True)
        ]
        arguments = {
            "orders": [each.of.order_id for each in checked],
            "held_for": [encode_all(held_after(each.of.held_for, found)) for each, found in zip(checked, reasons, strict=True)],
            "leaves_before": [until if each else None for each in agreed],
        }
        cursor.execute(_SQL.hold_orders, arguments)


def _end(cursor: psycopg.Cursor[Any], checked: Sequence[_EndedCheck], said: _Said) -> None:
    arguments = {
        "now": said.now,
        "request_no": said.request_no,
        "today": oslo(said.now).date(),
        "compared_by": RULES,
        "orders": [each.of.order_id for each in checked],
        "findings": [each.check.finding.value for each in checked],
        "posted": [is_posted(each.of.accepted_at, said.now) for each in checked],
        "recovered": [each.check.recovered for each in checked],
        "differences": [encode(each.check.differences).decode() for each in checked],
        "pictures": [encode(each.check.picture).decode() for each in checked],
        "notes": [each.check.text for each in checked],
    }
    cursor.execute(_SQL.end_checks, arguments)


def _failed_by_us(outcome: SimulationOutcome) -> TypeGuard[SimulationFailure]:
    return isinstance(outcome, SimulationFailure) and outcome.reason is FailureReason.OUR_FAULT


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
