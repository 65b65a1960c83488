"""The clock as the rail and its neighbours read it."""

from datetime import datetime
from zoneinfo import ZoneInfo

_OSLO = ZoneInfo("Europe/Oslo")


def oslo(now: datetime) -> datetime:
    """Local time in Oslo, without zone."""
    return now.astimezone(_OSLO).replace(tzinfo=None)
