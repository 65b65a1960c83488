"""Overview: all that needs a person, in one list from one view, the highest check sum first and then the oldest; below it how the rails,
sending and open orders stand, what waits for its turn, and whether we keep up.
"""

from collections.abc import Container, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from kvitt.api.console import showing
from kvitt.api.console.charts import BarValue, StepChart, bar_chart, step_chart
from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.hours import RailHours, rail_hours
from kvitt.api.console.pages.case_notes import newest_notes
from kvitt.api.console.pages.health import Backlog
from kvitt.api.console.pages.open_orders import AGES, OpenSum, behind, by_open_age, by_place, counted_out, leaving, open_sums, stops
from kvitt.api.console.pages.rates import rates_today
from kvitt.disbursement.catalogue import AREAS
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("overview", "kvitt.api.console.pages")
_MOST: Final = 100
_MOST_COUNTED: Final = 1_000
_NEWEST: Final = 1_000
_SILENT: Final = timedelta(hours=1)
_PLACES: Final = {
    "sending stopped": "/sending",
    "rail silent": "/simulations",
    "reconciliation late": "/reconciliation",
    "job failed": "/jobs",
    "payout at another ledger": "/payouts",
}
_LIVE: Final = "orders messages receipts published approvals alarms notes reconciliation simulations payouts"
_HOURS: Final = 6
_MINUTE: Final = 60


class NeedsPerson(NamedTuple):
    """One thing that does not go on by itself: what, whose, how much, since when, why, and what ends it."""

    what: str
    case_no: int | None
    scheme: str | None
    case_id: str | None
    area: str | None
    order_id: UUID | None
    message_no: int | None
    approval_no: int | None
    dead_no: int | None
    since: datetime
    sum_kroner: Kroner | None
    why: str | None
    ends_by: str


class LastRun(NamedTuple):
    """The last good run of reconciliation of an area."""

    run_no: int
    rail: str
    area: str
    kind: str
    last_day: date
    good_at: datetime
    orders: int


class NotTakenIn(NamedTuple):
    """Records of a topic of the embedded log that are not taken in yet."""

    topic: str
    records: int


class _LastReceipt(NamedTuple):
    rail: str
    received_at: datetime


class RailNow(Struct, frozen=True):
    """A rail's hours beside what it does: `receipt_at` is when it said something last, None: not lately.

    It `is_silent` where it is open, has owed an answer for an hour in which it was open, and has said nothing in that time.
    """

    hours: RailHours
    receipt_at: datetime | None
    is_silent: bool


def read(visit: Visit) -> Values:
    """All that needs a person now, up to a bound, and how things stand beside it."""
    connection = visit.connection
    found = fetch(connection, NeedsPerson, _SQL.attention, {"limit": _MOST + 1})
    stopped, sums = stops(connection), open_sums(visit, _MOST_COUNTED)
    cut = counted_out(sums, _MOST_COUNTED)
    areas = {"areas": list(AREAS), "rails": visit.operations.rails}
    return {
        "found": found[:_MOST],
        "places": [_place_of(each) for each in found[:_MOST]],
        "noted": newest_notes(visit, [each.case_no for each in found if each.case_no]),
        "is_cut": len(found) > _MOST,
        "stops": [(each, behind(each, sums)) for each in stopped],
        "rails": _rails(visit, sums),
        "leaving": leaving(sums, stopped),
        "open": by_place(sums),
        "ages": AGES,
        "open_chart": bar_chart([BarValue(age, orders) for age, orders in zip(AGES[::-1], by_open_age(sums)[::-1], strict=True)]),
        "is_at_least": bool(cut),
        "most": _MOST_COUNTED,
        "rates": rates_today(connection, visit.now),
        "keeping_up": keeping_up(connection, visit.now),
        "keeping_up_hours": _HOURS,
        "runs": fetch(connection, LastRun, _SQL.last_runs, areas),
        "not_taken_in": fetch(connection, NotTakenIn, _SQL.not_taken_in),
        "backlogs": [*fetch(connection, Backlog, _SQL.backlogs), *_open_orders(sums, cut)],
    }


def _open_orders(sums: Sequence[OpenSum], cut: Container[str]) -> Sequence[Backlog]:
    """The open orders of each state, as they were counted for their ages."""
    by_state = {state: [each for each in sums if each.state == state] for state in sorted({each.state for each in sums})}
    return [
        Backlog(f"orders {state}", sum(each.orders for each in there), state in cut, min(each.oldest for each in there))
        for state, there in by_state.items()
    ]


def _place_of(need: NeedsPerson) -> str:
    """The page where something is looked into that is about no order, message or approval; nothing where its own columns lead there."""
    if need.dead_no:
        return f"/dead-letters/{need.dead_no}"
    if need.what.startswith("receipt ") and need.order_id is None:
        return "/receipts?open=yes"
    return _PLACES.get(need.what, "")


def _rails(visit: Visit, sums: Sequence[OpenSum]) -> Sequence[RailNow]:
    last = {each.rail: each.received_at for each in fetch(visit.connection, _LastReceipt, _SQL.last_receipts, {"limit": _NEWEST})}
    return [_rail_now(visit, rail, last.get(rail), sums) for rail in visit.operations.rails]


def _rail_now(visit: Visit, rail: str, receipt_at: datetime | None, sums: Sequence[OpenSum]) -> RailNow:
    schedule = visit.operations.schedules[rail]
    hours, an_hour_ago = rail_hours(rail, schedule, visit.now), schedule.open_time_ago(visit.now, _SILENT)
    owes = any(each.rail == rail and each.state == "sent" and each.oldest < an_hour_ago for each in sums)
    return RailNow(hours, receipt_at, hours.is_open and owes and (receipt_at is None or receipt_at < an_hour_ago))


class BehindInSpan(NamedTuple):
    """The worst of ten minutes; `not_taken_in` None: the brokers could not be asked."""

    at: datetime
    not_taken_in: int | None
    unpublished_seconds: int
    unanswered_seconds: int


class KeepingUp(Struct, frozen=True):
    """The last that was noted of the last hours, and each figure over them; None: nothing was."""

    last: BehindInSpan | None
    not_taken_in: StepChart | None
    unpublished: StepChart | None
    unanswered: StepChart | None


def keeping_up(connection: Connection, now: datetime) -> KeepingUp:
    """How far the hub was behind in the last hours."""
    spans: Sequence[BehindInSpan] = fetch(connection, BehindInSpan, _SQL.keeping_up, {"since": now - timedelta(hours=_HOURS)})
    return KeepingUp(
        spans[-1] if spans else None,
        step_chart([(each.at, each.not_taken_in) for each in spans if each.not_taken_in is not None]),
        step_chart([(each.at, each.unpublished_seconds) for each in spans], _seconds),
        step_chart([(each.at, each.unanswered_seconds // _MINUTE) for each in spans], _minutes),
    )


def _seconds(number: int) -> str:
    return f"{showing.grouped(number)} s"


def _minutes(number: int) -> str:
    return f"{showing.grouped(number)} min"


PAGES: Final = (ConsolePage("/", "Overview", "overview.html", read, nav="Overview", key="o", live=_LIVE),)
