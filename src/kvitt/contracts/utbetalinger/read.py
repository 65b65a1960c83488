"""Reads the body of a call as what is instructed of one payment, or as why it is refused (iverksetting §3.3, §3.4)."""

import re
from typing import Final

from kvitt.contracts.utbetalinger.rules import broken_rule
from kvitt.contracts.utbetalinger.shapes import SinglePayment, read_payment
from kvitt.disbursement.instructions import (
    Decision,
    InstructionKind,
    PaymentInstruction,
    PaymentInstructions,
    broken_decision,
    broken_instruction,
    joined,
)
from kvitt.disbursement.refusals import BASE, flawed_id
from kvitt.disbursement.values import CaseId, DecisionId, PaymentId, Period, Refusal
from kvitt.errors import Undecodable
from kvitt.formats.json_members import REPEATED
from kvitt.formats.times import local_text
from kvitt.kernel.identifiers import Flaw, flaw_of

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_WITH_OWN_TEXT: Final = (None, Flaw.EMPTY, Flaw.BLANK_AT_ENDS)
NO_UUID: Final = Refusal(400, "Path param må være UUID", BASE)
UNREADABLE: Final = Refusal(
    400,
    "Klarte ikke lese json meldingen. Sjekk at formatet på meldingen din er korrekt, f.eks navn på felter, påkrevde felter, e.l.",
    BASE,
)


def payment_id_of(text: str) -> PaymentId | Refusal:
    """The id of a payment in a path, in small letters; or what the caller hears whose path has none."""
    return PaymentId(text.lower()) if _UUID.fullmatch(text) else NO_UUID


def unreadable(broken: Undecodable) -> Refusal:
    """Returns what the caller hears of a body that is none: one text for all, but for a member that is there twice, which is named."""
    if broken.rule == REPEATED:
        return Refusal(400, f"Feltet {broken.field} kan bare forekomme én gang", BASE)
    return UNREADABLE


def parse_single(body: bytes) -> SinglePayment | Refusal:
    """The payment in a body, whatever rules it breaks."""
    try:
        return read_payment(body)
    except Undecodable as broken:
        return unreadable(broken)


def broken_by(payment: SinglePayment) -> Refusal | None:
    """The first rule that a payment breaks by itself, the contract's before kvitt's own."""
    return broken_rule(payment) or _flawed_id(payment)


def read_single(body: bytes) -> SinglePayment | Refusal:
    """The payment in a body, which keeps all rules that it can keep by itself; or the first one that is broken."""
    payment = parse_single(body)
    return payment if isinstance(payment, Refusal) else broken_by(payment) or payment


def instructions_of(payment: SinglePayment, payment_id: PaymentId, kind: InstructionKind) -> PaymentInstructions | Refusal:
    """The instructions of a payment that keeps its rules, or the rule of kvitt's own that it breaks; CEASE names the periods it had."""
    decision = Decision(
        scheme=payment.benefit.scheme,
        key=payment_id,
        case_id=CaseId(payment.case_id),
        decision_id=DecisionId(payment.decision_id),
        person=payment.person,
        decided_at=local_text(payment.decided_at),
        caseworker=payment.caseworker,
        approver=payment.approver,
        hold_back=payment.avvent.value() if payment.avvent else None,
        dry_run=False,
        whole_case=False,
    )
    instruction = PaymentInstruction(kind, payment_id, payment.benefit, payment.rate_type, periods_of(payment))
    return broken_decision(decision) or broken_instruction(decision, instruction) or PaymentInstructions(decision, (instruction,))


def periods_of(payment: SinglePayment) -> tuple[Period, ...]:
    """The periods that a caller names, joined (iverksetting §3.4)."""
    return joined([(each.start, each.end, each.amount, each.office, each.decided_rate) for each in payment.spans], payment.rate_type)


def _flawed_id(payment: SinglePayment) -> Refusal | None:
    """An id that hides something; blanks around one have a text of their own."""
    for field, text in (("sakId", payment.case_id), ("behandlingId", payment.decision_id)):
        if (flaw := flaw_of(text)) not in _WITH_OWN_TEXT:
            assert flaw is not None, "none is among those with a text"
            return flawed_id(field, flaw)
    return None
