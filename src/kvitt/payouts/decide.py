"""Decides what a request or a command comes to: calls to the ledger, nothing at all, or a refusal (payouts §2.2, §2.5, §2.6)."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from kvitt.errors import InsufficientFunds, InvalidPayout, KvittError, PayoutInOtherState, PayoutNotFound, PayoutsFailed
from kvitt.kernel.identifiers import wrong_id
from kvitt.ledger.calls import Call, Insolvent
from kvitt.ledger.rules import (
    Batch,
    CallRefusal,
    InvalidPostings,
    Operation,
    malformed,
)
from kvitt.payouts.model import (
    CancelPayout,
    ConfirmPayout,
    CreatePayout,
    Draft,
    MarkPaid,
    NewPayout,
    PayoutCommand,
    PayoutRecord,
    RepublishEvents,
    RequestPayout,
)
from kvitt.payouts.ports import (
    LedgerRefused,
    Parties,
    Party,
    Shop,
)
from kvitt.payouts.rules import (
    PAYOUT_ARCS,
    TOO_MUCH,
    CashFlowPosting,
    Payout,
    PayoutStatus,
    after,
    has_room,
    ledger_postings,
    other_currencies,
    out_of_state,
    plan_id_of,
    reversal_plan_id_of,
    reversal_postings,
    worth_of,
)

_BATCH: Final = 1
"""The id of the one batch of every plan (payouts §2.2 step 10)."""


class PayoutChange(Struct, frozen=True):
    """A change to be made: `calls` to the ledger, one after the other, after which `payout` is true. `act` names it in a failure."""

    act: str
    payout: Payout
    calls: tuple[Call, ...] = ()
    before: PayoutRecord | None = None

    @property
    def reversal_plan_id(self) -> str | None:
        """The plan that it reverses with, if it does."""
        return self.calls[0].plan_id if len(self.calls) > 1 else None


DecidedPayout = PayoutChange | Payout | KvittError
"""Something to do; the payout as it stands, when nothing is left to do; or a refusal."""


def draft(new: NewPayout, payout_id: str, parties: Parties, now: datetime, deadline: datetime | None) -> Draft:
    """Asks the parties what a request comes to; holds and stores nothing (payouts §2.2 steps 3-7).

    Raises PayoutNotFound, InvalidPayout (also where the cash flow, or the shop's account, is in another currency, or the amount has no room
    in the ledger), InsufficientFunds when nothing is left after fees, PayoutsFailed when the parties can't be asked.
    """
    named = {"Party id": new.party_id, "Shop id": new.shop_id, "Currency": new.cash.currency, "Payout tool id": new.payout_tool_id}
    if wrong := [f"{field} {rule}" for field, text in named.items() if text is not None and (rule := wrong_id(text))]:
        raise InvalidPayout(*wrong)
    party, shop = _party_and_shop(new, parties, deadline)
    tool = _tool(new, party, shop)
    if shop.settlement is None:
        raise InvalidPayout(f"Settlement account is null with partyId={new.party_id}, shopId={new.shop_id}")
    cash_flow = parties.cash_flow(new.party_id, new.shop_id, new.cash, now, tool, deadline=deadline)
    currency = new.cash.currency
    if wrong := other_currencies(currency, cash_flow, {shop.settlement: shop.currency or currency}):
        raise InvalidPayout(*wrong)
    return Draft(_unpaid(new, payout_id, now, cash_flow, tool), shop.settlement)


def _party_and_shop(new: NewPayout, parties: Parties, deadline: datetime | None) -> tuple[Party, Shop]:
    party = parties.party(new.party_id, deadline=deadline)
    if party is None:
        raise PayoutNotFound(f"Party not found, partyId='{new.party_id}'")
    shop = party.shops.get(new.shop_id)
    if shop is None:
        raise PayoutNotFound(f"Shop not found, shopId='{new.shop_id}'")
    return party, shop


def _tool(new: NewPayout, party: Party, shop: Shop) -> str:
    """The tool that was asked for, if the shop's contract has it, or the shop's own, which is taken as it is (payouts §2.2 step 5)."""
    if new.payout_tool_id is None:
        if shop.payout_tool_id is None:
            raise InvalidPayout(f"PayoutToolId is null with partyId={new.party_id}, shopId={new.shop_id}")
        return shop.payout_tool_id
    tools = party.payout_tools.get(shop.contract_id)
    if tools is None:
        raise PayoutNotFound(f"Contract not found, contractId='{shop.contract_id}'")
    if new.payout_tool_id not in tools:
        raise PayoutNotFound(f"PayoutTool not found, payoutToolId='{new.payout_tool_id}'")
    return new.payout_tool_id


def _unpaid(new: NewPayout, payout_id: str, now: datetime, cash_flow: tuple[CashFlowPosting, ...], tool: str) -> Payout:
    amount, fee = worth_of(cash_flow)
    if amount <= 0:
        raise InsufficientFunds(f"nothing is left of {new.cash.amount} after fees of {fee}")
    if not has_room(cash_flow):
        raise InvalidPayout(TOO_MUCH)
    return Payout(
        payout_id=payout_id,
        sequence=0,
        created_at=now,
        party_id=new.party_id,
        shop_id=new.shop_id,
        status=PayoutStatus.UNPAID,
        cancel_details=None,
        cash_flow=cash_flow,
        payout_tool_id=tool,
        amount=amount,
        fee=fee,
        currency=new.cash.currency,
    )


def decide(command: PayoutCommand, record: PayoutRecord, attempt: int = 1) -> DecidedPayout:
    """Decides what a command comes to for a payout that exists. `attempt` numbers the reversals that were tried."""
    payout = record.payout
    match command:
        case ConfirmPayout():
            return _toward(PayoutStatus.CONFIRMED, "confirm", record) or _sound(_confirmed(record))
        case CancelPayout(details=details):
            return _toward(PayoutStatus.CANCELLED, "cancel", record) or _sound(_cancelled(record, details, attempt))
        case MarkPaid():
            if PayoutStatus.PAID not in PAYOUT_ARCS[payout.status]:
                return PayoutInOtherState(out_of_state(payout.payout_id, payout.status, "paid"))
            return PayoutChange("note", after(payout, PayoutStatus.PAID), (), record)
        case RepublishEvents() | CreatePayout() | RequestPayout():
            return payout


def _toward(status: PayoutStatus, action: str, record: PayoutRecord) -> Payout | KvittError | None:
    """The payout, if it is there already; a refusal, if there is no way; None where there is."""
    payout = record.payout
    if payout.status is status:
        return payout
    if status in PAYOUT_ARCS[payout.status]:
        return None
    return PayoutInOtherState(out_of_state(payout.payout_id, payout.status, action))


def _confirmed(record: PayoutRecord) -> PayoutChange:
    return PayoutChange("commit", after(record.payout, PayoutStatus.CONFIRMED), (_end(record, Operation.COMMIT),), record)


def _cancelled(record: PayoutRecord, details: str, attempt: int) -> PayoutChange:
    payout = after(record.payout, PayoutStatus.CANCELLED, details)
    if record.payout.status is not PayoutStatus.CONFIRMED:
        return PayoutChange("rollback", payout, (_end(record, Operation.ROLLBACK),), record)
    plan_id = reversal_plan_id_of(payout.payout_id, attempt)
    batches = (reversal_batch(payout),)
    calls = (Call(plan_id, Operation.HOLD, batches), Call(plan_id, Operation.COMMIT, batches))
    return PayoutChange("revert", payout, calls, record)


def to_create(draft: Draft, attempt: int = 1) -> DecidedPayout:
    """The hold that makes a draft a payout; it must leave the settlement account solvent. `attempt` numbers the holds that were tried."""
    payout = draft.payout
    call = Call(plan_id_of(payout.payout_id, attempt), Operation.HOLD, (held_batch(payout),), solvent=draft.settlement)
    return _sound(PayoutChange("hold", payout, (call,)))


def held_batch(payout: Payout) -> Batch:
    """The one batch of a payout's plan."""
    return Batch(_BATCH, ledger_postings(payout.payout_id, payout.cash_flow))


def reversal_batch(payout: Payout) -> Batch:
    """The one batch of the plan that reverses a payout."""
    return Batch(_BATCH, reversal_postings(payout.payout_id, payout.cash_flow))


def _end(record: PayoutRecord, operation: Operation) -> Call:
    return Call(record.plan_id, operation, (held_batch(record.payout),))


def _sound(change: PayoutChange) -> PayoutChange | PayoutsFailed:
    """Refuses, before the ledger is asked, what it would refuse whatever it holds."""
    for call in change.calls:
        if refusal := malformed(call.plan_id, call.operation, call.batches):
            return failed(change.act, change.payout.payout_id, reason_of(refusal))
    return change


def failed(act: str, payout_id: str, reason: str) -> PayoutsFailed:
    """The failure of an act at the ledger, in the contract's words; the ledger's own are its cause (payouts §2.7)."""
    error = PayoutsFailed(f"Failed to {act} payout, payoutId='{payout_id}'")
    error.__cause__ = LedgerRefused(reason)
    return error


def reason_of(refusal: CallRefusal | Insolvent) -> str:
    """The ledger's words, without those of the postings."""
    if isinstance(refusal, Insolvent):
        return f"account {refusal.account_id} would not stay solvent"
    return "; ".join(text for _, text in refusal.wrong) if isinstance(refusal, InvalidPostings) else refusal.error
