"""Health: what is not finished, what stands as an alarm, and how old each is."""

from datetime import datetime
from typing import Final, NamedTuple

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("health", "kvitt.api.console.pages")

_LIVE: Final = "messages orders receipts published jobs reconciliation"


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


def backlogs(connection: Connection) -> list[Backlog]:
    """Unfinished things of each kind."""
    return fetch(connection, Backlog, _SQL.backlogs)


def read(visit: Visit) -> Values:
    """Unfinished things, and which alarms stand."""
    return {"backlogs": backlogs(visit.connection), "alarms": fetch(visit.connection, OpenAlarm, _SQL.alarms)}


PAGES: Final = (ConsolePage("/health", "Health", "health.html", read, nav="Health", key="h", live=_LIVE),)
