"""Days of the rules: holidays, what follows what, and the joining of neighbours (helved §2.11, iverksetting §3.4)."""

from datetime import date, datetime
from itertools import permutations

import pytest

from kvitt.disbursement.calendar import (
    easter_sunday,
    is_working_day,
    next_day,
    next_weekday,
    next_working_day,
    previous_working_day,
    public_holidays,
    working_days_after,
)
from kvitt.disbursement.instructions import Given, in_order, merge
from kvitt.disbursement.values import Period, RateType
from kvitt.kernel.clock import oslo_moment
from support.strategies import june

THURSDAY, FRIDAY, SATURDAY, SUNDAY, MONDAY, TUESDAY = (date(2026, 6, day) for day in range(4, 10))


def given_of(period: Period) -> Given:
    """As a sender gives it."""
    return period.start, period.end, period.amount, period.office, period.decided_rate


@pytest.mark.parametrize(
    "easter",
    [date(2000, 4, 23), date(2008, 3, 23), date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2027, 3, 28), date(2038, 4, 25)],
)
def test_easter(easter: date) -> None:
    assert easter_sunday(easter.year) == easter


def test_the_public_holidays_of_a_year() -> None:
    assert sorted(public_holidays(2026)) == [
        date(2026, 1, 1),
        date(2026, 4, 2),
        date(2026, 4, 3),
        date(2026, 4, 5),
        date(2026, 4, 6),
        date(2026, 5, 1),
        date(2026, 5, 14),
        date(2026, 5, 17),
        date(2026, 5, 24),
        date(2026, 5, 25),
        date(2026, 12, 25),
        date(2026, 12, 26),
    ]


def test_holidays_that_fall_together_are_one() -> None:
    assert date(2008, 5, 1) in public_holidays(2008)
    assert len(public_holidays(2008)) == 11


@pytest.mark.parametrize(
    ("day", "working"),
    [(FRIDAY, True), (SATURDAY, False), (SUNDAY, False), (date(2026, 5, 1), False), (date(2026, 5, 14), False), (date(2026, 12, 24), True)],
)
def test_working_days(day: date, working: bool) -> None:
    assert is_working_day(day) is working


@pytest.mark.parametrize(
    ("day", "following", "before"),
    [
        (FRIDAY, MONDAY, THURSDAY),
        (SUNDAY, MONDAY, FRIDAY),
        (date(2026, 4, 1), date(2026, 4, 7), date(2026, 3, 31)),
        (date(2026, 4, 7), date(2026, 4, 8), date(2026, 4, 1)),
        (date(2026, 12, 31), date(2027, 1, 4), date(2026, 12, 30)),
    ],
)
def test_the_nearest_working_days_skip_weekends_and_holidays(day: date, following: date, before: date) -> None:
    assert next_working_day(day) == following
    assert previous_working_day(day) == before


@pytest.mark.parametrize(
    ("day", "following"),
    [
        (THURSDAY, FRIDAY),
        (FRIDAY, MONDAY),
        (SATURDAY, MONDAY),
        (SUNDAY, MONDAY),
        (MONDAY, TUESDAY),
        (date(2026, 4, 1), date(2026, 4, 2)),
    ],
)
def test_the_next_weekday_skips_weekends_but_no_holidays(day: date, following: date) -> None:
    assert next_weekday(day) == following


def test_days_follow_each_other_over_new_year() -> None:
    assert next_day(date(2025, 12, 31)) == date(2026, 1, 1)


DAY, WEEKDAY, MONTH = RateType.DAY, RateType.WEEKDAY, RateType.MONTH


@pytest.mark.parametrize(
    ("rate_type", "given", "merged"),
    [
        pytest.param(WEEKDAY, [june(4, 4, 90), june(5, 5, 90), june(8, 8, 90)], [june(4, 8, 90)], id="friday to monday"),
        pytest.param(DAY, [june(5, 5, 90), june(8, 8, 90)], [june(5, 5, 90), june(8, 8, 90)], id="not for all seven days"),
        pytest.param(MONTH, [june(5, 5, 90), june(8, 8, 90)], [june(5, 5, 90), june(8, 8, 90)], id="not for months"),
        pytest.param(DAY, [june(1, 1, 90), june(2, 2, 90), june(3, 3, 90)], [june(1, 3, 90)], id="day by day"),
        pytest.param(DAY, [june(1, 1, 90), june(3, 3, 90)], [june(1, 1, 90), june(3, 3, 90)], id="a day between"),
        pytest.param(WEEKDAY, [june(4, 4, 90), june(8, 8, 90)], [june(4, 4, 90), june(8, 8, 90)], id="thursday to monday"),
        pytest.param(WEEKDAY, [june(5, 6, 90), june(8, 8, 90)], [june(5, 8, 90)], id="saturday to monday"),
        pytest.param(WEEKDAY, [june(5, 5, 90), june(6, 6, 90), june(7, 8, 90)], [june(5, 8, 90)], id="through the weekend"),
        pytest.param(
            WEEKDAY, [june(1, 1, 90), june(2, 2, 80), june(3, 3, 90)], [june(1, 1, 90), june(2, 2, 80), june(3, 3, 90)], id="amounts"
        ),
        pytest.param(
            WEEKDAY, [june(1, 1, 90, rate=5), june(2, 2, 90, rate=6)], [june(1, 1, 90, rate=5), june(2, 2, 90, rate=6)], id="rates"
        ),
        pytest.param(WEEKDAY, [june(1, 1, 0), june(2, 2, 0)], [june(1, 2, 0)], id="amounts of zero stay, to be refused"),
        pytest.param(DAY, [june(1, 3, 90), june(3, 5, 90)], [june(1, 3, 90), june(3, 5, 90)], id="overlap stays, to be refused"),
        pytest.param(WEEKDAY, [june(1, 1, 90), june(1, 1, 90)], [june(1, 1, 90), june(1, 1, 90)], id="doubles stay, to be refused"),
        pytest.param(DAY, [june(1, 5, 90), june(6, 4, 90)], [june(1, 5, 90), june(6, 4, 90)], id="ends before it starts, second"),
        pytest.param(WEEKDAY, [june(8, 5, 90), june(8, 9, 90)], [june(8, 5, 90), june(8, 9, 90)], id="ends before it starts, first"),
        pytest.param(DAY, [], [], id="nothing"),
    ],
)
def test_neighbours_are_joined_in_whatever_order_they_come(rate_type: RateType, given: list[Period], merged: list[Period]) -> None:
    for listed in permutations(given):
        assert list(merge(map(given_of, listed), rate_type)) == merged


def test_months_are_joined_over_their_ends() -> None:
    april, may = Period(date(2026, 4, 1), date(2026, 4, 30), 7600), Period(date(2026, 5, 1), date(2026, 5, 31), 7600)
    assert merge(map(given_of, [may, april]), MONTH) == (Period(april.start, may.end, 7600),)


def test_a_joined_run_has_the_office_of_its_last_or_first_span() -> None:
    given = [june(1, 1, 90, office="0315"), june(2, 2, 90), june(3, 3, 90, office="0220")]
    assert merge(map(given_of, given), DAY) == (june(1, 3, 90, office="0220"),)
    assert merge(map(given_of, given), DAY, office_of_last=False) == (june(1, 3, 90, office="0315"),)


def test_periods_put_in_order_are_not_joined() -> None:
    assert in_order(map(given_of, [june(3, 3, 90), june(1, 2, 90)])) == (june(1, 2, 90), june(3, 3, 90))


@pytest.mark.parametrize(
    ("moment", "days", "later"),
    [
        ("2026-06-04T15:00", 1, "2026-06-05T15:00"),
        ("2026-06-05T15:00", 1, "2026-06-08T15:00"),
        ("2026-06-05T15:00", 2, "2026-06-09T15:00"),
        ("2026-06-06T10:00", 1, "2026-06-09T00:00"),
        ("2026-04-01T15:00", 1, "2026-04-07T15:00"),
        ("2026-12-24T12:00", 1, "2026-12-28T12:00"),
        ("2026-03-27T12:00", 1, "2026-03-30T12:00"),
    ],
)
def test_working_days_are_counted_at_the_same_time_of_the_day(moment: str, days: int, later: str) -> None:
    """Over weekends, Easter, Christmas, and the night in which the clocks go forward."""
    assert working_days_after(oslo_moment(datetime.fromisoformat(moment)), days) == oslo_moment(datetime.fromisoformat(later))
