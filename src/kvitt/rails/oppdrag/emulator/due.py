"""Money that falls due day by day on a case, with who gets it and for what: all that a payment run looks at."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from msgspec import Struct

from kvitt.rails.oppdrag.emulator.bank_days import end_of_month
from kvitt.rails.oppdrag.emulator.order import LineEntry
from kvitt.rails.oppdrag.emulator.schedule import in_force

BY_WEEKDAY, BY_DAY, BY_MONTH = "DAG", "DAG7", "MND"
DAILY = (BY_WEEKDAY, BY_DAY)
_SATURDAY = 5


class DayMoney(Struct, frozen=True):
    """Whole kroner of one line that fall due on a day, for the days until `until`; negative for a deduction."""

    day: date
    until: date
    line_id: str
    class_code: str
    rate_code: str
    payee: str
    amount: int
    grade: int | None = None


def due_money(entries: Iterable[LineEntry], person: str, last: date) -> list[DayMoney]:
    """The money that a case's accepted lines, in their order, let fall due up to a last day; without a payee it is the person's."""
    chains, _ = in_force(entries)
    return [
        DayMoney(day, until, line.line_id, line.class_code, line.rate_code, account_of(line.payee or person), line.amount, line.grade)
        for pieces in chains.values()
        for start, end, line in pieces
        for day, until in _due_days(line.rate_code, start, min(end, last), last)
    ]


def account_of(payee: str) -> str:
    """A payee in the rail's eleven characters: an organisation has two zeros before its number."""
    return payee.rjust(11, "0")


def _due_days(rate_code: str, start: date, end: date, last: date) -> Iterator[tuple[date, date]]:
    """Each day on which money falls due, and the last one that it is for."""
    if rate_code not in (*DAILY, BY_MONTH):
        if start <= last:
            yield start, start
        return
    day = start
    while day <= end:
        until = min(end, end_of_month(day)) if rate_code == BY_MONTH else day
        if rate_code != BY_WEEKDAY or day.weekday() < _SATURDAY:
            yield day, until
        day = until + timedelta(days=1)


def is_gapless(rate_codes: Iterable[str], one: date, other: date) -> bool:
    """Whether money by these rates that is due on two days has no day between them on which it should have been due."""
    if other - one == timedelta(days=1):
        return True
    return set(rate_codes) == {BY_WEEKDAY} and one.weekday() + 1 == _SATURDAY and other - one == timedelta(days=3)
