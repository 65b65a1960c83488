"""Makes the answer to a sender from what the rail said of an order: its status, its words, and the areas of a message (helved §3.6)."""

import re

from msgspec.structs import replace

from kvitt.disbursement.answers import Answer, Details, Status
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.rail import Observation, Reason, Severity
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Refusal

_ENDS = {Status.OK: "utført", Status.FAILED: "ikke utført", None: "uavklart"}
_SAID_BEFORE = re.compile(rf" \((?:{'|'.join(_ENDS.values())}): [^()]*\)$")
PAYMENT_MISSING_DOC = f"{BASE}/async/kom_i_gang/endre_utbetaling#utbetaling-finnes-ikke"
PAYMENT_EXISTS_DOC = f"{BASE}/async/kom_i_gang/opprett_utbetaling#utbetaling-finnes-allerede"
_RAIL = "OSUR"
_NO_WORDS = "Oppdragssystemet (OS) oppga ingen årsak"

_HTTP_STATUS = {Severity.WARNING: 200, Severity.REJECTED: 400, Severity.TECHNICAL: 500}
_KNOWN_REASONS = (
    (Reason.NOTHING_TO_CHANGE, Refusal(404, "Utbetalingen finnes ikke", PAYMENT_MISSING_DOC, _RAIL)),
    (Reason.ORDER_EXISTS, Refusal(409, "Utbetalingen finnes allerede", PAYMENT_EXISTS_DOC, _RAIL)),
)


def answer_for(accepted: bool, receipt: Observation, details: Details) -> Answer:
    """The answer to the sender by a receipt. A line that exists already was accepted the first time: that is an OK."""
    if accepted and receipt.severity not in (Severity.OK, Severity.WARNING):
        return Answer(Status.OK, details)
    return answer_to(receipt, details)


def worse(one: Answer, other: Answer) -> Answer:
    """Of the answers to the orders of one message: a failure counts more than a note, a note more than none."""
    if one.status is Status.FAILED or (one.error is not None and other.status is not Status.FAILED):
        return one
    return other


def with_areas_named(answer: Answer) -> Answer:
    """A failure of some areas of a message, with the areas behind its text: which are paid, which are not, which are open.

    For readers that know the members of the contract only; said anew whenever one of the areas comes to another end.
    """
    lines = answer.details.lines if answer.details else ()
    ends = {line.area: line.status for line in lines if line.area}
    if answer.error is None or answer.status is not Status.FAILED or not ends:
        return answer
    groups = ((word, [AREAS[area].name for area in ends if ends[area] is end]) for end, word in _ENDS.items())
    said = "; ".join(f"{word}: {', '.join(names)}" for word, names in groups if names)
    text = _SAID_BEFORE.sub("", answer.error.text)
    alike = set(ends.values()) == {Status.FAILED}
    return replace(answer, error=replace(answer.error, text=text if alike else f"{text} ({said})"))


def answer_to(receipt: Observation, details: Details) -> Answer:
    """The answer that a receipt gives about an order with these details.

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
