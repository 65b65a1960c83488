"""The jobs that make runs of reconciliation: of each area on each working day, where a missed day is part of the next run; and soon after a
record of a topic asked for it, each record once (design §15, rapid §4.3).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Final, NamedTuple

import structlog
from msgspec import Struct

from kvitt.disbursement.calendar import is_working_day
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.reconcile.reconcile import Reconcile, areas_of
from kvitt.disbursement.reconcile.runs import Cause, DayRange, Trigger
from kvitt.disbursement.values import Area
from kvitt.errors import AlreadyReconciled
from kvitt.formats.counts import counted
from kvitt.kernel.clock import Clock, oslo
from kvitt.kernel.database import Connection, is_connection_lost
from kvitt.kernel.fetch import fetch
from kvitt.kernel.jobs import At, Every, Job
from kvitt.kernel.queries import load

_SQL: Final = load("triggers", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
_EVERY: Final = timedelta(seconds=5)
_AT_ONCE: Final = 20
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)
_NOTHING_LEFT: Final = "all days up to that one are reconciled"
_WORKING_DAYS: Final = "working days"
_EARLIEST: Final = time(0, 1)
"""Before, an order of the day that is over may still be about to be stored: that day would be reported a day late."""


class ReconciliationTimetable(Struct, frozen=True):
    """When areas are reconciled, in Oslo's time: `at`, or at their own in `areas`; never those that are `off`, nor any if `at` is None.

    Never before a minute past midnight: only then is the day before over for certain.
    """

    at: time | None
    areas: Mapping[str, time] = {}
    off: Collection[str] = ()
    first_day: date | None = None


def scheduled_areas(ports: Ports, timetable: ReconciliationTimetable) -> Mapping[Area, str]:
    """The areas that have a job, with its name."""
    if timetable.at is None:
        return {}
    return {area: f"reconcile {area}" for area, _, _ in areas_of(ports.contracts, ports.rails) if area not in timetable.off}


def reconciliation_jobs(ports: Ports, clock: Clock, timetable: ReconciliationTimetable) -> Sequence[Job]:
    """A job for each area whose orders are reported."""
    if timetable.at is None:
        return ()
    return [
        Job(
            name,
            At((max(_EARLIEST, timetable.areas.get(area, timetable.at)),), _WORKING_DAYS, is_working_day),
            partial(_reconcile, ports, clock, timetable.first_day, area),
            act="reconcile run",
        )
        for area, name in scheduled_areas(ports, timetable).items()
    ]


def _reconcile(ports: Ports, clock: Clock, first_day: date | None, area: str, connection: Connection, _due: datetime) -> str:
    reconcile = Reconcile(connection, ports, clock, first_day=first_day)
    if not is_working_day(oslo(clock()).date()):
        return "today is no working day: the next one covers it"
    days = reconcile.next_range(area)
    if days is None:
        return "all days up to yesterday are reconciled"
    run = reconcile.make(area, days, Cause(Trigger.SCHEDULE))
    return f"run {run.run_no} about {days}: {counted(run.orders, 'order')} in {counted(run.messages, 'message')}"


class _DueTrigger(NamedTuple):
    trigger_no: int
    source: str
    partition: int
    position: int
    up_to: date
    tries: int

    @property
    def name(self) -> str:
        """How runs name the record that they were made for."""
        return f"{self.source}/{self.partition}/{self.position}"


def trigger_job(ports: Ports, clock: Clock, first_day: date | None = None, *, on: bool = True) -> Job:
    """The job that does what records ask for, or, where that is not `on`, notes that nothing is done.

    `first_day` is where areas begin that were never reconciled.
    """

    def run(connection: Connection, _due: datetime) -> str:
        return f"records that asked for reconciliation: {Triggers(connection, ports, clock, first_day, on=on).do_due()}"

    return Job("reconciliation triggers", Every(_EVERY), run)


class Triggers:
    """Makes the runs that records ask for, in the transaction that is open on a connection."""

    def __init__(self, connection: Connection, ports: Ports, clock: Clock, first_day: date | None = None, *, on: bool = True) -> None:
        self._connection, self._contracts, self._clock, self._on = connection, ports.contracts, clock, on
        self._reconcile = Reconcile(connection, ports, clock, first_day=first_day)

    def do_due(self) -> int:
        """Does what is due, oldest first; returns how many records that were.

        Each area is for itself: one in which it fails is tried again later, and holds up neither the others nor the records behind.
        Raises psycopg errors when the connection is lost.
        """
        due = fetch(self._connection, _DueTrigger, _SQL.due_triggers, {"now": self._clock(), "limit": _AT_ONCE})
        for each in due:
            self._do(each)
        return len(due)

    def _do(self, asked: _DueTrigger) -> None:
        outcomes, failed = [], False
        for area in self._areas_of(asked.source):
            try:
                with self._connection.transaction():
                    outcome = self._make(area, asked)
            except Exception as error:
                if is_connection_lost(error):
                    raise
                failed, outcome = True, f"failed: {type(error).__name__}"
                _log.error("reconciliation failed", area=area, asked_by=asked.name, error=type(error).__name__)
            outcomes.append(f"{area} {outcome}")
        self._note(asked, "; ".join(outcomes) or "nothing is reported to a rail when a record asks for it", failed=failed)

    def _areas_of(self, source: str) -> Sequence[Area]:
        """The areas of all schemes of the contract that heard the record; none where that is turned off."""
        if not self._on:
            return ()
        schemes = {*self._contracts.of[source].sources.values()}
        return [area for area in self._reconcile.areas if AREAS[area].scheme in schemes]

    def _make(self, area: Area, asked: _DueTrigger) -> str:
        days = self._days(area, asked.up_to)
        if days is None:
            return _NOTHING_LEFT
        try:
            run = self._reconcile.make(area, days, Cause(Trigger.EVENT, asked.name))
        except AlreadyReconciled:
            return _NOTHING_LEFT
        self._connection.execute(_SQL.caused_run, {"run_no": run.run_no, "trigger_no": asked.trigger_no})
        return f"{days}: run {run.run_no} with {counted(run.orders, 'order')}"

    def _days(self, area: Area, up_to: date) -> DayRange | None:
        """From where the last run ended to the day asked for, or to yesterday: a day that is not over comes with the next run."""
        days = self._reconcile.next_range(area)
        if days is None:
            return None
        last = min(days.last, up_to)
        return DayRange(days.first, last) if days.first <= last else None

    def _note(self, asked: _DueTrigger, outcome: str, *, failed: bool) -> None:
        now = self._clock()
        row = {"trigger_no": asked.trigger_no, "outcome": outcome, "now": now}
        if failed:
            wait = min(_FIRST_WAIT * 2 ** min(asked.tries, 10), _LONGEST_WAIT)
            self._connection.execute(_SQL.try_trigger_again, {**row, "due_at": now + wait})
        else:
            self._connection.execute(_SQL.trigger_done, row)
