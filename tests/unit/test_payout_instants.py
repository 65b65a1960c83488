"""Instants as Java's ISO_INSTANT writes and reads them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kvitt.formats.times import instant_text, parse_instant

WHOLE = datetime(2021, 9, 10, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "2021-09-10T12:00:00Z"),
        (123_000, "2021-09-10T12:00:00.123Z"),
        (123_456, "2021-09-10T12:00:00.123456Z"),
        (1, "2021-09-10T12:00:00.000001Z"),
        (100_000, "2021-09-10T12:00:00.100Z"),
    ],
)
def test_an_instant_has_none_three_or_six_digits_of_the_second(micros: int, text: str) -> None:
    assert instant_text(WHOLE.replace(microsecond=micros)) == text
    assert parse_instant(text) == WHOLE.replace(microsecond=micros)


def test_other_zones_are_reported_in_utc() -> None:
    assert instant_text(WHOLE.astimezone(timezone(timedelta(hours=3)))) == "2021-09-10T12:00:00Z"


@pytest.mark.parametrize(("text", "micros"), [("2021-09-10T12:00:00.1Z", 100_000), ("2021-09-10T12:00:00.123456789Z", 123_456)])
def test_any_number_of_digits_is_read(text: str, micros: int) -> None:
    assert parse_instant(text) == WHOLE.replace(microsecond=micros)


@pytest.mark.parametrize("text", ["", "2021-09-10", "2021-09-10T12:00:00", "2021-09-10T12:00:00+00:00", "2021-13-10T12:00:00Z"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)
