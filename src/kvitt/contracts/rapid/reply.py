"""Makes what is published about a need: answers on the need itself, and the events that others listen to (rapid §2.3–§2.6, §3.3).

The answer that is kept is the solution that its sender had last.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from kvitt.contracts.rapid.needs import Need, NeedKind
from kvitt.contracts.rapid.wire import events, packet, simulation, simulation_question, solutions
from kvitt.contracts.rapid.wire import need as needs
from kvitt.contracts.rapid.wire.packet import Trace
from kvitt.contracts.rapid.wire.solutions import TEXTS, Solution, SolutionStatus
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.events import (
    CORRECTED,
    AllSettled,
    Corrected,
    Event,
    MessageInProgress,
    Ordered,
    OrderOfMessage,
    OrderSettled,
    OrderUnclear,
    OrderWithdrawn,
    OutboxRecord,
    Queued,
    ReceiptArrived,
    ReceiptRead,
    ReconciliationGood,
    Refused,
    Repeated,
    Reply,
    Settled,
    Simulated,
    SimulationEnded,
    Unchanged,
    WithRail,
    withdrawal_event,
)
from kvitt.disbursement.inbox import InboxMessage, ReplyTo
from kvitt.disbursement.rail import ReceiptOutcome, Severity
from kvitt.disbursement.refusals import WITHDRAWN
from kvitt.disbursement.simulation import FailureReason, NothingComputed, SimulationFailure
from kvitt.disbursement.values import OrderId
from kvitt.formats import topics
from kvitt.formats.times import mapper_text
from kvitt.kernel.clock import oslo
from kvitt.kernel.identifiers import event_id, named_uuid

_EVENTS = UUID("5e1ac1b0-1d8c-5a3f-9c64-2f7e0d5b9a37").bytes
_PLAIN = topics.encode_headers(())
NOT_MADE: Final = "Kunne ikke opprette nytt Oppdrag"
TECHNICAL: Final = f"{NOT_MADE} pga. teknisk feil: "
_OUR_FAULT = 500
RECEIVED: Final = solutions.encode(Solution(SolutionStatus.RECEIVED, TEXTS[SolutionStatus.RECEIVED]))
"""What a need hears that waits; it has no key as long as there is no order."""


_NOT_SIMULATED: Final = {
    simulation_question.NEED: simulation.solution(
        SimulationFailure(
            FailureReason.ORDER_OPEN, "Behovet ber også om utbetaling, og saken kan ikke simuleres mens den har et åpent oppdrag"
        )
    )
}
"""The solution beside that of a payment: who wants to know first what would be paid asks for that alone (rapid §5.1)."""


def reply_to(event: Event, message: ReplyTo, at: datetime) -> Reply:
    """The records of an event, and the answer to keep."""
    return _REPLIES[type(event)](event, message, at)


class _Question:
    """A need as it came, with which every answer to it goes out; `at` is the Oslo time of publishing."""

    def __init__(self, message: ReplyTo, at: datetime) -> None:
        self._message, self.at = message, oslo(at)
        self._packet = packet.parse(message.body, oslo(message.received_at))
        self.trace = packet.trace_of(self._packet)
        self._kinds = tuple(kind.value for kind in NeedKind if kind.value in self.trace.behov)
        asks = simulation_question.NEED in self.trace.behov
        self.is_simulation = asks and not self._kinds
        """It asks what would be paid, and hears of that in a solution of another form (rapid §5.1)."""
        self.is_both = asks and bool(self._kinds) and message.edition >= Edition.EVERY_NEED
        """It asks for money as well, whose order is what keeps its case from being simulated."""

    def event(self, kind: str) -> str:
        """The id of something published about the need itself, before there is an order."""
        message = self._message
        return named_uuid(_EVENTS, f"{message.source}\0{message.partition}\0{message.position}\0{kind}")

    def answer(self, solution: bytes, event: str, cause: Trace | None = None) -> OutboxRecord:
        """The need once more with its solution; `cause` None: the need itself."""
        names = (simulation_question.NEED,) if self.is_simulation else self._kinds
        return self._published({**dict.fromkeys(names, solution), **(_NOT_SIMULATED if self.is_both else {})}, event, cause)

    def not_simulated(self) -> OutboxRecord:
        """The need once more, with nothing but why it is not simulated."""
        return self._published(_NOT_SIMULATED, self.event("simulation"))

    def _published(self, solved: Mapping[str, bytes], event: str, cause: Trace | None = None) -> OutboxRecord:
        value = packet.answered(self._packet, solved, event_id=event, at=self.at, cause=cause or self.trace)
        return OutboxRecord(topics.RAPID, self._message.key, value, _PLAIN, event)


def _answered(message: ReplyTo, at: datetime, solution: bytes, kind: str) -> Reply:
    question = _Question(message, at)
    return Reply((question.answer(solution, question.event(kind)),), solution)


def _queued(_: Queued, message: ReplyTo, at: datetime) -> Reply:
    """MOTTATT."""
    return _answered(message, at, RECEIVED, "waiting")


def _refused(event: Refused, message: ReplyTo, at: datetime) -> Reply:
    """FEIL for good; what is kvitt's own fault is named as such. The refusal itself says why."""
    refusal = event.refusal
    if _Question(message, at).is_simulation:
        return _answered(message, at, simulation.solution(simulation.refusal_as_outcome(refusal)), "simulation")
    text = f"{TECHNICAL}{refusal.text}" if refusal.status >= _OUR_FAULT else refusal.text
    return _answered(message, at, solutions.encode(Solution(SolutionStatus.FAILED, text)), "failed")


def _repeated(event: Repeated, message: ReplyTo, at: datetime) -> Reply:
    """Returns what was published last, once more."""
    return _answered(message, at, event.record.answer or RECEIVED, "repeated")


def _unchanged(event: Unchanged, message: ReplyTo, at: datetime) -> Reply:
    """A need without lines asks for nothing, and hears nothing (rapid §2.3); one that asks what would be paid hears that (rapid §5.1)."""
    if event.dry_run:
        return _answered(message, at, simulation.solution(NothingComputed()), "simulation")
    question = _Question(message, at)
    return Reply((question.not_simulated(),)) if question.is_both else Reply()


def _simulated(_: Simulated, __: ReplyTo, ___: datetime) -> Reply:
    """Nothing: the solution comes with the rail's answer."""
    return Reply()


def _simulation_ended(event: SimulationEnded, message: ReplyTo, at: datetime) -> Reply:
    """The solution, with its three keys (rapid §5.1)."""
    return _answered(message, at, simulation.solution(event.outcome), "simulation")


def _ordered(event: Ordered, message: ReplyTo, at: datetime) -> Reply:
    """MOTTATT with the key; and that there is an order, for those who keep their own books of orders."""
    assert isinstance(message, InboxMessage), "orders are made of what was read"
    assert isinstance(message.content, Need), "of needs"
    (order,) = event.orders
    assert order.reconciliation_key is not None, "forwarded orders have a key"
    solution = solutions.encode(Solution(SolutionStatus.RECEIVED, TEXTS[SolutionStatus.RECEIVED], key=order.reconciliation_key))
    question, made = _Question(message, at), event_id(order.order_id, "payment order")
    value = events.payment_order(message.content, order.reconciliation_key, made, question.at, question.trace)
    answer = question.answer(solution, question.event("received"))
    return Reply((answer, OutboxRecord(topics.RAPID, message.key, value, _PLAIN, made)), solution)


class _Answered(_Question):
    """A need that has an order."""

    def __init__(self, message: ReplyTo, at: datetime) -> None:
        super().__init__(message, at)
        self.key = message.key
        found = needs.read(message.body)
        assert isinstance(found, Need), "only needs that can be read have orders"
        self.need, self.order, self.reconciliation_key = found, *_order_of(message)
        self.order_id = OrderId(self.order.order_id)

    def receipt(self, settled: Settled, suffix: str) -> OutboxRecord:
        """Returns what the rail said, under the person's key."""
        event = event_id(self.order_id, f"status {settled.receipt.raw_severity}{suffix}")
        value = events.transaction_status(
            self.need, self.reconciliation_key, settled.receipt, original=events.normalised(settled.body), event_id=event, at=self.at
        )
        return OutboxRecord(topics.RAPID, self.need.person.encode(), value, _PLAIN, event)

    def cause(self, settled: Settled, suffix: str) -> Trace:
        """How an answer names what the rail said as its cause."""
        event = event_id(self.order_id, f"status {settled.receipt.raw_severity}{suffix}")
        return Trace(event, mapper_text(self.at), events.STATUS_EVENT)


def _order_of(message: ReplyTo) -> tuple[OrderOfMessage, int]:
    """The one order of a need, and its key."""
    assert isinstance(message, MessageInProgress), "this happens to needs with an order"
    (order,) = message.orders
    assert order.reconciliation_key is not None, "forwarded orders have a key"
    return order, order.reconciliation_key


def _with_rail(_: WithRail, message: ReplyTo, at: datetime) -> Reply:
    """The order with its bytes as on the queue, then OVERFØRT, which names that as its cause."""
    need = _Answered(message, at)
    event, made = event_id(need.order_id, "transferred"), event_id(need.order_id, "payment order")
    value = events.transferred(
        need.need,
        need.reconciliation_key,
        need.order.message,
        event_id=event,
        at=need.at,
        made_at=oslo(need.order.made_at),
        made_event_id=made,
    )
    sent_at = packet.default_text(need.at)
    solution = solutions.encode(
        Solution(SolutionStatus.TRANSFERRED, TEXTS[SolutionStatus.TRANSFERRED], sent_at=sent_at, key=need.reconciliation_key)
    )
    answer = need.answer(solution, event_id(need.order_id, "with rail"), Trace(event, sent_at, events.ORDER_EVENT))
    return Reply((OutboxRecord(topics.RAPID, need.key, value, _PLAIN, event), answer), solution)


def _receipt_read(event: ReceiptRead, message: ReplyTo, at: datetime) -> Reply:
    """Returns what the rail said of the order, as an event of its own. Forwarded orders have no payments."""
    assert not event.versions, "forwarded orders have no payments"
    return Reply((_Answered(message, at).receipt(event.settled, event.settled.event_suffix),))


def _settled(event: OrderSettled, message: ReplyTo, at: datetime) -> Reply:
    """The solution by the receipt's severity. A need has one order, so there is nothing to weigh."""
    receipt = event.settled.receipt
    accepted_before = event.settled.outcome is ReceiptOutcome.ACCEPTED and receipt.severity not in (Severity.OK, Severity.WARNING)
    assert not accepted_before, "what the rail refuses of a sender's own lines proves nothing"
    return Reply((), solutions.encode(solutions.of_receipt(receipt, _order_of(message)[1], oslo(at))))


def _unclear(event: OrderUnclear, message: ReplyTo, at: datetime) -> Reply:
    """FEIL with the rail's raw words; a later receipt may settle the order after all."""
    need, settled = _Answered(message, at), event.settled
    solution = solutions.of_receipt(settled.receipt, need.reconciliation_key, need.at)
    if settled.receipt.severity is not Severity.UNKNOWN:
        # A rejection that may be about a second copy is no rejection of the need.
        solution = replace(solution, status=SolutionStatus.FAILED, text=f"{TEXTS[SolutionStatus.FAILED]}. {solution.text}")
    value = solutions.encode(solution)
    made = event_id(need.order_id, f"unclear{settled.event_suffix}")
    return Reply((need.answer(value, made, need.cause(settled, settled.event_suffix)),), value)


def _all_settled(event: AllSettled, message: ReplyTo, at: datetime) -> Reply:
    """The solution that the receipt gave."""
    assert isinstance(message, MessageInProgress), "this happens to needs with an order"
    assert message.answer is not None, "it is settled"
    need, settled = _Answered(message, at), event.settled
    return Reply((need.answer(message.answer, event_id(need.order_id, "answer"), need.cause(settled, settled.event_suffix)),))


def _withdrawn(event: OrderWithdrawn, message: ReplyTo, at: datetime) -> Reply:
    """FEIL, with the reason that nothing was sent."""
    assert event.last, "a need has one order"
    solution = solutions.encode(Solution(SolutionStatus.FAILED, (event.refusal or WITHDRAWN).text, key=_order_of(message)[1]))
    return Reply((_Question(message, at).answer(solution, withdrawal_event(event.order_id)),), solution)


def _corrected(event: Corrected, message: ReplyTo, at: datetime) -> Reply:
    """Returns what the rail said, as an event, then its solution, with the reason behind its text. Forwarded orders have no payments."""
    assert not event.versions, "forwarded orders have no payments"
    assert not event.fallen, "forwarded orders have no payments"
    need, settled, suffix = _Answered(message, at), event.settled, event.event_suffix
    solution = solutions.of_receipt(settled.receipt, need.reconciliation_key, need.at)
    value = solutions.encode(replace(solution, text=f"{solution.text} ({CORRECTED})"))
    answer = need.answer(value, event_id(need.order_id, f"answer{suffix}"), need.cause(settled, suffix))
    return Reply((need.receipt(settled, suffix), answer), value)


_REPLIES: Mapping[type, Callable[[Any, ReplyTo, datetime], Reply]] = {
    Queued: _queued,
    Refused: _refused,
    Repeated: _repeated,
    Unchanged: _unchanged,
    Simulated: _simulated,
    SimulationEnded: _simulation_ended,
    Ordered: _ordered,
    WithRail: _with_rail,
    ReceiptRead: _receipt_read,
    OrderSettled: _settled,
    OrderUnclear: _unclear,
    AllSettled: _all_settled,
    OrderWithdrawn: _withdrawn,
    Corrected: _corrected,
}


def copy_of(event: ReceiptArrived, at: datetime) -> OutboxRecord:
    """A copy of a receipt as it came, before anything is made of it; it has no key and belongs to no need (rapid §3.3 step 2)."""
    return OutboxRecord(
        topics.RAPID, None, events.raw_receipt(events.normalised(event.body), event.event_id, oslo(at)), _PLAIN, event.event_id
    )


def reconciled(event: ReconciliationGood, at: datetime) -> OutboxRecord:
    """That an area was reconciled, under the key of the record that asked for it, if one did; its id is that of the run (rapid §4.4)."""
    asked = event.caused_by
    cause = packet.trace_of(packet.parse(asked.body, oslo(asked.came_at))) if asked else None
    return OutboxRecord(topics.RAPID, asked.key if asked else None, events.reconciled(event, oslo(at), cause), _PLAIN, event.run_id)
