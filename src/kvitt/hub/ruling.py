"""What a receipt means for its order: a decision table over the order's state and the rail's words (design §6)."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from kvitt.rules.answers import Grade, Receipt
from kvitt.rules.states import OrderState

LINE_EXISTS = "DELYTELSE-ID finnes i oppdragsbasen fra før"
ORDER_EXISTS = "Oppdraget finnes fra før"
BY_HAND = "operator-"
"""How the message ids of receipts begin that are an operator's word; the store and `kvitt check` know them by it."""
_SETTLED = frozenset({OrderState.ACCEPTED, OrderState.REJECTED})
_CLOSED = _SETTLED | {OrderState.WITHDRAWN}


class Verdict(StrEnum):
    """What a receipt turned out to be; the values are the outcomes in the store."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    REPEAT = "repeat"
    CONTRADICTS = "contradicts"
    UNMATCHED = "unmatched"
    UNREADABLE = "unreadable"
    DEFERRED = "deferred"
    """Kept until its case is free; no outcome in the store."""


class PaymentVersion(Struct, frozen=True, gc=False):
    """A version of a payment as an order made it, with its document as the store keeps it."""

    payment_id: str
    version: int
    document: bytes


class Candidate(Struct, frozen=True):
    """An order that a receipt may answer: same case, area and lines."""

    order_id: str
    case_no: int
    area: str
    number: int
    message_no: int
    state: OrderState
    stamp: str
    first: bool
    xml: bytes
    person: str
    doubtful: bool = False
    """It was unknown at some time: a copy of it may be at the rail."""
    answered: bool = False
    """A receipt that was unclear has been told already."""
    told_under: bytes | None = None
    """The key of its records on the order topic; None: its sender's."""
    contradicted: str | None = None
    """What the rail last said against what stands, as long as that is open or two people kept what stands."""
    decided_by_hand: bool = False
    """Its state is an operator's word: the rail's receipt has not come."""


class Contradicted(Struct, frozen=True):
    """An order of which a receipt of this transaction says otherwise than what stands: `ours` stands, `rails` is the rail's word."""

    order: Candidate
    receipt: Receipt
    receipt_no: int
    ours: OrderState
    rails: OrderState


class Settled(Struct, frozen=True):
    """An order that a receipt of this transaction moves."""

    order: Candidate
    receipt: Receipt
    receipt_no: int
    verdict: Verdict
    body: bytes
    by_hand: bool = False
    """It is an operator's word, in the form of a receipt."""

    @property
    def mark(self) -> str:
        """What tells apart the events of several receipts of one order that do not accept it."""
        return f" {self.receipt_no}" if self.order.answered and self.verdict is not Verdict.ACCEPTED else ""


def match(receipt: Receipt, candidates: Sequence[Candidate], states: dict[str, OrderState]) -> Candidate | None:
    """The order that a receipt answers: the one with its time stamp, else the open one, else the newest; None without candidates.

    Two orders of a case can name the same lines (the same line cut twice), so the lines alone do not tell. `states` overrides
    the candidates' states with what this transaction has decided already.
    """
    stamped = [each for each in candidates if each.stamp == receipt.stamp]
    still_open = [each for each in candidates if states.get(each.order_id, each.state) not in _CLOSED]
    return (stamped or still_open or list(candidates) or [None])[-1]  # type: ignore[list-item]


def verdict(
    receipt: Receipt,
    state: OrderState,
    in_doubt: bool,
    *,
    own_lines: bool = True,
    by_hand: bool = False,
    stamped: bool = True,
    contradicted: str | None = None,
    decided_by_hand: bool = False,
) -> Verdict:
    """What the receipt does to an order in `state`. `in_doubt`: the order may have reached the rail more than once.

    A settled order stays as it is: what says otherwise contradicts, unless it says again what is `contradicted` already. One that was
    taken back is contradicted by its acceptance alone, and only if the receipt is `stamped` as its own. `by_hand` is an operator's word,
    of which only the severity counts; `decided_by_hand`: `state` is one.
    """
    said = _said(receipt, in_doubt, own_lines=own_lines, by_hand=by_hand)
    if state is OrderState.WITHDRAWN:
        if said is not Verdict.ACCEPTED or not stamped:
            return Verdict.UNMATCHED
        return Verdict.REPEAT if contradicted == said else Verdict.CONTRADICTS
    if state is OrderState.READY and not in_doubt:
        return Verdict.UNMATCHED
    if state in _SETTLED:
        other = said in (Verdict.ACCEPTED, Verdict.REJECTED) and said not in (state.value, contradicted)
        # Once the rail has accepted an order, "exists already" answers a copy of it; where a person has, it may be the only answer.
        to_a_copy = state is OrderState.ACCEPTED and not decided_by_hand and _exists(receipt)
        return Verdict.CONTRADICTS if other and not to_a_copy else Verdict.REPEAT
    return said


def _exists(receipt: Receipt) -> bool:
    return ORDER_EXISTS in receipt.text or LINE_EXISTS in receipt.text


def _said(receipt: Receipt, in_doubt: bool, *, own_lines: bool, by_hand: bool) -> Verdict:
    """What a receipt says of an order by itself.

    A rejection because a line of ours exists already means that an earlier copy was accepted: our line ids are made once. A sender's
    own ids (not `own_lines`) prove nothing, and neither does it that the order exists, when a copy may be on its way.
    """
    if receipt.grade in (Grade.OK, Grade.WARNING):
        return Verdict.ACCEPTED
    if receipt.grade is Grade.UNKNOWN:
        return Verdict.UNCLEAR
    if by_hand:
        return Verdict.REJECTED
    if own_lines and LINE_EXISTS in receipt.text:
        return Verdict.ACCEPTED
    return Verdict.UNCLEAR if in_doubt and _exists(receipt) else Verdict.REJECTED
