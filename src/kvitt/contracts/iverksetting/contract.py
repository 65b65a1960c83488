"""Decisions that form one chain per case: read from calls, derived across decisions, answered by statuses (iverksetting §1)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from kvitt.contracts.iverksetting.answers import decode_document
from kvitt.contracts.iverksetting.benefits import benefit_of
from kvitt.contracts.iverksetting.call import SOURCES, EnactmentCall, enactment_call
from kvitt.contracts.iverksetting.chain import DecisionInCase, refused_in_case
from kvitt.contracts.iverksetting.decision import CaseDecision, DecidedSpan, DecisionKind, Generation
from kvitt.contracts.iverksetting.read import read_decision
from kvitt.contracts.iverksetting.reply import STATUS_TOPIC, in_short, reply_to
from kvitt.contracts.iverksetting.rules import broken_rule
from kvitt.contracts.iverksetting.texts import USED_BY_ANOTHER
from kvitt.disbursement.answers import Answer
from kvitt.disbursement.authority import refused_frame
from kvitt.disbursement.contract import DECISIONS, Contract, WhenOrderIsOpen
from kvitt.disbursement.decisions import DecisionKey, Frame
from kvitt.disbursement.derive.chained import WantedPeriod, chain_payment_id, derive
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.events import Event, Reply
from kvitt.disbursement.inbox import IdempotencyRecord, Identity, InboxMessage, Incoming, ParsedRecord, ReplyTo
from kvitt.disbursement.instructions import Decision
from kvitt.disbursement.reconciliation import KeyForm, ReconciliationForm
from kvitt.disbursement.values import Benefit, CaseId, DecisionId, Instruction, Order, Period, Refusal, Scheme
from kvitt.formats.topics import TopicTerms
from kvitt.kernel.clock import oslo


class Iverksetting(Contract):
    """Decisions over REST, in three generations."""

    name = "iverksetting"
    sources: Mapping[str, Scheme] = SOURCES
    answers_on = None
    role = DECISIONS
    keeps_chain = True
    reconciliation = ReconciliationForm("helved", KeyForm.DAY)

    def __init__(self, *, publishes: bool = False) -> None:
        """`publishes`: there is the topic of statuses, of which each call says whether its decision is published there."""
        self.topics: Sequence[TopicTerms] = (TopicTerms(STATUS_TOPIC),) if publishes else ()
        self.outputs: Sequence[str] = (STATUS_TOPIC,) if publishes else ()

    def read(self, record: Incoming) -> ParsedRecord:
        """The decision in a body that keeps the rules it has by itself."""
        scheme, call = self.sources[record.source], enactment_call(record.headers)
        decision = checked(record.body or b"", scheme, call)
        return ParsedRecord(record, scheme, decision) if isinstance(decision, Refusal) else as_read(record, decision, scheme)

    def when_order_is_open(self, message: InboxMessage) -> WhenOrderIsOpen:  # noqa: ARG002 - the rules of the chain say it themselves
        """A decision after an open one is refused in its turn among the rules of the chain."""
        return WhenOrderIsOpen.HANDLE

    def previous_decision(self, instruction: Instruction) -> DecisionKey | None:
        """`forrigeIverksetting`."""
        assert isinstance(instruction, CaseDecision), "it is ours"
        return instruction.previous.names if instruction.previous else None

    def named_simulation(self, message: InboxMessage) -> bytes | None:
        """The key of the dry run, as the caller names it."""
        seen = enactment_call(message.headers).seen
        return seen.encode() if seen else None

    def frame_after(self, message: InboxMessage, case: CaseState) -> Frame:
        """The frame once the decision is received; only those change it who may; the first decision opens the case, whatever it pays."""
        return in_case(message, case).frame_after

    def refused_reuse(self, message: InboxMessage, record: IdempotencyRecord) -> Refusal:
        """The refusal of another decision under the ids of one that was received, with the fields that differ."""
        decision, call = _decision(message), enactment_call(message.headers)
        before = decode_document(record.answer).meaning if record.answer else {}
        fields = [name for name, said in decision.meaning().items() if before.get(name) != said]
        return USED_BY_ANOTHER.refusal(
            call.terms.generation,
            fields=", ".join(fields),
            scheme=message.scheme.value,
            case=decision.case_name,
            decision=decision.key.decision_id,
            enactment=decision.key.enactment_id,
        )

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """The rules of the chain and of authority, then the lines across decisions (iverksetting §1.5, §2)."""
        asked = in_case(message, case)
        case_id, chains = CaseId(asked.decision.case_id), [each.chain for each in wanted_of(asked.decision)]
        ids = {each: chain_payment_id(message.scheme, case_id, each) for each in dict.fromkeys(chains)}
        return refused_in_case(asked, [ids[each] for each in chains]) or orders_of(asked.decision, message.scheme, case, at)

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:  # noqa: ARG002 - nothing that is published has the time in it
        """The answer to keep, and the status where it is published."""
        return reply_to(event, message)

    def in_short(self, answer: bytes) -> Answer:
        """A status document."""
        return in_short(decode_document(answer))


def as_read(record: Incoming, decision: CaseDecision, scheme: Scheme) -> ParsedRecord:
    """A record with this decision in its body, as the contract reads it."""
    identity = Identity(decision.key.names, decision.digest())
    return ParsedRecord(record, scheme, decision, case_key=(scheme, decision.case_id), identity=identity)


def checked(body: bytes, scheme: Scheme, call: EnactmentCall) -> CaseDecision | Refusal:
    """The decision in the body of a call, or the first rule that it breaks by itself.

    In the first generation it comes before these that a frame decision is an approver's (iverksetting §1.6).
    """
    decision, generation = read_decision(body, call.terms), call.terms.generation
    if isinstance(decision, Refusal):
        return decision
    framed = generation is Generation.FIRST and decision.kind is DecisionKind.FRAME
    return (refused_frame(call.by) if framed else None) or broken_rule(decision, scheme, generation) or decision


def wanted_of(decision: CaseDecision) -> Sequence[WantedPeriod]:
    """The complete state that a decision wants, entry by entry."""
    return [
        WantedPeriod(
            _benefit(span),
            span.terms.reporting_card,
            span.rate_type,
            Period(span.start, span.end, span.amount, span.terms.office, span.terms.decided_rate),
        )
        for span in decision.spans
    ]


def _benefit(span: DecidedSpan) -> Benefit:
    found = benefit_of(span.terms)
    assert found is not None, "a rule of the form says so"
    return found


def _for_core(decision: CaseDecision, scheme: Scheme) -> Decision:
    return Decision(
        scheme=scheme,
        key=decision.key.decision_id,
        case_id=CaseId(decision.case_id),
        decision_id=DecisionId(decision.decision_id),
        person=decision.person,
        decided_at=decision.decided_at,
        caseworker=decision.caseworker,
        approver=decision.approver,
        hold_back=None,
        dry_run=False,
        whole_case=True,
    )


def _decision(message: InboxMessage) -> CaseDecision:
    assert isinstance(message.content, CaseDecision), "a refusal leads to nothing"
    return message.content


def orders_of(decision: CaseDecision, scheme: Scheme, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
    """The orders of a decision that may be received; none: nothing differs."""
    return derive(_for_core(decision, scheme), wanted_of(decision), case, oslo(at))


def in_case(message: InboxMessage, case: CaseState) -> DecisionInCase:
    """The decision of a call with all that the rules need."""
    call = enactment_call(message.headers)
    return DecisionInCase(_decision(message), case, message.scheme, call.by, call.terms.generation, message.edition)
