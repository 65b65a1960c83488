"""When the payment rail answers, and how much of the time between two moments it could have answered: only that counts as waiting.

The hours are Oslo's; a day on which the clocks are changed is as long as it is.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from kvitt.disbursement.calendar import is_working_day, next_day

_OSLO = ZoneInfo("Europe/Oslo")
_ONE_DAY, _NOTHING = timedelta(days=1), timedelta()
_FARTHEST_DAYS = 3660
"""Who asks for longer ago than ten years gets ten years: a search has a bound."""


class OpeningHours(Struct, frozen=True):
    """From `opens` until just before `closes`, Oslo time; a `closes` of 00:00 is the end of the day.

    On working days only, unless `every_day`: then on Saturdays, Sundays and public holidays too.
    """

    opens: time = time(6)
    closes: time = time(21)
    every_day: bool = False

    def is_open(self, moment: datetime) -> bool:
        """Whether the rail answers at this moment (which has a time zone)."""
        opens, closes = self._span(moment.astimezone(_OSLO).date())
        return opens <= moment < closes

    def open_time(self, since: datetime, until: datetime) -> timedelta:
        """How much of the time from `since` to `until` was within opening hours; nothing when `until` is not after `since`."""
        day, last = since.astimezone(_OSLO).date(), until.astimezone(_OSLO).date()
        passed = _NOTHING
        while day <= last:
            opens, closes = self._span(day)
            passed += max(min(closes, until) - max(opens, since), _NOTHING)
            day = next_day(day)
        return passed

    def open_time_ago(self, now: datetime, amount: timedelta) -> datetime:
        """The latest moment from which on to `now` at least `amount` (> 0) of open time has passed; ten years ago when there is none."""
        day = now.astimezone(_OSLO).date()
        left = amount
        for _ in range(_FARTHEST_DAYS):
            opens, closes = self._span(day)
            within = min(closes, now) - opens
            if within >= left:
                return opens + within - left
            left -= max(within, _NOTHING)
            day -= _ONE_DAY
        return now - timedelta(days=_FARTHEST_DAYS)

    def _span(self, day: date) -> tuple[datetime, datetime]:
        """When the rail opens and closes on a day, in UTC; twice the same moment when it stays closed."""
        opens = datetime.combine(day, self.opens, _OSLO).astimezone(UTC)
        if not self.every_day and not is_working_day(day):
            return opens, opens
        end = next_day(day) if self.closes == time.min else day
        return opens, max(opens, datetime.combine(end, self.closes, _OSLO).astimezone(UTC))
