"""The figures of a simulation: of each month in a summary, of each day and class code in what is paid and recovered (design §14)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.calendar import SATURDAY
from kvitt.disbursement.simulation import SimulatedKind, SimulatedPeriod, SimulatedPosting, Simulation
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner

_LONGEST_DAYS: Final = 366
"""Rows of a longer time are not split: the rail's are of a month at most."""


class MonthSummary(Struct, frozen=True):
    """A month in four figures: paid before, to be paid now, of that paid for days that have passed, and to be had back."""

    start: date
    end: date
    paid_before: Kroner
    new_pay: Kroner
    back_pay: Kroner
    recovery: Kroner


def summaries(simulation: Simulation, today: date) -> tuple[MonthSummary, ...]:
    """The summary of each month, in the order in which the rail names them. Source: iverksetting §4.3, newest generation.

    A reduction that the next month absorbs shows no recovery in its own, and the whole new amount in the next.
    """
    months: dict[tuple[int, int], list[SimulatedPeriod]] = {}
    for period in simulation.periods:
        months.setdefault((period.start.year, period.start.month), []).append(period)
    return tuple([_summary(periods, today) for periods in months.values()])


def _summary(periods: Sequence[SimulatedPeriod], today: date) -> MonthSummary:
    postings = [posting for period in periods for payment in period.payments for posting in payment.postings]
    start, end = min(period.start for period in periods), max(period.end for period in periods)
    before, recovery = paid_before(postings), recovered(postings)
    new = sum(each.amount for each in postings if each.kind is SimulatedKind.PAY and each.amount > 0) - recovery
    moved = sum(each.amount for each in postings if each.kind is SimulatedKind.ADJUSTMENT)
    back = 0 if start > today else max(0, new - before + min(moved, 0))
    return MonthSummary(start, end, before, Kroner(new), Kroner(back), recovery)


def paid_before(postings: Iterable[SimulatedPosting]) -> Kroner:
    """The amount that was paid before: the negative rows of pay."""
    return Kroner(-sum(each.amount for each in postings if each.kind is SimulatedKind.PAY and each.amount < 0))


def recovered(postings: Iterable[SimulatedPosting]) -> Kroner:
    """The amount to be had back: the positive rows of recovery. Each has a row of pay beside it, which is no new pay."""
    return Kroner(sum(each.amount for each in postings if each.kind is SimulatedKind.RECOVERY and each.amount > 0))


class SimulatedFigures(Struct, frozen=True):
    """Of one class code, what was paid for these days before, what they will pay, and what is recovered, net.

    It is one day wherever the rows can be distinguished by days; else, as for monthly rates, the days of the row.
    """

    start: date
    end: date
    class_code: str
    paid_before: Kroner
    pays: Kroner
    recovered: Kroner


def figures(simulation: Simulation) -> tuple[SimulatedFigures, ...]:
    """The figures of each day and class code; tax, deductions and adjustments do not change that.

    Sums are those of the rows, to the krone, however these are split.
    """
    found: defaultdict[tuple[date, date, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for rows in _alike(simulation):
        for span, share in _split(rows):
            for code, (before, pays, back) in _of_codes(share).items():
                figure = found[(*span, code)]
                figure[0], figure[1], figure[2] = figure[0] + before, figure[1] + pays, figure[2] + back
    return tuple(
        [
            SimulatedFigures(start, end, code, Kroner(before), Kroner(pays), Kroner(back))
            for (start, end, code), (before, pays, back) in sorted(found.items())
        ]
    )


def _alike(simulation: Simulation) -> Iterator[list[SimulatedPosting]]:
    """The rows of pay and recovery that are about the same days of the same payment."""
    for period in simulation.periods:
        for payment in period.payments:
            spans: dict[tuple[date, date], list[SimulatedPosting]] = {}
            for row in payment.postings:
                if row.kind in (SimulatedKind.PAY, SimulatedKind.RECOVERY):
                    spans.setdefault((row.start, row.end), []).append(row)
            yield from spans.values()


def _split(rows: Sequence[SimulatedPosting]) -> Iterator[tuple[tuple[date, date], Sequence[SimulatedPosting]]]:
    """Rows of the same days as rows of one day each, if all of them pay each day the same; else as they are."""
    first = rows[0]
    days = _paid_days(first.start, first.end, {row.rate_type for row in rows})
    if len(days) < 2 or not all(_is_even(row, len(days)) for row in rows):
        yield (first.start, first.end), rows
        return
    for day in days:
        yield (day, day), [replace(row, amount=Kroner(row.amount // len(days))) for row in rows]


def _paid_days(start: date, end: date, rates: set[RateType | None]) -> list[date]:
    """The days for which a rate is paid; none for rates that are not paid by the day. Rows without a rate go with those that have one."""
    if RateType.MONTH in rates or RateType.ONE_OFF in rates or (end - start).days >= _LONGEST_DAYS:
        return []
    days = [start + timedelta(days=count) for count in range((end - start).days + 1)]
    return days if RateType.DAY in rates else [day for day in days if day.weekday() < SATURDAY]


def _is_even(row: SimulatedPosting, days: int) -> bool:
    if row.rate:
        return abs(row.amount) * 100 == abs(row.rate) * days
    return row.amount % days == 0


def _of_codes(rows: Sequence[SimulatedPosting]) -> Mapping[str, tuple[int, int, int]]:
    """By class code: paid before, pays, recovered. Recovery has codes of its own: it counts where the row of pay beside it does.

    What is recovered is no new pay; and where an earlier recovery falls away, its pay was not paid before: it was owed.
    """
    pay = [row for row in rows if row.kind is SimulatedKind.PAY]
    before, pays, back = _sums(row for row in pay if row.amount < 0), _sums(row for row in pay if row.amount > 0), Counter[str]()
    taken, fallen = (_sums(row for row in pay if row.amount * sign > 0 and not row.rate) for sign in (1, -1))
    for row in rows:
        if row.kind is SimulatedKind.RECOVERY and row.amount > 0:
            for code, share, _ in _shared(row, taken, before):
                back[code] += share
                pays[code] -= share
        elif row.kind is SimulatedKind.RECOVERY:
            for code, share, stands_beside in _shared(row, fallen, pays):
                back[code] -= share
                before[code] -= share if stands_beside else 0
    return {code: (before[code], pays[code], back[code]) for code in {*before, *pays, *back}}


def _sums(rows: Iterable[SimulatedPosting]) -> Counter[str]:
    """The amounts of rows by class code, without their signs."""
    found = Counter[str]()
    for row in rows:
        found[row.class_code] += abs(row.amount)
    return found


def _shared(recovery: SimulatedPosting, beside: Counter[str], greatest: Counter[str]) -> Iterator[tuple[str, int, bool]]:
    """A recovery by the class codes that it is of, and whether a row of pay stands beside it; the rest is of the code with most money."""
    left = abs(recovery.amount)
    for code in sorted(beside, key=lambda code: (-beside[code], code)):
        share = min(left, beside[code])
        beside[code], left = beside[code] - share, left - share
        if share:
            yield code, share, True
    if left:
        yield min(greatest, key=lambda code: (-greatest[code], code), default=recovery.class_code), left, False
