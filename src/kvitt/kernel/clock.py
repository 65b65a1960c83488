"""The clock that is handed to everything that needs one, and local time as the rail and its neighbours read it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
"""Returns the present moment, with its zone."""
_OSLO = ZoneInfo("Europe/Oslo")


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def oslo_midnight(day: date) -> datetime:
    """The moment at which a day begins in Oslo."""
    return datetime.combine(day, time.min, _OSLO)


def oslo_moment(local: datetime) -> datetime:
    """The moment of a local time in Oslo; of one that there is twice, the first."""
    return local.replace(tzinfo=_OSLO)


@lru_cache(maxsize=64)
def oslo(now: datetime) -> datetime:
    """Local time in Oslo, without zone. Much of a transaction happens at one moment."""
    return now.astimezone(_OSLO).replace(tzinfo=None)
