"""Works out what the rail would do: the order of a request put on top of what is booked, and the runs reckoned as they would then be.

Which months are answered depends on the span that is asked for and on what was paid; other cases of the person come along where the same
runs have something to do for them. Source: helved §4.8, §5.2.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import psycopg
from msgspec import Struct

from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator import answers
from kvitt.rails.oppdrag.emulator.bank_days import end_of_month
from kvitt.rails.oppdrag.emulator.decide import KnownCases, decide
from kvitt.rails.oppdrag.emulator.due import DayMoney, account_of, due_money
from kvitt.rails.oppdrag.emulator.groups import account_codes, group_of
from kvitt.rails.oppdrag.emulator.habits import ServiceHabits
from kvitt.rails.oppdrag.emulator.order import CaseAtRail, EmulatedAnswer, LineEntry
from kvitt.rails.oppdrag.emulator.payments import CaseMoney, money_of_cases, posting_limit
from kvitt.rails.oppdrag.emulator.reckoning import RunPeriod, reckon
from kvitt.rails.oppdrag.emulator.simulation.faults import NO_RUN_PLAN
from kvitt.rails.oppdrag.emulator.simulation.request import SimulationQuestion
from kvitt.rails.oppdrag.emulator.withholding import Withholding, withheld, withholdings

Connection = psycopg.Connection[tuple[object, ...]]
_SQL = load("payments", package="kvitt.rails.oppdrag.emulator")
_MOST_OTHERS = 20
_MOST_DAYS = 250_000
_LONGEST = timedelta(days=3660)
"""How far ahead the rail looks: an order may be without end."""
_A_MONTH = timedelta(days=31)
Month = tuple[int, int]


class SimulatedCase(Struct, frozen=True):
    """A case in an answer. `line_numbers`: the place of each line in its case, from 1."""

    case: CaseAtRail
    person: str
    periods: tuple[RunPeriod, ...]
    line_numbers: dict[str, int]


class _ShownMonths(Struct, frozen=True):
    """Which months are answered: those of the span, if there is one, and some more."""

    first: Month
    last: Month
    more: frozenset[Month]

    def has(self, day: date) -> bool:
        return self.first <= _month(day) <= self.last or _month(day) in self.more


def simulate(
    conn: Connection, asked: SimulationQuestion, habits: ServiceHabits, today: date, next_run: date
) -> tuple[SimulatedCase, ...] | EmulatedAnswer:
    """All that the order would lead to, the asked case first; nothing when it would change nothing; or why the rail says no to it."""
    case = asked.order.case
    others = _others(conn, asked) if habits.tells_others else []
    money = money_of_cases(conn, [case, *others], None)
    known = money.get(case)
    lines = () if known is None else [entry for entry in known.entries if entry.ceased_from is None]
    decision = decide(asked.order, KnownCases([] if known is None else [(case, known.person)], lines), today)
    if decision.answer is not answers.ACCEPTED:
        return decision.answer
    if habits.posts_next_day:
        money = money_of_cases(conn, [case, *others], posting_limit(today))
    posted = money.get(case) or CaseMoney(asked.order.person)
    after = (*posted.entries, *decision.entries)
    if _day_count(after, _plus(next_run, _LONGEST)) > _MOST_DAYS:
        return NO_RUN_PLAN
    shown = _shown(asked, posted, decision.entries, next_run)
    if shown is None:
        return ()
    last = max(_last_day(shown), end_of_month(next_run))
    found = [_simulated(case, posted, after, shown, (last, next_run))]
    others_found = [_simulated(other, money[other], money[other].entries, shown, (last, next_run)) for other in others if other in money]
    found += [_changing(other) for other in others_found if any(period.changes for period in other.periods)]
    kept_back = withholdings(conn, [asked.order.person])
    return tuple(_with_withholding(each, kept_back.get(each.person)) for each in found)


def _with_withholding(found: SimulatedCase, withholding: Withholding | None) -> SimulatedCase:
    periods = withheld(found.periods, withholding, account_of(found.person))
    return SimulatedCase(found.case, found.person, periods, found.line_numbers)


def _others(conn: Connection, asked: SimulationQuestion) -> list[CaseAtRail]:
    case = asked.order.case
    arguments = {"person": asked.order.person, "area": case.area, "case_id": case.case_id, "limit": _MOST_OTHERS}
    return [other for other in fetch(conn, CaseAtRail, _SQL.cases_of_person, arguments) if group_of(other.area) == group_of(case.area)]


def _simulated(
    case: CaseAtRail, money: CaseMoney, entries: Sequence[LineEntry], shown: _ShownMonths, until: tuple[date, date]
) -> SimulatedCase:
    """`until`: the last day that is looked at, and the next run."""
    last, next_run = until
    result = reckon(due_money(entries, money.person, last), money.paid, money.recoveries, account_codes(case.area), next_run)
    periods = tuple(period for period in result.periods if shown.has(period.first))
    return SimulatedCase(case, money.person, periods, _line_numbers(entries))


def _changing(other: SimulatedCase) -> SimulatedCase:
    """Of another case only what has to do with the runs."""
    periods = tuple(period for period in other.periods if period.changes)
    return SimulatedCase(other.case, other.person, periods, other.line_numbers)


def _line_numbers(entries: Iterable[LineEntry]) -> dict[str, int]:
    lines = dict.fromkeys(entry.line_id for entry in entries if entry.ceased_from is None)
    return {line_id: number for number, line_id in enumerate(lines, 1)}


def _shown(asked: SimulationQuestion, posted: CaseMoney, added: Sequence[LineEntry], next_run: date) -> _ShownMonths | None:
    """Which months are answered; None when nothing changes.

    With a last day: all of the span, and what is affected outside it where something was paid. Without one only the first month that is
    affected, unless something was paid in what is affected: then all of that, as far as the first month and the paid ones reach.
    """
    if not added:
        return None
    begins = min(entry.ceased_from or entry.starts for entry in added)
    horizon = _horizon(asked, posted, begins, next_run)
    affected = _affected(posted, added, horizon)
    if not affected:
        return None
    paid = affected & {_month(money.day) for money in posted.paid}
    if asked.last is not None:
        first = min(affected) if asked.first is None else _month(asked.first)
        return _ShownMonths(first, _month(min(asked.last, horizon)), frozenset(paid))
    later = {month for month in affected if asked.first is None or month >= _month(asked.first)} or affected
    months = frozenset(affected if paid else {min(later)})
    return _ShownMonths(min(months), min(months), months)


def _horizon(asked: SimulationQuestion, posted: CaseMoney, begins: date, next_run: date) -> date:
    """The last day on which changes are looked for."""
    paid = max((money.day for money in posted.paid), default=date.min)
    begins = max(begins, asked.first or begins)
    wanted = max(paid, end_of_month(next_run), _plus(begins, _A_MONTH), asked.last or date.min)
    return end_of_month(min(wanted, max(_plus(next_run, _LONGEST), paid)))


def _affected(posted: CaseMoney, added: Sequence[LineEntry], horizon: date) -> set[Month]:
    before: set[DayMoney] = set(due_money(posted.entries, posted.person, horizon))
    after: set[DayMoney] = set(due_money((*posted.entries, *added), posted.person, horizon))
    return {_month(money.day) for money in before ^ after}


def _day_count(entries: Iterable[LineEntry], until: date) -> int:
    """How many days the lines have, as far as the rail looks."""
    return sum(max((min(entry.ends, until) - entry.starts).days + 1, 0) for entry in entries if entry.ceased_from is None)


def _last_day(shown: _ShownMonths) -> date:
    year, month = max(shown.last, max(shown.more, default=shown.last))
    return end_of_month(date(year, month, 1))


def _month(day: date) -> Month:
    return day.year, day.month


def _plus(day: date, span: timedelta) -> date:
    return day + span if date.max - day > span else date.max
