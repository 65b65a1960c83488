"""Corrections of a hold-back that was registered by mistake: an order with its head alone, beside the payment's own (iverksetting §3.7)."""

from datetime import datetime
from typing import Final

from kvitt.contracts.utbetalinger.changes import not_found
from kvitt.contracts.utbetalinger.read import unreadable
from kvitt.contracts.utbetalinger.shapes import AvventCorrection, read_correction
from kvitt.disbursement import refusals
from kvitt.disbursement.catalogue import BENEFITS, SCHEMES
from kvitt.disbursement.derive.micro_chained import CaseState, order_id
from kvitt.disbursement.instructions import broken_case_id
from kvitt.disbursement.refusals import BASE, unchangeable
from kvitt.disbursement.values import Action, CaseId, HoldBack, Instruction, Order, PaymentId, Refusal
from kvitt.errors import Undecodable

NOT_A_CORRECTION: Final = Refusal(400, "feilregistrering må være satt til true", BASE)
NO_TRANSFER: Final = Refusal(400, "overføres må være satt", BASE)
_CASEWORKER_CHARACTERS: Final = 8


class AvventCall(Instruction, frozen=True):
    """A hold-back of a case that was registered by mistake; the payment says which case and area it is."""

    payment_id: PaymentId
    benefit_name: str
    case_id: CaseId
    person: str
    caseworker: str
    hold_back: HoldBack

    @property
    def payee(self) -> str:
        """The person of the case."""
        return self.person


def read_avvent(body: bytes) -> AvventCorrection | Refusal:
    """The correction in a body, or the first rule that it breaks."""
    try:
        found = read_correction(body)
    except Undecodable as broken:
        return unreadable(broken)
    return _broken(found) or found


def _broken(asked: AvventCorrection) -> Refusal | None:
    if not asked.avvent.registered_by_mistake:
        return NOT_A_CORRECTION
    if asked.avvent.transferred_on is None:
        return NO_TRANSFER
    if asked.avvent.end < asked.avvent.start:
        return refusals.BAD_HOLD_BACK
    if not 0 < len(asked.caseworker.strip()) <= len(asked.caseworker) <= _CASEWORKER_CHARACTERS:
        return refusals.BAD_CASEWORKER
    return broken_case_id(asked.case_id)


def call_of(asked: AvventCorrection, payment_id: PaymentId) -> AvventCall:
    """The call that a correction is."""
    named = asked.avvent.value()
    return AvventCall(payment_id, asked.benefit_name, CaseId(asked.case_id), asked.person, asked.caseworker, named)


def corrections_of(call: AvventCall, case: CaseState, made_at: datetime) -> tuple[Order, ...] | Refusal:
    """The order of a correction; its payment must be there, and be as the call says."""
    stored = case.payments.get(call.payment_id)
    if stored is None or stored.action is Action.DELETE:
        return not_found(call.payment_id)
    if stored.person != call.person:
        return unchangeable("personident")
    if stored.benefit != call.benefit_name:
        return unchangeable("stønad")
    number, scheme = case.orders_made + 1, BENEFITS[call.benefit_name].scheme
    made = Order(
        order_id=order_id(scheme, stored.area, call.case_id, number),
        scheme=scheme,
        area=stored.area,
        case_id=call.case_id,
        number=number,
        is_first_order=False,
        frequency=SCHEMES[scheme].frequency,
        person=call.person,
        caseworker=call.caseworker,
        office=None,
        hold_back=call.hold_back,
        made_at=made_at,
        lines=(),
        payments=(),
    )
    return (made,)
