"""The schedule of a case, day by day in whole weeks: before and after an order, or as it is in force and with all that is open."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.charts import BarValue, bar_chart
from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.pages.case_change import change_by_open_orders, change_by_order
from kvitt.api.console.pages.case_head import case_looked_at, version
from kvitt.api.console.pages.case_schedule import monday_of
from kvitt.errors import BadRequest, NotFound
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("case_days", "kvitt.api.console.pages")
_WEEKS: Final = 14
_NOW: Final = "now"
_MOST_ORDERS: Final = 200


class OrderInChooser(NamedTuple):
    """An order that may be chosen."""

    order_id: UUID
    number: int
    area: str
    state: str
    made_at: datetime


def read(visit: Visit) -> Values:
    """The weeks of a schedule, from a day on. Raises NotFound, BadRequest."""
    case = case_looked_at(visit, "days of the case")
    orders = fetch(visit.connection, OrderInChooser, _SQL.orders_to_choose, case.asked(_MOST_ORDERS))
    chosen = _chosen(visit, orders)
    change = change_by_order(visit, case.case_no, chosen.order_id, chosen.number) if chosen else change_by_open_orders(visit, case.case_no)
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
