"""Jobs and roles: which jobs run when, who owns what since when, and what came to another owner, by the clock of the database."""

from datetime import datetime
from typing import Final, NamedTuple

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("jobs", "kvitt.api.console.pages")
_MOST: Final = 100


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
    since: datetime | None
    until: datetime | None
    is_held: bool


class ChangeOfOwner(NamedTuple):
    """A lease that came to another owner: a process was started, or took over from one that had ended."""

    lease: str
    owner: str
    fencing_token: int
    since: datetime
    is_recent: bool


def read(visit: Visit) -> Values:
    """All jobs and leases, and which leases changed hands within a day, as far as the page has room."""
    changes = fetch(visit.connection, ChangeOfOwner, _SQL.changes, {"limit": _MOST + 1})
    return {
        "jobs": fetch(visit.connection, JobOnPage, _SQL.jobs),
        "leases": fetch(visit.connection, LeaseOnPage, _SQL.leases),
        "changes": changes[:_MOST],
        "is_cut": len(changes) > _MOST,
        "in_last_hour": sum(each.is_recent for each in changes[:_MOST]),
    }


PAGES: Final = (ConsolePage("/jobs", "Jobs and roles", "jobs.html", read, nav="Jobs and roles", key="j", live="jobs"),)
