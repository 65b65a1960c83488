"""Jobs and roles: which jobs run when, who owns what since when, what was started when, and what came to another owner.

All of it by the clock of the database.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from kvitt.api.console.charts import BarChart, BarValue, bar_chart
from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("jobs", "kvitt.api.console.pages")
_OSLO: Final = ZoneInfo("Europe/Oslo")
_MOST: Final = 100
_HOURS: Final = 24


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


class StartsInHour(NamedTuple):
    """So many processes began to play a role within an hour."""

    role: str
    hour: datetime
    starts: int


class StartsOfRole(Struct, frozen=True):
    """Starts of a role in the last day; `most` within one hour, which began at `at`."""

    role: str
    in_this_hour: int
    in_day: int
    most: int
    at: datetime


def starts_by_role(found: Sequence[StartsInHour], hour: datetime) -> Sequence[StartsOfRole]:
    """Starts of each role, in the hour that it is and in the day up to it."""
    of_role: dict[str, list[StartsInHour]] = defaultdict(list)
    for each in found:
        of_role[each.role].append(each)
    return [_starts(role, hours, hour) for role, hours in of_role.items()]


def _starts(role: str, hours: Sequence[StartsInHour], hour: datetime) -> StartsOfRole:
    worst = max(hours, key=lambda each: (each.starts, each.hour))
    now = sum(each.starts for each in hours if each.hour == hour)
    return StartsOfRole(role, now, sum(each.starts for each in hours), worst.starts, worst.hour)


def _starts_chart(found: Sequence[StartsInHour], hour: datetime) -> BarChart:
    hours = [hour - timedelta(hours=ago) for ago in range(_HOURS, -1, -1)]
    return bar_chart([BarValue(f"{each.astimezone(_OSLO):%H}", sum(one.starts for one in found if one.hour == each)) for each in hours])


def read(visit: Visit) -> Values:
    """All jobs and leases, what was started within a day, and which leases changed hands, as far as the page has room."""
    hour = visit.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    starts = fetch(visit.connection, StartsInHour, _SQL.starts)
    changes = fetch(visit.connection, ChangeOfOwner, _SQL.changes, {"limit": _MOST + 1})
    return {
        "jobs": fetch(visit.connection, JobOnPage, _SQL.jobs),
        "leases": fetch(visit.connection, LeaseOnPage, _SQL.leases),
        "starts": starts_by_role(starts, hour),
        "starts_chart": _starts_chart(starts, hour),
        "changes": changes[:_MOST],
        "is_cut": len(changes) > _MOST,
        "in_last_hour": sum(each.is_recent for each in changes[:_MOST]),
    }


PAGES: Final = (ConsolePage("/jobs", "Jobs and roles", "jobs.html", read, nav="Jobs and roles", key="j", live="jobs"),)
