"""The case that an address names, and the look that is noted of it."""

from datetime import datetime
from typing import Final, NamedTuple

from kvitt.api.console.frame import Visit
from kvitt.errors import NotFound
from kvitt.kernel.fetch import fetch_one, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("cases", "kvitt.api.console.pages")


class CaseOnPage(NamedTuple):
    """A case, with how much waits for it."""

    case_no: int
    scheme: str
    case_id: str
    areas: list[str]
    orders_made: int
    open_orders: int
    queued_messages: int
    contradictions: int
    last_at: datetime
    has_unknown_payments: bool
    contract: str | None

    def asked(self, limit: int) -> dict[str, object]:
        """Arguments of statements about it."""
        return {"case_no": self.case_no, "scheme": self.scheme, "case_id": self.case_id, "limit": limit}


def case_of(visit: Visit) -> CaseOnPage:
    """The case. Raises NotFound."""
    found = fetch_one(visit.connection, CaseOnPage, _SQL.case_by_no, {"case_no": visit.path["case_no"]})
    if found is None:
        raise NotFound("there is no such case")
    return found


def case_looked_at(visit: Visit, what: str) -> CaseOnPage:
    """The case, with the look at it noted. Raises NotFound."""
    found = case_of(visit)
    visit.look_at_case(what, found.case_no)
    return found


def version(visit: Visit) -> str:
    """That of a case: how far its chain goes, its newest message and note, what its newest orders are, and where sending is stopped."""
    return fetch_value(visit.connection, _SQL.case_version, {"case_no": visit.path["case_no"]}) or ""
