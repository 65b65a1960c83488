"""Works out what the rail would do: the order of a request put on top of what is booked, and the runs reckoned as they would then be.

Which months are answered depends on the span that is asked for and on what was paid; other cases of the person come along where the same
runs have something to do for them. Source: helved §4.8, §5.2.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from kvitt.kernel.database import TupleConnection
from kvitt.rails.oppdrag.emulator import answers
from kvitt.rails.oppdrag.emulator.bank_days import end_of_month
from kvitt.rails.oppdrag.emulator.decide import KnownCases, decide
from kvitt.rails.oppdrag.emulator.due import DayMoney, account_of, due_money
from kvitt.rails.oppdrag.emulator.groups import account_codes, group_of
from kvitt.rails.oppdrag.emulator.order import CaseAtRail, EmulatedAnswer, LineEntry
from kvitt.rails.oppdrag.emulator.payments import CaseMoney, money_of_cases, posting_limit
from kvitt.rails.oppdrag.emulator.reckoning import RunPeriod, reckon
from kvitt.rails.oppdrag.emulator.schedule import in_force
from kvitt.rails.oppdrag.emulator.simulation.faults import NO_RUN_PLAN
from kvitt.rails.oppdrag.emulator.simulation.request import SimulationQuestion
from kvitt.rails.oppdrag.emulator.withholding import Withholding, withheld

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


class Circumstances(Struct, frozen=True):
    """When the rail is asked, and what it knows of the person besides. `posts_next_day` is the habit of that name.

    `has_case` False: there is no such case yet.
    """

    today: date
    next_run: date
    others: tuple[CaseAtRail, ...] = ()
    withholding: Withholding | None = None
    posts_next_day: bool = False
    has_case: bool = True


def simulate(conn: TupleConnection, asked: SimulationQuestion, when: Circumstances) -> tuple[SimulatedCase, ...] | EmulatedAnswer:
    """All that the order would lead to, the asked case first; nothing when it would change nothing; or why the rail says no to it."""
    case, today, next_run = asked.order.case, when.today, when.next_run
    others = [other for other in when.others if group_of(other.area) == group_of(case.area)]
    money = money_of_cases(conn, [case, *others], None) if when.has_case or others else {}
    known = money.get(case)
    lines = () if known is None else [entry for entry in known.entries if entry.ceased_from is None]
    decision = decide(asked.order, KnownCases([] if known is None else [(case, known.person)], lines), today)
    if decision.answer is not answers.ACCEPTED:
        return decision.answer
    if when.posts_next_day and money:
        money = money_of_cases(conn, [case, *others], posting_limit(today))
    posted = money.get(case) or CaseMoney(asked.order.person)
    if not decision.entries:
        return ()
    after = (*posted.entries, *decision.entries)
    horizon = _horizon(asked, posted, decision.entries, next_run)
    if _day_count(after, horizon) > _MOST_DAYS:
        return NO_RUN_PLAN
    before, then = (due_money(entries, posted.person, horizon) for entries in (posted.entries, after))
    shown = _shown(asked, posted, {*before} ^ {*then}, horizon)
    if shown is None:
        return ()
    found = [_simulated(case, replace(posted, entries=after), then, shown, next_run)]
    for other in others:
        if theirs := money.get(other):
            due = due_money(theirs.entries, theirs.person, max(_last_day(shown), end_of_month(next_run)))
            found.append(_changing(_simulated(other, theirs, due, shown, next_run)))
    return tuple(_with_withholding(each, when.withholding) for each in found if each.periods)


def _with_withholding(found: SimulatedCase, withholding: Withholding | None) -> SimulatedCase:
    periods = withheld(found.periods, withholding, account_of(found.person))
    return SimulatedCase(found.case, found.person, periods, found.line_numbers)


def _simulated(case: CaseAtRail, money: CaseMoney, due: Iterable[DayMoney], shown: _ShownMonths, next_run: date) -> SimulatedCase:
    """The periods of the months that are answered. Elsewhere what is paid as it is due has nothing to do with the runs."""
    last = max(_last_day(shown), end_of_month(next_run))
    wanted = {each for each in due if each.day <= last}
    paid = {*money.paid}
    settled = {each for each in wanted & paid if not shown.has(each.day)}
    result = reckon(wanted - settled, paid - settled, money.recoveries, account_codes(case.area), next_run)
    periods = tuple(period for period in result.periods if shown.has(period.first))
    return SimulatedCase(case, money.person, periods, _line_numbers(money.entries))


def _changing(other: SimulatedCase) -> SimulatedCase:
    """Of another case only what has to do with the runs."""
    periods = tuple(period for period in other.periods if period.changes)
    return SimulatedCase(other.case, other.person, periods, other.line_numbers)


def _line_numbers(entries: Iterable[LineEntry]) -> dict[str, int]:
    lines = dict.fromkeys(entry.line_id for entry in entries if entry.ceased_from is None)
    return {line_id: number for number, line_id in enumerate(lines, 1)}


def _shown(asked: SimulationQuestion, posted: CaseMoney, changed: Iterable[DayMoney], horizon: date) -> _ShownMonths | None:
    """Which months are answered, up to the horizon; None when nothing changes.

    With a last day: all of the span, and what is affected outside it where something was paid. Without one only the first month that is
    affected, unless something was paid in what is affected: then all of that, as far as the first month and the paid ones reach.
    """
    affected = {_month(money.day) for money in changed}
    if not affected:
        return None
    paid = affected & {_month(money.day) for money in posted.paid}
    if asked.last is not None:
        first = min(affected) if asked.first is None else _month(asked.first)
        return _ShownMonths(first, _month(min(asked.last, horizon)), frozenset(paid))
    later = {month for month in affected if asked.first is None or month >= _month(asked.first)} or affected
    months = frozenset(affected if paid else {min(later)})
    return _ShownMonths(min(months), min(months), months)


def _horizon(asked: SimulationQuestion, posted: CaseMoney, added: Sequence[LineEntry], next_run: date) -> date:
    """The last day on which changes are looked for."""
    begins = min(entry.ceased_from or entry.starts for entry in added)
    paid = max((money.day for money in posted.paid), default=date.min)
    begins = max(begins, asked.first or begins)
    wanted = max(paid, end_of_month(next_run), _plus(begins, _A_MONTH), asked.last or date.min)
    return end_of_month(min(wanted, max(_plus(next_run, _LONGEST), paid, _plus(begins, _A_MONTH))))


def _day_count(entries: Iterable[LineEntry], until: date) -> int:
    """How many days the lines pay for, as far as the rail looks."""
    chains, _ = in_force(entries)
    return sum(max((min(end, until) - start).days + 1, 0) for pieces in chains.values() for start, end, _ in pieces)


def _last_day(shown: _ShownMonths) -> date:
    year, month = max(shown.last, max(shown.more, default=shown.last))
    return end_of_month(date(year, month, 1))


def _month(day: date) -> Month:
    return day.year, day.month


def _plus(day: date, span: timedelta) -> date:
    return day + span if date.max - day > span else date.max
