"""The schedule of a case, day by day in whole weeks: before and after an order, or as it is in force and with all that is open."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.charts import BarValue, bar_chart
from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.pages.case_head import CaseOnPage, case_looked_at, version
from kvitt.api.console.pages.case_schedule import PaySpan, ScheduleChange, change_of, monday_of
from kvitt.disbursement.derive.forwarded import pay_of_lines
from kvitt.disbursement.holding import Paid
from kvitt.disbursement.values import LineAtRail
from kvitt.errors import BadRequest, NotFound
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("case_days", "kvitt.api.console.pages")
_WEEKS: Final = 14
_NOW: Final = "now"
_MOST: Final = 5_000
_MOST_ORDERS: Final = 200


class OrderInChooser(NamedTuple):
    """An order that may be chosen."""

    order_id: UUID
    number: int
    area: str
    state: str
    made_at: datetime


class SpanOnSide(NamedTuple):
    """Pay of a payment before an order, or after it."""

    is_after: bool
    start_on: date
    end_on: date
    amount_kroner: Kroner
    rate_type: str


class LineOfCase(NamedTuple):
    """A line that its sender made, of an order that was accepted or of the one that is looked at."""

    number: int
    line_id: str
    refers_to: str | None
    class_code: str
    start_on: date
    end_on: date
    amount_kroner: Kroner
    ceased_from: date | None


def read(visit: Visit) -> Values:
    """The weeks of a schedule, from a day on. Raises NotFound, BadRequest."""
    case = case_looked_at(visit, "days of the case")
    orders = fetch(visit.connection, OrderInChooser, _SQL.orders_to_choose, case.asked(_MOST_ORDERS))
    chosen = _chosen(visit, orders)
    change = _change(visit, case, chosen)
    start = _day_asked(visit) or change.first
    weeks = change.weeks(start, _WEEKS) if start else []
    return {
        "case": case,
        "orders": orders,
        "chosen": chosen,
        "change": change,
        "weeks": weeks,
        "chart": bar_chart([BarValue(each.number, each.difference) for each in weeks]) if any(each.difference for each in weeks) else None,
        "earlier": _earlier(weeks[0].days[0].day) if weeks else None,
        "later": weeks[-1].days[-1].day.fromordinal(weeks[-1].days[-1].day.toordinal() + 1) if weeks else None,
        "most": _MOST_ORDERS,
    }


def _chosen(visit: Visit, orders: Sequence[OrderInChooser]) -> OrderInChooser | None:
    """The order that is asked for; of a case that waits for nothing the last one that was accepted, where none is."""
    text = visit.query.get("order")
    if text is None:
        return next((each for each in orders[:1] if each.state == "accepted"), None)
    if text == _NOW:
        return None
    found = next((each for each in orders if str(each.order_id) == text), None)
    if found is None:
        raise NotFound(f"the newest {_MOST_ORDERS} orders of the case have none of this id")
    return found


def _change(visit: Visit, case: CaseOnPage, chosen: OrderInChooser | None) -> ScheduleChange:
    """Of the payments that an order changes, or of all where none is chosen; of lines where there are no payments."""
    asked = {**case.asked(_MOST), "order_id": chosen.order_id if chosen else None, "number": chosen.number if chosen else None}
    spans = fetch(visit.connection, SpanOnSide, _SQL.spans_around_order if chosen else _SQL.spans_by_now, asked)
    if spans:
        before, after = ([PaySpan(*each[1:]) for each in spans if each.is_after is side] for side in (False, True))
        return change_of(before, after)
    return _change_of_lines(fetch(visit.connection, LineOfCase, _SQL.lines_around_order, asked), chosen)


def _change_of_lines(lines: Sequence[LineOfCase], chosen: OrderInChooser | None) -> ScheduleChange:
    newest = chosen.number if chosen else None
    stands = [_at_rail(each) for each in lines if each.number != newest]
    before, after = pay_of_lines([_at_rail(each) for each in lines if each.number == newest], stands)
    return change_of(map(_span, before), map(_span, after))


def _at_rail(line: LineOfCase) -> LineAtRail:
    return LineAtRail(*line[1:])


def _span(paid: Paid) -> PaySpan:
    return PaySpan(date.fromordinal(paid.start), date.fromordinal(paid.end), paid.amount, paid.rate)


def _day_asked(visit: Visit) -> date | None:
    text = visit.query.get("from")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadRequest(("from", "is a day, such as 2026-05-04")) from None


def _earlier(first: date) -> date:
    return monday_of(date.fromordinal(max(first.toordinal() - 7 * _WEEKS, 1)))


PAGES: Final = (
    ConsolePage("/cases/{case_no:int}/days", "Days of a case", "case_days.html", read, live="orders receipts", version=version),
)
