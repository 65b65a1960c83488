"""Limits of sources: which one holds, whose it is, how much of it is used; and the form by which two people set one (design §11, §17)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.people.claims import ConsoleRole
from kvitt.disbursement.limit_acts import LimitSet, limits_shown
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch
from kvitt.kernel.identifiers import wrong_id
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("limits", "kvitt.api.console.pages")
_OSLO: Final = ZoneInfo("Europe/Oslo")
_HOURS: Final = 24
_MOST: Final = 100
_FIELDS: Final = ("source", "kroner_per_order", "kroner_per_hour", "until")
_DIGITS: Final = 15


class UsedHour(NamedTuple):
    """So much was paid for a source in an hour of the clock."""

    source: str
    hour: datetime
    kroner: Kroner


def read_limits(visit: Visit) -> Values:
    """Sources that have a limit, whose it is, and what they used of it in this hour and in those before."""
    hour = visit.now.replace(minute=0, second=0, microsecond=0)
    shown = limits_shown(visit.connection, visit.operations.limits, visit.now)
    asked = {"sources": [each.source for each in shown], "since": hour - timedelta(hours=_HOURS), "hour": hour, "limit": _HOURS * _MOST}
    return {"sources": shown, "earlier": _by_source(fetch(visit.connection, UsedHour, _SQL.hours, asked)), "hour": hour}


def read_set(visit: Visit) -> Values:
    """The form, with what the query says of it."""
    return {**_typed(visit.query), "effect": None, "why_not": None, "refusal": None, "given": ""}


def set_limit(visit: Visit) -> Values | Redirect:
    """Shows what would hold, or asks for it. Raises BadRequest."""
    act = ActOnPage("limits set", _wanted(visit), "/limits/used")
    answered = taken(visit, act) if visit.form.get("step") == "ask" else offered(visit, act)
    return answered if isinstance(answered, Redirect) else {**_typed(visit.form), **answered}


def _by_source(hours: Sequence[UsedHour]) -> Mapping[str, Sequence[UsedHour]]:
    found: dict[str, list[UsedHour]] = {}
    for each in hours:
        found.setdefault(each.source, []).append(each)
    return found


def _typed(said: Mapping[str, str]) -> dict[str, object]:
    return {"typed": {name: said.get(name, "") for name in _FIELDS}}


def _wanted(visit: Visit) -> LimitSet:
    said = {name: visit.form.get(name, "").strip() for name in _FIELDS}
    source = said["source"].rpartition(":")[2]
    if rule := wrong_id(source):
        raise BadRequest(("source", rule))
    order, hour = _kroner("kroner_per_order", said["kroner_per_order"]), _kroner("kroner_per_hour", said["kroner_per_hour"])
    return LimitSet(source, order, hour, _moment(said["until"]))


def _kroner(name: str, text: str) -> Kroner | None:
    if text and not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise BadRequest((name, "is a whole number of kroner"))
    return Kroner(int(text)) if text else None


def _moment(text: str) -> datetime | None:
    """The moment that somebody typed, by the clock in Oslo unless it names its zone; None where nothing is typed."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=_OSLO)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(("until", "is a day, or a day and a time, as 2026-12-21 12:00")) from None


_SET, _TITLE, _PAGE, _ROLE = "/limits/set", "Set a limit", "limit_set.html", ConsoleRole.ACT
PAGES: Final = (
    ConsolePage("/limits/used", "Limits used", "limits_used.html", read_limits, live="orders audit"),
    ConsolePage(_SET, _TITLE, _PAGE, read_set, role=_ROLE, acts=True),
    ConsolePage(_SET, _TITLE, _PAGE, set_limit, role=_ROLE, posted=True, acts=True),
)
