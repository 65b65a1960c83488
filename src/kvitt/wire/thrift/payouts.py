"""Payouts as they are on the wire: cash flow, status, payout (payout_manager §1)."""

from collections.abc import Sequence
from typing import Any, Final

from kvitt.rules.payouts import AccountType, CashFlowPosting, PayoutStatus
from kvitt.wire.thrift.interface import module

_payouts: Any = module("payouts")
_money: Any = module("money")

_WIRE_OF: Final = {
    AccountType.MERCHANT_SETTLEMENT: {"merchant": 0},
    AccountType.MERCHANT_GUARANTEE: {"merchant": 1},
    AccountType.MERCHANT_PAYOUT: {"merchant": 2},
    AccountType.PROVIDER_SETTLEMENT: {"provider": 0},
    AccountType.SYSTEM_SETTLEMENT: {"system": 0},
    AccountType.EXTERNAL_INCOME: {"external": 0},
    AccountType.EXTERNAL_OUTCOME: {"external": 1},
}
_TYPE_OF: Final = {next(iter(wire.items())): kind for kind, wire in _WIRE_OF.items()}


class NoSuchAccount(Exception):
    """A payout can't have an account of this type; the text names it."""


def cash_flow_to_wire(cash_flow: Sequence[CashFlowPosting]) -> list[Any]:
    """The movements as structs, in their order."""
    return [
        _money.FinalCashFlowPosting(
            source=_account(each.source_type, each.source),
            destination=_account(each.target_type, each.target),
            volume=_money.Cash(amount=each.amount, currency=_money.CurrencyRef(symbolic_code=each.currency)),
            details=each.details,
        )
        for each in cash_flow
    ]


def cash_flow_from_wire(postings: Sequence[Any]) -> tuple[CashFlowPosting, ...]:
    """The movements of structs. Raises NoSuchAccount for types that no payout has: the system's subagent, and wallets."""
    return tuple(
        CashFlowPosting(
            source_type=_type(each.source.account_type),
            source=each.source.account_id,
            target_type=_type(each.destination.account_type),
            target=each.destination.account_id,
            amount=each.volume.amount,
            currency=each.volume.currency.symbolic_code,
            details=each.details,
        )
        for each in postings
    )


def status_to_wire(status: PayoutStatus, cancel_details: str | None) -> Any:
    """The union of a status; a cancelled one has details."""
    if status is PayoutStatus.UNPAID:
        return _payouts.PayoutStatus(unpaid=_payouts.PayoutUnpaid())
    if status is PayoutStatus.PAID:
        return _payouts.PayoutStatus(paid=_payouts.PayoutPaid())
    if status is PayoutStatus.CONFIRMED:
        return _payouts.PayoutStatus(confirmed=_payouts.PayoutConfirmed())
    return _payouts.PayoutStatus(cancelled=_payouts.PayoutCancelled(details=cancel_details or ""))


def _account(kind: AccountType, account_id: int) -> Any:
    return _money.FinalCashFlowAccount(account_type=_money.CashFlowAccount(**_WIRE_OF[kind]), account_id=account_id)


def _type(account: Any) -> AccountType:
    found = next((name, value) for name, value in vars(account).items() if value is not None)
    kind = _TYPE_OF.get(found)
    if kind is None:
        raise NoSuchAccount(f"{found[0]} {found[1]}")
    return kind
