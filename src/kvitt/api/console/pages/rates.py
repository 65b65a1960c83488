"""Rates: messages of each hour of today beside a usual day, which is the middle of the last four days of the same weekday.

The middle, since paydays and holidays are among them; a day of which nothing is known is not.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from statistics import median_low
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from kvitt.api.console.charts import BarChart, BarValue, bar_chart
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("overview", "kvitt.api.console.pages")
_OSLO: Final = ZoneInfo("Europe/Oslo")
_HOURS: Final = range(24)
_LIKE_DAYS: Final = 4


class HourOfScheme(NamedTuple):
    """The messages of a scheme within an hour."""

    scheme: str
    hour: datetime
    messages: int


class SchemeToday(Struct, frozen=True):
    """Messages of a scheme today, and in its full hours; what is usual in these hours and on a whole day, None: no usual day is known."""

    scheme: str
    today: int
    in_full_hours: int
    usual: int | None
    usual_day: int | None


class RatesToday(Struct, frozen=True):
    """All schemes, and all of them together hour by hour; `full_hours` of today are over.

    `is_at_least`: more have come than are counted.
    """

    schemes: Sequence[SchemeToday]
    chart: BarChart
    full_hours: int
    has_usual: bool
    is_at_least: bool


def rates_today(connection: Connection, now: datetime) -> RatesToday:
    """Rates of the day of Oslo that it is."""
    today = now.astimezone(_OSLO).date()
    days = [today - timedelta(weeks=weeks) for weeks in range(_LIKE_DAYS + 1)]
    rows = fetch(connection, HourOfScheme, _SQL.message_hours, {"hours": [_hour(day, hour) for day in days for hour in _HOURS]})
    is_at_least = bool(fetch_value(connection, _SQL.has_uncounted))
    return _compared(rows, days, now.astimezone(_OSLO).hour, is_at_least=is_at_least)


def _compared(rows: Sequence[HourOfScheme], days: Sequence[date], full_hours: int, *, is_at_least: bool) -> RatesToday:
    by_scheme: dict[str, dict[datetime, int]] = defaultdict(dict)
    together: dict[datetime, int] = defaultdict(int)
    for each in rows:
        by_scheme[each.scheme][each.hour] = each.messages
        together[each.hour] += each.messages
    known = [day for day in days[1:] if any(_hour(day, hour) in together for hour in _HOURS)]
    bars = [BarValue(f"{hour:02d}", together.get(_hour(days[0], hour), 0), _usual(together, known, [hour])) for hour in _HOURS]
    schemes = [_scheme(scheme, counts, days[0], known, full_hours) for scheme, counts in sorted(by_scheme.items())]
    return RatesToday(schemes, bar_chart(bars), full_hours, bool(known), is_at_least)


def _scheme(scheme: str, counts: Mapping[datetime, int], today: date, known: Sequence[date], full_hours: int) -> SchemeToday:
    full = range(full_hours)
    return SchemeToday(
        scheme, _sum(counts, today, _HOURS), _sum(counts, today, full), _usual(counts, known, full), _usual(counts, known, _HOURS)
    )


def _usual(counts: Mapping[datetime, int], known: Sequence[date], hours: Sequence[int]) -> int | None:
    """The middle of what came in within these hours on the days that are known."""
    return median_low(_sum(counts, day, hours) for day in known) if known else None


def _sum(counts: Mapping[datetime, int], day: date, hours: Sequence[int]) -> int:
    return sum(counts.get(each, 0) for each in {_hour(day, hour) for hour in hours})


@lru_cache(maxsize=1_024)
def _hour(day: date, hour: int) -> datetime:
    """The beginning of an hour by Oslo's clock; one that a day does not have is the next one."""
    return datetime.combine(day, time(hour), _OSLO).astimezone(UTC)
