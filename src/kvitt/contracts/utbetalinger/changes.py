"""Changes of payments by calls: the rules of the state that each finds, in the contract's order, and the orders that it leads to.

Source: iverksetting §3.2, §3.3, §3.8; texts that the contract has not are kvitt's.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from kvitt.contracts.utbetalinger.shapes import encode_payment_shape
from kvitt.disbursement import refusals
from kvitt.disbursement.derive.chained import is_chain
from kvitt.disbursement.derive.micro_chained import CaseState, derive
from kvitt.disbursement.instructions import PaymentInstruction, PaymentInstructions
from kvitt.disbursement.refusals import BASE, unchangeable
from kvitt.disbursement.values import Action, CaseId, Instruction, Order, Payment, PaymentId, Refusal
from kvitt.formats import etags
from kvitt.formats.etags import may_change

_OPEN_ORDER_TEXT: Final = "tbetalingen har et pågående oppdrag, vent til dette er ferdig"
OPEN_ORDER_AT_UPDATE: Final = Refusal(423, f"U{_OPEN_ORDER_TEXT}", BASE)
OPEN_ORDER_AT_DELETE: Final = Refusal(423, f"u{_OPEN_ORDER_TEXT}", BASE)
CASE_HAS_OPEN_ORDER: Final = Refusal(423, "Saken har et pågående oppdrag, vent til dette er ferdig", BASE)
OTHER_RATE_TYPE: Final = Refusal(400, "Kan ikke ha forskjellige satstyper", BASE)
OTHER_PERIODS: Final = Refusal(400, "Periodene i utbetalingen samsvarer ikke med det som er lagret hos utsjekk.", BASE)
NOT_MATCHED: Final = Refusal(412, "Utbetalingen er en annen enn den som If-Match navngir", BASE)


class PaymentOperation(StrEnum):
    """Operations on a payment; the value stands in the headers of its message."""

    POST = "post"
    PUT = "put"
    DELETE = "delete"
    AVVENT = "avvent"


class PaymentCall(Instruction, frozen=True):
    """A call on one payment: its whole new state, for DELETE the one that it has.

    `first_of_case` False: the rail knows the case, whatever kvitt has of it. `if_match`: the header by which it names the state that it
    changes, as it came.
    """

    operation: PaymentOperation
    instructions: PaymentInstructions
    first_of_case: bool | None = None
    if_match: str | None = None

    @property
    def case_id(self) -> CaseId:
        """The case that it names."""
        return self.instructions.decision.case_id

    @property
    def payee(self) -> str:
        """The person of the case."""
        return self.instructions.decision.person

    @property
    def payment(self) -> PaymentInstruction:
        """The one payment that it is about."""
        (payment,) = self.instructions.payments
        return payment


class PaymentFound(Struct, frozen=True):
    """The state that a call finds. `accepted` is None for a payment that the rail never took, or that has ceased.

    `pending`: an open order pays it; `in_other_case`: another case has it; `has_open_order`: its case has one or is contradicted;
    `of_decisions`: a chain of decisions has the id, which no caller chose, for it did not move when its case did.
    """

    accepted: Payment | None
    pending: bool = False
    in_other_case: bool = False
    has_open_order: bool = False
    of_decisions: bool = False


def exists_already(payment_id: PaymentId) -> Refusal:
    """A payment was to be made under an id that a living one has."""
    return Refusal(409, f"Utbetaling med uid {payment_id} finnes allerede", BASE)


def not_found(payment_id: PaymentId) -> Refusal:
    """No living payment has this id."""
    return Refusal(404, f"Fant ikke utbetaling med uid {payment_id}", BASE)


def no_status(payment_id: PaymentId) -> Refusal:
    """No payment ever had this id."""
    return Refusal(404, f"Fant ikke status for utbetaling med uid {payment_id}", BASE)


def no_correction(payment_id: PaymentId) -> Refusal:
    """No hold-back of this payment was corrected."""
    return Refusal(404, f"Fant ikke status for retting av avvent for utbetaling med uid {payment_id}", BASE)


def never_made(payment_id: PaymentId) -> Refusal:
    """A payment was to be changed that is not there, or that the rail never took (design §12)."""
    return Refusal(404, f"Fant ikke utbetaling med uid {payment_id}. Opprett den med POST /utbetalinger/{payment_id}", BASE)


def refused(call: PaymentCall, found: PaymentFound) -> Refusal | None:
    """The first rule that a call breaks in the state that it finds, or None."""
    if call.operation is PaymentOperation.POST:
        return _refused_post(call, found)
    stored = found.accepted
    if stored is None and not found.pending:
        return unchangeable("sakId") if found.in_other_case else _missing(call)
    if found.has_open_order or stored is None:
        return OPEN_ORDER_AT_DELETE if call.operation is PaymentOperation.DELETE else OPEN_ORDER_AT_UPDATE
    if not may_change(call.if_match, etag_of(stored)):
        return NOT_MATCHED
    return _changed_for_life(call, stored) or _refused_periods(call, stored)


def _refused_post(call: PaymentCall, found: PaymentFound) -> Refusal | None:
    if found.accepted is not None or found.pending or found.in_other_case or found.of_decisions:
        return exists_already(call.payment.payment_id)
    return CASE_HAS_OPEN_ORDER if found.has_open_order else None


def _missing(call: PaymentCall) -> Refusal:
    return (never_made if call.operation is PaymentOperation.PUT else not_found)(call.payment.payment_id)


def _changed_for_life(call: PaymentCall, stored: Payment) -> Refusal | None:
    decision, payment = call.instructions.decision, call.payment
    if decision.person != stored.person:
        return unchangeable("personident")
    if payment.benefit is not None and payment.benefit.name != stored.benefit:
        return unchangeable("stønad")
    return OTHER_RATE_TYPE if payment.rate_type is not stored.rate_type else None


def _refused_periods(call: PaymentCall, stored: Payment) -> Refusal | None:
    same = call.payment.periods == stored.periods
    if call.operation is PaymentOperation.DELETE:
        return None if same or stored.periods_unknown else OTHER_PERIODS
    return refusals.NO_REAL_CHANGE if same else None


def orders_of(call: PaymentCall, state: CaseState, made_at: datetime) -> Sequence[Order] | Refusal:
    """The orders that do what a call asks for; `refused` has nothing against it. A payment that has ceased begins a new chain."""
    payment_id = call.payment.payment_id
    if call.operation is PaymentOperation.POST and payment_id in state.payments:
        others = {each: payment for each, payment in state.payments.items() if each != payment_id}
        state = replace(state, payments=others)
    instructions = call.instructions
    if call.operation is PaymentOperation.DELETE:
        # The periods that it names were compared; what ceases is what is stored.
        instructions = replace(instructions, payments=(replace(call.payment, periods=()),))
    orders = derive(instructions, state, made_at, offices=True)
    return orders if isinstance(orders, Refusal) or call.first_of_case is not False else [_not_first(each) for each in orders]


def _not_first(order: Order) -> Order:
    return replace(order, is_first_order=False, payments=tuple(replace(each, first_of_case=False) for each in order.payments))


def found_by(call: PaymentCall, state: CaseState) -> PaymentFound:
    """The state of its payment that a call finds in a case."""
    payment_id = call.payment.payment_id
    stored, in_other_case = state.payments.get(payment_id), payment_id in state.ids_of_other_cases
    if stored is not None and is_chain(stored):
        return PaymentFound(None, in_other_case=in_other_case, has_open_order=state.open, of_decisions=True)
    return PaymentFound(living(state, payment_id), payment_id in state.pending, in_other_case, state.open)


def living(state: CaseState, payment_id: PaymentId) -> Payment | None:
    """The payment as it is accepted, None: it is not there, or has ceased."""
    stored = state.payments.get(payment_id)
    return None if stored is None or stored.action is Action.DELETE else stored


def etag_of(payment: Payment) -> str:
    """The entity tag of a payment: another for every state that GET shows."""
    return etags.etag_of(encode_payment_shape(payment))
