"""Merging of given days and spans into the fewest periods (helved_stream §3.3, iverksetting_rest §3.4).

The input is sorted first (design §12), so the order in which a sender lists its days never changes an order.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from operator import attrgetter

from kvitt.rules.calendar import next_day, next_weekday
from kvitt.rules.values import Period, RateType

_by_days = attrgetter("start", "end")
Follows = Callable[[date, date], bool]


def _follows_by_day(end: date, start: date) -> bool:
    return next_day(end) == start


def _follows_by_weekday(end: date, start: date) -> bool:
    return start == next_day(end) or start == next_weekday(end)


_FOLLOWS: dict[RateType, Follows] = {
    RateType.WEEKDAY: _follows_by_weekday,
    RateType.DAY: _follows_by_day,
    RateType.MONTH: _follows_by_day,
}


def in_order(periods: Iterable[Period]) -> tuple[Period, ...]:
    """The periods sorted by their days, not joined: one-off amounts are never added up."""
    return tuple(sorted(periods, key=_by_days))


def merge(periods: Sequence[Period], rate_type: RateType, *, office_of_last: bool = True) -> tuple[Period, ...]:
    """The fewest periods that say the same, sorted by first day.

    Neighbours of equal amount and decided rate are joined when the rate type lets one follow the other: by day, or
    from Friday to Monday for weekday rates. A joined run carries the office of its last span, or of its first.
    A period that ends before it starts is joined with nothing, so that it is seen and refused.
    """
    follows = _FOLLOWS[rate_type]
    merged: list[Period] = []
    start, end, amount, office, rate = date.min, date.min, -1, None, None
    for period in sorted(periods, key=_by_days):
        forward = start <= end and period.start <= period.end
        if forward and amount == period.amount and rate == period.decided_rate and follows(end, period.start):
            end = period.end
            if office_of_last:
                office = period.office
            continue
        if amount >= 0:
            merged.append(Period(start, end, amount, office, rate))
        start, end, amount, office, rate = period.start, period.end, period.amount, period.office, period.decided_rate
    if amount >= 0:
        merged.append(Period(start, end, amount, office, rate))
    return tuple(merged)
