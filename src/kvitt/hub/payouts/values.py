"""What is asked of payouts, and what a payout is to those who ask."""

from datetime import datetime

from msgspec import Struct

from kvitt.money import Minor
from kvitt.rules.payouts import Payout, PayoutStatus

__all__ = ["Cash", "NewPayout", "Payout", "PayoutCursor", "PayoutEvent"]


class Cash(Struct, frozen=True):
    """An amount in whole minor units of a currency."""

    amount: Minor
    currency: str


class NewPayout(Struct, frozen=True):
    """A request for a payout. `payout_id` None: a random one; `payout_tool_id` None: the shop's own."""

    party_id: str
    shop_id: str
    cash: Cash
    payout_id: str | None = None
    payout_tool_id: str | None = None


class PayoutCursor(Struct, frozen=True):
    """A place in the list of payouts, newest first: behind the payout with this time and id."""

    created_at: datetime
    payout_id: str


class PayoutEvent(Struct, frozen=True):
    """What was told of a payout: the status that it came to, when, and the bytes of the event."""

    sequence: int
    at: datetime
    status: PayoutStatus
    body: bytes
