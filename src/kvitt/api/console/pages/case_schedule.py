"""Days and weeks of a schedule, before and after: plain functions of spans, whatever they are read from."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from msgspec import Struct

from kvitt.disbursement.calendar import DAYS_OF_WEEK
from kvitt.disbursement.schedule import Owed, expand
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner

_BEFORE, _AFTER = "before", "after"


class PaySpan(NamedTuple):
    """Whole kroner per unit of a rate from a day to another, both included."""

    start_on: date
    end_on: date
    amount_kroner: Kroner
    rate_type: str

    def owed(self, name: str) -> Owed:
        """The same as a schedule is made of."""
        return Owed(self.start_on, self.end_on, self.amount_kroner, RateType(self.rate_type), name)


class DayOnPage(Struct, frozen=True):
    """A day with what it pays before and after."""

    day: date
    before: Kroner
    after: Kroner

    @property
    def difference(self) -> Kroner:
        """How much more it pays after; less than nothing where something is taken back."""
        return Kroner(self.after - self.before)


class WeekOnPage(Struct, frozen=True):
    """A week from Monday to Sunday, whatever month or year its days are of."""

    days: tuple[DayOnPage, ...]

    @property
    def number(self) -> str:
        """Its number, with the year that it counts in."""
        year, week, _ = self.days[0].day.isocalendar()
        return f"{year} week {week}"

    @property
    def before(self) -> Kroner:
        """Its pay before."""
        return Kroner(sum(each.before for each in self.days))

    @property
    def after(self) -> Kroner:
        """Its pay after."""
        return Kroner(sum(each.after for each in self.days))

    @property
    def difference(self) -> Kroner:
        """How much more it pays after."""
        return Kroner(self.after - self.before)


class ScheduleChange(Struct, frozen=True):
    """A whole schedule before and after. `until`: the last day that was looked at, where it goes on beyond."""

    before: Mapping[date, Kroner]
    after: Mapping[date, Kroner]
    until: date | None

    @property
    def changed(self) -> Sequence[date]:
        """The days that pay something else, in order."""
        return [each for each in sorted({*self.before, *self.after}) if self.before.get(each, 0) != self.after.get(each, 0)]

    @property
    def difference(self) -> Kroner:
        """How much more all of it pays after."""
        return Kroner(sum(self.after.values()) - sum(self.before.values()))

    @property
    def first(self) -> date | None:
        """The first day that changes, or else the first that pays."""
        return next(iter(self.changed), None) or min((*self.before, *self.after), default=None)

    @property
    def last(self) -> date | None:
        """The last day that pays something."""
        return max((*self.before, *self.after), default=None)

    def weeks(self, start: date, number: int) -> Sequence[WeekOnPage]:
        """So many weeks from that of a day on, with nothing left out between them; none behind the end of the calendar."""
        monday = monday_of(start).toordinal()
        firsts = range(monday, min(monday + number * DAYS_OF_WEEK, date.max.toordinal() - DAYS_OF_WEEK), DAYS_OF_WEEK)
        return [WeekOnPage(tuple(self._day(date.fromordinal(first + each)) for each in range(DAYS_OF_WEEK))) for first in firsts]

    def _day(self, day: date) -> DayOnPage:
        return DayOnPage(day, self.before.get(day, Kroner(0)), self.after.get(day, Kroner(0)))


def change_of(before: Iterable[PaySpan], after: Iterable[PaySpan]) -> ScheduleChange:
    """The schedule of spans before and after, as far as both are worked out."""
    schedule = expand([*(each.owed(_BEFORE) for each in before), *(each.owed(_AFTER) for each in after)])
    sides: dict[str, dict[date, Kroner]] = {_BEFORE: {}, _AFTER: {}}
    for due in schedule.days:
        side = sides[due.name]
        side[due.day] = Kroner(side.get(due.day, 0) + due.amount)
    return ScheduleChange(sides[_BEFORE], sides[_AFTER], schedule.beyond.after if schedule.beyond else None)


def amount_of_month(spans: Iterable[PaySpan], first: date, last: date) -> Kroner:
    """The pay of spans from the first day of a month to its last; a one-off amount is its first day's."""
    within = [_within(each, first, last) for each in spans if each.start_on <= last and each.end_on >= first]
    return Kroner(sum(due.amount for due in expand([each.owed("") for each in within]).days if first <= due.day <= last))


def _within(span: PaySpan, first: date, last: date) -> PaySpan:
    once = span.rate_type == RateType.ONE_OFF
    return span if once else span._replace(start_on=max(span.start_on, first), end_on=min(span.end_on, last))


def monday_of(day: date) -> date:
    """The Monday of a day's week."""
    return day - timedelta(days=min(day.weekday(), day.toordinal() - 1))
