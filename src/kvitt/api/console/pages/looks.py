"""Looks: who looked at what is about a person, and when; for auditors."""

from datetime import datetime
from typing import Final, NamedTuple

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.api.people.claims import ConsoleRole
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("looks", "kvitt.api.console.pages")


class LookOnPage(NamedTuple):
    """One look."""

    look_no: int
    looked_at: datetime
    looked_by: str
    name: str
    what: str
    case_no: int | None
    scheme: str | None
    case_id: str | None


def read(visit: Visit) -> Values:
    """A page of looks, newest first."""
    after = place_in(visit.query.get(AFTER), int)
    rows = fetch(visit.connection, LookOnPage, _SQL.looks, {"before": after[0] if after else None, "limit": visit.page_rows + 1})
    return {"looks": listed(rows, lambda each: (each.look_no,), after, visit.page_rows)}


PAGES: Final = (ConsolePage("/looks", "Looks at persons", "looks.html", read, nav="Looks", role=ConsoleRole.AUDIT),)
