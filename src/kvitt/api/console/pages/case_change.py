"""Reads what an order changes of what its case pays, or all open orders would: from payments, or from lines where there are none."""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.frame import Visit
from kvitt.api.console.pages.case_schedule import PaySpan, ScheduleChange, change_of
from kvitt.disbursement.derive.forwarded import pay_of_lines
from kvitt.disbursement.holding import Paid
from kvitt.disbursement.values import LineAtRail
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("case_days", "kvitt.api.console.pages")
_MOST: Final = 5_000


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


def change_by_order(visit: Visit, case_no: int, order_id: UUID, number: int) -> ScheduleChange:
    """Returns what an order changes: of the payments that it is about, or of the lines that were accepted before it."""
    asked = {"case_no": case_no, "order_id": order_id, "number": number, "limit": _MOST}
    return _change(visit, _SQL.spans_around_order, asked)


def change_by_open_orders(visit: Visit, case_no: int) -> ScheduleChange:
    """Returns what a case pays by what is accepted, and once all its open orders are."""
    return _change(visit, _SQL.spans_by_now, {"case_no": case_no, "order_id": None, "number": None, "limit": _MOST})


def _change(visit: Visit, statement: str, asked: dict[str, object]) -> ScheduleChange:
    spans = fetch(visit.connection, SpanOnSide, statement, asked)
    if spans:
        before, after = ([PaySpan(*each[1:]) for each in spans if each.is_after is side] for side in (False, True))
        return change_of(before, after)
    return _change_of_lines(fetch(visit.connection, LineOfCase, _SQL.lines_around_order, asked), asked["number"])


def _change_of_lines(lines: Sequence[LineOfCase], newest: object) -> ScheduleChange:
    stands = [_at_rail(each) for each in lines if each.number != newest]
    before, after = pay_of_lines([_at_rail(each) for each in lines if each.number == newest], stands)
    return change_of(map(_span, before), map(_span, after))


def _at_rail(line: LineOfCase) -> LineAtRail:
    return LineAtRail(*line[1:])


def _span(paid: Paid) -> PaySpan:
    return PaySpan(date.fromordinal(paid.start), date.fromordinal(paid.end), paid.amount, paid.rate)
