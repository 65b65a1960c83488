"""Sending: what is open of each rail and area, what is stopped, by whom and why; and the forms that stop it and let it go on."""

from typing import Final

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.hours import rail_hours
from kvitt.api.console.pages.open_orders import behind, by_state, counted_out, leaving, open_sums, stops
from kvitt.api.people.claims import ConsoleRole
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.operate import EVERYWHERE
from kvitt.disbursement.sending_acts import SendingPlace
from kvitt.errors import BadRequest

_COUNTED_AT_ONCE: Final = 3_000
_MOST_COUNTED: Final = 200_000


def read(visit: Visit) -> Values:
    """All that is open, where, what leaves when the rail opens, and what is stopped; of many orders those that came first."""
    return _read(visit, _COUNTED_AT_ONCE)


def read_all(visit: Visit) -> Values:
    """The same of as many orders as anybody waits for."""
    return _read(visit, _MOST_COUNTED)


def _read(visit: Visit, most: int) -> Values:
    stopped, sums = stops(visit.connection), open_sums(visit, most)
    return {
        "stops": [(each, behind(each, sums)) for each in stopped],
        "open": by_state(sums),
        "leaving": leaving(sums, stopped),
        "hours": [rail_hours(rail, schedule, visit.now) for rail, schedule in visit.operations.schedules.items()],
        "is_at_least": bool(counted_out(sums, most)),
        "most": most,
        "may_count_more": most < _MOST_COUNTED,
        "rails": visit.operations.rails,
        "areas": list(AREAS),
    }


def read_stop(visit: Visit) -> Values | Redirect:
    """The effect of a stop. Raises BadRequest for a place that there is not."""
    return _values(visit, offered(visit, _stop(visit)))


def stop(visit: Visit) -> Values | Redirect:
    """Stops sending there, or asks for that. Raises BadRequest."""
    return _values(visit, taken(visit, _stop(visit)))


def read_resume(visit: Visit) -> Values | Redirect:
    """The effect of letting sending go on."""
    return _values(visit, offered(visit, _act("sending resume", _place(visit))))


def resume(visit: Visit) -> Values | Redirect:
    """Lets sending go on there, or asks for that."""
    return _values(visit, taken(visit, _act("sending resume", _place(visit))))


def _values(visit: Visit, answered: Values | Redirect) -> Values | Redirect:
    return answered if isinstance(answered, Redirect) else {**answered, "place": _place(visit)}


def _stop(visit: Visit) -> ActOnPage:
    place = _place(visit)
    if not {*place.areas} <= {EVERYWHERE, *AREAS}:
        raise BadRequest(("area", f"is * or one of {', '.join(AREAS)}"))
    if place.rail not in (EVERYWHERE, *visit.operations.rails):
        raise BadRequest(("rail", f"is * or one of {', '.join(visit.operations.rails)}"))
    return _act("sending stop", place)


def _place(visit: Visit) -> SendingPlace:
    """The place that a form names, or the address of its page; everywhere if neither does."""
    said = visit.form or visit.query
    return SendingPlace(said.get("rail", EVERYWHERE), (said.get("area", EVERYWHERE),))


def _act(name: str, place: SendingPlace) -> ActOnPage:
    return ActOnPage(name, place, "/sending")


_ACTS: Final = ConsoleRole.ACT
PAGES: Final = (
    ConsolePage("/sending", "Sending", "sending.html", read, nav="Sending", key="e", live="orders"),
    ConsolePage("/sending/all", "Sending, all counted", "sending.html", read_all),
    ConsolePage("/sending/stop", "Stop sending", "sending_act.html", read_stop, role=_ACTS, acts=True),
    ConsolePage("/sending/stop", "Stop sending", "sending_act.html", stop, role=_ACTS, posted=True, acts=True),
    ConsolePage("/sending/resume", "Resume sending", "sending_act.html", read_resume, role=_ACTS, acts=True),
    ConsolePage("/sending/resume", "Resume sending", "sending_act.html", resume, role=_ACTS, posted=True, acts=True),
)
