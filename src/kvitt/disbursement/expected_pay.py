"""The pay of a case and area before an order and after it, as the derivation has it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from msgspec import Struct

from kvitt.disbursement.calendar import DAYS_OF_WEEK, SATURDAY
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.derive.forwarded import asked_for, pay_of_lines
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.holding import Paid
from kvitt.disbursement.values import LineAtRail, Order, Payment, RateType
from kvitt.kernel.money import Kroner


class ExpectedPay(Struct, frozen=True):
    """The pay of one case and area before an order and after it.

    Not `complete`: another hub had more of the case than was taken over, so the rail may pay more than this.
    """

    before: tuple[Paid, ...]
    after: tuple[Paid, ...]
    complete: bool = True


class PayPiece(Struct, frozen=True, order=True):
    """An amount for days (ordinals, both included) that no rate can part: a day, the part of a line in a month, or a single payment.

    What is `single` falls due on its first day, whatever its last one is.
    """

    start: int
    end: int
    amount: Kroner
    single: bool = False


def expected_pay(order: Order, state: CaseState) -> ExpectedPay:
    """Returns what the case pays in the order's area, before and after it. `state` is what is accepted, without the order."""
    if order.forwarded:
        return pay_by_lines(asked_for(order), state.lines)
    return pay_by_payments(order.area, order.payments, state)


def pay_by_lines(asked: Sequence[LineAtRail], stands: Sequence[LineAtRail]) -> ExpectedPay:
    """The pay of lines that their sender made, before and after those of an order are asked for."""
    return ExpectedPay(*pay_of_lines(asked, stands))


def pay_by_payments(area: str, changed: Sequence[Payment], state: CaseState) -> ExpectedPay:
    """The pay of a case in an area, before and after some of its payments change."""
    names = {each.payment_id for each in changed}
    stands = [each for each in state.payments.values() if each.area == area]
    after = [each for each in stands if each.payment_id not in names]
    complete = not (state.unknown or state.left_out or any(each.periods_unknown for each in after))
    return ExpectedPay(tuple(_pay(stands)), tuple(_pay([*after, *changed])), complete)


def _pay(payments: Iterable[Payment]) -> Iterator[Paid]:
    for payment in payments:
        code = BENEFITS[payment.benefit].class_code
        for each in payment.wanted:
            yield Paid(payment.payment_id, code, each.start.toordinal(), each.end.toordinal(), each.amount, payment.rate_of(each))


def pieces_of(paid: Paid, first: int, last: int) -> Iterator[PayPiece]:
    """The pieces of a span of pay that begin in some days (ordinals, both included).

    A month counts from the first day of the line in it, and a single payment for the month in which it falls.
    """
    start, end = max(paid.start, first), min(paid.end, last)
    if paid.rate is RateType.ONE_OFF:
        if first <= paid.start <= last:
            yield PayPiece(paid.start, min(paid.end, end_of_month(paid.start)), paid.amount, single=True)
        return
    while start <= end:
        until = min(paid.end, end_of_month(start)) if paid.rate is RateType.MONTH else start
        if paid.rate is not RateType.WEEKDAY or is_weekday(start):
            yield PayPiece(start, until, paid.amount)
        start = until + 1


def is_weekday(day: int) -> bool:
    """Whether a day (ordinal) is no Saturday or Sunday."""
    # Ordinal 1 is a Monday.
    return (day - 1) % DAYS_OF_WEEK < SATURDAY


def end_of_month(day: int) -> int:
    """The last day (ordinal) of the month of a day."""
    of_day = date.fromordinal(day)
    if (of_day.year, of_day.month) == (date.max.year, date.max.month):
        return date.max.toordinal()
    return ((of_day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)).toordinal()
