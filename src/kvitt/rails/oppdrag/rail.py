"""The state rail: chains of lines as XML over a queue, one order to a message, each with its receipt (helved §4.4, §5.1; rapid §3.1)."""

from collections.abc import Sequence
from datetime import date
from typing import ClassVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

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
from kvitt.disbursement.simulation import SimulationOutcome
from kvitt.disbursement.values import Order
from kvitt.rails.oppdrag import forwarded_xml, order_xml, receipt_xml, simulation_answer, simulation_request
from kvitt.rails.oppdrag.opening_hours import OpeningHours

_ACCEPTED, _REJECTED = "00", "08"
_encoder = msgspec.json.Encoder()
_CODE_OF_OPERATORS = "KVITT"


class _HeldBack(Struct, frozen=True, omit_defaults=True):
    """Money that the rail keeps for now, with the code of its cause."""

    start: date
    end: date
    transferred_on: date | None = None
    cause: str | None = None
    by_mistake: bool = False


class _Document(Struct, frozen=True, omit_defaults=True):
    """What the rail keeps of an order beside its message; its own migration writes the same bytes for older ones."""

    frequency: str
    hold_back: _HeldBack | None = None


class Oppdrag(Struct, frozen=True):
    """The rail, as it keeps open; `schedule` are its hours unless set otherwise."""

    schedule: OpeningHours = OpeningHours()
    name: ClassVar[str] = "oppdrag"
    """As in the store."""

    @property
    def capabilities(self) -> Capabilities:
        """It keeps chains, and refuses a line or a new order that it has already."""
        return Capabilities(chains=True, simulates=True, reconciles=True, answers_duplicates=True)

    def encode(self, order: Order) -> Encoded:
        """Its XML, which the schema takes, or that of the older dialect where the sender made the lines.

        Raises InvalidOrderMessage, and ValueError when a line id is too long.
        """
        if order.forwarded:
            key, time = receipt_xml.correlation_key(forwarded_xml.line_keys(order)), forwarded_xml.correlation_time(order.made_at)
            return Encoded(self.name, forwarded_xml.encode(order), key, time, _document(order))
        message = order_xml.encode(order)
        order_xml.validate(message)
        key, time = receipt_xml.correlation_key(order_xml.line_keys(order)), order_xml.correlation_time(order)
        return Encoded(self.name, message, key, time, _document(order))

    def encode_simulation(self, order: Order) -> bytes:
        """The body of a SOAP message. Raises TooManyToSimulate, InvalidOrderMessage, and ValueError when a line id is too long."""
        return simulation_request.encode_simulation(order)

    def read_simulation(self, status: int, answer: bytes) -> SimulationOutcome:
        """What a SOAP answer says, or why it says nothing."""
        return simulation_answer.read_simulation(status, answer)

    def files_of(self, orders: Sequence[OrderToSend]) -> Sequence[TransportFile]:
        """Each order is a message of its own."""
        return [TransportFile.of([order], order.message) for order in orders]

    def read(self, answer: bytes) -> Sequence[Observation]:
        """The one thing that a receipt says. Raises UnreadableReceipt."""
        return (receipt_xml.decode(answer),)

    def match(self, observation: Observation, candidates: Sequence[Candidate]) -> Candidate | None:
        """The order with its time, else the open one, else the newest; None without candidates.

        Two orders of a case can name the same lines (the same line cut twice), so the lines alone do not tell.
        """
        of_that_time = [each for each in candidates if each.correlation_time == observation.correlation_time]
        still_open = [each for each in candidates if not each.is_settled]
        found = of_that_time or still_open or candidates
        return found[-1] if found else None

    def decide(self, observation: Observation, order: Candidate) -> ReceiptOutcome:
        """What a receipt says of an order by itself.

        A rejection because a line of ours exists already means that an earlier copy was accepted: our line ids are made once. A sender's
        own ids prove nothing, and neither does it that the order exists, when a copy may be on its way.
        """
        if observation.severity in (Severity.OK, Severity.WARNING):
            return ReceiptOutcome.ACCEPTED
        if observation.severity is Severity.UNKNOWN:
            return ReceiptOutcome.UNCLEAR
        if Reason.LINE_EXISTS in observation.reasons and not _is_forwarded(order.message):
            return ReceiptOutcome.ACCEPTED
        return ReceiptOutcome.UNCLEAR if order.may_have_copies and observation.answers_copy else ReceiptOutcome.REJECTED

    def with_acknowledgement(self, message: bytes, observation: Observation) -> bytes:
        """The order's own XML with the rail's answer first."""
        return receipt_xml.with_acknowledgement(message, observation)

    def words_of_operator(self, message: bytes, *, accepted: bool, text: str) -> bytes:
        """A receipt with severity 00 or 08, and a code that the rail has not."""
        echo = receipt_xml.decode(message)
        raw_severity = _ACCEPTED if accepted else _REJECTED
        return receipt_xml.with_acknowledgement(message, replace(echo, raw_severity=raw_severity, code=_CODE_OF_OPERATORS, text=text))


def _document(order: Order) -> str:
    held = order.hold_back
    cause = order_xml.CAUSE.get(held.cause) if held and held.cause else None
    kept = _HeldBack(held.start, held.end, held.transferred_on, cause, held.registered_by_mistake) if held else None
    return _encoder.encode(_Document(order.frequency, kept)).decode()


def _is_forwarded(message: bytes) -> bool:
    """Whether the lines of an order are its sender's own."""
    return receipt_xml.FORWARDED_ROOT in message[:100]
