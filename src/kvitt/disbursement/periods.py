"""Merging of given days and spans into the fewest periods (helved §3.3, iverksetting §3.4).

The input is sorted first (design §12), so the order in which a sender lists its days never changes an order.
"""

from collections.abc import Callable, Iterable
from datetime import date
from operator import itemgetter

from kvitt.disbursement.values import Period, RateType
from kvitt.kernel.money import Kroner

Given = tuple[date, date, Kroner, str | None, Kroner | None]
"""First day, last day, amount, office and decided rate, as a sender gives them; a tuple, for a case may have thousands."""

_by_days = itemgetter(0, 1)
_FRIDAY, _SATURDAY = 4, 5
_NONE_YET = Kroner(-1)
Follows = Callable[[date, date], bool]


def _follows_by_day(end: date, start: date) -> bool:
    return start.toordinal() - end.toordinal() == 1


def _follows_by_weekday(end: date, start: date) -> bool:
    """The day after, or the first weekday after; public holidays count as weekdays here."""
    gap = start.toordinal() - end.toordinal()
    return gap == 1 or (gap == 3 and end.weekday() == _FRIDAY) or (gap == 2 and end.weekday() == _SATURDAY)


_FOLLOWS: dict[RateType, Follows] = {
    RateType.WEEKDAY: _follows_by_weekday,
    RateType.DAY: _follows_by_day,
    RateType.MONTH: _follows_by_day,
}


def in_order(given: Iterable[Given]) -> tuple[Period, ...]:
    """As given, sorted by days and not joined: one-off amounts are never added up."""
    return tuple(Period(*each) for each in sorted(given, key=_by_days))


def merge(given: Iterable[Given], rate_type: RateType, *, office_of_last: bool = True) -> tuple[Period, ...]:
    """The fewest periods that say the same, sorted by first day.

    Neighbours of equal amount and decided rate are joined when the rate type lets one follow the other: by day, or
    from Friday to Monday for weekday rates. A joined run carries the office of its last span, or of its first.
    A span that ends before it starts is joined with nothing, so that it is seen and refused.
    """
    follows = _FOLLOWS[rate_type]
    merged: list[Period] = []
    start, end, amount, office, rate, forward = date.min, date.min, _NONE_YET, None, None, False
    for first, last, each_amount, each_office, each_rate in sorted(given, key=_by_days):
        if forward and each_amount == amount and each_rate == rate and first <= last and follows(end, first):
            end = last
            if office_of_last:
                office = each_office
            continue
        if amount >= 0:
            merged.append(Period(start, end, amount, office, rate))
        start, end, amount, office, rate, forward = first, last, each_amount, each_office, each_rate, first <= last
    if amount >= 0:
        merged.append(Period(start, end, amount, office, rate))
    return tuple(merged)
