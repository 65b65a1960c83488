"""Date-times keep nine digits and take their shortest Java form; dates carry Oslo's offset."""

from datetime import date

import pytest

from kvitt.formats.times import (
    date_of_parts,
    date_with_offset,
    local_of_parts,
    local_text,
    local_text_of_instant,
)


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("2025-01-01T10:30", "2025-01-01T10:30"),
        ("2025-01-01T10:30:00", "2025-01-01T10:30"),
        ("2025-01-01T10:30:00.000", "2025-01-01T10:30"),
        ("2025-01-01T10:30:05", "2025-01-01T10:30:05"),
        ("2025-01-01T10:00:00.1", "2025-01-01T10:00:00.100"),
        ("2025-01-01T10:30:05.123000", "2025-01-01T10:30:05.123"),
        ("2025-01-01T10:30:05.1234", "2025-01-01T10:30:05.123400"),
        ("2025-01-01T10:30:05.123456", "2025-01-01T10:30:05.123456"),
        ("2025-01-01T10:30:05.123456789", "2025-01-01T10:30:05.123456789"),
        ("2025-07-01T10:30:05Z", "2025-07-01T10:30:05"),
        ("2024-02-29T23:59Z", "2024-02-29T23:59"),
    ],
)
def test_a_local_date_time_takes_its_shortest_form_and_a_zulu_mark_is_dropped(text: str, shortest: str) -> None:
    assert local_text(text) == shortest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-01-01",
        "2025-01-01T10",
        "2025-01-01T10:30.5",
        "2025-01-01T10:30:05.",
        "2025-01-01T10:30:05.1234567890",
        "2025-01-01T10:30:05+02:00",
        "2025-01-01 10:30:05",
        "2025-02-29T10:30",
        "2025-01-01T24:00",
        "2025-01-01T10:30:60",
        "0000-01-01T10:30",
        "2025-01-01T10:30\n",
        "２０25-01-01T10:30",
    ],
)
def test_anything_else_is_no_date_time(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller names the field, so the text does not matter
        local_text(text)


@pytest.mark.parametrize(
    ("instant", "local"),
    [
        ("2025-07-04T07:15:30Z", "2025-07-04T09:15:30"),
        ("2025-12-04T07:15:30.123456789Z", "2025-12-04T08:15:30.123456789"),
        ("2025-12-31T23:30:00Z", "2026-01-01T00:30"),
        ("2025-03-30T00:59:59Z", "2025-03-30T01:59:59"),
        ("2025-03-30T01:00:00Z", "2025-03-30T03:00"),
    ],
)
def test_an_instant_becomes_oslo_time(instant: str, local: str) -> None:
    assert local_text_of_instant(instant) == local


@pytest.mark.parametrize("text", ["2025-07-04T07:15:30", "9999-12-31T23:30:00Z", "now"])
def test_an_instant_without_zulu_mark_or_outside_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller names the field, so the text does not matter
        local_text_of_instant(text)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([2025, 1, 2], "2025-01-02T00:00:00"),
        ([2025, 1, 2, 10, 30], "2025-01-02T10:30:00"),
        ([2025, 1, 2, 10, 30, 5, 1], "2025-01-02T10:30:05.000000001"),
    ],
)
def test_a_date_time_may_come_in_parts(parts: list[int], text: str) -> None:
    assert local_of_parts(parts) == text


@pytest.mark.parametrize("parts", [[], [2025], [2025, 1], [2025, 13, 1], [2025, 1, 1, 0, 0, 0, -1], [2025, 1, 1, 0, 0, 0, 10**9], [1] * 8])
def test_parts_that_make_no_date_time_are_refused(parts: list[int]) -> None:
    with pytest.raises((ValueError, TypeError)):
        local_of_parts(parts)


def test_a_date_may_come_in_parts() -> None:
    assert date_of_parts([2025, 6, 2]) == "2025-06-02"


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (date(2024, 8, 12), "2024-08-12+02:00"),
        (date(2024, 12, 12), "2024-12-12+01:00"),
        (date(2025, 3, 30), "2025-03-30+01:00"),  # summer time begins at two
        (date(2025, 10, 26), "2025-10-26+02:00"),
    ],
)
def test_a_date_has_the_offset_that_oslo_has_when_the_day_begins(day: date, text: str) -> None:
    assert date_with_offset(day) == text
