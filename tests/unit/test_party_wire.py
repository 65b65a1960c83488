"""A whole party of PartyManagement passes the guard, and fields that a newer peer adds are passed by."""

import struct
from typing import Any

import pytest

from kvitt.api.thrift.services import cash_flow_from_wire
from kvitt.errors import BadThrift
from kvitt.formats.thrift.messages import (
    REPLY,
    Service,
    decode_event,
    encode,
)
from support.party_records import TYPES, a_cash_flow, a_party, as_a_newer_peer_tells

SERVICE = Service("parties", "PartyManagement")


def reply(method: str, value: Any) -> bytes:
    """The bytes of a reply of a newer peer."""
    head = struct.pack(f">Ii{len(method)}si", 0x80010000 | REPLY, len(method), method.encode(), 1)
    return head + as_a_newer_peer_tells(SERVICE.result(method)(success=value))


def test_every_field_of_a_party_comes_back_as_it_was_written() -> None:
    assert decode_event(encode(a_party()), TYPES.Party, "parties") == a_party()


def test_the_party_that_tests_speak_of_has_every_field_set() -> None:
    """Else the tests above and below prove less than they say."""
    published = a_party()
    contract, shop, wallet = published.contracts["contract-1"], published.shops["shop-1"], published.wallets["wallet-1"]
    account = contract.payout_tools[1].payout_tool_info.international_bank_account
    for each in (published, contract, contract.legal_agreement, contract.adjustments[0], shop, shop.details, wallet, account, account.bank):
        assert None not in vars(each).values(), type(each).__name__


def test_fields_of_a_newer_peer_are_passed_by_at_every_depth() -> None:
    assert SERVICE.read_reply(reply("Get", a_party()), "Get", 1) == a_party()
    flow = SERVICE.read_reply(reply("ComputePayoutCashFlow", a_cash_flow()), "ComputePayoutCashFlow", 1)
    assert cash_flow_from_wire(flow) == cash_flow_from_wire(a_cash_flow())


@pytest.mark.parametrize(
    ("field", "complaint"),
    [("shops", "Party lacks field 5"), ("contracts", "Party lacks field 4"), ("blocking", "Party lacks field 2")],
)
def test_a_party_without_a_field_that_it_must_have_is_refused(field: str, complaint: str) -> None:
    party = a_party()
    setattr(party, field, None)
    with pytest.raises(BadThrift, match=complaint):
        decode_event(encode(party), TYPES.Party, "parties")


def test_no_reply_cut_short_is_taken_for_a_party() -> None:
    whole = reply("Get", a_party())
    for length in range(0, len(whole), 7):
        with pytest.raises(BadThrift):
            SERVICE.read_reply(whole[:length], "Get", 1)
