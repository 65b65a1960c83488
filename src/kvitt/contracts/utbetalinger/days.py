"""Splits joined periods into the days or months that a caller gives; joined again they are the same (iverksetting §3.2, §3.4)."""

import calendar
from collections.abc import Iterator
from datetime import date

from kvitt.disbursement.calendar import SATURDAY, next_day
from kvitt.disbursement.values import RateType


def days_of(start: date, end: date, rate_type: RateType) -> Iterator[tuple[date, date]]:
    """Every weekday, every day, or every month of a period, each by itself; a one-off amount stays whole."""
    match rate_type:
        case RateType.ONE_OFF:
            yield start, end
        case RateType.MONTH:
            yield from _months(start, end)
        case _:
            weekdays_only = rate_type is RateType.WEEKDAY
            yield from ((day, day) for day in _days(start, end) if not weekdays_only or day.weekday() < SATURDAY)


def _days(start: date, end: date) -> Iterator[date]:
    day = start
    while day <= end:
        yield day
        day = next_day(day)


def _months(start: date, end: date) -> Iterator[tuple[date, date]]:
    """The months of a period, its first and last one only as far as they are in it."""
    begins = start
    while begins <= end:
        ends = min(end, last_of_month(begins))
        yield begins, ends
        begins = next_day(ends)


def last_of_month(day: date) -> date:
    """The last day of the month that a day is in."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
