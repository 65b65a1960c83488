"""The calendar of the rules: Oslo dates, days that follow each other for a rate, holidays (helved §2.11)."""

from datetime import date, datetime, time, timedelta
from functools import cache

from kvitt.kernel.clock import oslo, oslo_moment

_ONE_DAY = timedelta(days=1)
_EASTER_OFFSETS_DAYS = (-3, -2, 0, 1, 39, 49, 50)
_FIXED_HOLIDAYS = ((1, 1), (5, 1), (5, 17), (12, 25), (12, 26))
SATURDAY = 5
DAYS_OF_WEEK = 7


def next_day(day: date) -> date:
    """The calendar day after."""
    return day + _ONE_DAY


def next_weekday(day: date) -> date:
    """The first day after that is no Saturday or Sunday; public holidays count as weekdays here."""
    return day + timedelta(days=3 if day.weekday() == SATURDAY - 1 else 2 if day.weekday() == SATURDAY else 1)


def first_weekday(day: date) -> date:
    """The day, or the Monday after where it is one of a weekend. Raises OverflowError behind the last Friday of the calendar."""
    return next_weekday(day) if day.weekday() >= SATURDAY else day


def last_weekday(day: date) -> date:
    """The day, or the Friday before where it is one of a weekend."""
    return day - timedelta(days=max(day.weekday() - SATURDAY + 1, 0))


def easter_sunday(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Butcher-Meeus)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    r = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * r) // 451
    month, day = divmod(h + r - 7 * m + 114, 31)
    return date(year, month, day + 1)


@cache
def public_holidays(year: int) -> frozenset[date]:
    """The Norwegian public holidays of a year, Sundays as such not among them."""
    easter = easter_sunday(year)
    moving = (easter + timedelta(days=offset) for offset in _EASTER_OFFSETS_DAYS)
    return frozenset((*moving, *(date(year, month, day) for month, day in _FIXED_HOLIDAYS)))


def is_working_day(day: date) -> bool:
    """Neither Saturday, Sunday nor a public holiday."""
    return day.weekday() < SATURDAY and day not in public_holidays(day.year)


def next_working_day(day: date) -> date:
    """The first working day after."""
    following = next_day(day)
    while not is_working_day(following):
        following = next_day(following)
    return following


def previous_working_day(day: date) -> date:
    """The last working day before."""
    before = day - _ONE_DAY
    while not is_working_day(before):
        before -= _ONE_DAY
    return before


def working_days_after(moment: datetime, days: int) -> datetime:
    """The same time of the day in Oslo so many working days later; a moment on another day counts as the beginning of the next one."""
    local = oslo(moment)
    if not is_working_day(local.date()):
        local = datetime.combine(next_working_day(local.date()), time.min)
    day = local.date()
    for _ in range(days):
        day = next_working_day(day)
    return oslo_moment(datetime.combine(day, local.time()))
