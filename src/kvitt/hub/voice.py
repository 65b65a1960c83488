"""How the orders of a message are told of: the same moments in both dialects, in the words of each.

An answer is opaque to whoever books: bytes that only the dialect reads, kept with the message as what its sender was told last, or
will be told once its last order is settled.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace

from kvitt.hub.facts import Facts
from kvitt.hub.ruling import Settled, Verdict
from kvitt.hub.taken import Address
from kvitt.hub.tell import Teller
from kvitt.rules.answers import Answer, Details, Grade, Status, with_outcome, without_outcomes
from kvitt.rules.catalogue import AREAS
from kvitt.rules.ids import event_id
from kvitt.rules.receipts import answer_to
from kvitt.rules.refusals import WITHDRAWN
from kvitt.rules.values import Area, OrderId, Scheme
from kvitt.wire import status

Versions = Sequence[tuple[str, int]]
"""The payments of an order as they stand in it, as (payment id, version); true once it is accepted."""


class Forwarded(Struct, frozen=True):
    """The order of a need: what is told of it besides the need."""

    order_id: str
    key: int
    made_at: datetime
    xml: bytes


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


_ENDS = {Status.OK: "utført", Status.FAILED: "ikke utført", None: "uavklart"}
_SAID_BEFORE = re.compile(rf" \((?:{'|'.join(_ENDS.values())}): [^()]*\)$")


def answer_for(settled: Settled, details: Details) -> Answer:
    """What a receipt tells the sender. A line that exists already was accepted the first time: that is an OK."""
    if settled.verdict is Verdict.ACCEPTED and settled.receipt.grade not in (Grade.OK, Grade.WARNING):
        return Answer(Status.OK, details)
    return answer_to(settled.receipt, details)


def worse(one: Answer, other: Answer) -> Answer:
    """Of the answers to the orders of one message: a failure counts more than a note, a note more than none."""
    if one.status is Status.FAILED or (one.error is not None and other.status is not Status.FAILED):
        return one
    return other


class StatusVoice:
    """The dialect of the case streams: one status topic, orders and payments on topics of their own (helved_stream §1, §3.6)."""

    def __init__(self, facts: Facts, address: Address, answer: bytes, now: datetime) -> None:
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
        accepted = settled.verdict is Verdict.ACCEPTED
        self._teller.receipt(settled.order, settled.receipt, versions, settled.mark, accepted=accepted)

    def settled(self, settled: Settled, so_far: bytes) -> bytes:
        """The worse one of both answers; of several areas it says which are paid."""
        self._so_far = status.decode(so_far)
        return self._weighed(answer_for(settled, self._details), Area(settled.order.area))

    def _weighed(self, answer: Answer, area: Area) -> bytes:
        """The answer so far, made worse or not by what became of the order of an area."""
        details = with_outcome(self._details, area, answer.status)
        self._so_far = told_apart(replace(worse(self._so_far, answer), details=details))
        return status.encode(self._so_far)

    def unclear(self, settled: Settled) -> bytes | None:
        """FEILET; the answer to keep stays as it is, for a later receipt may settle the order."""
        details = with_outcome(self._details, Area(settled.order.area), None)
        event = event_id(OrderId(settled.order.order_id), f"unclear{settled.mark}")
        self._teller.status(told_apart(answer_for(settled, details)), event)
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
