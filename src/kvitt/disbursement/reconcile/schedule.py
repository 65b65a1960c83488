"""The jobs that reconcile each area on each working day; a day that was missed is part of the next run (design §15)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time
from functools import partial
from typing import Final

from msgspec import Struct

from kvitt.disbursement.calendar import is_working_day
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.reconcile.reconcile import Reconcile, areas_of
from kvitt.disbursement.reconcile.runs import Cause, Trigger
from kvitt.disbursement.values import Area
from kvitt.kernel.clock import Clock, oslo
from kvitt.kernel.database import Connection
from kvitt.kernel.jobs import At, Job

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
    return f"run {run.run_no} about {days}: {run.orders} orders in {run.messages} messages"
