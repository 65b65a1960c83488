"""The rail's own calendar: bank days, the days of its payment runs, and the hours in which its simulation answers.

Shares nothing with the hub's calendar, so that an error there shows as a difference. Days and hours are Oslo's.
"""

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_OSLO = ZoneInfo("Europe/Oslo")
_ONE_DAY = timedelta(days=1)
_FIXED = ((1, 1), (5, 1), (5, 17), (12, 25), (12, 26))
_FROM_EASTER = (-3, -2, 1, 39, 50)
"""Maundy Thursday, Good Friday, Easter Monday, Ascension Day, Whit Monday; the Sundays are closed anyway."""
_SATURDAY = 5
_DAY_OF_RUN = 20
"""On which a coming month is paid; on the bank day before where that is none."""


@cache
def red_days(year: int) -> frozenset[date]:
    """The days of a year that are no bank days though they may be weekdays."""
    easter = _easter(year)
    return frozenset((*(date(year, *day) for day in _FIXED), *(easter + timedelta(days=offset) for offset in _FROM_EASTER)))


def _easter(year: int) -> date:
    """Easter Sunday, by Gauss' rule."""
    century = year // 100
    moon = (15 - (13 + 8 * century) // 25 + century - century // 4) % 30
    epact = (19 * (year % 19) + moon) % 30
    sunday = (2 * (year % 4) + 4 * (year % 7) + 6 * epact + (4 + century - century // 4) % 7) % 7
    if (epact, sunday) == (29, 6) or ((epact, sunday) == (28, 6) and (11 * moon + 11) % 30 < 19):
        return date(year, 3, 22) + timedelta(days=epact + sunday - 7)
    return date(year, 3, 22) + timedelta(days=epact + sunday)


def is_bank_day(day: date) -> bool:
    return day.weekday() < _SATURDAY and day not in red_days(day.year)


def next_bank_day(day: date) -> date:
    """The first bank day after."""
    following = day + _ONE_DAY
    while not is_bank_day(following):
        following += _ONE_DAY
    return following


def end_of_month(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def month_run(day: date) -> date:
    """When the month of the day is paid by plan."""
    run = day.replace(day=_DAY_OF_RUN)
    while not is_bank_day(run):
        run -= _ONE_DAY
    return run


def due_in_run(day: date, next_run: date) -> date:
    """The run that pays what is due on a day: the next one, unless the day's month has not come by then."""
    return next_run if day <= end_of_month(next_run) else month_run(day)


def oslo_day(moment: datetime) -> date:
    """The day that it is in Oslo."""
    return moment.astimezone(_OSLO).date()


def oslo_moment(text: str) -> datetime | None:
    """The moment of Oslo's local time as the rail writes it, to the microsecond; None for what is no such time."""
    try:
        return datetime.strptime(text, "%Y-%m-%d-%H.%M.%S.%f").replace(tzinfo=_OSLO)
    except ValueError:
        return None


def is_open(moment: datetime, opens: time, closes: time) -> bool:
    """Whether the rail answers; a `closes` of 00:00 is the end of the day."""
    local = moment.astimezone(_OSLO)
    return is_bank_day(local.date()) and opens <= local.time() and (closes == time.min or local.time() < closes)
