"""Orders that are simulated before they leave: held with their message, let go by what the rail says, asked about again until it does.

Such an order is held as unchecked from the transaction that makes it, so that nothing else need know of checks to pass it by (design §14).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg
import structlog
from msgspec import Struct

from kvitt.disbursement.case import CaseName, lock_free_cases
from kvitt.disbursement.holding import UNCHECKED, HoldReason
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.refusals import SIMULATION_UNKNOWN
from kvitt.disbursement.rows import OrderCheckRow, SimulationRow
from kvitt.disbursement.simulation import SimulationFailure
from kvitt.disbursement.simulation_check import (
    CheckFinding,
    CheckMode,
    CheckPolicy,
    SimulationCheck,
    reasons_of,
)
from kvitt.disbursement.simulation_requests import AskedBy, Asker, questions_of, request_rows
from kvitt.disbursement.states import What
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Order, Refusal, Scheme
from kvitt.kernel.audit import digest
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load
from kvitt.kernel.rows import write

_SQL = load("order_checks", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
_AT_ONCE: Final = 500
"""Requests that are made in one transaction."""


_OUTDATED: Final = "what the rail said of it is too old by now"
_NAMED: Final = CheckPolicy(CheckMode.WARN)
"""How an order is checked whose sender names a simulation, where its scheme wants no check."""


class CheckedMessage(Struct, frozen=True):
    """The message whose orders are checked."""

    case_no: int
    message_no: int
    contract: str
    now: datetime
    seen: bytes | None = None
    """The key of the dry run whose simulation an approver saw."""


def check_first(
    work: UnitOfWork, rails: Rails, message: CheckedMessage, orders: Sequence[Order], held: Sequence[Sequence[HoldReason]]
) -> Sequence[Sequence[HoldReason]] | Refusal:
    """Has the orders of a message simulated before they leave, if their scheme wants it; returns what holds each of them then.

    An order that something else holds is asked about once that is lifted. A refusal where the message names what an approver saw, and its
    orders can not be simulated: nobody can have seen that.
    """
    now, policy = message.now, rails.checks.get(orders[0].scheme, _NAMED if message.seen else None)
    rail = rails.simulating(orders[0].scheme) if policy else None
    if policy is None or rail is None:
        return SIMULATION_UNKNOWN if message.seen else held
    questions = questions_of(rail, orders)
    if isinstance(questions, SimulationFailure):
        if message.seen:
            return SIMULATION_UNKNOWN
        found = SimulationCheck(CheckFinding.REFUSED, text=questions.text)
        questions, reasons = [b""] * len(orders), reasons_of(found, policy.mode)
    else:
        found, reasons = None, (UNCHECKED,)
    asked = [place for place, of_order in enumerate(held) if not of_order and found is None]
    for place, (order, question) in enumerate(zip(orders, questions, strict=True)):
        work.checks.append(
            OrderCheckRow(
                order_id=order.order_id,
                case_no=message.case_no,
                message_no=message.message_no,
                made_at=now,
                mode=policy.mode.value,
                most_recovered=policy.most_recovered,
                # What an approver saw leaves only when the rail has said that it is so still.
                waits=policy.waits or message.seen is not None,
                question=question,
                times_asked=int(place in asked),
                due_at=None if found or place in asked else now,
                ended_at=now if found else None,
                finding=found.finding.value if found else None,
                note=found.text if found else None,
                seen=message.seen,
            )
        )
    if asked:
        by = _asker(message.contract, message.message_no, orders[asked[0]].order_id, 1)
        to_ask = [orders[place] for place in asked]
        work.simulations += request_rows(
            by, message.case_no, rail.name, orders=to_ask, questions=[questions[place] for place in asked], now=now
        )
    return [(*of_order, *reasons) for of_order in held]


def _asker(contract: str, message_no: int, order_id: str, times: int) -> AskedBy:
    return AskedBy(Asker.CHECK, contract, f"check {order_id} {times}", message_no)


class _DueCheck(NamedTuple):
    order_id: str
    case_no: int
    message_no: int
    question: bytes
    times_asked: int
    area: str
    person: str
    source: str


class _OutdatedCheck(NamedTuple):
    order_id: str
    case_no: int
    message_no: int


def take_back_agreements(connection: Connection, now: datetime) -> int:
    """Orders that leave by what the rail said of them too long ago are to be simulated once more; returns how many.

    All of a message together. Cases that somebody else has locked are left for the next time. Part of the caller's transaction.
    """
    with connection.cursor() as cursor:
        found = fetch(cursor, CaseName, _SQL.cases_of_old_agreements, {"now": now, "limit": _AT_ONCE}, scheme=Scheme)
        cases = {case.case_no: case for case in lock_free_cases(cursor, found, make=False)[0]} if found else {}
        if not cases:
            return 0
        arguments = {"now": now, "cases": [*cases], "unchecked": UNCHECKED.encode(), "waits_for": _OUTDATED}
        taken_back = fetch(cursor, _OutdatedCheck, _SQL.take_back_agreements, arguments)
        work = UnitOfWork()
        for each in taken_back:
            case = cases[each.case_no]
            content = digest(each.order_id.encode())
            case.note(work, case.moment(now), What.CHECK_OUTDATED, content, message_no=each.message_no, order_id=each.order_id)
        work.cases = [case.step() for case in cases.values() if case.changed]
        work.write(cursor)
    return len(taken_back)


def ask_due_checks(connection: Connection, ports: Ports, now: datetime) -> int:
    """Asks about orders whose checks are due, on rails that are open; returns how many. Part of the caller's transaction.

    Due are those too that were asked about too long ago.
    """
    asked = 0
    take_back_agreements(connection, now)
    connection.execute(_SQL.forget_ended_work, {"now": now})
    for rail in ports.rails:
        if not rail.schedule.is_open(now):
            continue
        arguments = {"now": now, "rail": rail.name, "unchecked": UNCHECKED.encode(), "limit": _AT_ONCE}
        with connection.cursor() as cursor:
            due = fetch(cursor, _DueCheck, _SQL.due_checks, arguments)
            write(cursor, [row for of_message in _by_message(due) for row in _requested(of_message, rail.name, ports, now)])
            cursor.execute(_SQL.ask_due, {"orders": [each.order_id for each in due]})
        asked += len(due)
    return asked


def _by_message(due: Sequence[_DueCheck]) -> list[list[_DueCheck]]:
    found: dict[int, list[_DueCheck]] = {}
    for each in due:
        found.setdefault(each.message_no, []).append(each)
    return list(found.values())


def _requested(due: Sequence[_DueCheck], rail: str, ports: Ports, now: datetime) -> list[SimulationRow]:
    first = due[0]
    by = _asker(ports.contracts.of[first.source].name, first.message_no, first.order_id, first.times_asked + 1)
    return [
        SimulationRow(
            name=by.name,
            asker=by.asker.value,
            contract=by.contract,
            message_no=by.message_no,
            caller=None,
            case_no=each.case_no,
            person=each.person,
            rail=rail,
            requested_at=now,
            deadline=None,
            place=place,
            area=each.area,
            order_id=each.order_id,
            question=each.question,
        )
        for place, each in enumerate(due)
    ]


def skip_check(cursor: psycopg.Cursor[Any], order_id: str, now: datetime) -> None:
    """Two people let an order go unchecked: its check has ended."""
    cursor.execute(_SQL.skip_check, {"order_id": order_id, "now": now})
