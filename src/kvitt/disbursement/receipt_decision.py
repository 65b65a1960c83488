"""The receipt decision: what an observation means for its order, by the order's state and what its rail makes of the words (design §6)."""

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.rail import (
    Candidate,
    Observation,
    Rail,
    ReceiptOutcome,
)
from kvitt.disbursement.states import OrderState

BY_HAND = "operator-"
"""How the message ids of receipts begin that are an operator's word; the store and `kvitt check` know them by it."""
SETTLING = frozenset({ReceiptOutcome.ACCEPTED, ReceiptOutcome.REJECTED})
_SETTLED = frozenset({OrderState.ACCEPTED, OrderState.REJECTED})
_IMPLIES = {
    ReceiptOutcome.SETTLED: ReceiptOutcome.ACCEPTED,
    ReceiptOutcome.CANCELLED: ReceiptOutcome.REJECTED,
    ReceiptOutcome.RETURNED: ReceiptOutcome.UNCLEAR,
}
"""What is said of an order that was accepted is kept, and changes nothing; where that was not said before, it is said by this."""


class PaymentVersion(Struct, frozen=True, gc=False):
    """A version of a payment as an order made it, with its document as the store keeps it."""

    payment_id: str
    version: int
    document: bytes


class Contradicted(Struct, frozen=True):
    """An order of which a receipt of this transaction says otherwise than what stands: `ours` stands, `rails` is the rail's word."""

    order: Candidate
    receipt: Observation
    receipt_no: int
    ours: OrderState
    rails: OrderState


class Settled(Struct, frozen=True):
    """An order that a receipt of this transaction moves."""

    order: Candidate
    receipt: Observation
    receipt_no: int
    outcome: ReceiptOutcome
    body: bytes
    by_hand: bool = False
    """It is an operator's word, in the form of a receipt."""

    @property
    def event_suffix(self) -> str:
        """Distinguishes the events of several receipts of one order that do not accept it."""
        return f" {self.receipt_no}" if self.order.answered and self.outcome is not ReceiptOutcome.ACCEPTED else ""


def decide(rail: Rail, receipt: Observation, order: Candidate, *, by_hand: bool = False) -> ReceiptOutcome:
    """Returns what the receipt does to an order in the state that it has.

    A settled order stays as it is: what says otherwise contradicts, unless it says again what contradicts already. One that was taken back
    is contradicted by its acceptance alone, and only if the receipt has the order's own time. `by_hand` is an operator's word, of which
    only the severity counts.
    """
    said = rail.decide(replace(receipt, reasons=frozenset()) if by_hand else receipt, order)
    if said in _IMPLIES:
        if order.state is OrderState.ACCEPTED:
            return said
        said = _IMPLIES[said]
    if order.state is OrderState.WITHDRAWN:
        if said is not ReceiptOutcome.ACCEPTED or order.correlation_time != receipt.correlation_time:
            return ReceiptOutcome.UNMATCHED
        return ReceiptOutcome.REPEAT if order.contradicted == said else ReceiptOutcome.CONTRADICTS
    if order.state is OrderState.READY and not order.was_unknown:
        return ReceiptOutcome.UNMATCHED
    if said is ReceiptOutcome.NOTED:
        return said
    if order.state in _SETTLED:
        return _of_settled(said, receipt, order)
    return said


def _of_settled(said: ReceiptOutcome, receipt: Observation, order: Candidate) -> ReceiptOutcome:
    other = said in SETTLING and said.value not in (order.state.value, order.contradicted)
    # Once the rail has accepted an order, "exists already" answers a copy of it; where a person has, it may be the only answer.
    to_a_copy = order.state is OrderState.ACCEPTED and not order.decided_by_hand and receipt.answers_copy
    return ReceiptOutcome.CONTRADICTS if other and not to_a_copy else ReceiptOutcome.REPEAT
