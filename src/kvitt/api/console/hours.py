"""The hours of a rail in words for pages: whether it is open, when it was and will be today, and when that changes next.

A rail says only whether it is open at a moment; when that changes is found by asking about many.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from kvitt.disbursement.rail import Schedule

_OSLO: Final = ZoneInfo("Europe/Oslo")
_STEP: Final = timedelta(minutes=15)
_EXACTLY: Final = timedelta(seconds=1)
_FARTHEST: Final = timedelta(days=8)


class RailHours(Struct, frozen=True):
    """A rail's hours at a moment. `today` are its spans within the day of Oslo; `changes_at` None: not within eight days."""

    rail: str
    is_open: bool
    changes_at: datetime | None
    today: Sequence[tuple[datetime, datetime]]


def rail_hours(rail: str, schedule: Schedule, now: datetime) -> RailHours:
    """The hours of this rail as they are now."""
    day = now.astimezone(_OSLO).date()
    begin, end = (datetime.combine(each, time.min, _OSLO).astimezone(UTC) for each in (day, day + timedelta(days=1)))
    return RailHours(rail, schedule.is_open(now), _next_change(schedule, now, now + _FARTHEST), _spans(schedule, begin, end))


def _spans(schedule: Schedule, begin: datetime, end: datetime) -> Sequence[tuple[datetime, datetime]]:
    """When it is open between two moments."""
    spans, at = [], begin
    while at < end:
        until = _next_change(schedule, at, end) or end
        if schedule.is_open(at):
            spans.append((at, until))
        at = until
    return spans


def _next_change(schedule: Schedule, begin: datetime, end: datetime) -> datetime | None:
    """The first moment after `begin` and before `end` at which it opens or closes; a span shorter than a quarter may be passed by."""
    is_open, at = schedule.is_open(begin), begin
    while at < end:
        later = min(at + _STEP, end)
        if schedule.is_open(later) != is_open:
            return _between(schedule, at, later) if later < end else None
        at = later
    return None


def _between(schedule: Schedule, before: datetime, after: datetime) -> datetime:
    """The moment of the change between two, to the second."""
    is_open = schedule.is_open(before)
    while after - before > _EXACTLY:
        middle = before + (after - before) / 2
        before, after = (middle, after) if schedule.is_open(middle) == is_open else (before, middle)
    return after.replace(microsecond=0)
