"""How a need is answered: all of it, to the byte, with what the rapid keeps brought up to date (rapid §1.1, §1.2, §2.3)."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.rapid.needs import NeedKind
from kvitt.contracts.rapid.wire.packet import (
    Trace,
    answered,
    default_text,
    parse,
    trace_of,
)
from kvitt.contracts.rapid.wire.solutions import Solution, SolutionStatus, encode
from kvitt.formats.times import mapper_text
from support.rapid_messages import EXAMPLE, need_bytes

READ_AT = datetime.fromisoformat("2024-03-04T12:00:00")
MADE_AT = datetime.fromisoformat("2024-03-04T12:03:11.500000")
EVENT_ID = "7b1f8ad5-7c0f-5c1e-8d3c-2f2f0f5f1a11"
SOLUTION = encode(Solution(SolutionStatus.RECEIVED, "mottatt", key=1709550000000000123))


def answer(body: bytes, kinds: tuple[NeedKind, ...] = (NeedKind.PAYMENT,)) -> bytes:
    packet = parse(body, READ_AT)
    return answered(packet, dict.fromkeys(kinds, SOLUTION), event_id=EVENT_ID, at=MADE_AT, cause=trace_of(packet))


@pytest.mark.parametrize(
    ("at", "default", "mapper"),
    [
        (datetime.fromisoformat("2024-01-22T10:11:00"), "2024-01-22T10:11", "2024-01-22T10:11:00"),
        (datetime.fromisoformat("2024-01-22T10:11:12"), "2024-01-22T10:11:12", "2024-01-22T10:11:12"),
        (datetime.fromisoformat("2024-01-22T10:11:12.500000"), "2024-01-22T10:11:12.500", "2024-01-22T10:11:12.5"),
        (datetime.fromisoformat("2024-01-22T10:11:12.123456"), "2024-01-22T10:11:12.123456", "2024-01-22T10:11:12.123456"),
        (datetime.fromisoformat("2024-01-22T10:11:12.123450"), "2024-01-22T10:11:12.123450", "2024-01-22T10:11:12.12345"),
        (datetime.fromisoformat("2024-01-22T10:11:00.000001"), "2024-01-22T10:11:00.000001", "2024-01-22T10:11:00.000001"),
        (datetime.fromisoformat("2024-01-22T00:00:00"), "2024-01-22T00:00", "2024-01-22T00:00:00"),
    ],
)
def test_the_two_forms_of_a_time(at: datetime, default: str, mapper: str) -> None:
    assert (default_text(at), mapper_text(at)) == (default, mapper)


@given(st.datetimes())
def test_both_forms_say_the_same_time(at: datetime) -> None:
    padded = mapper_text(at) if at.microsecond == 0 else mapper_text(at).ljust(26, "0")
    assert datetime.fromisoformat(default_text(at)) == datetime.fromisoformat(padded) == at


def test_the_answer_to_the_contracts_example() -> None:
    published = json.loads(answer(EXAMPLE.encode()))
    assert published == json.loads(EXAMPLE) | {
        "@id": EVENT_ID,
        "@opprettet": "2024-03-04T12:03:11.500",
        "system_read_count": 0,
        "system_participating_services": [
            {"id": "0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11", "time": "2024-03-04T12:00", "service": "kvitt"},
            {"id": EVENT_ID, "time": "2024-03-04T12:03:11.500", "service": "kvitt"},
        ],
        "@forårsaket_av": {
            "id": "0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11",
            "opprettet": "2024-03-04T12:00",
            "event_name": "behov",
            "behov": ["Utbetaling"],
        },
        "@løsning": {"Utbetaling": {"status": "MOTTATT", "beskrivelse": "mottatt", "avstemmingsnøkkel": 1709550000000000123}},
    }


@pytest.mark.parametrize(
    "value",
    [
        b"9223372036854775807",
        b"1234567890123456789012345678901234567890",
        b"1.10",
        b"1E2",
        b"-0",
        b"null",
        b'{ "a" : [ 1.0 ,2 ] , "a":2}',
        '"\\u00e6 æ \\/ \\""'.encode(),
        b"[[[[]]]]",
    ],
)
def test_a_field_that_nobody_knows_is_carried_to_the_byte(value: bytes) -> None:
    published = answer(need_bytes()[:-1] + b',"ukjent":' + value + b"}")
    assert b'"ukjent":' + value in published


def test_the_need_itself_is_carried_to_the_byte() -> None:
    section = EXAMPLE[EXAMPLE.index('{"mottaker"') : -1].encode()
    assert b'"Utbetaling":' + section in answer(EXAMPLE.encode())


def test_what_stands_twice_counts_as_it_stands_last() -> None:
    assert answer(need_bytes()[:-1] + b',"x":1,"x":2}').count(b'"x":') == 1


@pytest.mark.parametrize(("before", "after"), [(0, 1), (7, 8), (None, 0), ("7", 0), (7.0, 0), (True, 0), (-5, 0), (2**70, 0), ([], 0)])
def test_every_reading_is_counted(before: Any, after: int) -> None:
    assert json.loads(answer(need_bytes(system_read_count=before)))["system_read_count"] == after


def test_those_who_read_it_before_stay_as_they_are() -> None:
    readers = b'[{"id":"a","instance":"x-1" , "image":null}, 17]'
    published = answer(need_bytes()[:-1] + b',"system_participating_services":' + readers + b"}")
    assert b'[{"id":"a","instance":"x-1" , "image":null},17,{"id":"0c7c9e0e' in published


@pytest.mark.parametrize("broken", ["x", 17, {}, None])
def test_readers_that_are_no_list_are_begun_anew(broken: Any) -> None:
    assert len(json.loads(answer(need_bytes(system_participating_services=broken)))["system_participating_services"]) == 2


def test_an_earlier_trace_and_a_null_solution_are_replaced() -> None:
    published = answer(need_bytes(**{"@forårsaket_av": {"id": "earlier"}, "@løsning": None}))
    assert published.count("@løsning".encode()) == published.count("@forårsaket_av".encode()) == 1
    assert json.loads(published)["@forårsaket_av"]["id"] == "0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11"


def test_a_need_that_names_both_is_answered_under_both() -> None:
    published = json.loads(answer(need_bytes(**{"@behov": ["Utbetaling", "Feriepengeutbetaling"]}), tuple(NeedKind)))
    assert set(published["@løsning"]) == {"Utbetaling", "Feriepengeutbetaling"}


def test_a_trace_names_what_there_is() -> None:
    packet = parse(need_bytes(**{"@behov": ["Utbetaling", "Godkjenning", 17]}), READ_AT)
    assert trace_of(packet) == Trace(
        "0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11", "2024-03-04T11:59:58.5", "behov", ("Utbetaling", "Godkjenning")
    )


def test_blank_parts_of_a_trace_are_left_out() -> None:
    packet = parse(b'{"@behov":["Utbetaling"],"@opprettet":null}', READ_AT)
    published = answered(packet, {NeedKind.PAYMENT: SOLUTION}, event_id=EVENT_ID, at=MADE_AT, cause=Trace("", "", "behov"))
    assert json.loads(published)["@forårsaket_av"] == {"event_name": "behov"}
    assert trace_of(packet).opprettet == "2024-03-04T12:00", "what says no time was made when it was read"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
OWN = ["@id", "@opprettet", "@behov", "@løsning", "@forårsaket_av", "@event_name", "system_read_count", "system_participating_services"]


@given(st.dictionaries(st.sampled_from(OWN) | st.text(max_size=8), json_values))
def test_any_object_can_be_answered_and_keeps_what_is_not_the_rapids(document: dict[str, Any]) -> None:
    published = json.loads(answer(json.dumps(document).encode()))
    assert {name: published[name] for name in document if name not in OWN} == {name: document[name] for name in document if name not in OWN}
