"""How senders fare: whose messages fail today, with which text; whose message is queued longest."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("senders", "kvitt.api.console.pages")
_OSLO: Final = ZoneInfo("Europe/Oslo")
_LOOKED_THROUGH: Final = 20_000
_MOST: Final = 100
_FIRST: Final = (datetime.min.replace(year=1, tzinfo=ZoneInfo("UTC")), 0)


class FailuresOfSender(NamedTuple):
    """Messages of a scheme that failed with one text, in which numbers count as equal."""

    scheme: str
    application: str | None
    text: str
    messages: int
    newest_at: datetime
    newest_no: int


class MessageInCaseLine(NamedTuple):
    """A message in the line of its case, and the first open order that it waits behind, if it is an order."""

    message_no: int
    received_at: datetime
    case_no: int
    scheme: str
    case_id: str
    queued_messages: int
    contradictions: int
    order_id: UUID | None
    order_state: str | None
    order_is_held: bool | None
    order_since: datetime | None


def read_failures(visit: Visit) -> Values:
    """The failures of today by scheme and text, most first, as far as so many messages reach back."""
    since = visit.now.astimezone(_OSLO).replace(hour=0, minute=0, second=0, microsecond=0)
    asked = {"since": since, "looked_through": _LOOKED_THROUGH, "limit": _MOST}
    reaches = fetch_value(visit.connection, _SQL.moment_reached, asked)
    failures = fetch(visit.connection, FailuresOfSender, _SQL.failures, asked)
    if failures:
        visit.look("failures of today")
    return {
        "failures": failures,
        "since": since,
        "reaches": reaches if reaches and reaches > since else None,
        "looked_through": _LOOKED_THROUGH,
        "most": _MOST,
    }


def version_of_failures(visit: Visit) -> str:
    """How far messages are looked through: the newest one there is, or the one that the browser knows of where none has failed since."""
    known = int(visit.known) if visit.known.isdecimal() else None
    if known is not None:
        asked = {"known": known, "looked_through": _LOOKED_THROUGH}
        if not fetch_value(visit.connection, _SQL.has_failed_since, asked):
            return visit.known
    return str(fetch_value(visit.connection, _SQL.newest_message) or 0)


def read_waiting(visit: Visit) -> Values:
    """A page of the messages that wait for their case, the one that has waited longest first. Raises BadRequest."""
    after = place_in(visit.query.get(AFTER), datetime.fromisoformat, int)
    at, message_no = after or _FIRST
    asked = {"at": at, "message_no": message_no, "limit": visit.page_rows + 1}
    rows = fetch(visit.connection, MessageInCaseLine, _SQL.waiting, asked)
    return {"waiting": listed(rows, lambda each: (each.received_at.isoformat(), each.message_no), after, visit.page_rows)}


PAGES: Final = (
    ConsolePage("/failures", "Failures", "failures.html", read_failures, live="messages", version=version_of_failures),
    ConsolePage("/waiting", "Waiting lines", "waiting.html", read_waiting, live="messages orders"),
)
