"""Opening hours of the rail: weekends, holidays, nights and changed clocks are no waiting."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.rails.oppdrag.opening_hours import OpeningHours

OSLO = ZoneInfo("Europe/Oslo")
WEEKDAYS = OpeningHours()
ALWAYS = OpeningHours(time.min, time.min, every_day=True)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def oslo(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=OSLO).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "is_it"),
    [
        pytest.param(oslo(6, 5, 5, 59), False, id="before six"),
        pytest.param(oslo(6, 5, 6), True, id="Friday at six"),
        pytest.param(oslo(6, 5, 20, 59), True, id="before nine"),
        pytest.param(oslo(6, 5, 21), False, id="at nine in the evening"),
        pytest.param(oslo(6, 6, 12), False, id="Saturday"),
        pytest.param(oslo(6, 7, 12), False, id="Sunday"),
        pytest.param(oslo(5, 14, 12), False, id="Ascension Day"),
        pytest.param(oslo(4, 6, 12), False, id="Easter Monday"),
        pytest.param(oslo(12, 24, 12), True, id="Christmas Eve is a working day"),
        pytest.param(datetime(2026, 1, 5, 5, 0, tzinfo=UTC), True, id="six in winter is five o'clock UTC"),
        pytest.param(datetime(2026, 6, 5, 4, 0, tzinfo=UTC), True, id="six in summer is four o'clock UTC"),
    ],
)
def test_the_rail_is_open_on_working_days_from_six_to_nine(moment: datetime, is_it: bool) -> None:
    assert WEEKDAYS.is_open(moment) is is_it


@pytest.mark.parametrize(
    ("since", "until", "passed"),
    [
        pytest.param(oslo(6, 5, 12), oslo(6, 5, 13), HOUR, id="within a day"),
        pytest.param(oslo(6, 5, 4), oslo(6, 5, 7), HOUR, id="from before it opened"),
        pytest.param(oslo(6, 5, 20), oslo(6, 8, 7), 2 * HOUR, id="over a weekend"),
        pytest.param(oslo(5, 13, 20), oslo(5, 15, 7), 2 * HOUR, id="over a holiday"),
        pytest.param(oslo(6, 5, 22), oslo(6, 8, 5), timedelta(), id="while it was closed"),
        pytest.param(oslo(6, 5, 13), oslo(6, 5, 12), timedelta(), id="backwards"),
        pytest.param(oslo(6, 1, 6), oslo(6, 5, 21), 75 * HOUR, id="a week"),
    ],
)
def test_only_open_time_counts(since: datetime, until: datetime, passed: timedelta) -> None:
    assert WEEKDAYS.open_time(since, until) == passed


@pytest.mark.parametrize(
    ("now", "amount", "since"),
    [
        pytest.param(oslo(6, 5, 13), HOUR, oslo(6, 5, 12), id="within a day"),
        pytest.param(oslo(6, 8, 7), 2 * HOUR, oslo(6, 5, 20), id="over a weekend"),
        pytest.param(oslo(6, 8, 7), HOUR, oslo(6, 8, 6), id="just since it opened"),
        pytest.param(oslo(6, 8, 5), 15 * HOUR, oslo(6, 5, 6), id="asked while it is closed"),
        pytest.param(oslo(5, 15, 6, 30), HOUR, oslo(5, 13, 20, 30), id="over a holiday"),
    ],
)
def test_how_long_ago_an_amount_of_open_time_began(now: datetime, amount: timedelta, since: datetime) -> None:
    assert WEEKDAYS.open_time_ago(now, amount) == since


def test_a_rail_that_never_closes_counts_the_days_on_which_clocks_change_as_they_are() -> None:
    assert ALWAYS.open_time(oslo(3, 29, 0), oslo(3, 30, 0)) == 23 * HOUR
    assert ALWAYS.open_time(oslo(10, 25, 0), oslo(10, 26, 0)) == 25 * HOUR
    assert ALWAYS.is_open(oslo(12, 25, 3))


def test_a_rail_that_never_opens_is_asked_for_no_longer_than_ten_years() -> None:
    never = OpeningHours(time(6), time(6))
    assert never.open_time_ago(oslo(6, 5, 12), HOUR) == oslo(6, 5, 12) - timedelta(days=3660)
    assert not never.is_open(oslo(6, 5, 12))


MOMENTS = st.datetimes(datetime(2025, 12, 1), datetime(2027, 1, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are given without
HOURS = st.sampled_from([WEEKDAYS, ALWAYS, OpeningHours(time(8), time(15, 45)), OpeningHours(time(6), time(21), every_day=True)])


@given(HOURS, MOMENTS, st.timedeltas(MINUTE, 200 * HOUR))
def test_looking_back_and_counting_agree(hours: OpeningHours, now: datetime, amount: timedelta) -> None:
    since = hours.open_time_ago(now, amount)
    assert hours.open_time(since, now) == amount
    assert hours.open_time(since + timedelta(microseconds=1), now) < amount


@given(HOURS, MOMENTS, MOMENTS, MOMENTS)
def test_open_time_adds_up(hours: OpeningHours, first: datetime, second: datetime, third: datetime) -> None:
    since, between, until = sorted([first, second, third])
    assert hours.open_time(since, between) + hours.open_time(between, until) == hours.open_time(since, until)
