"""Lines that pay again what another payment of the case already pays (design §8).

Two payments may rightly have equal lines, which is why such an order is not refused; but it more often is one payment sent under a
new id, so the order is held until an operator has looked.
"""

from kvitt.rules.catalogue import BENEFITS
from kvitt.rules.derive import CaseState
from kvitt.rules.values import LineId, Order

_Money = tuple[object, ...]


def duplicate_lines(order: Order, state: CaseState) -> tuple[LineId, ...]:
    """The new lines of an order that equal an accepted line which is still valid, of a payment that the order does not change."""
    touched = {payment.payment_id for payment in order.payments}
    others = [payment for payment_id, payment in state.payments.items() if payment_id not in touched]
    starts = {line.start for line in order.lines if line.ceased_from is None}
    paid: set[_Money] = {
        (BENEFITS[payment.benefit].class_code, payment.rate_type, period.start, period.end, period.amount)
        for payment in others
        for period in payment.wanted
        if period.start in starts
    }
    return tuple(
        line.line_id
        for line in order.lines
        if line.ceased_from is None and (line.class_code, line.rate_type, line.start, line.end, line.amount) in paid
    )
