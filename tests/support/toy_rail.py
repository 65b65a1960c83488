"""A toy rail: a line of text per order, and a line back. The smallest rail that keeps every promise of the port (docs/rail-port.md)."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from kvitt.disbursement.cancel.request import CancellationRequest
from kvitt.disbursement.rail import (
    Candidate,
    Capabilities,
    Encoded,
    Observation,
    OrderToSend,
    Reason,
    ReceiptOutcome,
    Severity,
    TransportFile,
)
from kvitt.disbursement.values import Order
from kvitt.errors import UnreadableReceipt

_ANSWER: Final = re.compile(r"answer ([0-9a-f-]{36}) (\S+) (\S+)(?: (.*))?")
_SEVERITIES: Final = {
    "TAKEN": Severity.OK,
    "PAID": Severity.OK,
    "NOTE": Severity.WARNING,
    "NO": Severity.REJECTED,
    "CANCELLED": Severity.REJECTED,
    "KEPT": Severity.OK,
}
_LATER: Final = {"PAID": ReceiptOutcome.SETTLED, "CANCELLED": ReceiptOutcome.CANCELLED, "KEPT": ReceiptOutcome.NOTED}
_REASONS: Final = {"CANCELLED": Reason.CANCELLED, "KEPT": Reason.NOT_CANCELLED}
_KNOWN: Final = "I know this order"


class Always:
    """A rail that never closes."""

    def is_open(self, moment: datetime) -> bool:  # noqa: ARG002 - it is open
        """It is."""
        return True

    def open_time_ago(self, now: datetime, amount: timedelta) -> datetime:
        """All time is open time."""
        return now - amount


class ToyRail:
    """The rail. `order ID CASE PERSON TIME AMOUNT…` goes out, many lines to a file; `answer ID TIME CODE WORDS` comes back.

    `cancel ID TIME WORDS` asks for an order to be cancelled; the code of the answer is `CANCELLED` or `KEPT`.
    """

    name = "toy"
    capabilities = Capabilities(cancels=True, answers_duplicates=True)
    schedule = Always()

    def encode(self, order: Order) -> Encoded:
        """The order as a line: what each of its lines pays, from when to when."""
        time = order.made_at.isoformat(timespec="microseconds")
        amounts = " ".join(f"{line.start}/{line.ceased_from or line.end}={0 if line.ceased_from else line.amount}" for line in order.lines)
        message = f"order {order.order_id} {order.case_id} {order.person} {time} {amounts}".encode()
        return Encoded(self.name, message, hashlib.sha256(order.order_id.encode()).digest(), time)

    def validate(self, made: Sequence[tuple[Order, Encoded]]) -> None:
        """A line takes whatever an order holds."""

    def files_of(self, orders: Sequence[OrderToSend]) -> Sequence[TransportFile]:
        """All orders in one file, those that are sent once more alone."""
        together = [order for order in orders if not order.resend]
        alone = [[order] for order in orders if order.resend]
        return [TransportFile.of(group, b"\n".join([order.message for order in group])) for group in (together, *alone) if group]

    def encode_cancellation(self, request: CancellationRequest) -> bytes:
        """A line that names the order and its time."""
        time = request.message.split(b" ")[4].decode()
        return f"cancel {request.order_id} {time} {' '.join(request.reason.split())}".encode()

    def read(self, answer: bytes) -> Sequence[Observation]:
        """What each line says that is an answer; orders may be echoed between them. Raises UnreadableReceipt."""
        try:
            lines = [line for line in answer.decode().splitlines() if not line.startswith("order ")]
        except UnicodeDecodeError:
            raise UnreadableReceipt("is not UTF-8") from None
        said = [_observation(line) for line in lines]
        if not said:
            raise UnreadableReceipt("has no answer in it")
        return said

    def match(self, observation: Observation, candidates: Sequence[Candidate]) -> Candidate | None:  # noqa: ARG002 - ids are unique
        """The one order with that id."""
        return candidates[-1] if candidates else None

    def decide(self, observation: Observation, order: Candidate) -> ReceiptOutcome:
        """What an answer says: money that has arrived is said once more, later; a refused copy means that the first one was taken."""
        if observation.severity is Severity.UNKNOWN:
            return ReceiptOutcome.UNCLEAR
        if observation.raw_severity in _LATER:
            return _LATER[observation.raw_severity]
        if observation.severity in (Severity.OK, Severity.WARNING) or (order.may_have_copies and observation.answers_copy):
            return ReceiptOutcome.ACCEPTED
        return ReceiptOutcome.REJECTED

    def with_acknowledgement(self, message: bytes, observation: Observation) -> bytes:
        """The order's line, and the answer's behind it."""
        order_id = message.split(b" ", 2)[1].decode()
        said = f"answer {order_id} {observation.correlation_time} {observation.raw_severity} {observation.text}"
        return message + b"\n" + said.rstrip().encode()

    def words_of_operator(self, message: bytes, *, accepted: bool, text: str) -> bytes:
        """The order's line with an answer as the rail would write it."""
        order_id, time = (message.split(b" ")[place].decode() for place in (1, 4))
        return message + f"\nanswer {order_id} {time} {'TAKEN' if accepted else 'NO'} {text}".encode()


def _observation(line: str) -> Observation:
    found = _ANSWER.fullmatch(line)
    if found is None:
        raise UnreadableReceipt("has a line that is no answer")
    order_id, time, code, words = found[1], found[2], found[3], found[4] or ""
    severity = _SEVERITIES.get(code, Severity.UNKNOWN)
    said = Observation(None, "", b"", time, severity, code, text=words, order_id=order_id)
    reason = Reason.ORDER_EXISTS if words == _KNOWN else _REASONS.get(code)
    return replace(said, reasons=frozenset({reason})) if reason else said


class ToyBank:
    """Who is at the other end: takes each order once, and answers a file with a file."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}
        """What it has taken, by order: the amounts."""
        self.paid: set[str] = set()
        """Orders that it has paid already, and does not cancel any more."""
        self.cancelled: set[str] = set()
        """Orders that it has cancelled; it says so as often as it is asked."""

    def answer(self, file: bytes) -> bytes:
        """The answers to the orders of a file, or to a request to cancel one, a line each."""
        return "\n".join([self._answer(line) for line in file.decode().splitlines()]).encode()

    def _answer(self, line: str) -> str:
        if line.startswith("cancel "):
            return self._cancelled(*line.split(" ")[1:3])
        _, order_id, _, _, time, amounts = line.split(" ", 5)
        if order_id in self.taken:
            return f"answer {order_id} {time} NO {_KNOWN}"
        self.taken[order_id] = amounts
        return f"answer {order_id} {time} TAKEN"

    def _cancelled(self, order_id: str, time: str) -> str:
        if order_id in self.cancelled:
            return f"answer {order_id} {time} CANCELLED before"
        if order_id not in self.taken or order_id in self.paid:
            return f"answer {order_id} {time} KEPT {'it is paid' if order_id in self.paid else 'I have no such order'}"
        del self.taken[order_id]
        self.cancelled.add(order_id)
        return f"answer {order_id} {time} CANCELLED as you asked"
