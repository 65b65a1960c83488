"""A payout and its events in Thrift: what callers get, and what is published on the topic of payouts (payouts §1, §5)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import encode
from kvitt.formats.times import instant_text
from kvitt.payouts.rules import (
    AccountType,
    CashFlowPosting,
    Payout,
    PayoutStatus,
)

SIDES: Final[Mapping[AccountType, tuple[str, int]]] = {
    AccountType.MERCHANT_SETTLEMENT: ("merchant", 0),
    AccountType.MERCHANT_GUARANTEE: ("merchant", 1),
    AccountType.MERCHANT_PAYOUT: ("merchant", 2),
    AccountType.PROVIDER_SETTLEMENT: ("provider", 0),
    AccountType.SYSTEM_SETTLEMENT: ("system", 0),
    AccountType.EXTERNAL_INCOME: ("external", 0),
    AccountType.EXTERNAL_OUTCOME: ("external", 1),
}
"""The field of the union CashFlowAccount, and the number in its enum (payouts §1.5)."""


def encode_event(payout: Payout, at: datetime) -> bytes:
    """The event of a payout's last change with the snapshot after it: the first one has all of it, later ones the status (payouts §5)."""
    payouts, snapshot = module("payouts"), payout_struct(payout)
    if payout.sequence == 0:
        change = payouts.PayoutChange(created=payouts.PayoutCreated(payout=snapshot))
    else:
        change = payouts.PayoutChange(status_changed=payouts.PayoutStatusChanged(status=snapshot.status))
    return encode(
        payouts.Event(
            payout_id=payout.payout_id,
            sequence_id=payout.sequence,
            created_at=instant_text(at),
            payout_change=change,
            payout=snapshot,
        )
    )


def payout_struct(payout: Payout) -> Any:
    """The struct Payout; details that are None stay unset."""
    payouts, money = module("payouts"), module("money")
    return payouts.Payout(
        payout_id=payout.payout_id,
        created_at=instant_text(payout.created_at),
        party_id=payout.party_id,
        shop_id=payout.shop_id,
        status=_status(payout),
        cash_flow=[_posting(each) for each in payout.cash_flow],
        payout_tool_id=payout.payout_tool_id,
        amount=payout.amount,
        fee=payout.fee,
        currency=money.CurrencyRef(symbolic_code=payout.currency),
    )


def _status(payout: Payout) -> Any:
    payouts = module("payouts")
    match payout.status:
        case PayoutStatus.UNPAID:
            return payouts.PayoutStatus(unpaid=payouts.PayoutUnpaid())
        case PayoutStatus.PAID:
            return payouts.PayoutStatus(paid=payouts.PayoutPaid())
        case PayoutStatus.CONFIRMED:
            return payouts.PayoutStatus(confirmed=payouts.PayoutConfirmed())
        case PayoutStatus.CANCELLED:
            assert payout.cancel_details is not None, "a cancelled payout says why"
            return payouts.PayoutStatus(cancelled=payouts.PayoutCancelled(details=payout.cancel_details))


def _posting(posting: CashFlowPosting) -> Any:
    money = module("money")
    return money.FinalCashFlowPosting(
        source=_account(posting.source_type, posting.source),
        destination=_account(posting.target_type, posting.target),
        volume=money.Cash(amount=posting.amount, currency=money.CurrencyRef(symbolic_code=posting.currency)),
        details=posting.details,
    )


def _account(kind: AccountType, account_id: int) -> Any:
    money, (side, number) = module("money"), SIDES[kind]
    return money.FinalCashFlowAccount(account_type=money.CashFlowAccount(**{side: number}), account_id=account_id)
