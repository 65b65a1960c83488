"""Sending: what is open of each rail and area, what is stopped, by whom and why; and the forms that stop it and let it go on."""

from datetime import datetime
from typing import Final, NamedTuple

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.pages.overview import stops
from kvitt.api.console.people import ConsoleRole
from kvitt.disbursement.alone import SendingPlace
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.operate import EVERYWHERE
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("sending", "kvitt.api.console.pages")
_MOST_COUNTED: Final = 1_000


class OpenThere(NamedTuple):
    """Orders of one state that are open at one area of a rail."""

    rail: str
    area: str
    state: str
    orders: int
    sum_kroner: Kroner
    oldest: datetime


def read(visit: Visit) -> Values:
    """All that is open, where, and what is stopped."""
    return {
        "stops": stops(visit.connection),
        "open": fetch(visit.connection, OpenThere, _SQL.open_by_area, {"limit": _MOST_COUNTED}),
        "most": _MOST_COUNTED,
        "rails": visit.operations.rails,
        "areas": list(AREAS),
    }


def read_stop(visit: Visit) -> Values | Redirect:
    """The effect of a stop. Raises BadRequest for a place that there is not."""
    return _values(visit, offered(visit, _stop(visit)))


def stop(visit: Visit) -> Values | Redirect:
    """Stops sending there. Raises BadRequest."""
    return _values(visit, taken(visit, _stop(visit)))


def read_resume(visit: Visit) -> Values | Redirect:
    """The effect of letting sending go on."""
    return _values(visit, offered(visit, _act("sending resume", _place(visit))))


def resume(visit: Visit) -> Values | Redirect:
    """Lets sending go on there."""
    return _values(visit, taken(visit, _act("sending resume", _place(visit))))


def _values(visit: Visit, answered: Values | Redirect) -> Values | Redirect:
    return answered if isinstance(answered, Redirect) else {**answered, "place": _place(visit)}


def _stop(visit: Visit) -> ActOnPage:
    place = _place(visit)
    if place.area not in (EVERYWHERE, *AREAS):
        raise BadRequest(("area", f"is * or one of {', '.join(AREAS)}"))
    if place.rail not in (EVERYWHERE, *visit.operations.rails):
        raise BadRequest(("rail", f"is * or one of {', '.join(visit.operations.rails)}"))
    return _act("sending stop", place)


def _place(visit: Visit) -> SendingPlace:
    """The place that a form names, or the address of its page; everywhere if neither does."""
    said = visit.form or visit.query
    return SendingPlace(said.get("rail", EVERYWHERE), said.get("area", EVERYWHERE))


def _act(name: str, place: SendingPlace) -> ActOnPage:
    return ActOnPage(name, place, "/sending")


_ACTS: Final = ConsoleRole.ACT
PAGES: Final = (
    ConsolePage("/sending", "Sending", "sending.html", read, nav="Sending", key="e", live="orders"),
    ConsolePage("/sending/stop", "Stop sending", "sending_act.html", read_stop, role=_ACTS, acts=True),
    ConsolePage("/sending/stop", "Stop sending", "sending_act.html", stop, role=_ACTS, posted=True, acts=True),
    ConsolePage("/sending/resume", "Resume sending", "sending_act.html", read_resume, role=_ACTS, acts=True),
    ConsolePage("/sending/resume", "Resume sending", "sending_act.html", resume, role=_ACTS, posted=True, acts=True),
)
