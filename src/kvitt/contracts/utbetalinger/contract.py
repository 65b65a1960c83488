"""The contract of single payments: each is posted, put and deleted by itself, under an id that its caller chose (iverksetting §3).

Its sources are names of ours, one for each scheme; what authority found about who calls stands in the headers of the record.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from kvitt.contracts.utbetalinger.answers import decode_kept
from kvitt.contracts.utbetalinger.avvent import AvventCall, call_of, corrections_of, read_avvent
from kvitt.contracts.utbetalinger.changes import PaymentCall, PaymentOperation, found_by, living, orders_of, refused
from kvitt.contracts.utbetalinger.read import instructions_of, payment_id_of, read_single
from kvitt.contracts.utbetalinger.reply import reply_to
from kvitt.contracts.utbetalinger.shapes import SCHEMES, AvventCorrection, SinglePayment
from kvitt.disbursement.answers import Answer
from kvitt.disbursement.authority import (
    Authority,
    PaidPeriod,
    authority_of,
    is_opened_for_another,
    is_unopened,
    paid_of,
    refused_amounts,
    refused_one_person,
    refused_opening,
)
from kvitt.disbursement.caller import CallHeaders, call_headers
from kvitt.disbursement.contract import DECISIONS, Contract, WhenOrderIsOpen
from kvitt.disbursement.decisions import Frame
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.events import Event, Reply
from kvitt.disbursement.inbox import Identity, InboxMessage, Incoming, ParsedRecord, ReplyTo
from kvitt.disbursement.instructions import InstructionKind
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Order, PaymentId, Refusal, Scheme
from kvitt.formats.topics import TopicTerms
from kvitt.kernel.audit import digest
from kvitt.kernel.clock import oslo

NAME: Final = "utbetalinger"
SOURCES: Final[Mapping[Scheme, str]] = {scheme: f"rest.{NAME}.{scheme}" for scheme in SCHEMES}
"""The name under which the calls of a scheme are stored."""
IF_MATCH: Final = "if-match"
SIMULATION: Final = "simulation"
REQUEST: Final = "request"
"""In the headers of a call: by what it names the state that it changes, the simulation that an approver saw, and the request that it is,
where its caller may make that one again."""
_OTHER_SCHEME: Final = Refusal(403, "Stønaden hører ikke til fagsystemet som kallet er sendt for", BASE)


class Utbetalinger(Contract):
    """Single payments of five schemes."""

    name = NAME
    sources: Mapping[str, Scheme] = {source: scheme for scheme, source in SOURCES.items()}
    topics: Sequence[TopicTerms] = ()
    answers_on = None
    role = DECISIONS
    callers_choose_ids = True

    def read(self, record: Incoming) -> ParsedRecord:
        """The payment of a call; what breaks rules by itself is refused before its case matters."""
        corrects = call_headers(record.headers).operation == PaymentOperation.AVVENT
        return as_read(record, (read_avvent if corrects else read_single)(record.body or b""))

    def when_order_is_open(self, message: InboxMessage) -> WhenOrderIsOpen:
        """Whether a payment is there is said before that an order is open (iverksetting §3.3); a correction of a hold-back waits."""
        return WhenOrderIsOpen.QUEUE if isinstance(message.content, AvventCall) else WhenOrderIsOpen.HANDLE

    def named_simulation(self, message: InboxMessage) -> bytes | None:
        """The key of the dry run, as the caller names it."""
        named = call_headers(message.headers).policy.get(SIMULATION)
        return named.encode() if named else None

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """The order of one payment, micro-chained, or of a correction; the rules of its state come first."""
        call = message.content
        if isinstance(call, AvventCall):
            return corrections_of(call, case, oslo(at))
        assert isinstance(call, PaymentCall), "a refusal leads to nothing"
        by = _sender(call_headers(message.headers))
        return refused(call, found_by(call, case)) or _refused_sender(by, call, case, message.edition) or orders_of(call, case, oslo(at))

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:  # noqa: ARG002 - a status tells neither key nor time
        """The status to keep."""
        return reply_to(event)

    def in_short(self, answer: bytes) -> Answer:
        """A kept status."""
        return decode_kept(answer).in_short()


def as_read(record: Incoming, found: SinglePayment | AvventCorrection | Refusal) -> ParsedRecord:
    """A record with this in its body, as the contract reads it."""
    scheme, call = Utbetalinger.sources[record.source], call_headers(record.headers)
    payment_id = payment_id_of((record.key or b"").decode(errors="replace"))
    if isinstance(payment_id, Refusal):
        return ParsedRecord(record, scheme, payment_id)
    if isinstance(found, Refusal):
        return ParsedRecord(record, scheme, found)
    content = _content(found, payment_id, call, scheme) if isinstance(found, SinglePayment) else _correction(found, payment_id, scheme)
    if isinstance(content, Refusal):
        return ParsedRecord(record, scheme, content)
    case_key, identity = (scheme, content.case_id), _identity(record, call)
    return ParsedRecord(record, scheme, content, case_key=case_key, identity=identity, chosen_ids=(payment_id,))


def _identity(record: Incoming, call: CallHeaders) -> Identity | None:
    """By what a request that is made again is known: whoever died before it answered the first one may have done it."""
    named = call.policy.get(REQUEST)
    return Identity((NAME, named), digest(call.operation.encode(), record.key or b"", record.body or b"")) if named else None


def _refused_call(payment: SinglePayment, call: CallHeaders, scheme: Scheme) -> Refusal | None:
    """Whoever calls may not change this payment, or not alone (design §11)."""
    if payment.benefit.scheme is not scheme:
        return _OTHER_SCHEME
    return refused_one_person(_sender(call), payment.caseworker, payment.approver)


def _sender(call: CallHeaders) -> Authority:
    return authority_of(call.application, call.person, call.policy, approver=call.approver)


def _refused_sender(by: Authority, call: PaymentCall, case: CaseState, edition: int) -> Refusal | None:
    """Who may not open the case, or have it pay what is outside its frame; what was accepted may be said again, and less be paid."""
    payment, decision = call.payment, call.instructions.decision
    people = decision.caseworker, decision.approver
    opens = is_unopened(case, edition) or is_opened_for_another(case, decision.person, edition)
    if opens and (refusal := refused_opening(by) or refused_one_person(by, *people, as_approver=True)):
        return refusal
    if call.operation is PaymentOperation.DELETE:
        return None
    before = living(case, payment.payment_id)
    others = [each for each in case.payments.values() if each.payment_id != payment.payment_id]
    wanted = [*(PaidPeriod(before, each, payment.rate_type) for each in payment.periods), *paid_of(others)]
    return refused_amounts(by, case.frame or Frame(), wanted, case.payments.values(), people)


def _content(payment: SinglePayment, payment_id: PaymentId, call: CallHeaders, scheme: Scheme) -> PaymentCall | Refusal:
    if broken := _refused_call(payment, call, scheme):
        return broken
    operation = PaymentOperation(call.operation)
    kind = InstructionKind.CEASE if operation is PaymentOperation.DELETE else InstructionKind.PAY
    instructions = instructions_of(payment, payment_id, kind)
    if isinstance(instructions, Refusal):
        return instructions
    # Only what is made can be the first of its case.
    first = payment.first_of_case if operation is PaymentOperation.POST else None
    return PaymentCall(operation, instructions, first, call.policy.get(IF_MATCH))


def _correction(asked: AvventCorrection, payment_id: PaymentId, scheme: Scheme) -> AvventCall | Refusal:
    return call_of(asked, payment_id) if asked.benefit.scheme is scheme else _OTHER_SCHEME
