"""What an operator reads of one order: whose it is, its lines, how far it came, its receipts and alarms, and what people did to it."""

from datetime import date, datetime
from typing import Any

import msgspec
import psycopg
from msgspec import Struct

from kvitt.disbursement.holds import HoldReason, decode_all
from kvitt.errors import OrderNotFound
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load

_SQL = load("order_page", "kvitt.disbursement")


class LineShown(Struct, frozen=True):
    """A line as it went to the rail; `amount` and `decided_rate` in whole kroner."""

    position: int
    line_id: str
    refers_to: str | None
    payment_id: str
    class_code: str
    start: date
    end: date
    amount: int
    decided_rate: int | None
    ceased_from: date | None
    decision_id: str


class ReceiptShown(Struct, frozen=True):
    """A receipt that answers the order, and what it was taken for."""

    receipt_no: int
    received_at: datetime
    severity: str | None
    outcome: str
    note: str


class AlarmShown(Struct, frozen=True):
    """An alarm about the order; over when `cleared_at` is set."""

    alarm_no: int
    sent_at: datetime
    raised_at: datetime
    cleared_at: datetime | None


class ContradictionShown(Struct, frozen=True):
    """What the rail said against what stood of the order; open until two people have adopted the rail's word or kept ours."""

    contradiction_no: int
    receipt_no: int
    ours: str
    rails: str
    found_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    approved_by: str | None
    reason: str | None


class Noted(Struct, frozen=True):
    """An entry about the order in its case's audit chain."""

    seq: int
    at: datetime
    what: str


class ActShown(Struct, frozen=True):
    """What an operator did to the order, and who answers for it."""

    at: datetime
    what: str
    by: str
    approved_by: str | None
    reason: str


class OrderShown(Struct, frozen=True):
    """Everything about one order. `was_unknown`: it was so once, so a copy may be at the rail whatever its state.

    `decided_by_hand`: how it ended is the word of an operator, and not of the rail. `rail_says`: what a receipt says against that.
    """

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
    message: bytes
    lines: tuple[LineShown, ...]
    receipts: tuple[ReceiptShown, ...]
    alarms: tuple[AlarmShown, ...]
    contradictions: tuple[ContradictionShown, ...]
    noted: tuple[Noted, ...]
    acts: tuple[ActShown, ...]


class _Note(Struct, frozen=True):
    by: str = ""
    approved_by: str | None = None
    reason: str = ""


def order_page(conninfo: str, order_id: str) -> OrderShown:
    """Reads one order in one snapshot. Raises OrderNotFound."""
    with connect(conninfo, application="kvitt order") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction(), connection.cursor() as cursor:
            return _read(cursor, order_id)


def _read(cursor: psycopg.Cursor[Any], order_id: str) -> OrderShown:
    row = cursor.execute(_SQL.order_row, {"order_id": order_id}, binary=True).fetchone()
    if row is None:
        raise OrderNotFound(f"no order has the id {order_id}")
    arguments = {"order_id": order_id, "case_no": row[1]}

    def rows(statement: str) -> list[Any]:
        return cursor.execute(statement, arguments, binary=True).fetchall()

    parts = (
        tuple(LineShown(*each) for each in rows(_SQL.lines_of_order)),
        tuple(ReceiptShown(*each) for each in rows(_SQL.receipts_of_order)),
        tuple(AlarmShown(*each) for each in rows(_SQL.alarms_of_order)),
        tuple(ContradictionShown(*each) for each in rows(_SQL.contradictions_of_order)),
        tuple(Noted(*each) for each in rows(_SQL.noted_of_order)),
        tuple(_act(*each) for each in rows(_SQL.acts_on_order)),
    )
    return OrderShown(*(row[0], *row[2:13], decode_all(row[13]), *row[14:], *parts))


def _act(at: datetime, what: str, note: str) -> ActShown:
    told = msgspec.json.decode(note, type=_Note)
    return ActShown(at, what, told.by, told.approved_by, told.reason)
