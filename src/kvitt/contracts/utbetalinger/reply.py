"""The status that a call about a single payment has after each event; nothing is published, callers ask (iverksetting §3.8)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kvitt.contracts.utbetalinger.answers import KeptStatus, PaymentStatus
from kvitt.disbursement.events import (
    Corrected,
    Event,
    Ordered,
    OrderSettled,
    OrderUnclear,
    OrderWithdrawn,
    Queued,
    Refused,
    Repeated,
    Reply,
    Unchanged,
    WithRail,
)
from kvitt.disbursement.rail import Observation, ReceiptOutcome, Severity
from kvitt.disbursement.refusals import BASE, WITHDRAWN
from kvitt.disbursement.values import Refusal

_RAIL: Final = "OSUR"
_NO_WORDS: Final = "Oppdragssystemet (OS) avviste uten å si hvorfor"
_HTTP_STATUS: Final = {Severity.TECHNICAL: 500, Severity.UNKNOWN: 500}
_REJECTED: Final = 400


def reply_to(event: Event) -> Reply:
    """The answer to keep from now on; none where the event tells the caller nothing new."""
    return _REPLIES.get(type(event), _nothing_new)(event)


def _nothing_new(_: Event) -> Reply:
    return Reply()


def _kept(status: PaymentStatus | None, error: Refusal | None = None) -> Reply:
    return Reply(answer=KeptStatus(status, error).encode())


def _settled(accepted: bool, receipt: Observation) -> Reply:
    """OK, with the rail's note if it has one; or failed, in the rail's words."""
    noted = receipt.text if not accepted or receipt.severity is Severity.WARNING else ""
    status = _HTTP_STATUS.get(receipt.severity, _REJECTED)
    error = Refusal(status, noted or _NO_WORDS, BASE, _RAIL) if noted or not accepted else None
    return _kept(PaymentStatus.OK if accepted else PaymentStatus.FAILED, error)


def _unclear(event: OrderUnclear) -> Reply:
    """Failed, in the rail's raw words, as long as no later receipt says otherwise (design §12)."""
    receipt = event.settled.receipt
    severity = f"ukjent alvorlighetsgrad '{receipt.raw_severity}'" if receipt.raw_severity else "ingen alvorlighetsgrad"
    if receipt.severity is not Severity.UNKNOWN:
        return _settled(False, receipt)
    text = f"Kvittering fra oppdragssystemet (OS) har {severity}: {receipt.text or _NO_WORDS}"
    return _kept(PaymentStatus.FAILED, Refusal(500, text, BASE, _RAIL))


def _corrected(event: Corrected) -> Reply:
    (outcome,) = event.outcomes
    if outcome.receipt is None:
        return _kept(PaymentStatus.FAILED, WITHDRAWN)
    return _settled(outcome.accepted, outcome.receipt)


_REPLIES: Final[Mapping[type, Callable[[Any], Reply]]] = {
    Queued: lambda _: _kept(PaymentStatus.NOT_BEGUN),
    Refused: lambda event: _kept(None, event.refusal),
    Repeated: lambda event: Reply(answer=event.record.answer),
    Unchanged: lambda _: _kept(PaymentStatus.WITHOUT_PAYMENT),
    Ordered: lambda _: _kept(PaymentStatus.NOT_BEGUN),
    WithRail: lambda _: _kept(PaymentStatus.WITH_RAIL),
    OrderSettled: lambda event: _settled(event.settled.outcome is ReceiptOutcome.ACCEPTED, event.settled.receipt),
    OrderUnclear: _unclear,
    OrderWithdrawn: lambda event: _kept(PaymentStatus.FAILED, event.refusal or WITHDRAWN),
    Corrected: _corrected,
}
