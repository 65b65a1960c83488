"""Which orders are held for a person before they are sent, and why: a function of orders and their case, for orders and previews alike.

Most are held for days that are paid more than once: by two payments of a case, or by a payment and an order that the rail may have
(design §8). Judged is what would hold after an order, by class code and over all areas of the case, and only what the order adds: what was
paid twice before was accepted by somebody. Spans are compared, never days, for a monthly payment may go on to the end of time. It more
often is one payment that was sent under two ids than two that are right, so the order is held until an operator has looked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from enum import StrEnum
from operator import attrgetter
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from kvitt.disbursement.calendar import DAYS_OF_WEEK, SATURDAY
from kvitt.disbursement.catalogue import BENEFITS, SCHEMES, PaidTwice
from kvitt.disbursement.derive.micro_chained import AtRail, CaseState
from kvitt.disbursement.values import (
    Action,
    Order,
    Payment,
    PaymentId,
    Period,
    RateType,
)
from kvitt.kernel.money import Kroner

GUARD = 4
"""The edition of these rules; every order has that by which it was judged, for it can not be judged again by others (`orders.guard`)."""
NAMED_ALONE = 3
"""So many spans of days are named one by one; a person who wants them all looks at the case."""
MOST_FOUND = 100
"""One is enough to hold an order; a person who hears of a hundred has more than can be read."""
_WEEKEND_DAYS = DAYS_OF_WEEK - SATURDAY
_by_start = attrgetter("start")
DayNumbers = tuple[int, int]
"""First and last day, as ordinals: even the last day that there is has one after it."""


class HoldKind(StrEnum):
    """Reasons that hold an order back; the values stand in the store."""

    EQUAL_LINE = "equal_line"
    """As orders were held that are older than the comparison by days."""
    PAID_TWICE = "paid_twice"
    CONTRADICTION = "contradiction"
    PAID_ELSEWHERE = "paid_elsewhere"
    """Another case pays the same person for the same days."""
    OVER_LIMIT = "over_limit"
    """Whoever asked for it may have no more paid, in an hour or at once."""
    UNKNOWN_PAYMENT = "unknown_payment"
    UNCHECKED = "unchecked"
    """It is simulated before it leaves, and the rail has not said yet what it would lead to. No operator need act."""
    SIMULATED_OTHERWISE = "simulated_otherwise"
    RECOVERS = "recovers"
    NOT_COMPARED = "not_compared"
    SIMULATION_REFUSED = "simulation_refused"


RELEASABLE = frozenset(HoldKind) - {HoldKind.CONTRADICTION}
"""What an operator lifts by releasing the order, that it is unchecked last; everything else is lifted by the act that settles it."""


class HoldReason(Struct, frozen=True, omit_defaults=True):
    """One reason why a ready order is not sent; `text` says it to a person, in one line, and the rest to a program.

    Of days that are paid twice: their class code, who pays (`sources`) how much each, or how many `more` there are. Of an unknown payment:
    which one. Over a limit: whose it is, what the order pays, what was paid before it in that hour, and the limit.
    """

    kind: HoldKind
    text: str
    class_code: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    sources: tuple[str, ...] = ()
    amounts_kroner: tuple[Kroner, ...] = ()
    payment_id: PaymentId | None = None
    more: int = 0

    def encode(self) -> str:
        """The reason as it stands in the store."""
        return _encoder.encode(self).decode()


UNCHECKED = HoldReason(HoldKind.UNCHECKED, "it is simulated before it leaves, and the rail has not said yet what it would lead to")
IN_CONTRADICTION = HoldReason(HoldKind.CONTRADICTION, "what the rail says of another order of the case contradicts what stands")
_encoder, _decoder = Encoder(), Decoder(tuple[HoldReason, ...])
NOT_HELD: Final = "[]"
"""No reasons, as they stand in the store."""


def encode_all(reasons: Sequence[HoldReason]) -> str:
    """Reasons as a row takes them to the store: a JSON array."""
    return _encoder.encode(reasons).decode() if reasons else NOT_HELD


def decode_all(stored: str) -> tuple[HoldReason, ...]:
    """The reasons in a JSON array. Raises msgspec.ValidationError for a kind that is not known."""
    return () if stored == NOT_HELD else _decoder.decode(stored)


def without_releasable(reasons: Sequence[HoldReason]) -> tuple[HoldReason, ...]:
    """Returns what still holds an order once an operator has released it: it stays unchecked as long as there was anything else to lift."""
    lifted = RELEASABLE - {HoldKind.UNCHECKED}
    if any(reason.kind in lifted for reason in reasons):
        return tuple(reason for reason in reasons if reason.kind not in lifted)
    return tuple(reason for reason in reasons if reason.kind not in RELEASABLE)


class Paid(Struct, frozen=True, gc=False):
    """One source, a payment or a chain of lines, pays from `start` to `end` (ordinals), both included, by its rate."""

    source: str
    class_code: str
    start: int
    end: int
    amount: Kroner
    rate: RateType


class Twice(Struct, frozen=True, order=True):
    """Days on which two sources pay the same class, and what each of them pays."""

    start: int
    end: int
    class_code: str
    one: str
    other: str
    one_amount: Kroner
    other_amount: Kroner

    def __str__(self) -> str:
        first, last = date.fromordinal(self.start), date.fromordinal(self.end)
        when = f"on {first}" if first == last else f"from {first} to {last}"
        return f"{self.class_code} {when}: {self.one_amount} by {self.one}, and {self.other_amount} by {self.other}"


FindPaidBefore = Callable[[], Mapping[str, Sequence[Paid]]]
"""Returns what each source paid before an order. Asked for only when something meets, which is seldom."""


def paid_twice(after: Iterable[Paid], before: FindPaidBefore, touched: AbstractSet[str], policy: PaidTwice) -> tuple[Twice, ...]:
    """Finds what pays days twice `after` an order and did not `before` it, by first day, at most MOST_FOUND; of each two one is `touched`.

    Of what is not touched, `after` needs no more than can meet what is. What meets nothing costs a comparison or two.
    """
    found: set[Twice] = set()
    if policy is PaidTwice.ALLOWED:
        return ()
    by_class: dict[str, list[Paid]] = {}
    for each in after:
        by_class.setdefault(each.class_code, []).append(each)
    known = _PaidBefore(before, policy)
    for spans in by_class.values():
        for one, other in _meeting(spans, touched, policy):
            found.update(known.added(one, other))
            if len(found) >= MOST_FOUND:
                break
    return tuple(sorted(found))[:MOST_FOUND]


def _meeting(spans: list[Paid], touched: AbstractSet[str], policy: PaidTwice) -> Iterator[tuple[Paid, Paid]]:
    """Two and two of one class that pay a day twice, of which one is touched."""
    if len(spans) == 1:
        return
    spans.sort(key=_by_start)
    changed: list[Paid] = []
    unchanged: list[Paid] = []
    for each in spans:
        changed = [other for other in changed if other.end >= each.start]
        against = changed
        if each.source in touched:
            unchanged = [other for other in unchanged if other.end >= each.start]
            against = changed + unchanged
        for other in against:
            if each.source != other.source and _twice(each, other, policy):
                yield other, each
        (changed if each.source in touched else unchanged).append(each)


def _twice(one: Paid, other: Paid, policy: PaidTwice) -> bool:
    if policy is PaidTwice.EQUAL_AMOUNT and one.amount != other.amount:
        return False
    start, end = _common(one, other)
    return start <= end and _both_pay(one, other, (start, end))


def _common(one: Paid, other: Paid) -> DayNumbers:
    return max(one.start, other.start), min(one.end, other.end)


def _both_pay(one: Paid, other: Paid, span: DayNumbers) -> bool:
    """Whether both pay on a day of a span in which both are in force; by weekday there must be one."""
    by_weekday = one.rate is RateType.WEEKDAY or other.rate is RateType.WEEKDAY
    return not by_weekday or _has_weekday(*span)


def _has_weekday(start: int, end: int) -> bool:
    # Ordinal 1 is a Monday.
    return end - start >= _WEEKEND_DAYS or any((day - 1) % DAYS_OF_WEEK < SATURDAY for day in range(start, end + 1))


class _PaidBefore:
    """Holds what was paid twice before, by two sources, made up when it is asked for."""

    def __init__(self, before: FindPaidBefore, policy: PaidTwice) -> None:
        self._make, self._policy = before, policy
        self._before: Mapping[str, Sequence[Paid]] | None = None
        self._pairs: dict[tuple[str, str, str], list[DayNumbers]] = {}

    def added(self, one: Paid, other: Paid) -> Iterator[Twice]:
        """Returns what of the meeting of two is new."""
        if one.source > other.source:
            one, other = other, one
        for start, end in _without(_common(one, other), self._of(one.source, other.source, one.class_code)):
            if _both_pay(one, other, (start, end)):
                yield Twice(start, end, one.class_code, one.source, other.source, one.amount, other.amount)

    def _of(self, one: str, other: str, class_code: str) -> list[DayNumbers]:
        if self._before is None:
            self._before = self._make()
        pair = one, other, class_code
        if pair not in self._pairs:
            spans = [paid for source in (one, other) for paid in self._before.get(source, ()) if paid.class_code == class_code]
            self._pairs[pair] = [_common(*each) for each in _meeting(spans, {one}, self._policy)]
        return self._pairs[pair]


def _without(span: DayNumbers, taken: Iterable[DayNumbers]) -> list[DayNumbers]:
    """The days of a span that are in none of the others."""
    left = [span]
    for start, end in taken:
        pieces = (piece for first, last in left for piece in ((first, min(last, start - 1)), (max(first, end + 1), last)))
        left = [(first, last) for first, last in pieces if first <= last]
    return left


def reasons_to_hold(orders: Sequence[Order], state: CaseState) -> tuple[tuple[HoldReason, ...], ...]:
    """Why each of the orders of a message is not sent before two people have looked at it; none: it is sent.

    All orders together: two areas of a case may pay the same day.
    """
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


class OwnPay(Struct, frozen=True):
    """The pay that orders change: what the sources that they touch pay after them, and what every source of the case paid before."""

    after: tuple[Paid, ...]
    before: FindPaidBefore
    touched: AbstractSet[str]


def pay_of_orders(orders: Sequence[Order], state: CaseState) -> OwnPay:
    """The pay that orders of payments change."""
    fresh = [each for order in orders for each in order.payments if each.action is not Action.DELETE]
    pays = tuple(paid for each in fresh for paid in _pays(_name(each.payment_id), each, each.periods))
    return OwnPay(pays, lambda: _before(state), {_name(each.payment_id) for each in fresh})


def pay_of_payment(payment: Payment) -> Iterator[Paid]:
    """Returns what is known of what a payment pays."""
    return _pays(_name(payment.payment_id), payment, _known(payment))


def _paid_twice(orders: Sequence[Order], state: CaseState) -> tuple[Twice, ...]:
    policy = SCHEMES[orders[0].scheme].paid_twice
    changed = {each.payment_id: each for order in orders for each in order.payments}
    fresh = [each for each in changed.values() if each.action is not Action.DELETE]
    if policy is PaidTwice.ALLOWED or not fresh:
        return ()
    if len(changed) == 1 and not state.at_rail and state.payments.keys() <= changed.keys():
        # The only payment of its case, as most are: no source pays besides it.
        return ()
    pays = [paid for each in fresh for paid in _pays(_name(each.payment_id), each, each.periods)]
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
                yield Period(max(old.start, new.start), min(old.end, new.end), old.amount, rate_type=old.rate_type)
            if new.end > old.end:
                break
            new = next(later, None)


def _unchanged(fresh: Sequence[Payment], changed: Mapping[PaymentId, Payment], state: CaseState) -> Iterator[Paid]:
    """Returns what is paid besides by what no order changes, as far as it can meet what they do: same class, same time."""
    codes = {BENEFITS[each.benefit].class_code for each in fresh}
    first = min(period.start for each in fresh for period in each.periods)
    last = max(period.end for each in fresh for period in each.periods)
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
        yield Paid(source, code, each.start.toordinal(), each.end.toordinal(), each.amount, each.rate_type or payment.rate_type)


def _unknown_payments(order: Order, state: CaseState) -> tuple[HoldReason, ...]:
    """A chain that is begun for a payment whose chain may be there already: what is known of it is that another hub had it."""
    begun = [each.payment_id for each in order.payments if each.payment_id in state.unknown]
    said = "payment {} was listed when the case was taken over; the rail may pay it already, in a chain that nobody knows"
    return tuple(HoldReason(HoldKind.UNKNOWN_PAYMENT, said.format(payment_id), payment_id=payment_id) for payment_id in begun)
