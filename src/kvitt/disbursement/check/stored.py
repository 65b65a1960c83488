"""The stored rows of a span of cases, read set by set, case by case in memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.check.report import Findings
from kvitt.disbursement.holds import decode_all, encode_all
from kvitt.disbursement.rows import (
    LineRow,
    MessageRow,
    NeedRow,
    OrderRow,
    OutboxRow,
    PaymentRow,
)
from kvitt.kernel.audit import AuditRow
from kvitt.kernel.queries import load

SQL = load("check", "kvitt.disbursement")
SPAN = 200
"""How many cases are in memory at once."""
_MADE, _VERSION = len(OrderRow.__struct_fields__), len(PaymentRow.__struct_fields__)


class StoredOrder(Struct, frozen=True):
    """An order as it was made, and how far it has come."""

    made: OrderRow
    state: str
    sent_at: datetime | None
    settled_at: datetime | None
    receipt_no: int | None
    decided_by_hand: bool
    resends: int
    taken_back: bool
    guard: int


class StoredPayment(Struct, frozen=True):
    """A payment version as it was made, and what became of it."""

    made: PaymentRow
    state: str
    superseded: bool


class StoredReceipt(Struct, frozen=True):
    """One thing that a receipt says: the receipt as it came, the place in it, and what it was taken for."""

    receipt_no: int
    rail: str
    digest: bytes
    place: int
    body: bytes
    order_id: str | None
    severity: str | None
    outcome: str
    note: str
    by_hand: bool


class StoredContradiction(Struct, frozen=True):
    """What a receipt said against what stood of an order, and how that ended."""

    order_id: str
    receipt_no: int
    ours: str
    rails: str
    found_at: datetime
    resolution: str | None
    resolved_at: datetime | None


class StoredTold(Struct, frozen=True):
    """A record of the outbox under its number; `early`: told before orders had keys of their own."""

    outbox_no: int
    row: OutboxRow
    early: bool


class StoredCase(Struct):
    """Everything that is stored of one case; `head` is its own row."""

    head: Sequence[Any]
    messages: dict[int, MessageRow] = {}
    orders: dict[str, StoredOrder] = {}
    lines: dict[str, list[LineRow]] = {}
    needs: list[NeedRow] = []
    payments: list[StoredPayment] = []
    receipts: dict[int, StoredReceipt] = {}
    contradictions: list[StoredContradiction] = []
    told: list[StoredTold] = []
    audit: list[AuditRow] = []

    @property
    def early_messages(self) -> frozenset[int | None]:
        """The messages of which something was told in an earlier form."""
        return frozenset(each.row.message_no for each in self.told if each.early)

    @property
    def case_no(self) -> int:
        """The number of the case."""
        number: int = self.head[0]
        return number


class Reader:
    """Reads spans of cases in one snapshot and counts what it reads."""

    def __init__(self, cursor: psycopg.Cursor[Any], found: Findings) -> None:
        self.cursor, self._found = cursor, found

    def spans(self) -> Iterator[deque[StoredCase]]:
        """All cases with all their rows, a span at a time, by case number."""
        after = 0
        while heads := self.rows(SQL.cases_after, after=after, limit=SPAN):
            after = heads[-1][0]
            self._found.looked_at("cases", len(heads))
            yield deque(self._span({head[0]: StoredCase(head) for head in heads}, heads[0][0], after))

    def rows(self, statement: str, **arguments: int) -> list[Any]:
        """The rows of one statement."""
        return self.cursor.execute(statement, arguments, binary=True).fetchall()

    def walk(self, statement: str, **arguments: object) -> Iterator[Any]:
        """The rows of one statement through a cursor of the server, however many they are."""
        with self.cursor.connection.cursor("walk") as walk:
            yield from walk.execute(statement, arguments, binary=True)

    def _span(self, cases: dict[int, StoredCase], first: int, last: int) -> list[StoredCase]:
        """Rows between the numbers whose case is not there are left to the search for orphans."""
        for sort, statement, case_of, take in _SORTS:
            rows = self.rows(statement, first=first, last=last)
            self._found.looked_at(sort, len(rows))
            for row in rows:
                if case := cases.get(row[case_of]):
                    take(case, row)
        return list(cases.values())


def _take_message(case: StoredCase, row: Sequence[Any]) -> None:
    case.messages[row[0]] = MessageRow(*row)


def _take_order(case: StoredCase, row: Sequence[Any]) -> None:
    made = OrderRow(*row[:_MADE])
    # The store writes JSON in a form of its own.
    made = replace(made, held_for=encode_all(decode_all(made.held_for)))
    case.orders[made.order_id] = StoredOrder(made, *row[_MADE:])


def _take_line(case: StoredCase, row: Sequence[Any]) -> None:
    case.lines.setdefault(row[1], []).append(LineRow(*row[1:]))


def _take_need(case: StoredCase, row: Sequence[Any]) -> None:
    case.needs.append(NeedRow(*row))


def _take_payment(case: StoredCase, row: Sequence[Any]) -> None:
    case.payments.append(StoredPayment(PaymentRow(*row[:_VERSION]), *row[_VERSION:]))


def _take_receipt(case: StoredCase, row: Sequence[Any]) -> None:
    case.receipts[row[1]] = StoredReceipt(*row[1:])


def taken_told(row: Sequence[Any]) -> StoredTold:
    """A row of what was told, behind the number by which it was asked for."""
    return StoredTold(row[1], OutboxRow(*row[2:-1]), row[-1])


def _take_contradiction(case: StoredCase, row: Sequence[Any]) -> None:
    case.contradictions.append(StoredContradiction(*row[1:]))


def _take_told(case: StoredCase, row: Sequence[Any]) -> None:
    case.told.append(taken_told(row))


def _take_entry(case: StoredCase, row: Sequence[Any]) -> None:
    case.audit.append(AuditRow(*row))


_SORTS = (
    ("messages", SQL.messages, 9, _take_message),
    ("orders", SQL.orders, 1, _take_order),
    ("lines", SQL.lines, 0, _take_line),
    ("needs", SQL.needs, 1, _take_need),
    ("payments", SQL.payments, 0, _take_payment),
    ("receipts", SQL.receipts, 0, _take_receipt),
    ("contradictions", SQL.contradictions, 0, _take_contradiction),
    ("records_told", SQL.told, 0, _take_told),
    ("audit_entries", SQL.audit, 0, _take_entry),
)
"""What is read of a span: the field of `Counts`, the statement, the column of the case's number, and where a row goes."""
