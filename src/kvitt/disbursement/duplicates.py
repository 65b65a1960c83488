"""Days that are paid more than once: by two payments of a case, or by a payment and an order that the rail may have (design §8).

Judged is what would hold after an order, by class code and over all areas of the case, and only what the order adds: what was paid twice
before was accepted by somebody. Spans are compared, never days, for a monthly payment may go on to the end of time. It more often is one
payment that was sent under two ids than two that are right, so the order is held until an operator has looked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from enum import StrEnum
from operator import attrgetter

from msgspec import Struct

from kvitt.disbursement.calendar import DAYS_OF_WEEK, SATURDAY
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner

MOST_FOUND = 100
"""One is enough to hold an order; a person who is told of a hundred has more than can be read."""
_WEEKEND_DAYS = DAYS_OF_WEEK - SATURDAY
_by_start = attrgetter("start")
DayNumbers = tuple[int, int]
"""First and last day, as ordinals: even the last day that there is has one after it."""


class PaidTwice(StrEnum):
    """What of one class code on one day is paid once too often, by scheme."""

    ONE_PAYMENT_PER_DAY = "one_payment_per_day"
    """Any second payment: a day of benefit is paid once, whatever the amounts."""
    EQUAL_AMOUNT = "equal_amount"
    """A second payment of the same amount, whatever each is paid by: several grants of one kind may rightly meet.

    A payment keeps its kind of rate for life, so one that was sent by the wrong kind comes again under another id.
    """
    ALLOWED = "allowed"


class Paid(Struct, frozen=True, gc=False):
    """What one source, a payment or a chain of lines, pays from `start` to `end` (ordinals), both included, by its rate."""

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


Before = Callable[[], Mapping[str, Sequence[Paid]]]
"""What each source paid before an order. Asked for only when something meets, which is seldom."""


def paid_twice(after: Iterable[Paid], before: Before, touched: AbstractSet[str], policy: PaidTwice) -> tuple[Twice, ...]:
    """What pays days twice `after` an order and did not `before` it, by first day, at most MOST_FOUND; of each two one is `touched`.

    Of what is not touched, `after` needs no more than can meet what is. What meets nothing costs a comparison or two.
    """
    found: set[Twice] = set()
    if policy is PaidTwice.ALLOWED:
        return ()
    by_class: dict[str, list[Paid]] = {}
    for each in after:
        by_class.setdefault(each.class_code, []).append(each)
    known = _Known(before, policy)
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
    return start <= end and _pays(one, other, (start, end))


def _common(one: Paid, other: Paid) -> DayNumbers:
    return max(one.start, other.start), min(one.end, other.end)


def _pays(one: Paid, other: Paid, span: DayNumbers) -> bool:
    """Whether both pay on a day of a span in which both are in force; by weekday there must be one."""
    by_weekday = one.rate is RateType.WEEKDAY or other.rate is RateType.WEEKDAY
    return not by_weekday or _has_weekday(*span)


def _has_weekday(start: int, end: int) -> bool:
    # Ordinal 1 is a Monday.
    return end - start >= _WEEKEND_DAYS or any((day - 1) % DAYS_OF_WEEK < SATURDAY for day in range(start, end + 1))


class _Known:
    """What was paid twice before, by two sources, made up when it is asked for."""

    def __init__(self, before: Before, policy: PaidTwice) -> None:
        self._make, self._policy = before, policy
        self._before: Mapping[str, Sequence[Paid]] | None = None
        self._pairs: dict[tuple[str, str, str], list[DayNumbers]] = {}

    def added(self, one: Paid, other: Paid) -> Iterator[Twice]:
        """What of the meeting of two is new."""
        if one.source > other.source:
            one, other = other, one
        for start, end in _without(_common(one, other), self._of(one.source, other.source, one.class_code)):
            if _pays(one, other, (start, end)):
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
