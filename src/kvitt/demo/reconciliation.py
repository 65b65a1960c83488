"""The end of the demo: the day of its orders is reported to the rail, which says whether it agrees."""

import time
from collections.abc import Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from kvitt.cli.wiring import wiring
from kvitt.demo.feed import PATIENCE_SECONDS
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, Run, RunState, Trigger, listing, read
from kvitt.disbursement.reconciliation import ReconciliationKind
from kvitt.kernel.clock import oslo, utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_values
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator import JudgedRun, RunDifference, reconciliations
from kvitt.rails.oppdrag.reconciliation import run_name
from kvitt.settings import Settings

_SQL = load("cli", "kvitt.cli")
_LOOK_SECONDS: Final = 0.02
_OPERATOR: Final = Operator("demo", "the demo ends with a reconciled day")


class ReconciledDay(Struct, frozen=True):
    """The day as a line of text, and where the rail does not agree."""

    line: str
    wrong: tuple[str, ...]


def reconcile_day(connection: Connection, settings: Settings) -> ReconciledDay:
    """Reports the orders of today before the day is over, in each area that has any, and waits until the rail has judged the runs.

    Orders of an area whose day is reported already left under the key of a later one, and are reported with that.
    """
    today = oslo(utc_now()).date()
    reconcile = Reconcile(connection, wiring().ports, utc_now, first_day=settings.reconciliation.first_day)
    with_orders = {*fetch_values(connection, _SQL.areas_of_day, {"day": today})}
    ranges = [(area, reconcile.next_range(area, early=True)) for area in reconcile.areas if area in with_orders]
    cause = Cause(Trigger.OPERATOR, operator=_OPERATOR)
    made = [reconcile.make(area, days, cause, early=True) for area, days in ranges if days is not None]
    if not made:
        return _before(connection, reconcile, today)
    judged = _awaited(connection, made)
    wrong = [_text(judged[run.run_id], each) for run in made if run.run_id in judged for each in judged[run.run_id].differences]
    wrong += [f"run {run.run_no} about {run.area} did not come to the rail" for run in made if run.run_id not in judged]
    said = "the rail agrees" if not wrong else f"{len(wrong)} differences"
    return ReconciledDay(f"{_counted(made)}: {said}", tuple(wrong))


def _before(connection: Connection, reconcile: Reconcile, today: date) -> ReconciledDay:
    """Says what the rail made of the runs by which today is reported already."""
    found = listing(connection, kind=ReconciliationKind.INTERFACE, state=RunState.GOOD, day=today, limit=len(reconcile.areas))
    agreeing = all((judged := _judged(connection, run)) and judged.agrees for run in found)
    said = "the rail agreed" if agreeing else "there were differences"
    return ReconciledDay(f"{_counted(found)} before: {said}; what left since is reported with the next day", ())


def _counted(runs: Sequence[Run]) -> str:
    orders, messages = sum(run.orders for run in runs), sum(run.messages for run in runs)
    return f"{orders:,} orders of {len(runs)} areas reported to the rail in {messages:,} messages"


def _awaited(connection: Connection, made: Sequence[Run]) -> dict[str, JudgedRun]:
    """The judged runs by their ids at the hub; one that was not put, or not judged, in time is not among them."""
    deadline, found = time.monotonic() + PATIENCE_SECONDS, dict[str, JudgedRun]()
    while len(found) < len(made) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        for run in made:
            if run.run_id not in found and (judged := _judged(connection, run)):
                found[run.run_id] = judged
    return found


def _judged(connection: Connection, run: Run) -> JudgedRun | None:
    found = [each for each in reconciliations(connection, run_name(run.run_id)) if each.ended_at is not None]
    return found[0] if found and read(connection, run.run_no).state is RunState.GOOD else None


def _text(run: JudgedRun, each: RunDifference) -> str:
    about = " ".join(part for part in (each.case_id, each.about) if part)
    return f"{run.area}: {each.what.value} {about}: expected {each.expected}, found {each.found}"
