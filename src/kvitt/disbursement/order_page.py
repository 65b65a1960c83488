"""Reads one order for an operator: whose it is, its lines, how far it came, its receipts and alarms, and what people did to it."""

from datetime import date, datetime
from typing import Any

import psycopg
from msgspec import Struct
from msgspec.structs import asdict

from kvitt.disbursement.case_facts import (
    Act,
    ChainEntry,
    ContradictionOfCase,
    ReceiptOfCase,
    acts_on,
    contradictions_of,
    entries_about,
    lines_of,
    receipts_of,
)
from kvitt.disbursement.compared_pay import PayDifference, PicturePart, decode_differences, decode_picture
from kvitt.disbursement.holding import HoldReason, decode_all
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.rows import LineRow
from kvitt.errors import OrderNotFound
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.queries import load

_SQL, _CANCEL = load("order_page", "kvitt.disbursement"), load("cancel", "kvitt.disbursement")


class AlarmShown(Struct, frozen=True):
    """An alarm about the order; over when `cleared_at` is set."""

    alarm_no: int
    sent_at: datetime
    raised_at: datetime
    cleared_at: datetime | None


class CheckShown(Struct, frozen=True):
    """How the order is checked before it leaves: what the policy is, what was found, and both pictures side by side.

    `waits_for`: why the rail has not said yet what it would lead to. `request_no` names the simulation that was compared. It may leave
    by that before `leaves_before`; then the rail is asked again.
    """

    mode: str
    most_recovered: int | None
    waits: bool
    times_asked: int
    due_at: datetime | None
    waits_for: str | None
    ended_at: datetime | None
    finding: str | None
    request_no: int | None
    recovered: int | None
    note: str | None
    refusal: str | None
    leaves_before: datetime | None
    differences: tuple[PayDifference, ...]
    picture: tuple[PicturePart, ...]


class CancellationShown(Struct, frozen=True):
    """A request to the rail to cancel the order: when it was asked for, when it left, and what the rail answered in which receipt."""

    cancellation_id: str
    number: int
    state: str
    reason: str
    asked_at: datetime
    sent_at: datetime | None
    receipt_no: int | None
    answered_at: datetime | None
    message: bytes


class OrderOnPage(Struct, frozen=True):
    """Holds what one order and its case and message say of themselves; `message` is as it leaves, under its `key_day` if it has one.

    `was_unknown`: it was so once, so a copy may be at the rail whatever its state. `decided_by_hand`:
    how it ended is the word of an operator, and not of the rail. `rail_says`: what a receipt says against that.
    """

    case_no: int
    order_id: str
    scheme: str
    case_id: str
    area: str
    number: int
    message_no: int
    source: str | None
    partition: int | None
    position: int | None
    key: str
    state: str
    is_first_order: bool
    held_for: tuple[HoldReason, ...]
    decided_by_hand: bool
    rail_says: str | None
    was_unknown: bool
    resends: int
    made_at: datetime
    sending_at: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    receipt_no: int | None
    correlation_time: str
    rail: str
    key_day: date | None
    message: bytes


class OrderShown(OrderOnPage, frozen=True):
    """Everything about one order."""

    lines: tuple[LineRow, ...]
    receipts: tuple[ReceiptOfCase, ...]
    alarms: tuple[AlarmShown, ...]
    contradictions: tuple[ContradictionOfCase, ...]
    cancellations: tuple[CancellationShown, ...]
    checks: tuple[CheckShown, ...]
    noted: tuple[ChainEntry, ...]
    acts: tuple[Act, ...]


def order_page(conninfo: str, rails: Rails, order_id: str) -> OrderShown:
    """Reads one order in one snapshot. Raises OrderNotFound."""
    with connect(conninfo, application="kvitt order") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction(), connection.cursor() as cursor:
            return _read(cursor, rails, order_id)


def _read(cursor: psycopg.Cursor[Any], rails: Rails, order_id: str) -> OrderShown:
    found = fetch_one(cursor, OrderOnPage, _SQL.order_row, {"order_id": order_id}, held_for=decode_all)
    if found is None:
        raise OrderNotFound(f"no order has the id {order_id}")
    about = {"case_no": found.case_no, "order_id": order_id}
    return OrderShown(
        **asdict(found) | {"message": rails.leaving(found.rail, found.message, found.key_day)},
        lines=lines_of(cursor, about),
        receipts=receipts_of(cursor, about),
        alarms=tuple(fetch(cursor, AlarmShown, _SQL.alarms_of_order, about)),
        contradictions=contradictions_of(cursor, about),
        cancellations=tuple(fetch(cursor, CancellationShown, _CANCEL.cancellations_of_order, about)),
        checks=tuple(fetch(cursor, CheckShown, _SQL.check_of_order, about, differences=decode_differences, picture=decode_picture)),
        noted=entries_about(cursor, about),
        acts=acts_on(cursor, about),
    )
