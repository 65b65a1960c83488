"""A toy contract that is called: a CSV line by each call, a chain of decisions, a frame. Its sources are no topics."""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.caller import CallHeaders, call_headers
from kvitt.disbursement.catalogue import BENEFITS, SCHEMES
from kvitt.disbursement.contract import DECISIONS, Contract, WhenOrderIsOpen
from kvitt.disbursement.decisions import ChainFault, DecisionKey, Frame
from kvitt.disbursement.derive.micro_chained import CaseState, derive
from kvitt.disbursement.events import (
    AllSettled,
    Corrected,
    Event,
    Ordered,
    OrderUnclear,
    OrderWithdrawn,
    Refused,
    Repeated,
    Reply,
    Settled,
    Unchanged,
)
from kvitt.disbursement.inbox import Identity, InboxMessage, Incoming, ParsedRecord, ReplyTo
from kvitt.disbursement.instructions import Decision, InstructionKind, PaymentInstruction, PaymentInstructions
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.values import (
    CaseId,
    DecisionId,
    Instruction,
    Order,
    PaymentId,
    Period,
    RateType,
    Refusal,
    Scheme,
)
from kvitt.formats.topics import TopicTerms
from kvitt.kernel.clock import oslo
from kvitt.kernel.money import Kroner

CALLED: Final = "rest.toy.VALP"
_DOC: Final = "docs/contract-port.md"
_BENEFIT: Final = BENEFITS["HOYERE_UTDANNING_SKOLEPENGER"]
_FAULTS: Final = {
    ChainFault.UNKNOWN: Refusal(400, "the previous decision is unknown", _DOC),
    ChainFault.NOT_NEWEST: Refusal(400, "the previous decision is not the newest", _DOC),
    ChainFault.NOT_FINISHED: Refusal(423, "the previous decision is not finished", _DOC),
}
BY_APPROVER: Final = CallHeaders("post", "v2", "toys", "A100001", approver=True, policy={"first": "approver"})
BY_MACHINE: Final = CallHeaders("post", "v2", "toys")


class CalledPayments(Instruction, frozen=True):
    """What a line asks for."""

    instructions: PaymentInstructions
    previous: DecisionKey | None
    cap: int | None


class CalledContract(Contract):
    """One line: `case,decision,previous,payment,from,to,kroner,cap`; 0 kroner pay nothing, a cap is set by approvers."""

    name = "called"
    sources: Mapping[str, Scheme] = {CALLED: Scheme.VALP}
    topics: Sequence[TopicTerms] = ()
    answers_on = None
    role = DECISIONS
    keeps_chain = True

    def read(self, record: Incoming) -> ParsedRecord:
        """A line with eight fields."""
        try:
            case, decision, previous, payment, start, end, kroner, cap = (record.body or b"").decode().split(",")
            period = Period(date.fromisoformat(start), date.fromisoformat(end), Kroner(int(kroner)))
        except ValueError:
            return ParsedRecord(record, Scheme.VALP, Refusal(400, "a line has eight fields", _DOC))
        identity = Identity((decision, ""), hashlib.sha256(record.body or b"").digest())
        instructions = PaymentInstructions(_decision(case, decision), (_payment(payment, period),))
        content = CalledPayments(instructions, (previous, "") if previous else None, int(cap) if cap else None)
        return ParsedRecord(record, Scheme.VALP, content, case_key=(Scheme.VALP, case), identity=identity)

    def when_order_is_open(self, message: InboxMessage) -> WhenOrderIsOpen:  # noqa: ARG002 - the rules say it themselves
        """What is open is refused by the rules of the chain."""
        return WhenOrderIsOpen.HANDLE

    def previous_decision(self, instruction: Instruction) -> DecisionKey | None:
        """The third field."""
        assert isinstance(instruction, CalledPayments), "it is ours"
        return instruction.previous

    def frame_after(self, message: InboxMessage, case: CaseState) -> Frame | None:
        """The last field, by an approver."""
        assert isinstance(message.content, CalledPayments), "it is ours"
        cap, start = message.content.cap, case.frame.start if case.frame else date(2026, 1, 1)
        return Frame(start, Kroner(cap)) if cap is not None and call_headers(message.headers).approver else None

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """The rules of the chain, then the cap, then lines."""
        asked = message.content
        assert isinstance(asked, CalledPayments), "a refusal leads to nothing"
        assert case.decisions is not None, "it keeps a chain"
        if fault := case.decisions.fault(asked.previous):
            return _FAULTS[fault]
        if case.open:
            return _FAULTS[ChainFault.NOT_FINISHED]
        paid = max((each.amount for one in asked.instructions.payments for each in one.periods), default=0)
        if case.frame and case.frame.cap_kroner is not None and paid > case.frame.cap_kroner:
            return Refusal(403, "more than the cap", _DOC)
        return derive(asked.instructions, case, oslo(at)) if paid or case.payments else ()

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:  # noqa: ARG002 - the answer is a word
        """A word, and the reason behind it."""
        match event:
            case Refused(refusal=refusal):
                return Reply(answer=f"refused {refusal.text}".encode())
            case Repeated(record=record):
                return Reply(answer=record.answer)
            case Unchanged():
                return Reply(answer=b"unchanged")
            case Ordered():
                return Reply(answer=b"received")
            case AllSettled(settled=settled) | Corrected(settled=settled):
                return Reply(answer=_word(settled))
            case OrderUnclear(settled=settled):
                return Reply(answer=f"unclear {settled.receipt.text}".encode())
            case OrderWithdrawn(last=True):
                return Reply(answer=b"rejected taken back")
        return Reply()

    def in_short(self, answer: bytes) -> Answer:
        """The word as a status."""
        word, _, reason = answer.decode().partition(" ")
        status = {"received": Status.RECEIVED, "paid": Status.OK, "unchanged": Status.OK}.get(word, Status.FAILED)
        return Answer(status, None, Refusal(400, reason, _DOC) if reason else None)


def line(
    case: str, decision: str, previous: str = "", kroner: int = 500, *, cap: int | None = None, last: date = date(2026, 6, 20)
) -> bytes:
    """A decision that pays so much a day."""
    payment = payment_of(case)
    return f"{case},{decision},{previous},{payment},2026-06-01,2026-06-20,{kroner},{'' if cap is None else cap}".encode()


def payment_of(case: str) -> str:
    """The one payment of a case."""
    name = hashlib.sha256(case.encode()).hexdigest()
    return f"{name[:8]}-{name[8:12]}-4{name[13:16]}-8{name[17:20]}-{name[20:32]}"


def _word(settled: Settled) -> bytes:
    return b"paid" if settled.outcome is ReceiptOutcome.ACCEPTED else f"rejected {settled.receipt.text}".encode()


def _decision(case: str, decision: str) -> Decision:
    terms = SCHEMES[Scheme.VALP]
    return Decision(
        scheme=Scheme.VALP,
        key=decision,
        case_id=CaseId(case),
        decision_id=DecisionId(decision),
        person=f"{zlib.crc32(case.encode()):011}",
        decided_at="2026-01-01T00:00",
        caseworker=terms.default_caseworker,
        approver=terms.default_approver,
        hold_back=None,
        dry_run=False,
        whole_case=False,
    )


def _payment(payment: str, period: Period) -> PaymentInstruction:
    if period.amount == 0:
        return PaymentInstruction(InstructionKind.CEASE_STORED, PaymentId(payment), _BENEFIT, RateType.ONE_OFF, ())
    return PaymentInstruction(InstructionKind.PAY, PaymentId(payment), _BENEFIT, RateType.DAY, (period,))
