"""Overview: all that needs a person, in one list from one view, most money first and then oldest; what waits for its turn below it."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.pages.health import backlogs
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("overview", "kvitt.api.console.pages")
_MOST: Final = 200
_LIVE: Final = "orders messages receipts published approvals jobs reconciliation simulations payouts"


class NeedsPerson(NamedTuple):
    """One thing that does not go on by itself: what, whose, how much, since when, why, and what ends it."""

    what: str
    case_no: int | None
    scheme: str | None
    case_id: str | None
    area: str | None
    order_id: UUID | None
    message_no: int | None
    approval_no: int | None
    since: datetime
    sum_kroner: Kroner | None
    why: str | None
    ends_by: str


class StoppedRail(NamedTuple):
    """Where sending is stopped, by whom and why."""

    rail: str
    area: str
    reason: str
    stopped_by: str
    stopped_at: datetime


def stops(connection: Connection) -> list[StoppedRail]:
    """All stops that stand."""
    return fetch(connection, StoppedRail, _SQL.stops)


def read(visit: Visit) -> Values:
    """All that needs a person now, up to a bound."""
    found = fetch(visit.connection, NeedsPerson, _SQL.attention, {"limit": _MOST + 1})
    return {"found": found[:_MOST], "is_cut": len(found) > _MOST, "stops": stops(visit.connection), "backlogs": backlogs(visit.connection)}


PAGES: Final = (ConsolePage("/", "Overview", "overview.html", read, nav="Overview", key="o", live=_LIVE),)
