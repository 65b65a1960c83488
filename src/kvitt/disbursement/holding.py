"""Which orders are held for a person before they are sent, and why: a function of orders and their case, for orders and previews alike."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from kvitt.disbursement.catalogue import BENEFITS, SCHEMES
from kvitt.disbursement.derive.forwarded import repeated_days
from kvitt.disbursement.derive.micro_chained import AtRail, CaseState
from kvitt.disbursement.duplicates import (
    Paid,
    PaidTwice,
    Twice,
    paid_twice,
)
from kvitt.disbursement.holds import HoldKind, HoldReason
from kvitt.disbursement.values import (
    Action,
    Order,
    Payment,
    PaymentId,
    Period,
)

GUARD = 3
"""The edition of these rules; every order has that by which it was judged, for it can not be judged again by others (`orders.guard`)."""
NAMED_ALONE = 3
"""So many spans of days are named one by one; a person who wants them all looks at the case."""


def reasons_to_hold(orders: Sequence[Order], state: CaseState) -> tuple[tuple[HoldReason, ...], ...]:
    """Why each of the orders of a message is not sent before two people have looked at it; none: it is sent.

    All orders together: two areas of a case may pay the same day.
    """
    if any(order.forwarded for order in orders):
        return tuple(paid_twice_reasons(repeated_days(order, state.lines)) for order in orders)
    found = _paid_twice(orders, state)
    return tuple((*paid_twice_reasons(_of(order, found)), *_unknown_payments(order, state)) for order in orders)


def paid_twice_reasons(found: Sequence[Twice]) -> tuple[HoldReason, ...]:
    """The first of what is paid twice, one to a reason, and how much more there is."""
    reasons = [_paid_twice_reason(each) for each in found[:NAMED_ALONE]]
    if more := len(found[NAMED_ALONE:]):
        reasons.append(HoldReason(HoldKind.PAID_TWICE, f"and {more} more like these, or more than that", more=more))
    return tuple(reasons)


def _paid_twice_reason(twice: Twice) -> HoldReason:
    return HoldReason(
        HoldKind.PAID_TWICE,
        str(twice),
        class_code=twice.class_code,
        first_day=date.fromordinal(twice.start),
        last_day=date.fromordinal(twice.end),
        sources=(twice.one, twice.other),
        amounts_kroner=(twice.one_amount, twice.other_amount),
    )


def _of(order: Order, found: Sequence[Twice]) -> list[Twice]:
    """Returns what a payment of this order has a part in."""
    if not found:
        return []
    names = {_name(each.payment_id) for each in order.payments}
    return [each for each in found if each.one in names or each.other in names]


def _paid_twice(orders: Sequence[Order], state: CaseState) -> tuple[Twice, ...]:
    policy = SCHEMES[orders[0].scheme].paid_twice
    changed = {each.payment_id: each for order in orders for each in order.payments}
    fresh = [each for each in changed.values() if each.wanted]
    if policy is PaidTwice.ALLOWED or not fresh:
        return ()
    pays = [paid for each in fresh for paid in _pays(_name(each.payment_id), each, each.wanted)]
    touched = {_name(each.payment_id) for each in fresh}
    found = paid_twice([*pays, *_unchanged(fresh, changed, state)], lambda: _before(state), touched, policy)
    if policy is not PaidTwice.EQUAL_AMOUNT:
        return found
    return tuple(sorted({*found, *_copies(fresh, pays, state)}))


def _copies(fresh: Sequence[Payment], pays: Sequence[Paid], state: CaseState) -> tuple[Twice, ...]:
    """New payments that are what another one was until this message changes its amounts: a copy is one all the same."""
    new = {_name(each.payment_id) for each in fresh if not _stored(each.payment_id, state)}
    stored = [(each, state.payments[each.payment_id]) for each in fresh if _stored(each.payment_id, state)]
    if not new or not stored:
        return ()
    were = [paid for each, before in stored for paid in _pays(f"{_name(each.payment_id)} as it was", before, _still_paid(before, each))]
    return paid_twice([*were, *(each for each in pays if each.source in new)], dict, new, PaidTwice.EQUAL_AMOUNT) if were else ()


def _stored(payment_id: PaymentId, state: CaseState) -> bool:
    return payment_id in state.payments and bool(state.payments[payment_id].wanted)


def _still_paid(before: Payment, after: Payment) -> Iterator[Period]:
    """The days that a payment had and has, with the amounts that they had, where those are others now."""
    later = iter(after.wanted)
    new = next(later, None)
    for old in before.wanted:
        while new is not None and new.end < old.start:
            new = next(later, None)
        while new is not None and new.start <= old.end:
            if new.amount != old.amount:
                yield Period(max(old.start, new.start), min(old.end, new.end), old.amount)
            if new.end > old.end:
                break
            new = next(later, None)


def _unchanged(fresh: Sequence[Payment], changed: Mapping[PaymentId, Payment], state: CaseState) -> Iterator[Paid]:
    """Returns what is paid besides by what no order changes, as far as it can meet what they do: same class, same time."""
    codes = {BENEFITS[each.benefit].class_code for each in fresh}
    first = min(period.start for each in fresh for period in each.wanted)
    last = max(period.end for each in fresh for period in each.wanted)
    for payment_id, payment in state.payments.items():
        if payment_id in changed:
            continue
        near = [each for each in _known(payment) if each.start <= last and each.end >= first]
        if near and BENEFITS[payment.benefit].class_code in codes:
            yield from _pays(_name(payment_id), payment, near)
    for each in state.at_rail:
        yield from _pays(_rail_name(each), each.payment, each.payment.wanted)


def _before(state: CaseState) -> dict[str, list[Paid]]:
    """Returns what each source paid before, by its name."""
    before = {_name(payment_id): list(_pays(_name(payment_id), each, _known(each))) for payment_id, each in state.payments.items()}
    for each in state.at_rail:
        name = _rail_name(each)
        before.setdefault(name, []).extend(_pays(name, each.payment, each.payment.wanted))
    return before


def _known(payment: Payment) -> Sequence[Period]:
    """Returns what is known of what a payment pays; where its periods are unknown, that is its last line."""
    if payment.action is Action.DELETE:
        return ()
    return payment.periods or ((payment.last_sent,) if payment.last_sent else ())


def _name(payment_id: PaymentId) -> str:
    return f"payment {payment_id}"


def _rail_name(each: AtRail) -> str:
    """Who pays what the rail may have. Where a chain went on it is the payment itself: of one chain one line is valid on any day."""
    if each.continues:
        return _name(each.payment.payment_id)
    return f"order {each.number} ({_name(each.payment.payment_id)}), which the rail may have"


def _pays(source: str, payment: Payment, periods: Sequence[Period] | Iterator[Period]) -> Iterator[Paid]:
    code = BENEFITS[payment.benefit].class_code
    for each in periods:
        yield Paid(source, code, each.start.toordinal(), each.end.toordinal(), each.amount, payment.rate_type)


def _unknown_payments(order: Order, state: CaseState) -> tuple[HoldReason, ...]:
    """A chain that is begun for a payment whose chain may be there already: what is known of it is that another hub had it."""
    begun = [each.payment_id for each in order.payments if each.payment_id in state.unknown]
    said = "payment {} was listed when the case was taken over; the rail may pay it already, in a chain that nobody knows"
    return tuple(HoldReason(HoldKind.UNKNOWN_PAYMENT, said.format(payment_id), payment_id=payment_id) for payment_id in begun)
