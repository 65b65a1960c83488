"""Reconciliation: a month of days with the run of each, and one run with its totals, its messages, and what has changed since."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.errors import BadRequest, NotFound
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("reconciliation", "kvitt.api.console.pages")
_BUCKETS: Final = ("accepted", "warned", "rejected", "missing")
_MOST_RUNS: Final = 5_000
_MOST_SHOWN: Final = 500
_MESSAGES: Final = 20
_ADDED_UP_AT_ONCE: Final = 5_000
_MOST_ADDED_UP: Final = 100_000
_LOOKED_THROUGH: Final = 5_000
_BEFORE_ALL: Final = UUID(int=0)
_FIRST_YEAR, _LAST_YEAR = 1900, 2999


class RunInCalendar(NamedTuple):
    """A run, and the days that it is about."""

    run_no: int
    area: str
    kind: str
    first_day: date
    last_day: date
    state: str


class UnreconciledArea(NamedTuple):
    """An area that is not reconciled, though it should be."""

    area: str
    kind: str
    since: datetime


class RunOnPage(NamedTuple):
    """A run with its totals."""

    run_no: int
    run_id: UUID
    rail: str
    area: str
    kind: str
    form: str
    first_day: date
    last_day: date
    first_key: str | None
    last_key: str | None
    trigger: str
    made_by: str | None
    reason: str | None
    made_at: datetime
    state: str
    good_at: datetime | None
    replaced_by: int | None
    orders: int
    messages: int
    accepted: int
    warned: int
    rejected: int
    missing: int
    accepted_kroner: Kroner
    warned_kroner: Kroner
    rejected_kroner: Kroner
    missing_kroner: Kroner
    messages_sent: int
    cases: int
    lines: int
    kroner: Kroner


class SumOfBucket(NamedTuple):
    """The sum of the orders of one bucket."""

    bucket: str
    orders: int
    kroner: Kroner


class BucketOnPage(Struct, frozen=True):
    """A bucket as it was reported, and as its orders add up; `own` None: there are so many that nobody has added them up for this page."""

    reported: SumOfBucket
    own: SumOfBucket | None

    @property
    def differs(self) -> bool:
        """Whether they are not the same."""
        return self.own is not None and self.own != self.reported


class MessageOfRun(NamedTuple):
    """A message as it leaves."""

    place: int
    message_id: UUID
    state: str
    sent_at: datetime | None
    body: bytes


class RemarkOnCase(NamedTuple):
    """A case of which the rail may have other lines."""

    case_no: int
    scheme: str
    case_id: str
    remark: str
    order_id: UUID | None


class OrderSince(NamedTuple):
    """An order that is otherwise by now than it was reported; one that `is_last` of those that were looked through may be as it was."""

    order_id: UUID
    case_no: int
    scheme: str
    case_id: str
    bucket: str
    order_state: str
    sum_kroner: Kroner
    settled_at: datetime | None
    decided_by_hand: bool
    order_receipt_no: int | None
    is_last: bool


def read_month(visit: Visit) -> Values:
    """The days of a month, newest first, with the run of each area that is about it. Raises BadRequest."""
    first = _month(visit)
    days = [first.replace(day=number) for number in range(monthrange(first.year, first.month)[1], 0, -1)]
    runs = fetch(visit.connection, RunInCalendar, _SQL.runs, {"first": first, "last": days[0], "limit": _MOST_RUNS})
    columns, by_day = sorted({(each.area, each.kind) for each in runs}), _runs_by_day(runs, days)
    return {
        "first": first,
        "days": [(day, [by_day.get((area, kind, day)) for area, kind in columns]) for day in days],
        "columns": columns,
        "before": f"{first - timedelta(days=1):%Y-%m}",
        "behind": f"{days[0] + timedelta(days=1):%Y-%m}",
        "late": fetch(visit.connection, UnreconciledArea, _SQL.alarms),
    }


def _month(visit: Visit) -> date:
    """The first day of the month that is asked for, or else of the newest run."""
    asked = visit.query.get("month")
    if asked is None:
        newest: date = fetch_value(visit.connection, _SQL.newest_day) or visit.now.date()
        return newest.replace(day=1)
    try:
        found = datetime.strptime(asked, "%Y-%m").date()  # noqa: DTZ007 - a month is of no zone
    except ValueError:
        raise BadRequest(("month", "is a year and a month, as 2026-06")) from None
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise BadRequest(("month", f"is of the years {_FIRST_YEAR} to {_LAST_YEAR}"))
    return found


def _runs_by_day(runs: Sequence[RunInCalendar], days: Sequence[date]) -> Mapping[tuple[str, str, date], RunInCalendar]:
    """The run that counts, by area, kind and day: the newest one that was neither replaced nor dropped, if there is any such."""
    counts_last = sorted(runs, key=lambda each: (each.state not in ("replaced", "dropped"), each.run_no))
    return {(run.area, run.kind, day): run for run in counts_last for day in days if run.first_day <= day <= run.last_day}


def read_run(visit: Visit) -> Values:
    """One run with a page of its messages. Raises BadRequest, NotFound."""
    run, after = run_on_page(visit), place_in(visit.query.get(AFTER), int)
    visit.look(f"run {run.run_no} of reconciliation")
    asked = {"run_no": run.run_no, "after": after[0] if after else -1, "limit": _MESSAGES + 1}
    messages = fetch(visit.connection, MessageOfRun, _SQL.messages, asked)
    return {
        "run": run,
        "buckets": _buckets(visit, run),
        "may_add_up": run.orders <= _MOST_ADDED_UP,
        "remarks": fetch(visit.connection, RemarkOnCase, _SQL.remarks, {"run_no": run.run_no, "limit": _MOST_SHOWN}),
        "messages": listed(messages, lambda each: (each.place,), after, _MESSAGES),
        "most": _MOST_SHOWN,
    }


def run_on_page(visit: Visit) -> RunOnPage:
    """The run that the address names. Raises NotFound."""
    found = fetch_one(visit.connection, RunOnPage, _SQL.run, {"run_no": visit.path["run_no"]})
    if found is None:
        raise NotFound("there is no such run")
    return found


def version_of_run(visit: Visit) -> str:
    """That of a run: how far it has come."""
    return fetch_value(visit.connection, _SQL.run_version, {"run_no": visit.path["run_no"]}) or ""


def _buckets(visit: Visit, run: RunOnPage) -> Sequence[BucketOnPage]:
    """The buckets of a run; none where it is about lines in force. Of many orders they are added up for who asks for it."""
    if run.kind != "interface":
        return ()
    reported = [SumOfBucket(each, getattr(run, each), getattr(run, f"{each}_kroner")) for each in _BUCKETS]
    if run.orders > (_MOST_ADDED_UP if "sums" in visit.query else _ADDED_UP_AT_ONCE):
        return [BucketOnPage(each, None) for each in reported]
    own = {each.bucket: each for each in fetch(visit.connection, SumOfBucket, _SQL.sums, {"run_no": run.run_no})}
    return [BucketOnPage(each, own.get(each.bucket, SumOfBucket(each.bucket, 0, Kroner(0)))) for each in reported]


def read_since(visit: Visit) -> Values:
    """Orders of a run whose state has changed since, as they stand now, of so many that are looked through. Raises BadRequest, NotFound."""
    run, place = run_on_page(visit), place_in(visit.query.get(AFTER), UUID)
    if not visit.takes_out:
        visit.look(f"run {run.run_no} of reconciliation, since then")
    behind = {"after": place[0] if place else _BEFORE_ALL, "looked_through": _LOOKED_THROUGH}
    found = fetch(visit.connection, OrderSince, _SQL.since, {"run_no": run.run_no, **behind, "limit": visit.page_rows + 2})
    changed = [each for each in found if each.settled_at and each.settled_at > run.made_at]
    page = listed(changed, lambda each: (each.order_id,), place, visit.page_rows)
    end = None if page.older else next((str(each.order_id) for each in found if each.is_last), None)
    return {"run": run, "changed": page, "older": page.older or end, "is_cut": end is not None, "looked_through": _LOOKED_THROUGH}


PAGES: Final = (
    ConsolePage(
        "/reconciliation", "Reconciliation", "reconciliation.html", read_month, nav="Reconciliation", key="c", live="reconciliation"
    ),
    ConsolePage("/reconciliation/{run_no:int}", "Run", "run.html", read_run, live="reconciliation", version=version_of_run),
    ConsolePage("/reconciliation/{run_no:int}/since", "Since then", "since.html", read_since),
)
