"""Which orders are held for a person before they are sent, and why: a function of the order and its case, for orders and previews alike."""

from collections.abc import Sequence

from kvitt.rules.derive import CaseState
from kvitt.rules.duplicates import duplicate_lines
from kvitt.rules.holds import HoldKind, HoldReason
from kvitt.rules.values import Order


def reasons_to_hold(order: Order, state: CaseState) -> tuple[HoldReason, ...]:
    """Why an order of a case is not sent before two people have looked at it; none: it is sent."""
    return (*equal_lines(duplicate_lines(order, state)), *_unknown_payments(order, state))


def equal_lines(lines: Sequence[object]) -> tuple[HoldReason, ...]:
    """The reason that lines give which pay again what is paid already."""
    said = f"{len(lines)} line(s) equal to lines of other payments of the case that are accepted and not ceased"
    return (HoldReason(HoldKind.EQUAL_LINE, said),) if lines else ()


def _unknown_payments(order: Order, state: CaseState) -> tuple[HoldReason, ...]:
    """A chain that is begun for a payment whose chain may be there already: what is known of it is that another hub had it."""
    begun = [each.payment_id for each in order.payments if each.payment_id in state.unknown]
    said = "payment {} was listed when the case was taken over; the rail may pay it already, in a chain that nobody knows"
    return tuple(HoldReason(HoldKind.UNKNOWN_PAYMENT, said.format(payment_id)) for payment_id in begun)
