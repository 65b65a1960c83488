"""How the orders of a message are told of: the same moments in both dialects, in the words of each.

An answer is opaque to whoever books: bytes that only the dialect reads, kept with the message as what its sender was told last, or
will be told once its last order is settled.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from typing import Any, Protocol
from uuid import UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace

from kvitt.hub.ruling import PaymentVersion, Settled
from kvitt.hub.taken import Address
from kvitt.hub.tell import Teller
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.rules.answers import Answer, Details, Status, with_outcome, without_outcomes
from kvitt.rules.catalogue import AREAS
from kvitt.rules.ids import event_id
from kvitt.rules.rail_port import Observation, Rail, ReceiptOutcome, Severity
from kvitt.rules.receipts import answer_to
from kvitt.rules.refusals import WITHDRAWN
from kvitt.rules.values import Area, OrderId, Scheme
from kvitt.wire import status

CORRECTED = "corrected: the rail has said otherwise, and its word was adopted"
"""Stands with an answer that replaces an earlier one."""
Versions = Sequence[PaymentVersion]
"""The payments of an order as they stand in it; true once it is accepted."""


class Forwarded(Struct, frozen=True):
    """The order of a need: what is told of it besides the need."""

    order_id: str
    key: int
    made_at: datetime
    message: bytes


class Asked:
    """A message whose orders are being settled: whom to tell, and the answer so far.

    `last_at` is when something was told of it last. Needs come with their body, for it is part of every answer, and with their order.
    """

    def __init__(self, row: Sequence[Any]) -> None:
        self.address = Address(row[0], row[1], row[2], row[3], None if row[4] is None else bytes(row[4]), row[5], Scheme(row[6]))
        self.answer = bytes(row[8])
        self.body = b"" if row[10] is None else bytes(row[10])
        self.received_at: datetime = row[11]
        self.last_at: datetime = row[12]
        self.order: Forwarded | None = None


class Outcome(Struct, frozen=True):
    """What became of the order of a message in one area; `receipt` is None for one that was taken back."""

    area: Area
    accepted: bool
    receipt: Observation | None


class Correction(Struct, frozen=True):
    """What adopting the rail's word changes of an order: its versions, as they stand in it, become true, or they fall.

    `fallen` names the versions that hold again in the place of those that fell, None where there is none; `outcomes` are those of all
    orders of the message as they are now.
    """

    settled: Settled
    versions: Versions
    fallen: Sequence[tuple[str, PaymentVersion | None]]
    outcomes: Sequence[Outcome]

    @property
    def mark(self) -> str:
        """What tells its events apart from those that told otherwise before."""
        return f" corrected {self.settled.receipt_no}"


class Voice(Protocol):
    """What a dialect says about one message at one moment."""

    def with_rail(self) -> bytes | None:
        """All orders are with the rail; gives the answer to keep if it is another one from now on."""

    def receipt(self, settled: Settled, versions: Versions) -> None:
        """What a receipt says of an order, for those who follow orders."""

    def settled(self, settled: Settled, so_far: bytes) -> bytes:
        """The answer that a receipt makes of the one so far; nothing is told yet."""

    def unclear(self, settled: Settled) -> bytes | None:
        """Tells that a receipt says nothing certain; gives the answer to keep if it is another one from now on."""

    def final(self, answer: bytes, order_id: str) -> None:
        """Tells the last answer; `order_id` is the order that was settled last."""

    def withdrawn(self, order_id: str, area: Area, *, last: bool) -> bytes:
        """The answer when an operator took the order of an area back; it is told if that was the `last` open one."""

    def corrected(self, correction: Correction) -> bytes:
        """Tells anew what was told otherwise: the order with the rail's word, payments, the final answer; gives that answer."""


_ENDS = {Status.OK: "utført", Status.FAILED: "ikke utført", None: "uavklart"}
_SAID_BEFORE = re.compile(rf" \((?:{'|'.join(_ENDS.values())}): [^()]*\)$")


def answer_for(accepted: bool, receipt: Observation, details: Details) -> Answer:
    """What a receipt tells the sender. A line that exists already was accepted the first time: that is an OK."""
    if accepted and receipt.severity not in (Severity.OK, Severity.WARNING):
        return Answer(Status.OK, details)
    return answer_to(receipt, details)


def worse(one: Answer, other: Answer) -> Answer:
    """Of the answers to the orders of one message: a failure counts more than a note, a note more than none."""
    if one.status is Status.FAILED or (one.error is not None and other.status is not Status.FAILED):
        return one
    return other


class StatusVoice:
    """The dialect of the case streams: one status topic, orders and payments on topics of their own (helved §1, §3.6)."""

    def __init__(self, facts: UnitOfWork, address: Address, answer: bytes, now: datetime, rail: Rail) -> None:
        self._rail = rail
        self._teller = Teller(facts, address, now)
        self._so_far = status.decode(answer)

    @property
    def _details(self) -> Details:
        return self._so_far.details or Details(None, ())

    def with_rail(self) -> bytes | None:
        """HOS_OPPDRAG; the answer to keep stays as it is."""
        self._teller.with_rail(without_outcomes(self._details))
        return None

    def receipt(self, settled: Settled, versions: Versions) -> None:
        """The order with its receipt, and the payments that it made true."""
        accepted = settled.outcome is ReceiptOutcome.ACCEPTED
        self._teller.receipt(settled.order, settled.receipt, versions, settled.mark, rail=self._rail, accepted=accepted)

    def settled(self, settled: Settled, so_far: bytes) -> bytes:
        """The worse one of both answers; of several areas it says which are paid."""
        self._so_far = status.decode(so_far)
        return self._weighed(self._answer(settled), Area(settled.order.area))

    def _weighed(self, answer: Answer, area: Area) -> bytes:
        """The answer so far, made worse or not by what became of the order of an area."""
        details = with_outcome(self._details, area, answer.status)
        self._so_far = told_apart(replace(worse(self._so_far, answer), details=details))
        return status.encode(self._so_far)

    def unclear(self, settled: Settled) -> bytes | None:
        """FEILET; the answer to keep stays as it is, for a later receipt may settle the order."""
        answer = replace(self._answer(settled), details=with_outcome(self._details, Area(settled.order.area), None))
        self._teller.status(told_apart(answer), event_id(OrderId(settled.order.order_id), f"unclear{settled.mark}"))
        return None

    def final(self, answer: bytes, order_id: str) -> None:
        """OK or FEILET."""
        self._teller.status(status.decode(answer), event_id(OrderId(order_id), "answer"))

    def withdrawn(self, order_id: str, area: Area, *, last: bool) -> bytes:
        """FEILET, with the reason that nothing was sent; of several areas it says which are paid."""
        value = self._weighed(Answer(Status.FAILED, None, WITHDRAWN), area)
        if last:
            self._teller.status(self._so_far, named_withdrawal(order_id))
        return value

    def corrected(self, correction: Correction) -> bytes:
        """The order with its receipt, its payments as they hold now, and OK or FEILET with the reason in a header."""
        settled, mark = correction.settled, correction.mark
        accepted = settled.outcome is ReceiptOutcome.ACCEPTED
        self._teller.receipt(settled.order, settled.receipt, correction.versions, mark, rail=self._rail, accepted=accepted, again=mark)
        self._teller.fallen(settled.order, correction.fallen, mark)
        answers = [(each.area, self._outcome(each)) for each in correction.outcomes]
        details = reduce(lambda so_far, one: with_outcome(so_far, one[0], one[1].status), answers, self._details)
        answer = told_apart(replace(reduce(worse, [each for _, each in answers]), details=details))
        return self._teller.status(answer, event_id(OrderId(settled.order.order_id), f"answer{mark}"), CORRECTED)

    def _answer(self, settled: Settled) -> Answer:
        return answer_for(settled.outcome is ReceiptOutcome.ACCEPTED, settled.receipt, self._details)

    def _outcome(self, outcome: Outcome) -> Answer:
        if outcome.receipt is None:
            return Answer(Status.FAILED, self._details, WITHDRAWN)
        return answer_for(outcome.accepted, outcome.receipt, self._details)


def told_apart(answer: Answer) -> Answer:
    """A failure of some areas of a message, with the areas behind its text: which are paid, which are not, which are open.

    For readers that know the members of the contract only; said anew whenever one of the areas comes to another end.
    """
    lines = answer.details.lines if answer.details else ()
    ends = {line.area: line.status for line in lines if line.area}
    if answer.error is None or answer.status is not Status.FAILED or not ends:
        return answer
    groups = ((word, [AREAS[area].name for area in ends if ends[area] is end]) for end, word in _ENDS.items())
    said = "; ".join(f"{word}: {', '.join(names)}" for word, names in groups if names)
    text = _SAID_BEFORE.sub("", answer.error.text)
    alike = set(ends.values()) == {Status.FAILED}
    return replace(answer, error=replace(answer.error, text=text if alike else f"{text} ({said})"))


def named_withdrawal(order_id: str) -> str:
    """The id of telling that an order was taken back."""
    return str(uuid5(UUID(order_id), "withdrawn"))
