"""Reconciliation out of turn: what is left of an area is reported, and what a run over any days that are over would report is looked at."""

from datetime import date
from typing import Final

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.pages.plain_acts import said
from kvitt.api.people.claims import ConsoleRole
from kvitt.disbursement.reconcile.acts import RangeReported, reported
from kvitt.disbursement.reconcile.runs import DayRange
from kvitt.errors import BadRequest, KvittError


def read_left(visit: Visit) -> Values:
    """The form, and what is left to report of the area that is named, or the days that are. Raises BadRequest, NotReconciled."""
    asked = _asked(visit)
    return _shown(visit, asked) | ({**offered(visit, _act(asked))} if asked else {})


def report(visit: Visit) -> Values | Redirect:
    """Makes the run, or asks for it. Raises BadRequest, NotReconciled, and what making a run raises."""
    asked = _asked(visit)
    if asked is None:
        raise BadRequest(("area", "has nothing left to report"))
    answered = taken(visit, _act(asked))
    return answered if isinstance(answered, Redirect) else _shown(visit, asked) | {**answered}


def read_dry_run(visit: Visit) -> Values:
    """The totals of a run over days that are over, reported or not. Raises BadRequest, NotReconciled."""
    area, first, last = said(visit, "area"), _day(visit, "first"), _day(visit, "last")
    shown = {"areas": visit.operations.reconcile(visit.connection).areas, "area": area, "first": first, "last": last}
    if not (area and first and last):
        return {**shown, "dry_run": "", "why_not": None}
    try:
        run = visit.operations.reconcile(visit.connection).preview(area, DayRange(first, last), anew=True)
    except KvittError as error:
        return {**shown, "dry_run": "", "why_not": str(error)}
    return {**shown, "dry_run": reported(run), "why_not": None}


def _asked(visit: Visit) -> RangeReported | None:
    """The days that are named, or all that is left of the area; None: nothing is, or no area is named."""
    area, first, last = said(visit, "area"), _day(visit, "first"), _day(visit, "last")
    if not area:
        return None
    left = visit.operations.reconcile(visit.connection).next_range(area)
    if left is None and not (first and last):
        return None
    days = left or DayRange(first or date.min, last or date.min)
    return RangeReported(area, first or days.first, last or days.last)


def _act(asked: RangeReported) -> ActOnPage:
    return ActOnPage("reconcile run", asked, f"/reconciliation?month={asked.last:%Y-%m}")


def _shown(visit: Visit, asked: RangeReported | None) -> dict[str, object]:
    areas = visit.operations.reconcile(visit.connection).areas
    days = {"first": asked.first if asked else None, "last": asked.last if asked else None}
    return {"areas": areas, "area": said(visit, "area"), **days, "dry_run": None}


def _day(visit: Visit, name: str) -> date | None:
    text = said(visit, name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadRequest((name, "is a day, as 2026-05-01")) from None


_ROLE: Final = ConsoleRole.ACT
PAGES: Final = (
    ConsolePage("/reconciliation/report", "Report what is left", "report.html", read_left, role=_ROLE, acts=True),
    ConsolePage("/reconciliation/report", "Report what is left", "report.html", report, role=_ROLE, posted=True, acts=True),
    ConsolePage("/reconciliation/dry-run", "Dry run", "report.html", read_dry_run, role=_ROLE, acts=True),
)
