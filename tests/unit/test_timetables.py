"""When jobs are due: at even distances, or at times of the day in Oslo, on the days of a calendar, whatever the clocks do."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.kernel.jobs import At, Every, Timetable

MOMENTS = st.integers(1_577_836_800, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
TIMETABLES: st.SearchStrategy[Timetable] = st.one_of(
    st.builds(Every, st.integers(1, 90_000).map(lambda seconds: timedelta(seconds=seconds))),
    st.builds(At, st.sets(st.times(), min_size=1, max_size=3).map(lambda times: tuple(each.replace(microsecond=0) for each in times))),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(timetable=TIMETABLES, moment=MOMENTS)
def test_between_the_last_due_time_and_the_next_one_there_is_none(timetable: Timetable, moment: datetime) -> None:
    last, following = timetable.latest(moment), timetable.after(moment)
    assert last <= moment < following
    assert timetable.after(last) == following
    assert timetable.latest(following) == following
    assert timetable.latest(following - timedelta(microseconds=1)) == last


def test_a_time_of_the_day_is_oslos_in_winter_and_in_summer() -> None:
    timetable = At((time(6), time(21)))
    assert timetable.text == "at 06:00, 21:00, every day"
    assert timetable.after(at("2026-01-10T05:00")) == at("2026-01-10T20:00")
    assert timetable.after(at("2026-07-10T04:00")) == at("2026-07-10T19:00")
    assert timetable.after(at("2026-07-10T19:00")) == at("2026-07-11T04:00")


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        pytest.param("2026-03-28T12:00", "2026-03-29T01:30", id="the hour is left out: an hour later"),
        pytest.param("2026-10-24T12:00", "2026-10-25T00:30", id="the hour comes twice: the first time"),
        pytest.param("2026-10-25T00:30", "2026-10-26T01:30", id="and not the second time"),
    ],
)
def test_each_day_has_each_time_once_when_the_clocks_change(moment: str, due: str) -> None:
    assert At((time(2, 30),)).after(at(moment)) == at(due)


def test_a_calendar_says_on_which_days_something_is_due() -> None:
    weekdays = At((time(7),), "weekdays", lambda day: day.weekday() < 5)
    assert weekdays.text == "at 07:00, weekdays"
    assert weekdays.after(at("2026-11-27T07:00")) == at("2026-11-30T06:00"), "Friday after it, to Monday"
    assert weekdays.latest(at("2026-11-29T12:00")) == at("2026-11-27T06:00")
    never = At((time(7),), "never", lambda day: day == date.max)
    with pytest.raises(ValueError, match="no such day"):
        never.after(at("2026-11-27T07:00"))


def test_all_processes_have_the_same_even_due_times() -> None:
    assert Every(timedelta(minutes=5)).after(at("2026-11-27T07:01:17")) == at("2026-11-27T07:05")
    assert Every(timedelta(seconds=60)).text == "every 60 s"
