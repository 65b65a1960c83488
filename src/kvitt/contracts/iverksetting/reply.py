"""Makes the answer that is kept of a decision, and the records of its status where these are published (iverksetting §1.9, §1.10)."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from kvitt.contracts.iverksetting.answers import EnactmentStatus, StatusDocument, decode_document
from kvitt.contracts.iverksetting.call import enactment_call
from kvitt.contracts.iverksetting.decision import CaseDecision, EnactmentKey
from kvitt.disbursement.answers import Answer, Status
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
    WithRail,
)
from kvitt.disbursement.inbox import InboxMessage, ReplyTo
from kvitt.disbursement.rail import Observation, ReceiptOutcome, Severity
from kvitt.disbursement.refusals import BASE, WITHDRAWN
from kvitt.disbursement.values import Refusal
from kvitt.formats.topics import encode_headers
from kvitt.kernel.identifiers import named_uuid

STATUS_TOPIC: Final = "helved.iverksetting-status-v1"
_EVENTS: Final = UUID("5f0d3c0e-3f0a-5b0e-9d55-0e8c6b2f4a71").bytes
_RAIL: Final = "OSUR"
_NO_WORDS: Final = "Oppdragssystemet (OS) oppga ingen årsak"
_HTTP_STATUS: Final = {Severity.OK: 200, Severity.WARNING: 200, Severity.REJECTED: 400, Severity.TECHNICAL: 500, Severity.UNKNOWN: 500}
_IN_SHORT: Final = {
    EnactmentStatus.NOT_BEGUN: Status.RECEIVED,
    EnactmentStatus.SENT: Status.RECEIVED,
    EnactmentStatus.OK: Status.OK,
    EnactmentStatus.OK_WITHOUT_PAYMENT: Status.OK,
    EnactmentStatus.FAILED: Status.FAILED,
}


def reply_to(event: Event, message: ReplyTo) -> Reply:
    """The records of an event, and the answer to keep; nothing for events that change no status."""
    replies = _REPLIES.get(type(event))
    return replies(event, message) if replies else Reply()


def in_short(document: StatusDocument) -> Answer:
    """A kept answer in the core's words."""
    if document.status is None:
        return Answer(Status.FAILED, None, document.error)
    return Answer(_IN_SHORT[document.status], None, document.error)


def _refused(event: Refused, _: ReplyTo) -> Reply:
    """A refused decision was never received, so nothing but its refusal is kept."""
    return Reply(answer=StatusDocument("", EnactmentKey(""), error=event.refusal).encode())


def _repeated(event: Repeated, _: ReplyTo) -> Reply:
    return Reply(answer=event.record.answer)


def _unchanged(_: Unchanged, message: ReplyTo) -> Reply:
    return _with_status(message, _new_document(message, EnactmentStatus.OK_WITHOUT_PAYMENT), "unchanged")


def _ordered(_: Ordered, message: ReplyTo) -> Reply:
    return Reply(answer=_new_document(message, EnactmentStatus.SENT).encode())


def _with_rail(_: WithRail, message: ReplyTo) -> Reply:
    """The answer to keep stays as it is."""
    return Reply(_records(message, replaced(_so_far(message), status=EnactmentStatus.SENT), "with rail"))


def _settled(event: OrderSettled, message: ReplyTo) -> Reply:
    """Of several orders one that is rejected fails the decision; the status is the last one's to change."""
    settled, so_far = event.settled, _so_far(message)
    return Reply(answer=_after(so_far, accepted=settled.outcome is ReceiptOutcome.ACCEPTED, receipt=settled.receipt).encode())


def _all_settled(_: AllSettled, message: ReplyTo) -> Reply:
    return _with_status(message, _ended(_so_far(message)), "answer")


def _unclear(event: OrderUnclear, message: ReplyTo) -> Reply:
    """A receipt that nobody can read is a failure to its sender until something more is known; it is not published."""
    error = Refusal(_HTTP_STATUS[Severity.UNKNOWN], _unknown(event.settled.receipt), BASE, _RAIL)
    return Reply(answer=replaced(_so_far(message), status=EnactmentStatus.FAILED, error=error).encode())


def _withdrawn(event: OrderWithdrawn, message: ReplyTo) -> Reply:
    document = replaced(_so_far(message), failed=True, error=event.refusal or WITHDRAWN)
    if not event.last:
        return Reply(answer=document.encode())
    return _with_status(message, _ended(document), f"withdrawn {event.order_id}")


def _corrected(event: Corrected, message: ReplyTo) -> Reply:
    document = replaced(_so_far(message), failed=False, error=None, status=EnactmentStatus.SENT)
    for outcome in event.outcomes:
        if outcome.receipt is None:
            document = replaced(document, failed=True, error=WITHDRAWN)
        else:
            document = _after(document, accepted=outcome.accepted, receipt=outcome.receipt)
    return _with_status(message, _ended(document), f"answer{event.event_suffix}")


_REPLIES: Mapping[type, Callable[[Any, ReplyTo], Reply]] = {
    Refused: _refused,
    Repeated: _repeated,
    Unchanged: _unchanged,
    Ordered: _ordered,
    WithRail: _with_rail,
    OrderSettled: _settled,
    OrderUnclear: _unclear,
    AllSettled: _all_settled,
    OrderWithdrawn: _withdrawn,
    Corrected: _corrected,
}


def replaced(document: StatusDocument, **members: object) -> StatusDocument:
    """A document with other members."""
    return msgspec.structs.replace(document, **members)


def _decision(message: ReplyTo) -> CaseDecision | None:
    content = message.content if isinstance(message, InboxMessage) else None
    return content if isinstance(content, CaseDecision) else None


def _new_document(message: ReplyTo, status: EnactmentStatus) -> StatusDocument:
    decision = _decision(message)
    assert decision is not None, "only what was read is derived"
    return StatusDocument(
        decision.case_name,
        decision.key,
        status,
        previous=decision.previous,
        meaning=decision.meaning(),
        person=decision.person if enactment_call(message.headers).publishes else None,
    )


def _so_far(message: ReplyTo) -> StatusDocument:
    assert isinstance(message, MessageInProgress), "this happens to messages with orders"
    assert message.answer is not None, "messages with orders have an answer"
    return decode_document(message.answer)


def _after(document: StatusDocument, *, accepted: bool, receipt: Observation) -> StatusDocument:
    """The document once a receipt has settled an order: the words of a failure stay, those of a note give way to them."""
    if accepted:
        noted = receipt.severity is Severity.WARNING and not document.failed
        error = _said(receipt) if noted else document.error if document.failed else None
        return replaced(document, status=EnactmentStatus.SENT, error=error)
    return replaced(document, status=EnactmentStatus.SENT, failed=True, error=document.error if document.failed else _said(receipt))


def _ended(document: StatusDocument) -> StatusDocument:
    return replaced(document, status=EnactmentStatus.FAILED if document.failed else EnactmentStatus.OK)


def _said(receipt: Observation) -> Refusal:
    return Refusal(_HTTP_STATUS[receipt.severity], receipt.text or _NO_WORDS, BASE, _RAIL)


def _unknown(receipt: Observation) -> str:
    severity = f"ukjent alvorlighetsgrad '{receipt.raw_severity}'" if receipt.raw_severity else "ingen alvorlighetsgrad"
    return f"Kvittering fra oppdragssystemet (OS) har {severity}: {receipt.text or _NO_WORDS}"


def _with_status(message: ReplyTo, document: StatusDocument, event: str) -> Reply:
    return Reply(_records(message, document, event), document.encode())


def _records(message: ReplyTo, document: StatusDocument, event: str) -> tuple[OutboxRecord, ...]:
    """The status under its person's number, where statuses of this decision are published; its id says of which and what."""
    if document.person is None or document.status is None:
        return ()
    said = {
        "sakId": document.case_name,
        "behandlingId": document.key.decision_id,
        "iverksettingId": document.key.enactment_id,
        "fagsystem": message.scheme.value,
        "status": document.status.value,
    }
    made = named_uuid(_EVENTS, f"{message.source}\0{message.partition}\0{message.position}\0{event}")
    return (OutboxRecord(STATUS_TOPIC, document.person.encode(), msgspec.json.encode(said), encode_headers(()), made),)
