"""A schedule is expanded up to a bound, whatever the periods are, and says what it leaves out."""

from datetime import date

import click
import pytest

from kvitt.cli.calendar import draw
from kvitt.disbursement.schedule import Beyond, Owed, expand
from kvitt.disbursement.values import RateType
from kvitt.rails.oppdrag.emulator import DaySpan, days_of

END = date.max


def owed(start: date, end: date, rate_type: RateType, amount: int = 100) -> Owed:
    return Owed(start, end, amount, rate_type, "B")


@pytest.mark.parametrize(
    ("rate_type", "end", "days"),
    [
        (RateType.DAY, date(2026, 6, 8), [4, 5, 6, 7, 8]),
        (RateType.WEEKDAY, date(2026, 6, 8), [4, 5, 8]),
        (RateType.ONE_OFF, date(2026, 6, 8), [4]),
        (RateType.MONTH, date(2026, 6, 30), [4]),
    ],
)
def test_each_rate_falls_due_on_its_days(rate_type: RateType, end: date, days: list[int]) -> None:
    found = expand([owed(date(2026, 6, 4), end, rate_type)])
    assert ([due.day for due in found.days], found.beyond) == ([date(2026, 6, day) for day in days], None)


def test_a_month_is_due_on_the_first_day_of_all_and_then_on_each_first() -> None:
    found = expand([owed(date(2025, 11, 15), date(2026, 2, 1), RateType.MONTH)])
    assert [due.day for due in found.days] == [date(2025, 11, 15), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]


@pytest.mark.parametrize("rate_type", list(RateType))
@pytest.mark.parametrize("start", [date(2026, 6, 1), date.min, date(9999, 12, 31)])
def test_a_period_without_end_is_bounded_and_says_so(rate_type: RateType, start: date) -> None:
    found = expand([owed(start, END, rate_type)])
    assert 1 <= len(found.days) <= 366 * 20 + 1
    assert (found.beyond is None) == (rate_type is RateType.ONE_OFF or start == END)
    assert found.beyond is None or found.beyond.until == END
    assert [line for line in draw(found.days, "t", found.beyond) if "not drawn after" in line or found.beyond is None]


def test_very_many_periods_are_drawn_less_far() -> None:
    found = expand([owed(date(2026, 1, 1), END, RateType.DAY)] * 5000)
    assert len(found.days) <= 250_000
    assert found.beyond is not None


def test_payments_centuries_apart_are_not_drawn_week_by_week_between() -> None:
    found = expand([owed(date(2026, 1, 1), date(2026, 1, 1), RateType.ONE_OFF), owed(date(9990, 1, 1), date(9990, 1, 1), RateType.ONE_OFF)])
    assert [due.day.year for due in found.days] == [2026]
    assert found.beyond == Beyond(date(2046, 1, 16), date(9990, 1, 1))


@pytest.mark.parametrize("rate", ["DAG", "DAG7", "MND", "ENG"])
def test_the_emulators_schedule_has_a_bound_of_its_own(rate: str) -> None:
    span = DaySpan("L", "L", "L", date(2026, 6, 1), END, 100, rate, "C", None)
    days, beyond = days_of([span])
    assert 1 <= len(days) <= 366 * 20
    assert beyond == (None if rate == "ENG" else (date(2045, 12, 31), END))
    assert days_of([]) == ((), None)


def test_weeks_that_look_alike_are_folded_and_amounts_grouped() -> None:
    dues = expand([owed(date(2025, 6, 2), date(2025, 6, 27), RateType.WEEKDAY, 1553)]).days
    weeks = [" ".join(click.unstyle(line).split()) for line in draw(dues) if line.startswith("2025")]
    assert weeks == ["2025-06-02 1,553 1,553 1,553 1,553 1,553 · · × 4 weeks"]
