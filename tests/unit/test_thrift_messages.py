"""Thrift's bytes are those of the contract's examples, and values come back as they went (payouts §1.6, §4.2, §5)."""

import pytest
from thriftpy2.thrift import TException

from kvitt.errors import BadThrift
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import (
    Called,
    Service,
    UnknownMethod,
    decode_event,
    encode,
)

CREATE = bytes.fromhex(
    "800100010000000c4372656174655061796f7574000000010c00010c00010b00010000000770617274792d310b00020000000673686f702d31000c0002"
    "0a000100000000000003e80c00020b00010000000352554200000b000300000003702d310000"
)
NOT_FOUND = bytes.fromhex(
    "80010002000000094765745061796f7574000000010c00010b0001000000225061796f7574206e6f7420666f756e642c207061796f757449643d27702d343034270000"
)
CONFIRMED = bytes.fromhex("800100020000000d436f6e6669726d5061796f75740000000700")
HOLD = bytes.fromhex(
    "8001000100000004486f6c64000000010c00010b00010000000a7061796f75745f702d310c00020a000100000000000000010f00020c000000010a0001"
    "00000000000000650a000200000000000000670a000300000000000000050b0004000000035255420b00050000000a5041594f55542d702d3100000000"
)
HELD = bytes.fromhex("8001000200000004486f6c64000000010c00000c0002000000")

PAYOUTS, SHUMPUNE = Service("payouts", "PayoutManagement"), Service("shumpune", "Accounter")


def test_a_call_is_read_and_written_as_in_the_contract() -> None:
    called = PAYOUTS.read_call(CREATE)
    params = called.arguments.payout_params
    assert (called.method, called.sequence) == ("CreatePayout", 1)
    assert (params.shop_params.party_id, params.cash.amount, params.cash.currency.symbolic_code) == ("party-1", 1000, "RUB")
    assert (params.payout_id, params.payout_tool_id) == ("p-1", None)
    assert PAYOUTS.call("CreatePayout", 1, [params]) == CREATE


def test_a_hold_and_its_reply_are_those_of_the_contract() -> None:
    called, types = SHUMPUNE.read_call(HOLD), module("shumpune")
    assert SHUMPUNE.call("Hold", 1, [called.arguments.plan_change]) == HOLD
    assert SHUMPUNE.reply(called, types.Clock(latest=types.LatestClock())) == HELD
    assert SHUMPUNE.read_reply(HELD, "Hold", 1).latest is not None


def test_replies_are_those_of_the_contract() -> None:
    not_found = module("payouts").NotFound(message="Payout not found, payoutId='p-404'")
    assert PAYOUTS.throw(Called("GetPayout", 1, None), not_found) == NOT_FOUND
    assert PAYOUTS.reply(Called("ConfirmPayout", 7, None), None) == CONFIRMED


def test_a_declared_exception_is_thrown_on_the_other_side() -> None:
    with pytest.raises(module("payouts").NotFound, match="p-404"):
        PAYOUTS.read_reply(NOT_FOUND, "GetPayout", 1)


def test_an_exception_that_is_not_declared_is_not_written() -> None:
    invalid: TException = module("refusals").InvalidRequest(errors=["x"])
    assert PAYOUTS.throw(Called("ConfirmPayout", 1, None), invalid) is None


@pytest.mark.parametrize(("method", "sequence"), [("GetPayout", 2), ("ConfirmPayout", 1)])
def test_a_reply_to_another_call_is_refused(method: str, sequence: int) -> None:
    with pytest.raises(BadThrift):
        PAYOUTS.read_reply(NOT_FOUND, method, sequence)


def test_a_reply_without_a_result_is_refused() -> None:
    reply = PAYOUTS.reply(Called("GetPayout", 1, None), None)
    with pytest.raises(BadThrift, match="no result"):
        PAYOUTS.read_reply(reply, "GetPayout", 1)


def test_a_method_that_the_service_lacks_is_named() -> None:
    with pytest.raises(UnknownMethod, match=r"^CreatePayout$"):
        SHUMPUNE.read_call(CREATE)


def test_fields_come_in_any_order_and_unknown_ones_are_skipped() -> None:
    # The cash before the shop, and between them a field 9 that nobody knows: a map of texts to lists of structs.
    params = PAYOUTS.read_call(CREATE).arguments.payout_params
    shop, cash = b"\x0c\0\x01" + encode(params.shop_params), b"\x0c\0\x02" + encode(params.cash)
    assert shop + cash in CREATE
    unknown = bytes.fromhex("0d00090b0f00000001000000016b0c000000010a0001000000000000000700")
    published = CREATE.replace(shop + cash, cash + unknown + shop)
    assert PAYOUTS.read_call(published).arguments == PAYOUTS.read_call(CREATE).arguments


def test_a_struct_with_more_behind_it_is_refused() -> None:
    cash = module("money").Cash(amount=1, currency=module("money").CurrencyRef(symbolic_code="RUB"))
    assert decode_event(encode(cash), type(cash), "money") == cash
    with pytest.raises(BadThrift):
        decode_event(encode(cash) + b"\0", type(cash), "money")
