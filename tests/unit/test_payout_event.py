"""A payout in Thrift's bytes: the contract's own example, and every status in its field of the union."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import decode_event
from kvitt.payouts.event import encode_event
from kvitt.payouts.rules import (
    AccountType,
    CashFlowPosting,
    Payout,
    PayoutStatus,
    after,
)

FLOW = CashFlowPosting(AccountType.MERCHANT_SETTLEMENT, 101, AccountType.MERCHANT_PAYOUT, 103, 5, "RUB")
CREATED = datetime(2021, 9, 10, 12, 0, 0, 123456, tzinfo=UTC)
UNPAID = Payout("p-1", 0, CREATED, "party-1", "shop-1", PayoutStatus.UNPAID, None, (FLOW,), "pt-1", 5, 0, "RUB")
EXAMPLE = (
    "0b000100000003702d31080002000000010b000300000014323032312d30392d31305431323a30303a30315a0c00040c00020c00010c00030b00010000000c62616e6b20"
    "73616964206e6f000000000c00050b000100000003702d310b00020000001b323032312d30392d31305431323a30303a30302e3132333435365a0b0003000000077061"
    "7274792d310b00040000000673686f702d310c00050c00030b00010000000c62616e6b2073616964206e6f00000f00060c000000010c00010c00010800010000000000"
    "0a00020000000000000065000c00020c000108000100000002000a00020000000000000067000c00030a000100000000000000050c00020b0001000000035255420000"
    "000b00070000000470742d310a000800000000000000050a000900000000000000000c000a0b000100000003525542000000"
)


def test_the_event_of_the_contract_has_its_bytes() -> None:
    cancelled = after(UNPAID, PayoutStatus.CANCELLED, "bank said no")
    assert encode_event(cancelled, datetime(2021, 9, 10, 12, 0, 1, tzinfo=UTC)).hex() == EXAMPLE


def test_the_first_event_tells_the_whole_payout_twice() -> None:
    event = decode_event(encode_event(UNPAID, CREATED), module("payouts").Event, "payouts")
    assert event.sequence_id == 0
    assert event.payout_change.created.payout == event.payout
    assert event.payout_change.status_changed is None
    assert event.payout.cash_flow[0].details is None


@pytest.mark.parametrize("status", PayoutStatus)
def test_later_events_tell_the_status_that_the_snapshot_has(status: PayoutStatus) -> None:
    payout = replace(UNPAID, sequence=3, status=status, cancel_details="why" if status is PayoutStatus.CANCELLED else None)
    event = decode_event(encode_event(payout, CREATED), module("payouts").Event, "payouts")
    assert event.payout_change.status_changed.status == event.payout.status
    assert getattr(event.payout.status, status.value) is not None


@pytest.mark.parametrize("kind", AccountType)
def test_every_kind_of_account_has_its_place_on_the_wire(kind: AccountType) -> None:
    payout = replace(UNPAID, cash_flow=(replace(FLOW, source_type=kind, details="for you"),))
    event = decode_event(encode_event(payout, CREATED), module("payouts").Event, "payouts")
    (posting,) = event.payout.cash_flow
    owner, purpose = kind.value.split("_")
    money = module("money")
    enums = {"merchant": money.MerchantCashFlowAccount, "provider": money.ProviderCashFlowAccount}
    enums |= {"system": money.SystemCashFlowAccount, "external": money.ExternalCashFlowAccount}
    assert getattr(posting.source.account_type, owner) == getattr(enums[owner], purpose)
    assert (posting.source.account_id, posting.details) == (101, "for you")
