"""Events of the rapid that ask for reconciliation: nine o'clock, and somebody's own word (rapid §4.3)."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from kvitt.contracts.rapid.wire.need import document_of
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated

CLOCK_EVENT: Final = "hel_time"
MANUAL_EVENT: Final = "utfør_avstemming"
_NAMES: Final = (CLOCK_EVENT.encode(), MANUAL_EVENT.encode())
_HOUR: Final = 9
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_FIRST_DAY: Final = date(1970, 1, 1)
"""The numbers of orders begin there (rapid §2.8)."""


def read_trigger(body: bytes) -> date | None:
    """The day up to which a record asks for reconciliation, that one included; None for what asks for none: others' events, other hours.

    Raises Undecodable for an event that asks for it and names no day, and for bytes that are no JSON and yet name such an event.
    """
    if not any(name in body for name in _NAMES) and b"\\u" not in body:
        return None
    try:
        document = document_of(body)
    except Undecodable:
        if any(name in body for name in _NAMES):
            raise
        return None
    if not isinstance(document, dict) or not _asks(document):
        return None
    refuse_repeated(body)
    day = _day_of(document.get("dagen"))
    return day - timedelta(days=1) if document["@event_name"] == CLOCK_EVENT else day


def _asks(document: Mapping[str, object]) -> bool:
    """A clock event only does at nine, which is a number: neither another hour nor a text is it."""
    hour = document.get("time")
    by_clock = document.get("@event_name") == CLOCK_EVENT and type(hour) is int and hour == _HOUR
    return by_clock or document.get("@event_name") == MANUAL_EVENT


def _day_of(found: object) -> date:
    if found is None:
        raise Undecodable("dagen", "is missing")
    if not isinstance(found, str) or not _DAY.fullmatch(found):
        raise Undecodable("dagen", "must be a day as yyyy-MM-dd")
    try:
        day = date.fromisoformat(found)
    except ValueError:
        raise Undecodable("dagen", "is no day of the calendar") from None
    if day <= _FIRST_DAY:
        raise Undecodable("dagen", f"must be later than {_FIRST_DAY}")
    return day
