"""What is asked of payouts, and what a payout is."""

from datetime import datetime

from msgspec import Struct

from kvitt.rules.payouts import CashFlowPosting, PayoutStatus


class Cash(Struct, frozen=True):
    """An amount in whole minor units of a currency."""

    amount: int
    currency: str


class NewPayout(Struct, frozen=True):
    """A request for a payout. `payout_id` None: a random one; `payout_tool_id` None: the shop's own."""

    party_id: str
    shop_id: str
    cash: Cash
    payout_id: str | None = None
    payout_tool_id: str | None = None


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
    amount: int
    fee: int
    currency: str
