"""A payout and its events in Thrift: what callers get, and what is published on the topic of payouts (payouts §1, §5)."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from kvitt.formats.thrift.fields import END, i32, i64, nested, structs, text
from kvitt.formats.thrift.interface import module
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


_SIDE_FIELDS: Final[Mapping[str, int]] = {"merchant": 1, "provider": 2, "system": 3, "external": 4}
_STATUS_FIELDS: Final[Mapping[PayoutStatus, int]] = {
    PayoutStatus.UNPAID: 1,
    PayoutStatus.PAID: 2,
    PayoutStatus.CANCELLED: 3,
    PayoutStatus.CONFIRMED: 4,
}
"""The numbers of the fields of the unions CashFlowAccount and PayoutStatus."""


def encode_event(payout: Payout, at: datetime) -> bytes:
    """The event of a payout's last change with the snapshot after it: the first one has all of it, later ones the status (payouts §5)."""
    status, snapshot = _status_fields(payout.status, payout.cancel_details), _payout_fields(payout)
    change = nested(1, nested(1, snapshot)) if payout.sequence == 0 else nested(2, nested(1, status))
    head = text(1, payout.payout_id) + i32(2, payout.sequence) + text(3, instant_text(at))
    return head + nested(4, change) + nested(5, snapshot) + END


def _payout_fields(payout: Payout) -> bytes:
    return b"".join(
        (
            text(1, payout.payout_id),
            text(2, instant_text(payout.created_at)),
            text(3, payout.party_id),
            text(4, payout.shop_id),
            nested(5, _status_fields(payout.status, payout.cancel_details)),
            structs(6, [_posting_fields(each) for each in payout.cash_flow]),
            text(7, payout.payout_tool_id),
            i64(8, payout.amount),
            i64(9, payout.fee),
            nested(10, _currency_fields(payout.currency)),
        )
    )


def _status_fields(status: PayoutStatus, details: str | None) -> bytes:
    if status is not PayoutStatus.CANCELLED:
        return nested(_STATUS_FIELDS[status], b"")
    assert details is not None, "a cancelled payout says why"
    return nested(_STATUS_FIELDS[status], text(1, details))


def _posting_fields(posting: CashFlowPosting) -> bytes:
    money = i64(1, posting.amount) + nested(2, _currency_fields(posting.currency))
    details = b"" if posting.details is None else text(4, posting.details)
    source, target = _account_fields(posting.source_type, posting.source), _account_fields(posting.target_type, posting.target)
    return nested(1, source) + nested(2, target) + nested(3, money) + details


@lru_cache(maxsize=1024)
def _account_fields(kind: AccountType, account_id: int) -> bytes:
    side, number = SIDES[kind]
    return nested(1, i32(_SIDE_FIELDS[side], number)) + i64(2, account_id)


@lru_cache(maxsize=64)
def _currency_fields(currency: str) -> bytes:
    return text(1, currency)


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
