"""Turns a receipt into the sender's answer: its severity as a status, its words as an error (helved §4.5, design §12)."""

from kvitt.disbursement.answers import Answer, Details, Status
from kvitt.disbursement.rail import Observation, Reason, Severity
from kvitt.disbursement.values import Refusal

BASE = "https://helved-docs.ansatt.dev.nav.no"
PAYMENT_MISSING_DOC = f"{BASE}/async/kom_i_gang/endre_utbetaling#utbetaling-finnes-ikke"
PAYMENT_EXISTS_DOC = f"{BASE}/async/kom_i_gang/opprett_utbetaling#utbetaling-finnes-allerede"

_RAIL = "OSUR"
_NO_WORDS = "Oppdragssystemet (OS) oppga ingen årsak"

_HTTP_STATUS = {Severity.WARNING: 200, Severity.REJECTED: 400, Severity.TECHNICAL: 500}
_KNOWN_REASONS = (
    (Reason.NOTHING_TO_CHANGE, Refusal(404, "Utbetalingen finnes ikke", PAYMENT_MISSING_DOC, _RAIL)),
    (Reason.ORDER_EXISTS, Refusal(409, "Utbetalingen finnes allerede", PAYMENT_EXISTS_DOC, _RAIL)),
)


def answer_to(receipt: Observation, details: Details) -> Answer:
    """The answer to a receipt about an order with these details.

    00 and 04 are accepted, 04 with the rail's note as error; anything unheard of fails with its raw severity and text, so that
    an operator sees what came.
    """
    if receipt.severity is Severity.OK:
        return Answer(Status.OK, details)
    if receipt.severity is Severity.UNKNOWN:
        return Answer(Status.FAILED, details, Refusal(500, _unknown(receipt), BASE))
    status = Status.OK if receipt.severity is Severity.WARNING else Status.FAILED
    return Answer(status, details, _said(receipt, _HTTP_STATUS[receipt.severity]))


def _said(receipt: Observation, http_status: int) -> Refusal:
    for reason, refusal in _KNOWN_REASONS:
        if reason in receipt.reasons:
            return refusal
    return Refusal(http_status, receipt.text or _NO_WORDS, BASE, _RAIL)


def _unknown(receipt: Observation) -> str:
    severity = f"ukjent alvorlighetsgrad '{receipt.raw_severity}'" if receipt.raw_severity else "ingen alvorlighetsgrad"
    return f"Kvittering fra oppdragssystemet (OS) har {severity}: {receipt.text or _NO_WORDS}"
