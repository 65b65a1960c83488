"""A cash flow as PartyManagement computes it, out of its structs (payouts §1.5, §2.3)."""

from collections.abc import Sequence
from typing import Any, Final

from kvitt.kernel.money import Minor
from kvitt.payouts.event import SIDES
from kvitt.payouts.rules import AccountType, CashFlowPosting

_TYPE_OF: Final = {side: kind for kind, side in SIDES.items()}


class NoSuchAccount(Exception):
    """A payout can't have an account of this type; the text names it."""


def cash_flow_from_wire(postings: Sequence[Any]) -> tuple[CashFlowPosting, ...]:
    """The movements in their order. Raises NoSuchAccount for types that no payout has: the system's subagent, and wallets."""
    return tuple(
        CashFlowPosting(
            source_type=_type(each.source.account_type),
            source=each.source.account_id,
            target_type=_type(each.destination.account_type),
            target=each.destination.account_id,
            amount=Minor(each.volume.amount),
            currency=each.volume.currency.symbolic_code,
            details=each.details,
        )
        for each in postings
    )


def _type(account: Any) -> AccountType:
    found = next((name, value) for name, value in vars(account).items() if value is not None)
    kind = _TYPE_OF.get(found)
    if kind is None:
        raise NoSuchAccount(f"{found[0]} {found[1]}")
    return kind
