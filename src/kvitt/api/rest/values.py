"""Bodies and answers of the REST API. Amounts are whole minor units; moments are RFC 3339 with a zone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from kvitt.kernel.money import Minor
from kvitt.ledger.calls import AccountState
from kvitt.ledger.read import AccountEntry, Plan
from kvitt.ledger.rules import (
    MAX_CURRENCY,
    MAX_DESCRIPTION,
    MAX_PLAN_ID,
    Batch,
    Operation,
    PlanState,
    Posting,
)
from kvitt.payouts.model import Payout
from kvitt.payouts.rules import MAX_PAYOUT_ID, AccountType, PayoutStatus

_NO_NUL = r"^[^\x00]*$"
MinorAmount = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, description="whole minor units of the currency", examples=[250000])]
AmountToHold = Annotated[int, Meta(ge=0, le=2**63 - 1, description="whole minor units of the currency", examples=[250000])]
AccountId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, examples=[101])]
BatchId = Annotated[int, Meta(ge=-(2**63) + 1, le=2**63 - 2, examples=[1])]
CurrencyCode = Annotated[str, Meta(min_length=1, max_length=MAX_CURRENCY, pattern=_NO_NUL, examples=["RUB"])]
Description = Annotated[str, Meta(max_length=MAX_DESCRIPTION, pattern=_NO_NUL)]
Id = Annotated[str, Meta(min_length=1, max_length=256, pattern=_NO_NUL, examples=["party-1"])]
PayoutIdText = Annotated[str, Meta(min_length=1, max_length=MAX_PAYOUT_ID, pattern=_NO_NUL, examples=["p-1"])]
DetailsText = Annotated[str, Meta(max_length=MAX_DESCRIPTION, pattern=_NO_NUL, examples=["the bank said no"])]


class CashBody(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount of money."""

    amount: MinorAmount
    currency: CurrencyCode


class NewPayoutBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A request for a payout. Without `payout_id` it gets one; without `payout_tool_id` the shop's own tool is used."""

    party_id: Id
    shop_id: Id
    cash: CashBody
    payout_id: PayoutIdText | None = None
    payout_tool_id: Id | None = None


class CancelBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a payout is cancelled."""

    details: DetailsText


class MovementView(Struct, frozen=True):
    """One movement of a payout's cash flow."""

    source_type: AccountType
    source: int
    target_type: AccountType
    target: int
    amount: int
    currency: str
    details: str | None


class PayoutView(Struct, frozen=True):
    """A payout as it stands."""

    payout_id: str
    sequence: int
    created_at: datetime
    party_id: str
    shop_id: str
    status: PayoutStatus
    cancel_details: str | None
    payout_tool_id: str
    amount: int
    fee: int
    currency: str
    cash_flow: Sequence[MovementView]


class PayoutPage(Struct, frozen=True):
    """Payouts, newest first; `next` is the cursor of the page behind, if there is one."""

    payouts: Sequence[PayoutView]
    next: str | None


class EventView(Struct, frozen=True):
    """A published event: its number, when, and the status then."""

    sequence: int
    at: datetime
    status: PayoutStatus


class EventList(Struct, frozen=True):
    """All events of a payout, in order."""

    events: Sequence[EventView]


class NewAccountBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A request for an account."""

    currency: CurrencyCode
    description: Description | None = None


class AccountView(Struct, frozen=True):
    """An account: what is posted, and what is available at least and at most, as open plans end against the account or for it."""

    account_id: int
    currency: str
    description: str | None
    created_at: datetime
    posted: int
    available_min: int
    available_max: int


class AccountPage(Struct, frozen=True):
    """Accounts by id; `next` is the cursor of the page behind, if there is one."""

    accounts: Sequence[AccountView]
    next: str | None


class EntryView(Struct, frozen=True):
    """An entry that a step made on an account; `batch_id` is null for the end of a whole plan."""

    number: int
    at: datetime
    plan_id: str
    operation: Operation
    batch_id: int | None
    posted: int
    available_min: int
    available_max: int


class EntryPage(Struct, frozen=True):
    """The history of an account, oldest first."""

    entries: Sequence[EntryView]
    next: str | None


class BalanceView(Struct, frozen=True):
    """The totals of an account just before a moment."""

    account_id: int
    at: datetime
    posted: int
    available_min: int
    available_max: int


class PostingBody(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount that moves from one account to another."""

    source: AccountId
    target: AccountId
    amount: AmountToHold
    currency: CurrencyCode
    description: Description


class BatchBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Postings that are held together; `batch_id` grows within a plan."""

    batch_id: BatchId
    postings: Annotated[Sequence[PostingBody], Meta(min_length=1, max_length=10_000)]

    def batch(self) -> Batch:
        """As the ledger knows it."""
        postings = (Posting(each.source, each.target, Minor(each.amount), each.currency, each.description) for each in self.postings)
        return Batch(self.batch_id, tuple(postings))


class HoldBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A batch to be held."""

    batch: BatchBody


class EndBody(Struct, frozen=True, forbid_unknown_fields=True):
    """All batches of a plan, as they were held."""

    batches: Annotated[Sequence[BatchBody], Meta(min_length=1, max_length=1_000)]


class PlanView(Struct, frozen=True):
    """A plan with its batches as they were held."""

    plan_id: str
    state: PlanState
    held_at: datetime
    changed_at: datetime
    batches: Sequence[BatchBody]


class AffectedView(Struct, frozen=True):
    """The accounts that a call touched, with their totals after it; a repeated call is answered as the first time."""

    plan_id: str
    accounts: Sequence[AccountView]


PlanIdText = Annotated[str, Meta(min_length=1, max_length=MAX_PLAN_ID, pattern=_NO_NUL)]


def payout_view(payout: Payout) -> PayoutView:
    """A payout as it is answered."""
    flow = [
        MovementView(
            source_type=each.source_type,
            source=each.source,
            target_type=each.target_type,
            target=each.target,
            amount=each.amount,
            currency=each.currency,
            details=each.details,
        )
        for each in payout.cash_flow
    ]
    return PayoutView(
        payout_id=payout.payout_id,
        sequence=payout.sequence,
        created_at=payout.created_at,
        party_id=payout.party_id,
        shop_id=payout.shop_id,
        status=payout.status,
        cancel_details=payout.cancel_details,
        payout_tool_id=payout.payout_tool_id,
        amount=payout.amount,
        fee=payout.fee,
        currency=payout.currency,
        cash_flow=flow,
    )


def account_view(state: AccountState) -> AccountView:
    """An account as it is answered."""
    account = state.account
    return AccountView(account.account_id, account.currency, account.description, account.created_at, *state.totals)


def entry_view(entry: AccountEntry) -> EntryView:
    """A line of a history as it is answered."""
    return EntryView(
        number=entry.number,
        at=entry.at,
        plan_id=entry.plan_id,
        operation=entry.operation,
        batch_id=entry.batch_id,
        posted=entry.totals.posted,
        available_min=entry.totals.available_min,
        available_max=entry.totals.available_max,
    )


def plan_view(plan: Plan) -> PlanView:
    """A plan as it is answered."""
    batches = [BatchBody(batch.batch_id, [PostingBody(*posting) for posting in batch.postings]) for batch in plan.batches]
    return PlanView(plan.plan_id, plan.state, plan.held_at, plan.changed_at, batches)
