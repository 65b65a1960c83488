"""The stored rows of a span of cases, read set by set, case by case in memory."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.disbursement.check.order_check import StoredCheck
from kvitt.disbursement.check.report import Findings
from kvitt.disbursement.compared_pay import decode_differences, decode_picture
from kvitt.disbursement.decisions import DecisionState, Frame
from kvitt.disbursement.holding import decode_all, encode_all
from kvitt.disbursement.imported import ImportedDecision
from kvitt.disbursement.rows import (
    DecisionRow,
    IdempotencyRow,
    LineRow,
    MessageRow,
    OrderRow,
    OutsideFindingRow,
    PaymentRow,
    SourceHourRow,
)
from kvitt.disbursement.simulation_check import CheckMode
from kvitt.disbursement.simulation_requests import RequestWithQuestions, read_all
from kvitt.kernel.audit import AuditRow
from kvitt.kernel.fetch import Part, fetch, fetch_values
from kvitt.kernel.money import Kroner
from kvitt.kernel.outbox import OutboxRow
from kvitt.kernel.queries import load

SQL = load("check", "kvitt.disbursement")
SPAN = 150
"""How many cases are in memory at once: more take more of it, fewer take more statements."""


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


class StoredPayment(Struct, frozen=True, gc=False):
    """A payment version as it was made, and what became of it."""

    made: PaymentRow
    state: str
    superseded: bool


class StoredReceipt(Struct, frozen=True, gc=False):
    """One thing that a receipt says: the receipt as it came, the place in it, and what it was taken for, for an order `of` which case."""

    of: int | None
    receipt_no: int
    rail: str
    digest: bytes
    place: int
    body: bytes
    order_id: str | None
    severity: str | None
    code: str | None
    outcome: str
    note: str
    by_hand: bool


class StoredContradiction(Struct, frozen=True):
    """A contradiction in the case `of`: what a receipt said against what stood of an order, and how that ended."""

    of: int
    order_id: str
    receipt_no: int
    ours: str
    rails: str
    found_at: datetime
    resolution: str | None
    resolved_at: datetime | None


class StoredCaseRow(NamedTuple):
    """The row of a case."""

    case_no: int
    scheme: str
    case_id: str
    person: str | None
    areas: Sequence[str]
    orders_made: int
    open_orders: int
    queued: int
    audit_seq: int
    last_event_hash: bytes
    contradictions: int
    unknown: Sequence[str]
    contract: str | None
    frame_start: date | None
    cap_kroner: Kroner | None
    numbered: int
    ordered_for: str | None
    opened_for: str | None

    @property
    def frame(self) -> Frame | None:
        """The frame of the case, if one is set."""
        return None if self.frame_start is None and self.cap_kroner is None else Frame(self.frame_start, self.cap_kroner)


class StoredImported(Struct, frozen=True):
    """A decision that was taken over with the case `of`, under its number."""

    of: int
    message_no: int
    decision: ImportedDecision


class StoredPublished(Struct, frozen=True, gc=False):
    """A record of the outbox under its number, `of` a case, or a message without one; `early`: before orders had keys of their own."""

    of: int
    outbox_no: int
    row: OutboxRow
    early: bool


class StoredCase(Struct):
    """Everything that is stored of one case; `row` is its own. Simulations go by the dry runs that asked for them."""

    row: StoredCaseRow
    messages: dict[int, MessageRow] = {}
    orders: dict[str, StoredOrder] = {}
    lines: dict[str, list[LineRow]] = {}
    idempotency: list[IdempotencyRow] = []
    decisions: list[DecisionRow] = []
    imported: list[StoredImported] = []
    payments: list[StoredPayment] = []
    receipts: dict[int, StoredReceipt] = {}
    contradictions: list[StoredContradiction] = []
    checks: dict[str, list[StoredCheck]] = {}
    outside: dict[str, list[OutsideFindingRow]] = {}
    limited: dict[str, SourceHourRow] = {}
    simulations: dict[int, RequestWithQuestions] = {}
    published: list[StoredPublished] = []
    audit: list[AuditRow] = []

    @property
    def early_messages(self) -> frozenset[int | None]:
        """The messages of which something was published in an earlier form."""
        return frozenset(each.row.message_no for each in self.published if each.early)

    @property
    def case_no(self) -> int:
        """The number of the case."""
        return self.row.case_no


class Reader:
    """Reads spans of cases in one snapshot and counts what it reads."""

    def __init__(self, cursor: psycopg.Cursor[Any], found: Findings) -> None:
        self.cursor, self._found = cursor, found

    def spans(self) -> Iterator[deque[StoredCase]]:
        """All cases with all their rows, a span at a time, by case number."""
        after = 0
        while rows := fetch(self.cursor, StoredCaseRow, SQL.cases_after, {"after": after, "limit": SPAN}):
            after = rows[-1].case_no
            self._found.looked_at("cases", len(rows))
            yield deque(self._span({row.case_no: StoredCase(row) for row in rows}, rows[0].case_no, after))

    def messages_without_case(self, after: int) -> list[MessageRow]:
        """The next messages that belong to no case."""
        return fetch(self.cursor, MessageRow, SQL.messages_without_case, {"after": after, "limit": SPAN})

    def decisions_without_case(self, first: int, last: int) -> dict[int, DecisionRow]:
        """Returns what came in by calls and belongs to no case, by message."""
        rows = fetch(self.cursor, DecisionRow, SQL.decisions_without_case, {"first": first, "last": last})
        return {each.message_no: each for each in rows}

    def published_without_case(self, first: int, last: int) -> dict[int, list[StoredPublished]]:
        """Returns what was published of messages that belong to no case, by message."""
        published: dict[int, list[StoredPublished]] = {}
        for each in fetch(self.cursor, StoredPublished, SQL.published_without_case, {"first": first, "last": last}, row=OutboxRow):
            published.setdefault(each.of, []).append(each)
        return published

    def receipts_without_order(self, after: int) -> list[StoredReceipt]:
        """The next receipts that answer no order."""
        return fetch(self.cursor, StoredReceipt, SQL.receipts_without_order, {"after": after, "limit": SPAN})

    def operators_entries(self, after: int) -> list[AuditRow]:
        """The next entries of the operators' chain."""
        return fetch(self.cursor, AuditRow, SQL.audit_of_operators, {"after": after, "limit": SPAN})

    def walk(self, statement: str, **arguments: object) -> Iterator[Any]:
        """The rows of one statement through a cursor of the server, however many they are."""
        with self.cursor.connection.cursor("walk") as walk:
            yield from walk.execute(statement, arguments, binary=True)

    def _span(self, cases: dict[int, StoredCase], first: int, last: int) -> list[StoredCase]:
        """Rows between the numbers whose case is not there are left to the search for orphans."""
        for sort in _SORTS:
            rows = fetch(self.cursor, sort.kind, sort.statement, {"first": first, "last": last}, **sort.readers)
            self._found.looked_at(sort.counted, len(rows))
            for row in rows:
                if case := cases.get(sort.case_of(row)):
                    sort.take(case, row)
        self._take_simulations(cases, first, last)
        return list(cases.values())

    def _take_simulations(self, cases: dict[int, StoredCase], first: int, last: int) -> None:
        """The simulations that dry runs asked for."""
        numbers = fetch_values(self.cursor, SQL.simulations, {"first": first, "last": last})
        self._found.looked_at("simulations", len(numbers))
        for each in read_all(self.cursor, numbers):
            if each.request.message_no and (case := cases.get(each.request.case_no)):
                case.simulations[each.request.message_no] = each


class _ReadLine(Struct, frozen=True, gc=False):
    of: int
    row: LineRow


class _Sort(NamedTuple):
    """Holds what is read of a span: the field of `Counts`, the statement, the kind of its rows, whose each is, and where it goes."""

    counted: str
    statement: str
    kind: type[Any]
    case_of: Callable[[Any], int]
    take: Callable[[StoredCase, Any], object]
    readers: Mapping[str, Any] = {}


def _own_form(reasons: str) -> str:
    """The store writes JSON in a form of its own."""
    return encode_all(decode_all(reasons))


_case_no, _of, _chain, _case_of_made = attrgetter("case_no"), attrgetter("of"), attrgetter("chain"), attrgetter("made.case_no")
_SORTS = (
    _Sort("messages", SQL.messages, MessageRow, _case_no, lambda case, row: case.messages.update({row.message_no: row})),
    _Sort(
        "orders",
        SQL.orders,
        StoredOrder,
        _case_of_made,
        lambda case, order: case.orders.update({order.made.order_id: order}),
        {"made": Part(OrderRow, held_for=_own_form)},
    ),
    _Sort(
        "lines",
        SQL.lines,
        _ReadLine,
        _of,
        lambda case, each: case.lines.setdefault(each.row.order_id, []).append(each.row),
        {"row": LineRow},
    ),
    _Sort("idempotency_records", SQL.idempotency_records, IdempotencyRow, _case_no, lambda case, row: case.idempotency.append(row)),
    _Sort("decisions", SQL.decisions, DecisionRow, _case_no, lambda case, row: case.decisions.append(row)),
    _Sort(
        "imported_decisions",
        SQL.imported_decisions,
        StoredImported,
        _of,
        lambda case, each: case.imported.append(each),
        {"decision": Part(ImportedDecision, key=tuple, state=DecisionState)},
    ),
    _Sort("payments", SQL.payments, StoredPayment, _case_of_made, lambda case, each: case.payments.append(each), {"made": PaymentRow}),
    _Sort("receipts", SQL.receipts, StoredReceipt, _of, lambda case, each: case.receipts.update({each.receipt_no: each})),
    _Sort("contradictions", SQL.contradictions, StoredContradiction, _of, lambda case, each: case.contradictions.append(each)),
    _Sort(
        "order_checks",
        SQL.order_checks,
        StoredCheck,
        _of,
        lambda case, each: case.checks.setdefault(each.order_id, []).append(each),
        {"mode": CheckMode, "differences": decode_differences, "picture": decode_picture},
    ),
    _Sort(
        "outside_findings",
        SQL.outside_findings,
        OutsideFindingRow,
        _case_no,
        lambda case, row: case.outside.setdefault(row.order_id, []).append(row),
    ),
    _Sort("limited_orders", SQL.limited_orders, SourceHourRow, _case_no, lambda case, row: case.limited.update({row.order_id: row})),
    _Sort("records_published", SQL.published, StoredPublished, _of, lambda case, each: case.published.append(each), {"row": OutboxRow}),
    _Sort("audit_entries", SQL.audit, AuditRow, _chain, lambda case, row: case.audit.append(row)),
)
