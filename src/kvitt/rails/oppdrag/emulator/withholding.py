"""Holds back from a person's money, before it leaves the rail: tax in per cent, and a deduction of so many kroner in each run."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.reckoning import RowType, RunPeriod, RunRow

TAX_CLASS = "FSKTSKAT"
USUAL_DEDUCTION = "AVSUINTE"
MONTHLY = "LOPM"
_SQL = load("payments", package="kvitt.rails.oppdrag.emulator")


class Withholding(Struct, frozen=True):
    """Tax in per cent of what is paid out (rounded down), and kroner of each run, taken of what is left after tax."""

    person: str
    tax_percent: int = 0
    deduction_class: str = USUAL_DEDUCTION
    deduction_kroner: int = 0


def put_withholding(conn: TupleConnection, withholding: Withholding) -> None:
    """Sets what is held back from a person from now on."""
    conn.execute(
        _SQL.put_withholding,
        {
            "person": withholding.person,
            "tax_percent": withholding.tax_percent,
            "deduction_class": withholding.deduction_class,
            "deduction_kroner": withholding.deduction_kroner,
        },
    )


def withholdings(conn: TupleConnection, persons: Iterable[str]) -> Mapping[str, Withholding]:
    """The withholding of each person that has one."""
    return {each.person: each for each in fetch(conn, Withholding, _SQL.withholdings, {"persons": sorted(set(persons))})}


def withheld(periods: Sequence[RunPeriod], withholding: Withholding | None, person: str) -> tuple[RunPeriod, ...]:
    """The periods with the rows of tax and deduction; of what goes to others than the person nothing is held back."""
    if withholding is None:
        return tuple(periods)
    taken: Counter[date] = Counter()
    return tuple(_withheld(period, withholding, taken) if period.payee == person else period for period in periods)


def _withheld(period: RunPeriod, withholding: Withholding, taken: Counter[date]) -> RunPeriod:
    """`taken`: what each run has deducted so far."""
    payout = period.payout
    tax = max(payout, 0) * withholding.tax_percent // 100
    deduction = max(0, min(payout - tax, withholding.deduction_kroner - taken[period.run]))
    taken[period.run] += deduction
    rows = []
    if tax:
        rows.append(RunRow(RowType.TAX, TAX_CLASS, -tax, rate_code="MND"))
    if deduction:
        rows.append(RunRow(RowType.DEDUCTION, withholding.deduction_class, -deduction, withholding.deduction_kroner, MONTHLY, 1))
    return replace(period, rows=(*period.rows, *rows)) if rows else period
