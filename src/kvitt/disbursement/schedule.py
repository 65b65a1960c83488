"""A schedule day by day: the one place where a period is expanded into the days on which it is due.

A period may be without end (monthly until 9999-12-31 is legal), so the expansion has a bound, and says what lies beyond it.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.calendar import SATURDAY
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner

_FARTHEST_DAYS: Final = 366 * 20
_MOST_DAYS: Final = 250_000
"""So many days of all periods together are expanded at most; where they are more, nearer ones only."""
_DECEMBER: Final = 12


class Owed(NamedTuple):
    """Whole kroner per unit of a rate from a day to another, both included; `name` is what they are for."""

    start: date
    end: date
    amount: Kroner
    rate_type: RateType
    name: str = ""


class Due(Struct, frozen=True):
    """Whole kroner due on a day for something that has a name."""

    day: date
    amount: Kroner
    name: str


class Beyond(Struct, frozen=True):
    """The rest that a schedule leaves out: everything after the day `after`, up to the day `until`."""

    after: date
    until: date


class PaymentSchedule(Struct, frozen=True):
    """Holds what is due, each of what is owed after the other, day by day; `beyond` is what was not expanded, None if nothing."""

    days: tuple[Due, ...]
    beyond: Beyond | None


def expand(owed: Sequence[Owed]) -> PaymentSchedule:
    """The days on which amounts fall due: each day, each Monday to Friday, the first of each month and the first of all, or once."""
    if not owed:
        return PaymentSchedule((), None)
    last = _last_day(owed)
    days = tuple(Due(day, each.amount, each.name) for each in owed for day in _days(each, last))
    until = max(each.start if each.rate_type is RateType.ONE_OFF else each.end for each in owed)
    return PaymentSchedule(days, Beyond(last, until) if until > last else None)


def _last_day(owed: Sequence[Owed]) -> date:
    """The last day that is expanded: twenty years after the first, or nearer where there is too much to expand."""
    first, farthest = min(each.start for each in owed), _FARTHEST_DAYS
    while True:
        last = date.fromordinal(min(first.toordinal() + farthest, date.max.toordinal()))
        if farthest <= 1 or sum(max((min(each.end, last) - each.start).days + 1, 0) for each in owed) <= _MOST_DAYS:
            return last
        farthest //= 2


def _days(owed: Owed, last: date) -> Sequence[date]:
    if owed.start > last:
        return ()
    if owed.rate_type is RateType.ONE_OFF:
        return (owed.start,)
    end = min(owed.end, last)
    if owed.rate_type is RateType.MONTH:
        return (owed.start, *_firsts(owed.start, end))
    days = map(date.fromordinal, range(owed.start.toordinal(), end.toordinal() + 1))
    return tuple(day for day in days if owed.rate_type is RateType.DAY or day.weekday() < SATURDAY)


def _firsts(start: date, end: date) -> Sequence[date]:
    """The first days of the months after `start`, up to `end`."""
    found = []
    year, month = start.year, start.month
    while (year, month) < (end.year, end.month):
        year, month = (year + 1, 1) if month == _DECEMBER else (year, month + 1)
        found.append(date(year, month, 1))
    return found
