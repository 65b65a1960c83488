"""Many orders sent once more: they are looked for once, listed with their sum, and sent when another person approves (design §11, §17)."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.people.claims import ConsoleRole
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.resend_many import MOST_AT_ONCE, OrdersResent
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("resend_many", "kvitt.api.console.pages")
_OSLO: Final = ZoneInfo("Europe/Oslo")
_STATES: Final = ("sent", "unknown")


class OrderFound(NamedTuple):
    """An order without the rail's word."""

    order_id: UUID


def read(visit: Visit) -> Values:
    """The form, and what sending the orders that it finds once more would do. Raises BadRequest."""
    area = visit.query.get("area")
    if area is None:
        return _shown(visit, found=None)
    if area not in AREAS:
        raise BadRequest(("area", f"is one of {', '.join(AREAS)}"))
    state = visit.query.get("state", _STATES[0])
    if state not in _STATES:
        raise BadRequest(("state", f"is one of {', '.join(_STATES)}"))
    asked = {"area": area, "state": state, "since": _moment(visit, "since"), "until": _moment(visit, "until"), "limit": MOST_AT_ONCE + 1}
    found = [str(each.order_id) for each in fetch(visit.connection, OrderFound, _SQL.without_word, asked)]
    visit.look("orders without the rail's word, to send them once more")
    shown = _shown(visit, found=len(found))
    return {**shown, **offered(visit, _act(found)), "order_ids": " ".join(found[:MOST_AT_ONCE])} if found else shown


def ask(visit: Visit) -> Values | Redirect:
    """Asks for it: of the orders that were listed, and no others. Raises BadRequest."""
    listed = visit.form.get("order_ids", "").split()
    try:
        found = [str(UUID(each)) for each in listed]
    except ValueError:
        raise BadRequest(("order_ids", "are ids of orders")) from None
    if not found:
        raise BadRequest(("order_ids", "is missing: look for the orders again"))
    answered = taken(visit, _act(found))
    if isinstance(answered, Redirect):
        return answered
    return {**_shown(visit, found=len(found)), **answered, "order_ids": " ".join(found)}


def _act(found: list[str]) -> ActOnPage:
    return ActOnPage("orders resend", OrdersResent(tuple(found[:MOST_AT_ONCE])), "/orders")


def _shown(visit: Visit, *, found: int | None) -> dict[str, object]:
    return {"areas": list(AREAS), "states": _STATES, "query": visit.query, "found": found, "most": MOST_AT_ONCE}


def _moment(visit: Visit, name: str) -> datetime | None:
    text = visit.query.get(name)
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=_OSLO) if text else None
    except ValueError:
        raise BadRequest((name, "is a time in Oslo, as 2026-05-04 03:10")) from None


_PATH, _TITLE, _PAGE, _ROLE = "/orders/resend-many", "Send orders once more", "resend_many.html", ConsoleRole.ACT
PAGES: Final = (
    ConsolePage(_PATH, _TITLE, _PAGE, read, role=_ROLE, acts=True),
    ConsolePage(_PATH, _TITLE, _PAGE, ask, role=_ROLE, posted=True, acts=True),
)
