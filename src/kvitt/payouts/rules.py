"""The payouts' rules: states, what a cash flow is worth to whom, and the plans of the ledger that a payout stands for.

Source: payouts §2.1 (states), §2.3 (kinds of postings), §2.5, §2.6 (texts); design §12. Amounts are whole minor units in 64 bits.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from kvitt.kernel.money import Minor
from kvitt.ledger.rules import INT64_MAX, Posting, net_by_account

MAX_PAYOUT_ID: Final = 57
"""With the seven characters of `payout_` an id of the ledger's plans, which have at most 64."""


class PayoutStatus(StrEnum):
    """The state of a payout (design §6); upper case in the texts of refusals."""

    UNPAID = "unpaid"
    PAID = "paid"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


PAYOUT_ARCS: Final[Mapping[PayoutStatus, frozenset[PayoutStatus]]] = {
    PayoutStatus.UNPAID: frozenset({PayoutStatus.PAID, PayoutStatus.CONFIRMED, PayoutStatus.CANCELLED}),
    PayoutStatus.PAID: frozenset({PayoutStatus.CONFIRMED, PayoutStatus.CANCELLED}),
    PayoutStatus.CONFIRMED: frozenset({PayoutStatus.CANCELLED}),
    PayoutStatus.CANCELLED: frozenset(),
}


class AccountType(StrEnum):
    """The role of an account in a payout: whose, and what for."""

    MERCHANT_SETTLEMENT = "merchant_settlement"
    MERCHANT_GUARANTEE = "merchant_guarantee"
    MERCHANT_PAYOUT = "merchant_payout"
    PROVIDER_SETTLEMENT = "provider_settlement"
    SYSTEM_SETTLEMENT = "system_settlement"
    EXTERNAL_INCOME = "external_income"
    EXTERNAL_OUTCOME = "external_outcome"


class CashFlowPosting(Struct, frozen=True):
    """One movement of a payout's cash flow; `details` None stays unset for the caller."""

    source_type: AccountType
    source: int
    target_type: AccountType
    target: int
    amount: Minor
    currency: str
    details: str | None = None


class Payout(Struct, frozen=True):
    """A payout as it stands. `created_at` has microseconds, UTC; `sequence` is 0 when created and grows with each change of status."""

    payout_id: str
    sequence: int
    created_at: datetime
    party_id: str
    shop_id: str
    status: PayoutStatus
    cancel_details: str | None
    cash_flow: tuple[CashFlowPosting, ...]
    payout_tool_id: str
    amount: Minor
    fee: Minor
    currency: str


class PostingKind(StrEnum):
    """The kind of a movement, by the types of its two accounts (payouts §2.3)."""

    AMOUNT = "amount"
    EXTERNAL_FEE = "external_fee"
    PROVIDER_FEE = "provider_fee"
    RETURN_FEE = "return_fee"
    FEE = "fee"
    REFUND_AMOUNT = "refund_amount"
    GUARANTEE_DEPOSIT = "guarantee_deposit"
    PAYOUT_AMOUNT = "payout_amount"
    PAYOUT_FIXED_FEE = "payout_fixed_fee"


KIND_OF: Final[Mapping[tuple[AccountType, AccountType], PostingKind]] = {
    (AccountType.PROVIDER_SETTLEMENT, AccountType.MERCHANT_SETTLEMENT): PostingKind.AMOUNT,
    (AccountType.SYSTEM_SETTLEMENT, AccountType.EXTERNAL_INCOME): PostingKind.EXTERNAL_FEE,
    (AccountType.SYSTEM_SETTLEMENT, AccountType.EXTERNAL_OUTCOME): PostingKind.EXTERNAL_FEE,
    (AccountType.SYSTEM_SETTLEMENT, AccountType.PROVIDER_SETTLEMENT): PostingKind.PROVIDER_FEE,
    (AccountType.SYSTEM_SETTLEMENT, AccountType.MERCHANT_SETTLEMENT): PostingKind.RETURN_FEE,
    (AccountType.MERCHANT_SETTLEMENT, AccountType.SYSTEM_SETTLEMENT): PostingKind.FEE,
    (AccountType.MERCHANT_SETTLEMENT, AccountType.PROVIDER_SETTLEMENT): PostingKind.REFUND_AMOUNT,
    (AccountType.MERCHANT_SETTLEMENT, AccountType.MERCHANT_GUARANTEE): PostingKind.GUARANTEE_DEPOSIT,
    (AccountType.MERCHANT_SETTLEMENT, AccountType.MERCHANT_PAYOUT): PostingKind.PAYOUT_AMOUNT,
    (AccountType.MERCHANT_PAYOUT, AccountType.SYSTEM_SETTLEMENT): PostingKind.PAYOUT_FIXED_FEE,
    (AccountType.MERCHANT_PAYOUT, AccountType.MERCHANT_SETTLEMENT): PostingKind.PAYOUT_FIXED_FEE,
}
"""Pairs that are not here only reach the ledger."""


class Worth(NamedTuple):
    """The amount that a cash flow pays out, and its fees."""

    amount: Minor
    fee: Minor


def worth_of(cash_flow: Sequence[CashFlowPosting]) -> Worth:
    """Amount = payout amount less fixed fees; fee = fees and fixed fees (payouts §2.2 step 7)."""
    sums: dict[PostingKind | None, int] = {}
    for posting in cash_flow:
        kind = KIND_OF.get((posting.source_type, posting.target_type))
        sums[kind] = sums.get(kind, 0) + posting.amount
    fixed = sums.get(PostingKind.PAYOUT_FIXED_FEE, 0)
    return Worth(Minor(sums.get(PostingKind.PAYOUT_AMOUNT, 0) - fixed), Minor(sums.get(PostingKind.FEE, 0) + fixed))


TOO_MUCH: Final = f"cash.amount is too much: with its fees it goes beyond {INT64_MAX}, the most that an account has room for"
"""The text of a refusal of an amount for which the ledger has no room."""


def has_room(cash_flow: Sequence[CashFlowPosting]) -> bool:
    """Whether what a cash flow is worth, and what it moves on each account, fits 64 bits."""
    net = net_by_account(ledger_postings("", cash_flow))
    return max(map(abs, (*worth_of(cash_flow), *net.values()))) <= INT64_MAX


def other_currencies(currency: str, cash_flow: Sequence[CashFlowPosting], accounts: Mapping[int, str]) -> list[str]:
    """Names what is not in the currency that was asked for: movements of a cash flow, and accounts, whose currencies are given by id.

    Amounts of two currencies are never added, compared or moved as if they were of one.
    """
    moved = dict.fromkeys(each.currency for each in cash_flow if each.currency != currency)
    texts = [f"cash.currency is {currency}, and the cash flow moves {other}" for other in moved]
    held = ((account_id, other) for account_id, other in accounts.items() if other != currency)
    return texts + [f"cash.currency is {currency}, and account {account_id} is in {other}" for account_id, other in held]


def can_be_stored(text: str) -> bool:
    """Whether a text of a request can be kept and published as it is: PostgreSQL has no NUL, and UTF-8 no half of a pair."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def is_payout_id(text: str) -> bool:
    """Whether this can be the id of a payout. The empty one can (payouts §2.2 step 2)."""
    return len(text) <= MAX_PAYOUT_ID and can_be_stored(text)


def after(payout: Payout, status: PayoutStatus, cancel_details: str | None = None) -> Payout:
    """The payout after a change of status along a legal arc; details of an earlier status are gone (payouts §2.1)."""
    assert status in PAYOUT_ARCS[payout.status], f"{payout.status} to {status}"
    return replace(payout, sequence=payout.sequence + 1, status=status, cancel_details=cancel_details)


def plan_id_of(payout_id: str, attempt: int = 1) -> str:
    """The plan under which a payout is held; a later attempt has another one, for a plan that was rolled back is never held again."""
    return f"payout_{payout_id}" if attempt == 1 else f"p{attempt}_{payout_id}"


def reversal_plan_id_of(payout_id: str, attempt: int = 1) -> str:
    """The plan that reverses a confirmed payout; ids for which the usual name is too long have a shorter one."""
    usual = f"revert_payout_{payout_id}"
    return usual if attempt == 1 and len(usual) <= 64 else f"u{attempt}_{payout_id}"


_NAMED: Final = re.compile(r"(?:payout_|revert_payout_|p(?:[2-9]|[1-9][0-9]+)_|u[1-9][0-9]*_)(.*)", re.DOTALL)


def payout_of_plan(plan_id: str) -> str | None:
    """The id of the payout whose plan would have this name, in some attempt; None: no payout's plan ever has it."""
    found = _NAMED.fullmatch(plan_id)
    return found[1] if found and is_payout_id(found[1]) else None


def is_plan_of(plan_id: str, payout_id: str, name: Callable[[str, int], str]) -> bool:
    """Whether some attempt of this payout has a plan of this name, by `plan_id_of` or `reversal_plan_id_of`."""
    attempt = _ATTEMPT.match(plan_id)
    return plan_id == name(payout_id, int(attempt[1]) if attempt else 1) or plan_id == name(payout_id, 1)


_ATTEMPT: Final = re.compile(r"[pu]([1-9][0-9]{0,4})_")


def ledger_postings(payout_id: str, cash_flow: Sequence[CashFlowPosting]) -> tuple[Posting, ...]:
    """The postings of the payout's plan; one without details says which payout it is."""
    unnamed = f"PAYOUT-{payout_id}"
    return tuple(
        Posting(each.source, each.target, each.amount, each.currency, unnamed if each.details is None else each.details)
        for each in cash_flow
    )


def reversal_postings(payout_id: str, cash_flow: Sequence[CashFlowPosting]) -> tuple[Posting, ...]:
    """Every movement the other way round."""
    return tuple(Posting(each.target, each.source, each.amount, each.currency, f"Revert payout: {payout_id}") for each in cash_flow)


def out_of_state(payout_id: str, status: PayoutStatus, action: str) -> str:
    """The text of a refusal to `confirm` or `cancel`."""
    return f"Invalid status for '{action}' action, payoutId='{payout_id}', currentStatus='{status.name}'"
