"""Health: whether everything adds up, what is not finished, what stands as an alarm, and how old each is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.queries import load

_SQL: Final = load("health", "kvitt.api.console.pages")

_LIVE: Final = "messages orders receipts published alarms checks reconciliation"


class Backlog(NamedTuple):
    """Unfinished things of one kind; `is_at_least`: there are more than were counted."""

    what: str
    rows: int
    is_at_least: bool
    oldest: datetime | None


class OpenAlarm(NamedTuple):
    """An alarm that stands, what it is about, and since when."""

    kind: str
    about: str
    since: datetime


class LastCheck(NamedTuple):
    """The last check of the whole store: rows looked at and differences, by kind, and the first of them in words."""

    run_no: int
    began_at: datetime
    ended_at: datetime
    version: str
    looked_at: Mapping[str, int]
    by_kind: Mapping[str, int]
    differences: int
    found: list[str]
    last_clean_at: datetime | None


def backlogs(connection: Connection) -> list[Backlog]:
    """Unfinished things of each kind."""
    return fetch(connection, Backlog, _SQL.backlogs)


def read(visit: Visit) -> Values:
    """How the last check ended, unfinished things, and which alarms stand."""
    return {
        "check": fetch_one(visit.connection, LastCheck, _SQL.last_check),
        "backlogs": backlogs(visit.connection),
        "alarms": fetch(visit.connection, OpenAlarm, _SQL.alarms),
    }


PAGES: Final = (ConsolePage("/health", "Health", "health.html", read, nav="Health", key="h", live=_LIVE),)
