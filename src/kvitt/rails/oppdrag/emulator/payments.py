"""Keeps what the rail has paid: the money of cases as the database holds it, and the payment run of a day, which makes it so.

A run is played case by case in small transactions, each whole; killed in the middle and played again it goes on where it was.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from msgspec import Struct

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.fetch import fetch, fetch_later, fetch_value
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.bank_days import end_of_month, is_bank_day, next_bank_day
from kvitt.rails.oppdrag.emulator.due import DayMoney, account_of, due_money
from kvitt.rails.oppdrag.emulator.groups import account_codes
from kvitt.rails.oppdrag.emulator.habits import get_habits
from kvitt.rails.oppdrag.emulator.order import CaseAtRail, LineEntry
from kvitt.rails.oppdrag.emulator.reckoning import Recovery, RunPeriod, RunResult, reckon
from kvitt.rails.oppdrag.emulator.store import take_turns
from kvitt.rails.oppdrag.emulator.withholding import withheld, withholdings

CASES_PER_TRANSACTION = 200
_OSLO = ZoneInfo("Europe/Oslo")
_SQL = load("payments", package="kvitt.rails.oppdrag.emulator")


class CannotPay(Exception):
    """A payment run can not be played on that day."""


class CaseMoney(Struct, frozen=True):
    """All that the rail knows of a case's money: whose it is, its posted lines in order, what was paid, what is under recovery."""

    person: str
    entries: tuple[LineEntry, ...] = ()
    paid: tuple[DayMoney, ...] = ()
    recoveries: Mapping[Recovery, int] = {}


class PlayedRun(Struct, frozen=True):
    """The effect of a run, in whole kroner: `paid_kroner` left the rail before tax and deductions, `recovered_kroner` went under recovery
    (or came back from there, when it is negative)."""

    day: date
    cases: int
    paid_kroner: int
    recovered_kroner: int


class PostedRow(Struct, frozen=True):
    """A row that a run posted on a case, in whole kroner; its period has the days from `first` to `last`."""

    run_day: date
    payee: str
    first: date
    last: date
    row_type: str
    class_code: str
    amount: int
    line_id: str
    is_reversal: bool


class _PaidRow(Struct, frozen=True):
    case: CaseAtRail
    money: DayMoney


class _RecoveryRow(Struct, frozen=True):
    case: CaseAtRail
    place: Recovery
    amount: int


class _KnownPerson(Struct, frozen=True):
    case: CaseAtRail
    person: str


def money_of_cases(conn: TupleConnection, cases: Sequence[CaseAtRail], posted_before: datetime | None) -> dict[CaseAtRail, CaseMoney]:
    """The money of those cases that exist; `posted_before` None: every accepted line counts."""
    arrays = case_arrays(cases)
    # One way to the database and back for all of it.
    with conn.pipeline():
        persons = fetch_later(conn, _KnownPerson, _SQL.persons_of_cases, arrays, case=CaseAtRail)
        lines = fetch_later(conn, LineEntry, _SQL.entries_of_cases, {**arrays, "posted_before": posted_before}, case=CaseAtRail)
        money = fetch_later(conn, _PaidRow, _SQL.paid_of_cases, arrays, case=CaseAtRail, money=DayMoney)
        recovered = fetch_later(conn, _RecoveryRow, _SQL.recoveries_of_cases, arrays, case=CaseAtRail, place=Recovery)
    entries, paid = defaultdict[CaseAtRail, list[LineEntry]](list), defaultdict[CaseAtRail, list[DayMoney]](list)
    recoveries = defaultdict[CaseAtRail, dict[Recovery, int]](dict)
    for entry in lines():
        entries[entry.case].append(entry)
    for row in money():
        paid[row.case].append(row.money)
    for each in recovered():
        recoveries[each.case][each.place] = each.amount
    return {row.case: CaseMoney(row.person, tuple(entries[row.case]), tuple(paid[row.case]), recoveries[row.case]) for row in persons()}


def posting_limit(day: date) -> datetime:
    """Before when an order has to be received to be posted on a day: a day after its acceptance, counted in bank days."""
    while not is_bank_day(day):
        day = date.fromordinal(day.toordinal() - 1)
    return datetime.combine(day, time.min, _OSLO)


def last_run(conn: TupleConnection) -> date | None:
    """The day of the newest payment run that was played."""
    found: date | None = fetch_value(conn, _SQL.last_run)
    return found


def next_run(conn: TupleConnection, today: date) -> date:
    """The run that comes next."""
    return next_bank_day(max(today, last_run(conn) or today))


def posted_rows(conn: TupleConnection, area: str, case_id: str) -> tuple[PostedRow, ...]:
    """The rows that runs posted on a case, in order."""
    return tuple(fetch(conn, PostedRow, _SQL.run_rows, {"area": area, "case_id": case_id}))


def pay(conn: TupleConnection, day: date, now: datetime) -> PlayedRun:
    """Plays the payment run of a day: everything that is due up to the end of its month is paid, and what was paid too much recovered.

    Raises CannotPay for a day that is no bank day or lies before the newest run.
    """
    if not is_bank_day(day):
        raise CannotPay(f"{day} is no bank day; the next one is {next_bank_day(day)}")
    with conn.transaction():
        conn.execute(_SQL.lock_runs)
        newest = last_run(conn)
        if newest is not None and day < newest:
            raise CannotPay(f"the run of {newest} was played already; runs are played in order")
        conn.execute(_SQL.add_run, {"day": day, "now": now})
    posted_before = posting_limit(day) if get_habits(conn).posts_next_day else None
    played = [_pay_cases(conn, cases, day, posted_before) for cases in _batches(conn)]
    return PlayedRun(day, *(sum(each) for each in zip((0, 0, 0), *played, strict=True)))


def _batches(conn: TupleConnection) -> Iterator[list[CaseAtRail]]:
    after = CaseAtRail("", "")
    while found := fetch(
        conn, CaseAtRail, _SQL.cases_after, {"area": after.area, "case_id": after.case_id, "limit": CASES_PER_TRANSACTION}
    ):
        yield found
        after = found[-1]


def _pay_cases(conn: TupleConnection, cases: Sequence[CaseAtRail], day: date, posted_before: datetime | None) -> tuple[int, int, int]:
    """Pays these cases; returns how many had something to pay or recover, and the kroner of each."""
    with conn.transaction():
        take_turns(conn, [f"case {case.area} {case.case_id}" for case in cases])
        money = money_of_cases(conn, cases, posted_before)
        kept_back = withholdings(conn, (each.person for each in money.values()))
        results: dict[CaseAtRail, RunResult] = {}
        due: dict[CaseAtRail, list[DayMoney]] = {}
        for case, known in money.items():
            due[case] = due_money(known.entries, known.person, end_of_month(day))
            result = reckon(due[case], known.paid, known.recoveries, account_codes(case.area), day)
            if changed := [period for period in result.periods if period.changes]:
                periods = withheld(changed, kept_back.get(known.person), account_of(known.person))
                results[case] = RunResult(periods, result.recovered)
        if results:
            _write_paid(conn, {case: due[case] for case in results})
            _write_recoveries(conn, {case: (money[case].recoveries, result.recovered) for case, result in results.items()})
            _write_rows(conn, day, {case: result.periods for case, result in results.items()})
    return len(results), *_sums(results.values())


def _sums(results: Iterable[RunResult]) -> tuple[int, int]:
    found = list(results)
    paid = sum(row.amount for each in found for period in each.periods for row in period.rows if row.row_type.value not in ("SKAT", "TREK"))
    return paid, sum(amount for each in found for amount in each.recovered.values())


def _write_paid(conn: TupleConnection, due: Mapping[CaseAtRail, Sequence[DayMoney]]) -> None:
    conn.execute(_SQL.forget_paid, case_arrays(list(due)))
    rows = [(case, money) for case, found in due.items() for money in found]
    arrays = {
        **case_arrays([case for case, _ in rows]),
        "line_ids": [money.line_id for _, money in rows],
        "days": [money.day for _, money in rows],
        "untils": [money.until for _, money in rows],
        "class_codes": [money.class_code for _, money in rows],
        "rate_codes": [money.rate_code for _, money in rows],
        "payees": [money.payee for _, money in rows],
        "amounts": [money.amount for _, money in rows],
        "grades": [money.grade for _, money in rows],
    }
    conn.execute(_SQL.add_paid, arrays)


def _write_recoveries(conn: TupleConnection, changed: Mapping[CaseAtRail, tuple[Mapping[Recovery, int], Mapping[Recovery, int]]]) -> None:
    """Each item: what was under recovery, and by how much that has grown or shrunk."""
    rows = [
        (case, place, before.get(place, 0) + change) for case, (before, changes) in changed.items() for place, change in changes.items()
    ]
    if not rows:
        return
    arrays = {
        **case_arrays([case for case, _, _ in rows]),
        "payees": [place.payee for _, place, _ in rows],
        "days": [place.day for _, place, _ in rows],
        "class_codes": [place.class_code for _, place, _ in rows],
        "amounts": [amount for _, _, amount in rows],
    }
    conn.execute(_SQL.put_recoveries, arrays)
    conn.execute(_SQL.end_recoveries, arrays)


def _write_rows(conn: TupleConnection, day: date, periods: Mapping[CaseAtRail, Sequence[RunPeriod]]) -> None:
    rows = [(case, period, row) for case, found in periods.items() for period in found for row in period.rows]
    arrays = {
        **case_arrays([case for case, _, _ in rows]),
        "day": day,
        "payees": [period.payee for _, period, _ in rows],
        "firsts": [period.first for _, period, _ in rows],
        "lasts": [period.last for _, period, _ in rows],
        "row_types": [row.row_type.value for _, _, row in rows],
        "class_codes": [row.class_code for _, _, row in rows],
        "amounts": [row.amount for _, _, row in rows],
        "line_ids": [row.line_id for _, _, row in rows],
        "reversals": [row.is_reversal for _, _, row in rows],
    }
    conn.execute(_SQL.add_run_rows, arrays)


def case_arrays(cases: Sequence[CaseAtRail]) -> dict[str, list[str]]:
    """The cases as the arrays of a statement."""
    return {"areas": [case.area for case in cases], "case_ids": [case.case_id for case in cases]}
