"""Jobs and roles: which jobs run when, and who owns what by its lease, by the clock of the database."""

from datetime import datetime
from typing import Final, NamedTuple

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("jobs", "kvitt.api.console.pages")


class JobOnPage(NamedTuple):
    """A scheduled job, and how its last run went."""

    name: str
    timetable: str
    next_due: datetime
    last_run: datetime | None
    state: str
    tries: int
    outcome: str | None


class LeaseOnPage(NamedTuple):
    """A thing that has one owner at a time, and who that is."""

    lease: str
    owner: str
    fencing_token: int
    until: datetime | None
    is_held: bool


def read(visit: Visit) -> Values:
    """All jobs and leases."""
    return {"jobs": fetch(visit.connection, JobOnPage, _SQL.jobs), "leases": fetch(visit.connection, LeaseOnPage, _SQL.leases)}


PAGES: Final = (ConsolePage("/jobs", "Jobs and roles", "jobs.html", read, nav="Jobs and roles", key="j", live="jobs"),)
