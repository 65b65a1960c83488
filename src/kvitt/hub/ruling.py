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


class Verdict(StrEnum):
    """What a receipt turned out to be; the values are the outcomes in the store."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    REPEAT = "repeat"
    CONTRADICTS = "contradicts"
    UNMATCHED = "unmatched"
    UNREADABLE = "unreadable"


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
    still_open = [each for each in candidates if states.get(each.order_id, each.state) not in _SETTLED]
    return (stamped or still_open or list(candidates) or [None])[-1]  # type: ignore[list-item]


def verdict(receipt: Receipt, state: OrderState, in_doubt: bool, *, own_lines: bool = True) -> Verdict:
    """What the receipt does to an order in `state`. `in_doubt`: the order may have reached the rail more than once.

    A rejection because a line of ours exists already means that an earlier copy was accepted: our line ids are made once. A sender's
    own ids (not `own_lines`) prove nothing, and neither does it that the order exists, when a copy may be on its way. An acceptance
    of what was rejected changes nothing either, for later messages may stand on the rejection; but the rail may pay, so an operator
    has to look.
    """
    if state is OrderState.WITHDRAWN or (state is OrderState.READY and not in_doubt):
        return Verdict.UNMATCHED
    if state is OrderState.REJECTED and receipt.grade in (Grade.OK, Grade.WARNING):
        return Verdict.CONTRADICTS
    if state in _SETTLED:
        return Verdict.REPEAT
    if receipt.grade in (Grade.OK, Grade.WARNING):
        return Verdict.ACCEPTED
    if receipt.grade is Grade.UNKNOWN:
        return Verdict.UNCLEAR
    if own_lines and LINE_EXISTS in receipt.text:
        return Verdict.ACCEPTED
    exists = ORDER_EXISTS in receipt.text or LINE_EXISTS in receipt.text
    return Verdict.UNCLEAR if in_doubt and exists else Verdict.REJECTED
