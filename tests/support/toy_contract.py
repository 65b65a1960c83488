"""A toy contract: a CSV line in, one status out. The smallest contract that keeps every promise of the port (docs/contract-port.md)."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.catalogue import BENEFITS, SCHEMES
from kvitt.disbursement.contract import Contract
from kvitt.disbursement.derive.micro_chained import CaseState, derive
from kvitt.disbursement.events import (
    AllSettled,
    Corrected,
    Event,
    MessageInProgress,
    Ordered,
    OrderSettled,
    OrderUnclear,
    OrderWithdrawn,
    OutboxRecord,
    Refused,
    Repeated,
    Reply,
    Unchanged,
)
from kvitt.disbursement.inbox import Identity, InboxMessage, Incoming, ParsedRecord, ReplyTo, Skipped
from kvitt.disbursement.instructions import Decision, InstructionKind, PaymentInstruction, PaymentInstructions
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.values import CaseId, DecisionId, InvalidForm, Order, PaymentId, Period, RateType, Refusal, Scheme
from kvitt.formats.topics import TopicTerms
from kvitt.kernel.clock import oslo
from kvitt.kernel.money import Kroner

PAYMENTS, STATUS = "toy.payments", "toy.status"
_BENEFIT: Final = BENEFITS["HOYERE_UTDANNING_SKOLEPENGER"]
_TERMS: Final = SCHEMES[Scheme.VALP]
_DOC: Final = "docs/contract-port.md"
_ORDER_IS_OPEN: Final = Refusal(423, "the case waits for the rail, try again", _DOC)
_STATUSES: Final = {"received": Status.RECEIVED, "paid": Status.OK, "unchanged": Status.OK}


class ToyContract(Contract):
    """One line, one payment: `case,payment,person,from,to,kroner`; nothing is paid of a payment of 0 kroner."""

    name = "toy"
    sources: Mapping[str, Scheme] = {PAYMENTS: Scheme.VALP}
    topics = (TopicTerms(PAYMENTS), TopicTerms(STATUS))
    answers_on = STATUS
    outputs = (STATUS,)

    def read(self, record: Incoming) -> ParsedRecord | Skipped:
        """A line with six fields, under a key; the same key with the same line is a repeat."""
        if record.body is None or not record.key:
            return Skipped(record, "nobody can be answered", kept=record.body is not None, unaddressed=True)
        try:
            case, payment, person, start, end, kroner = record.body.decode().strip().split(",")
            UUID(payment)
            period = Period(date.fromisoformat(start), date.fromisoformat(end), Kroner(int(kroner)))
        except ValueError:
            return ParsedRecord(record, Scheme.VALP, InvalidForm(400, "a line is case,payment,person,from,to,kroner", _DOC))
        identity = Identity((case, record.key.decode(errors="replace")), hashlib.sha256(record.body).digest())
        instructions = PaymentInstructions(_decision(case, person, record), (_payment(payment, period),))
        return ParsedRecord(
            record, Scheme.VALP, instructions, case_key=(Scheme.VALP, case), identity=identity, chosen_ids=(PaymentId(payment),)
        )

    def when_order_is_open(self, message: InboxMessage) -> Refusal:  # noqa: ARG002 - all are asked to come again
        """A sender that can send a line can send it twice."""
        return _ORDER_IS_OPEN

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """The hub makes the lines, by the derivation that corrects each payment on its own."""
        assert isinstance(message.content, PaymentInstructions), "a refusal leads to nothing"
        return derive(message.content, case, oslo(at))

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:  # noqa: ARG002 - a word tells no time
        """One word per event that matters, and the reason behind it where there is one."""
        match event:
            case Refused(refusal=refusal):
                return _said(message, f"refused {refusal.text}")
            case Repeated(record=record):
                return _said(message, (record.answer or b"").decode(), "repeated")
            case Unchanged():
                return _said(message, "unchanged")
            case Ordered():
                return _said(message, "received")
            case OrderUnclear(settled=settled):
                return _said(message, f"unclear {settled.receipt.text}", f"receipt {settled.receipt_no}")
            case OrderSettled(settled=settled):
                return Reply((), _outcome(settled.outcome, settled.receipt.text))
            case AllSettled():
                assert isinstance(message, MessageInProgress), "it has an order"
                return _said(message, (message.answer or b"").decode())
            case OrderWithdrawn():
                return _said(message, "refused it was taken back")
            case Corrected(settled=settled):
                return _said(message, _outcome(settled.outcome, settled.receipt.text).decode(), event.event_suffix)
        return Reply()  # queued, simulated, with the rail, a receipt read: nobody asked

    def in_short(self, answer: bytes) -> Answer:
        """The word as a status, what stands behind it as an error."""
        word, _, reason = answer.decode().partition(" ")
        status = _STATUSES.get(word, Status.FAILED)
        return Answer(status, None, Refusal(400, reason, _DOC) if reason else None)


def _decision(case: str, person: str, record: Incoming) -> Decision:
    return Decision(
        scheme=Scheme.VALP,
        key=(record.key or b"").decode(errors="replace"),
        case_id=CaseId(case),
        decision_id=DecisionId("toy"),
        person=person,
        decided_at="2026-01-01T00:00",
        caseworker=_TERMS.default_caseworker,
        approver=_TERMS.default_approver,
        hold_back=None,
        dry_run=False,
        whole_case=False,
    )


def _payment(payment: str, period: Period) -> PaymentInstruction:
    if period.amount == 0:
        return PaymentInstruction(InstructionKind.CEASE_STORED, PaymentId(payment), _BENEFIT, RateType.ONE_OFF, ())
    return PaymentInstruction(InstructionKind.PAY, PaymentId(payment), _BENEFIT, RateType.ONE_OFF, (period,))


def _outcome(outcome: ReceiptOutcome, text: str) -> bytes:
    return b"paid" if outcome is ReceiptOutcome.ACCEPTED else f"rejected {text}".encode()


def _said(message: ReplyTo, words: str, again: str = "") -> Reply:
    """A status under the line's key, which is the answer to keep; its id is a function of what it tells, and when for the same words."""
    value = words.encode()
    name = hashlib.sha256(f"{message.source} {message.partition} {message.position} {words} {again}".encode()).hexdigest()
    event_id = f"{name[:8]}-{name[8:12]}-5{name[13:16]}-8{name[17:20]}-{name[20:32]}"
    return Reply((OutboxRecord(STATUS, message.key, value, b"[]", event_id),), value)
