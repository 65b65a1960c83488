"""Which records of the rapid ask for reconciliation, up to which day, and which are broken (rapid §4.3)."""

import json
from datetime import date
from typing import Any

import pytest

from kvitt.contracts.rapid.wire.trigger import read_trigger
from kvitt.errors import Undecodable
from support.rapid_messages import clock_event, manual_event

DAY = date(2026, 5, 4)


def bytes_of(message: dict[str, Any], *, ascii_only: bool = False) -> bytes:
    return json.dumps(message, ensure_ascii=ascii_only).encode()


@pytest.mark.parametrize("ascii_only", [False, True])
def test_nine_oclock_asks_up_to_the_day_before_and_a_word_up_to_its_day(*, ascii_only: bool) -> None:
    assert read_trigger(bytes_of(clock_event("2026-05-05"), ascii_only=ascii_only)) == DAY
    assert read_trigger(bytes_of(manual_event("2026-05-04"), ascii_only=ascii_only)) == DAY


@pytest.mark.parametrize(
    "message",
    [
        clock_event("2026-05-05", time=8),
        clock_event("2026-05-05", time="9"),
        clock_event("2026-05-05", time=9.5),
        clock_event("2026-05-05", time=True),
        clock_event("2026-05-05", time=None),
        clock_event(None, time=10),
        {"@event_name": "hel_time"},
        {"@event_name": "avstemming", "@forårsaket_av": {"event_name": "hel_time"}, "dagen": "2026-05-04"},
        {"@event_name": ["utfør_avstemming"], "dagen": "2026-05-04"},
        {"@event_name": None, "text": "utfør_avstemming"},
    ],
)
def test_other_hours_and_other_events_ask_for_nothing(message: dict[str, Any]) -> None:
    assert read_trigger(bytes_of(message)) is None


@pytest.mark.parametrize("body", [b"", b"[]", b'"hel_time"', b"9", b'{"a":"\\u0041"', b"\xff"])
def test_what_is_no_event_asks_for_nothing(body: bytes) -> None:
    assert read_trigger(body) is None


@pytest.mark.parametrize(
    "day",
    [
        None,
        20260505,
        "",
        "2026-5-5",
        "05.05.2026",
        "2026-02-30",
        "2026-05-05T00:00:00",
        "0001-01-01",
        "1970-01-01",
        "２０２６-05-05",
        [],
        {},
    ],
)
def test_who_asks_and_names_no_day_is_broken_and_no_value_is_repeated(day: object) -> None:
    for message in (clock_event(day), manual_event(day)):
        with pytest.raises(Undecodable) as broken:
            read_trigger(bytes_of(message))
        assert broken.value.field == "dagen"
        assert str(day) not in str(broken.value) or day in ("", None, "1970-01-01")


def test_a_day_named_twice_and_what_is_no_json_are_broken() -> None:
    twice = b'{"@event_name":"hel_time","time":9,"dagen":"2026-05-05","dagen":"2026-05-06"}'
    for body in (twice, b'{"@event_name":"hel_time","time":9', "{utfør_avstemming".encode()):
        with pytest.raises(Undecodable):
            read_trigger(body)
