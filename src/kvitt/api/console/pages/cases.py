"""One case: a month of it in words, what it waits for, its payments in force, orders with lines, receipts, messages, and what happened."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.hours import RailHours, rail_hours
from kvitt.api.console.pages.case_head import case_looked_at, case_of, version
from kvitt.api.console.pages.case_months import changes_of_month, in_words, month_asked
from kvitt.api.console.pages.case_notes import notes_of
from kvitt.api.console.pages.case_timeline import audited, newest_events
from kvitt.api.console.pages.case_words import WaitingLine, orders_in_words, waiting_line
from kvitt.api.console.pages.overview import NeedsPerson
from kvitt.api.people.claims import ConsoleRole
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("cases", "kvitt.api.console.pages")
_MOST: Final = 50
_MOST_LINES: Final = 250
_MOST_CASES: Final = 100


class CaseOrder(NamedTuple):
    """An order of the case."""

    order_id: UUID
    number: int
    area: str
    state: str
    is_held: bool
    made_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    sum_kroner: Kroner


class LineInCase(NamedTuple):
    """A line of one of them."""

    order_id: UUID
    line_id: str
    class_code: str
    start_on: date
    end_on: date
    amount_kroner: Kroner
    rate_type: str | None
    ceased_from: date | None


class CaseReceipt(NamedTuple):
    """A receipt of one of them."""

    receipt_no: int
    order_id: UUID
    received_at: datetime
    severity: str | None
    code: str | None
    note: str | None
    outcome: str


class CaseMessage(NamedTuple):
    """A message about the case."""

    message_no: int
    source: str
    partition: int
    position: int
    dry_run: bool
    state: str
    received_at: datetime


class PeriodInForce(NamedTuple):
    """A period of a payment in force."""

    payment_id: UUID
    area: str
    benefit: str | None
    rate_type: str | None
    start_on: date
    end_on: date
    amount_kroner: Kroner


class CaseOfPerson(NamedTuple):
    """A case in the list of a person's."""

    case_no: int
    scheme: str
    case_id: str
    open_orders: int
    queued_messages: int
    last_at: datetime


def read_one(visit: Visit) -> Values:
    """All about one case; of what there is much, the newest. Raises NotFound, BadRequest."""
    case, month, connection = case_looked_at(visit, "case"), month_asked(visit), visit.connection
    asked = {**case.asked(_MOST), "events": _MOST_LINES}
    lines: dict[UUID, list[LineInCase]] = defaultdict(list)
    for each in fetch(connection, LineInCase, _SQL.lines_of_case, asked):
        lines[each.order_id].append(each)
    changes = changes_of_month(visit, case.case_no, month)
    orders = orders_in_words(visit, case.case_no, [each.order_id for each, _, _ in changes])
    line = waiting_line(visit, case, orders.values())
    return {
        "case": case,
        "notes": notes_of(visit, case.case_no),
        "waits": fetch(connection, NeedsPerson, _SQL.attention_of_case, asked),
        "line": line,
        "closed": _closed(visit, line),
        "month": month,
        "sentences": in_words(changes, orders),
        "has_payments": fetch_value(connection, _SQL.has_payments, asked),
        "paid": fetch(connection, PeriodInForce, _SQL.paid, asked),
        "orders": fetch(connection, CaseOrder, _SQL.orders_of_case, asked),
        "lines": lines,
        "receipts": fetch(connection, CaseReceipt, _SQL.receipts_of_case, asked),
        "messages": fetch(connection, CaseMessage, _SQL.messages_of_case, asked),
        "events": newest_events(visit, case, _MOST),
        "audit": audited(visit, case),
        "most": _MOST,
        "may_reveal": visit.may(ConsoleRole.PERSONS) and not visit.reveals,
    }


def _closed(visit: Visit, line: WaitingLine) -> Sequence[RailHours]:
    """The rails of open orders that are closed at this moment."""
    schedules = visit.operations.schedules
    rails = sorted({order.rail for order, _ in line.behind} & schedules.keys())
    return [hours for hours in (rail_hours(rail, schedules[rail], visit.now) for rail in rails) if not hours.is_open]


def reveal(visit: Visit) -> Redirect:
    """Shows the person of a case from now on, to this session. Raises NotFound, NotPermitted."""
    case = case_of(visit)
    visit.reveal(case.case_no)
    visit.look("asked to see the person", case.case_no)
    return Redirect(f"/cases/{case.case_no}")


def read_of_person(visit: Visit) -> Values:
    """All cases of the person of a case, under an address that says nothing about the person. Raises NotFound."""
    case = case_looked_at(visit, "all cases of the person")
    return {
        "case": case,
        "cases": fetch(visit.connection, CaseOfPerson, _SQL.cases_of_person, {"case_no": case.case_no, "limit": _MOST_CASES}),
    }


def version_of_person(visit: Visit) -> str:
    """That of the cases of a person: which they are, and how each stands."""
    found = fetch_value(visit.connection, _SQL.person_version, {"case_no": visit.path["case_no"]})
    return sha256(str(found).encode()).hexdigest()


PAGES: Final = (
    ConsolePage("/cases/{case_no:int}", "Case", "case.html", read_one, live="messages orders receipts notes", version=version),
    ConsolePage("/cases/{case_no:int}/reveal", "Case", "case.html", reveal, role=ConsoleRole.PERSONS, posted=True),
    ConsolePage(
        "/cases/{case_no:int}/person",
        "Cases of a person",
        "cases_of_person.html",
        read_of_person,
        live="messages orders",
        version=version_of_person,
    ),
)
