"""The time of a hub under test: it stands where it was set, and each look moves it on a little, so that no two facts share a moment."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
"""A Wednesday morning on which the rail is open."""
_TICK: Final = timedelta(milliseconds=1)


class HandClock:
    """Tells the time in UTC; the same looks read the same times. May be asked by many threads."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        """The time, a millisecond later than at the last look."""
        with self._lock:
            self._now += _TICK
            return self._now

    @property
    def now(self) -> datetime:
        """The time of the last look; asking does not move it."""
        return self._now

    def set(self, moment: datetime) -> None:
        """Goes on from `moment`, which has a time zone and may be earlier: clocks of machines jump too."""
        if moment.tzinfo is None:
            raise ValueError("the moment has no time zone")
        with self._lock:
            self._now = moment.astimezone(UTC)

    def advance(self, by: timedelta | None = None, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Goes on that much later: `advance(hours=2)`, or `advance(timedelta(...))`."""
        with self._lock:
            self._now += (by or timedelta()) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
