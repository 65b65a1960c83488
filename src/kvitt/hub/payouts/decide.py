"""What a command about a payout comes to: what has to be asked of the ledger, nothing at all, or a refusal (payouts §2.5, §2.6)."""

from typing import Final

from msgspec import Struct

from kvitt.errors import KvittError, PayoutInOtherState, PayoutsFailed
from kvitt.hub.ledger.calls import Call, Insolvent
from kvitt.hub.payouts.commands import Cancel, Command, Confirm, Create, Paid, Republish
from kvitt.hub.payouts.draft import Draft
from kvitt.hub.payouts.ledger import LedgerRefused
from kvitt.hub.payouts.stored import Standing
from kvitt.rules.ledger import Batch, InvalidPostings, Operation, Refusal, malformed
from kvitt.rules.payouts import (
    PAYOUT_ARCS,
    Payout,
    PayoutStatus,
    after,
    ledger_postings,
    out_of_state,
    plan_id_of,
    reversal_plan_id_of,
    reversal_postings,
)

_BATCH: Final = 1
"""The id of the one batch of every plan (payouts §2.2 step 10)."""


class Todo(Struct, frozen=True):
    """What has to be done: `calls` to the ledger, one after the other, after which `payout` is true. `act` names it in a failure."""

    act: str
    payout: Payout
    calls: tuple[Call, ...] = ()
    before: Standing | None = None

    @property
    def reversal_plan_id(self) -> str | None:
        """The plan that it reverses with, if it does."""
        return self.calls[0].plan_id if len(self.calls) > 1 else None


Decision = Todo | Payout | KvittError
"""Something to do; the payout as it stands, when nothing is left to do; or a refusal."""


def decide(command: Command, standing: Standing, attempt: int = 1) -> Decision:
    """What a command comes to for a payout that exists. `attempt` numbers the reversals that were tried."""
    payout = standing.payout
    match command:
        case Confirm():
            return _toward(PayoutStatus.CONFIRMED, "confirm", standing) or _sound(
                Todo("commit", after(payout, PayoutStatus.CONFIRMED), (_end(standing, Operation.COMMIT),), standing)
            )
        case Cancel(details=details):
            return _toward(PayoutStatus.CANCELLED, "cancel", standing) or _sound(_cancelled(standing, details, attempt))
        case Paid():
            if PayoutStatus.PAID not in PAYOUT_ARCS[payout.status]:
                return PayoutInOtherState(out_of_state(payout.payout_id, payout.status, "paid"))
            return Todo("note", after(payout, PayoutStatus.PAID), (), standing)
        case Republish() | Create():
            return payout


def _toward(status: PayoutStatus, action: str, standing: Standing) -> Payout | KvittError | None:
    """The payout, if it is there already; a refusal, if there is no way; None where there is."""
    payout = standing.payout
    if payout.status is status:
        return payout
    if status in PAYOUT_ARCS[payout.status]:
        return None
    return PayoutInOtherState(out_of_state(payout.payout_id, payout.status, action))


def _cancelled(standing: Standing, details: str, attempt: int) -> Todo:
    payout = after(standing.payout, PayoutStatus.CANCELLED, details)
    if standing.payout.status is not PayoutStatus.CONFIRMED:
        return Todo("rollback", payout, (_end(standing, Operation.ROLLBACK),), standing)
    plan_id = reversal_plan_id_of(payout.payout_id, attempt)
    batches = (reversal_batch(payout),)
    calls = (Call(plan_id, Operation.HOLD, batches), Call(plan_id, Operation.COMMIT, batches))
    return Todo("revert", payout, calls, standing)


def to_create(draft: Draft, attempt: int = 1) -> Decision:
    """The hold that makes a draft a payout; it must leave the settlement account solvent. `attempt` numbers the holds that were tried."""
    payout = draft.payout
    call = Call(plan_id_of(payout.payout_id, attempt), Operation.HOLD, (held_batch(payout),), solvent=draft.settlement)
    return _sound(Todo("hold", payout, (call,)))


def held_batch(payout: Payout) -> Batch:
    """The one batch of a payout's plan."""
    return Batch(_BATCH, ledger_postings(payout.payout_id, payout.cash_flow))


def reversal_batch(payout: Payout) -> Batch:
    """The one batch of the plan that reverses a payout."""
    return Batch(_BATCH, reversal_postings(payout.payout_id, payout.cash_flow))


def _end(standing: Standing, operation: Operation) -> Call:
    return Call(standing.plan_id, operation, (held_batch(standing.payout),))


def _sound(todo: Todo) -> Todo | PayoutsFailed:
    """What the ledger would refuse whatever it holds is refused before it is asked."""
    for call in todo.calls:
        if refusal := malformed(call.plan_id, call.operation, call.batches):
            return failed(todo.act, todo.payout.payout_id, why(refusal))
    return todo


def failed(act: str, payout_id: str, reason: str) -> PayoutsFailed:
    """The failure of an act at the ledger, in the contract's words; the ledger's own are its cause (payouts §2.7)."""
    error = PayoutsFailed(f"Failed to {act} payout, payoutId='{payout_id}'")
    error.__cause__ = LedgerRefused(reason)
    return error


def why(refusal: Refusal | Insolvent) -> str:
    """The ledger's words, without those of the postings."""
    if isinstance(refusal, Insolvent):
        return f"account {refusal.account_id} would not stay solvent"
    return "; ".join(text for _, text in refusal.wrong) if isinstance(refusal, InvalidPostings) else refusal.error
