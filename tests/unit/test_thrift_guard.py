"""Hostile bytes are refused before anything is made of them (payouts §7.2, §12)."""

import struct
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.errors import BadThrift
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import (
    CALL,
    Service,
    UnknownMethod,
    decode_event,
    encode,
)
from unit.test_thrift_messages import CREATE, HOLD

ACCOUNTER, PAYOUTS = Service("accounter", "Accounter"), Service("payouts", "PayoutManagement")
HEAD = struct.pack(">I", 0x80010000 | CALL)
NAMED = HEAD + struct.pack(">i", 4) + b"Hold" + struct.pack(">i", 1)
PLAN_ID = bytes.fromhex("0b000100000001") + b"p"
BATCH_ID = bytes.fromhex("0a00010000000000000001")
CHANGE = NAMED + bytes.fromhex("0c0001")
POSTINGS = CHANGE + PLAN_ID + bytes.fromhex("0c0002") + BATCH_ID + bytes.fromhex("0f00020c")
BIG, NEGATIVE = struct.pack(">i", 2**31 - 1), struct.pack(">i", -1)


def nested(kind: bytes, depth: int) -> bytes:
    """A field that nobody knows, of things in things."""
    return CHANGE + kind * depth


HOSTILE = {
    "nothing": b"",
    "half a version": b"\x80\x01",
    "no strict protocol": b"\0\0\0\x04Hold\x01\0\0\0\x01\0",
    "a reply": HOLD[:3] + b"\x02" + HOLD[4:],
    "a long method name": HEAD + BIG + b"Hold",
    "a negative method name": HEAD + NEGATIVE + b"Hold" + b"\0" * 8,
    "a method name that is no text": HEAD + struct.pack(">i", 2) + b"\xff\xfe" + struct.pack(">i", 1),
    "a long string": CHANGE + bytes.fromhex("0b0001") + BIG,
    "a negative string": CHANGE + bytes.fromhex("0b0001") + NEGATIVE,
    "a string that is no text": CHANGE + bytes.fromhex("0b000100000002fffe"),
    "a long list": POSTINGS + BIG,
    "a negative list": POSTINGS + NEGATIVE,
    "a list of others": POSTINGS[:-1] + b"\x0a" + struct.pack(">i", 1) + b"\0" * 8,
    "a long unknown map": CHANGE + bytes.fromhex("0d00090b0b") + BIG,
    "a long unknown list of nothing": CHANGE + bytes.fromhex("0f000901") + BIG,
    "structs in structs": nested(bytes.fromhex("0c0009"), 100_000),
    "lists in lists": CHANGE + bytes.fromhex("0f0009") + bytes.fromhex("0f00000001") * 100_000,
    "a long text": CHANGE + bytes.fromhex("0b0001") + struct.pack(">i", 100_000) + b"\xff" * 100_000,
    "very many unknown structs": CHANGE + bytes.fromhex("0f00090c") + struct.pack(">i", 4_000_000) + b"\0" * 4_000_000,
    "very many postings": POSTINGS + struct.pack(">i", 1_000_000) + b"\0" * 1_000_000,
    "very many unknown numbers and no end": CHANGE + bytes.fromhex("0f000903") + struct.pack(">i", 4_000_000) + b"\0" * 4_000_000,
    "an unknown type": CHANGE + bytes.fromhex("050009"),
    "another type of a field": CHANGE + bytes.fromhex("0a0001") + b"\0" * 8,
    "a required field missing": CHANGE + PLAN_ID + b"\0\0",
    "cut off": HOLD[:-7],
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_refused_and_cost_little(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadThrift):
            ACCOUNTER.read_call(body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000


def test_a_field_that_is_there_twice_is_refused_by_its_number() -> None:
    with pytest.raises(BadThrift, match="field 1 more than once"):
        ACCOUNTER.read_call(CHANGE + PLAN_ID + PLAN_ID + b"\0\0")


@pytest.mark.parametrize("end", range(len(HOLD)))
def test_every_call_that_is_cut_short_is_said_to_be(end: int) -> None:
    with pytest.raises(BadThrift) as refused:
        ACCOUNTER.read_call(HOLD[:end])
    assert refused.value.cut_off


@pytest.mark.parametrize(
    "fields",
    [{}, {"merchant": 0, "system": 0}],
    ids=["no field", "two fields"],
)
def test_a_union_has_one_field(fields: dict[str, int]) -> None:
    money = module("money")
    account = money.FinalCashFlowAccount(account_type=money.CashFlowAccount(**fields), account_id=1)
    with pytest.raises(BadThrift, match="union"):
        _read_money(account)


def test_a_number_that_the_enum_does_not_have_is_refused() -> None:
    money = module("money")
    with pytest.raises(BadThrift, match="enum"):
        _read_money(money.FinalCashFlowAccount(account_type=money.CashFlowAccount(merchant=7), account_id=1))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(body: bytes) -> None:
    for published in (body, NAMED + body, CHANGE + body):
        with suppress(BadThrift, UnknownMethod):
            ACCOUNTER.read_call(published)


@given(st.sampled_from([HOLD, CREATE]), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_calls_are_refused_or_read(body: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(body)
    for place, byte in damage:
        damaged[place % len(damaged)] = byte
    service = ACCOUNTER if body is HOLD else PAYOUTS
    with suppress(BadThrift, UnknownMethod):
        service.read_call(bytes(damaged))


def _read_money(value: Any) -> object:
    return decode_event(encode(value), type(value), "money")
