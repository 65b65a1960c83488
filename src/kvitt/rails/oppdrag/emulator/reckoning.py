"""A payment run reckoned for a case: for each stretch of days what was paid before, what is paid now, what is recovered.

Pure: from the money that is due, the money that was paid and what is recovered already, to the rows that the rail posts. A reduction
is set off against increases on later days of the same month or of the next one, within the same run (the adjustment account); what is
left is recovered. An increase first takes back what the same day has under recovery. Source: helved §4.8.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from enum import Enum

from msgspec import Struct

from kvitt.rails.oppdrag.emulator.bank_days import due_in_run
from kvitt.rails.oppdrag.emulator.due import DAILY, DayMoney, is_gapless


class RowType(Enum):
    """The class of a row as on the wire. The adjustment account's rows are of the class of recoveries."""

    PAY = "YTEL"
    RECOVERY = "FEIL"
    COUNTER = "MOTP"
    TAX = "SKAT"
    DEDUCTION = "TREK"


class RunRow(Struct, frozen=True):
    """One row of a period, in whole kroner. `rate` is per unit of `rate_code`, `count` how many units; both are nothing where the
    amount is no rate's. `is_reversal`: takes back what an earlier run paid. `until`: the last day of a row that goes on when its period
    has ended, as a month's money beside that of days."""

    row_type: RowType
    class_code: str
    amount: int
    rate: int = 0
    rate_code: str = ""
    count: int = 0
    line_id: str = ""
    is_reversal: bool = False
    grade: int | None = None
    until: date | None = None


class RunPeriod(Struct, frozen=True):
    """A stretch of days of one month with the same lines before and after, for one payee, and the run that pays it.

    `changes`: whether that run has anything to do for it.
    """

    payee: str
    first: date
    last: date
    run: date
    rows: tuple[RunRow, ...]
    changes: bool

    @property
    def payout(self) -> int:
        """Kroner that leave the rail for these days, before tax and deductions: the sum of all rows."""
        return sum(row.amount for row in self.rows)


class Recovery(Struct, frozen=True, order=True):
    """Where an overpayment lies: a day's money of one class to one payee."""

    payee: str
    day: date
    class_code: str


class AccountCodes(Struct, frozen=True):
    """The class codes by which a benefit group keeps recoveries and adjustments."""

    recovery: str
    counter: str
    adjustment: str


class RunResult(Struct, frozen=True):
    """The periods of a case by payee and day, and by how much each recovery has grown (or shrunk)."""

    periods: tuple[RunPeriod, ...]
    recovered: Mapping[Recovery, int]


class _RunDay:
    """A day of one payee while it is worked on: what is new, what was paid, and what becomes of the difference."""

    def __init__(self, day: date) -> None:
        self.day = day
        self.new: list[DayMoney] = []
        self.old: list[DayMoney] = []
        self.recovered: dict[str, int] = {}
        self.adjusted = self.difference = 0
        self.picture: tuple[list[tuple[object, ...]], list[tuple[object, ...]]] = [], []
        """All by which two days are alike."""

    def complete(self) -> None:
        """All money of the day is there."""
        for money in (self.new, self.old):
            if len(money) > 1:
                money.sort(key=lambda each: (each.class_code, each.line_id))
        self.picture = [_undated(money) for money in self.new], [_undated(money) for money in self.old]
        self.difference = sum(money.amount for money in self.new) - sum(money.amount for money in self.old)

    def losses(self) -> dict[str, int]:
        """By how much each class has become less, for those that have."""
        change: Counter[str] = Counter()
        for money in self.new:
            change[money.class_code] += money.amount
        for money in self.old:
            change[money.class_code] -= money.amount
        return {class_code: -amount for class_code, amount in sorted(change.items()) if amount < 0}


def reckon(
    due: Iterable[DayMoney], paid: Iterable[DayMoney], recoveries: Mapping[Recovery, int], codes: AccountCodes, next_run: date
) -> RunResult:
    """Works out what the runs from `next_run` on make of the money of one case."""
    by_payee: defaultdict[str, dict[date, _RunDay]] = defaultdict(dict)
    for money in due:
        _day(by_payee[money.payee], money.day).new.append(money)
    for money in paid:
        _day(by_payee[money.payee], money.day).old.append(money)
    periods: list[RunPeriod] = []
    recovered: dict[Recovery, int] = {}
    for payee, found in sorted(by_payee.items()):
        days = [found[day] for day in sorted(found)]
        for day in days:
            day.complete()
        _settle(payee, days, recoveries, next_run)
        recovered |= {Recovery(payee, day.day, code): amount for day in days for code, amount in day.recovered.items() if amount}
        periods += [_period(payee, alike, codes, next_run) for alike in _stretches(days)]
    return RunResult(tuple(periods), recovered)


def _day(days: dict[date, _RunDay], day: date) -> _RunDay:
    found = days.get(day)
    if found is None:
        found = days[day] = _RunDay(day)
    return found


def _undated(money: DayMoney) -> tuple[object, ...]:
    return money.line_id, money.class_code, money.rate_code, money.amount, money.grade


def _settle(payee: str, days: Sequence[_RunDay], recoveries: Mapping[Recovery, int], next_run: date) -> None:
    """Decides what becomes of each day's difference."""
    increases = deque[tuple[_RunDay, int]]()
    for day in days:
        left = day.difference
        if left > 0 and recoveries:
            left = _take_back(payee, day, left, recoveries)
        if left > 0:
            increases.append((day, left))
    for day in days:
        reduction = -day.difference
        if reduction > 0:
            reduction = _set_off(day, reduction, increases, next_run)
        if reduction > 0:
            _recover(day, reduction)


def _take_back(payee: str, day: _RunDay, increase: int, recoveries: Mapping[Recovery, int]) -> int:
    """Takes the day's recoveries back with its increase; returns what is left of that."""
    found = sorted((each, amount) for each, amount in recoveries.items() if each.payee == payee and each.day == day.day)
    for each, amount in found:
        taken = min(amount, increase)
        day.recovered[each.class_code] = -taken
        increase -= taken
    return increase


def _set_off(day: _RunDay, reduction: int, increases: deque[tuple[_RunDay, int]], next_run: date) -> int:
    """Sets the reduction off against later increases that may take it; returns what is left. Earlier ones serve nobody any more."""
    while increases and increases[0][0].day <= day.day:
        increases.popleft()
    while reduction and increases and _may_take(increases[0][0].day, day.day, next_run):
        later, left = increases.popleft()
        taken = min(left, reduction)
        day.adjusted += taken
        later.adjusted -= taken
        reduction -= taken
        if left > taken:
            increases.appendleft((later, left - taken))
    return reduction


def _may_take(later: date, reduced: date, next_run: date) -> bool:
    months = 12 * (later.year - reduced.year) + later.month - reduced.month
    return months <= 1 and due_in_run(later, next_run) == due_in_run(reduced, next_run)


def _recover(day: _RunDay, amount: int) -> None:
    """Recovers from the classes that have become less; what others gained or took is let off the first of them."""
    losses = day.losses()
    let_off = sum(losses.values()) - amount
    for class_code, loss in losses.items():
        kept = min(loss, let_off)
        let_off -= kept
        if loss > kept:
            day.recovered[class_code] = loss - kept


def _stretches(days: Sequence[_RunDay]) -> Iterator[list[_RunDay]]:
    """The days in stretches that are alike, without a gap, within a month."""
    stretch: list[_RunDay] = []
    for day in days:
        if stretch and not _goes_on(stretch[-1], day):
            yield stretch
            stretch = []
        stretch.append(day)
    if stretch:
        yield stretch


def _goes_on(one: _RunDay, other: _RunDay) -> bool:
    if one.picture != other.picture:
        return False
    rates = {money.rate_code for money in (*one.new, *one.old)}
    return one.day.month == other.day.month and rates <= {*DAILY} and is_gapless(rates, one.day, other.day)


def _period(payee: str, alike: Sequence[_RunDay], codes: AccountCodes, next_run: date) -> RunPeriod:
    first = alike[0]
    recovered: Counter[str] = Counter()
    for day in alike:
        recovered.update(day.recovered)
    adjusted, count = sum(day.adjusted for day in alike), len(alike)
    last = min(money.until for money in (*alike[-1].new, *alike[-1].old))
    rows = [
        *(RunRow(RowType.PAY, code, amount, is_reversal=amount < 0) for code, amount in sorted(recovered.items()) if amount),
        *(_pay(money, count, last) for money in first.new),
        *_accounts(sum(recovered.values()), adjusted, codes),
        *(_reversal(money, count, last) for money in first.old),
    ]
    changes = first.new != first.old or bool(adjusted)
    return RunPeriod(payee, first.day, last, due_in_run(first.day, next_run), tuple(rows), changes)


def _pay(money: DayMoney, days: int, last: date) -> RunRow:
    """The new pay of a period that ends on a day."""
    return RunRow(
        RowType.PAY,
        money.class_code,
        money.amount * days,
        money.amount,
        money.rate_code,
        days,
        money.line_id,
        grade=money.grade,
        until=_beyond(money, last),
    )


def _reversal(money: DayMoney, days: int, last: date) -> RunRow:
    """The pay of an earlier run, taken back, for a period that ends on a day."""
    return RunRow(
        RowType.PAY,
        money.class_code,
        -money.amount * days,
        money.amount,
        money.rate_code,
        is_reversal=True,
        grade=money.grade,
        until=_beyond(money, last),
    )


def _beyond(money: DayMoney, last: date) -> date | None:
    return money.until if money.until > last else None


def _accounts(recovered: int, adjusted: int, codes: AccountCodes) -> Iterator[RunRow]:
    """The rows of the recovery with its counter row, and of the adjustment account."""
    if recovered:
        yield RunRow(RowType.RECOVERY, codes.recovery, recovered)
    if adjusted:
        yield RunRow(RowType.RECOVERY, codes.adjustment, adjusted)
    if recovered:
        yield RunRow(RowType.COUNTER, codes.counter, -recovered)
