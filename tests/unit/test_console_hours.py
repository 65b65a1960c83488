"""Hours of rails as pages tell them: found by asking a rail whether it is open at moments, across nights, holidays and days of 23 hours."""

from datetime import UTC, datetime, time, timedelta

import pytest

from kvitt.api.console.hours import rail_hours
from kvitt.rails.oppdrag.opening_hours import OpeningHours


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}Z")


@pytest.mark.parametrize(
    ("now", "is_open", "changes_at", "today"),
    [
        ("2026-06-01T10:00", True, "2026-06-01T19:00", [("2026-06-01T04:00", "2026-06-01T19:00")]),
        ("2026-06-01T03:59:59", False, "2026-06-01T04:00", [("2026-06-01T04:00", "2026-06-01T19:00")]),
        ("2026-06-05T20:00", False, "2026-06-08T04:00", [("2026-06-05T04:00", "2026-06-05T19:00")]),
        ("2026-06-06T10:00", False, "2026-06-08T04:00", []),
        ("2026-03-29T10:00", False, "2026-03-30T04:00", []),
        ("2026-04-01T20:00", False, "2026-04-07T04:00", [("2026-04-01T04:00", "2026-04-01T19:00")]),
    ],
    ids=["by day", "before it opens", "Friday night", "Saturday", "the clocks go forward", "before Easter"],
)
def test_a_rail_says_when_it_changes_and_when_it_is_open_today(
    now: str, is_open: bool, changes_at: str, today: list[tuple[str, str]]
) -> None:
    found = rail_hours("oppdrag", OpeningHours(), at(now))
    assert (found.is_open, found.changes_at) == (is_open, at(changes_at))
    assert [*found.today] == [(at(begin), at(end)) for begin, end in today]


def test_a_rail_that_never_closes_has_no_change() -> None:
    found = rail_hours("oppdrag", OpeningHours(time.min, time.min, every_day=True), at("2026-06-01T10:00"))
    assert (found.is_open, found.changes_at) == (True, None)
    assert [end - begin for begin, end in found.today] == [timedelta(days=1)]
    assert found.today[0][0].tzinfo is UTC
