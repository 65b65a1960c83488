"""A case in a month: a sentence for each payment, with how the order stands that made the month what it is (see case_words)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct

from kvitt.api.console.frame import Visit
from kvitt.api.console.pages.case_schedule import PaySpan, amount_of_month
from kvitt.api.console.pages.case_words import OrderStands, StateInWords
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("case_months", "kvitt.api.console.pages")
_OSLO: Final = ZoneInfo("Europe/Oslo")
_DECEMBER: Final = 12
_MOST: Final = 5_000
_TAKEN_OVER: Final = StateInWords("payment", "accepted", "It was taken over from another system; kvitt has sent no order for it.", None)


class VersionOfPayment(NamedTuple):
    """A version of a payment."""

    payment_id: UUID
    version: int
    order_id: UUID
    area: str
    state: str
    benefit: str | None


class SpanOfVersion(NamedTuple):
    """Pay of a version in a span of days."""

    payment_id: UUID
    version: int
    start_on: date
    end_on: date
    amount_kroner: Kroner
    rate_type: str

    @property
    def pay(self) -> PaySpan:
        """The same as days are made of."""
        return PaySpan(self.start_on, self.end_on, self.amount_kroner, self.rate_type)


class MonthOnPage(NamedTuple):
    """A month of the calendar."""

    year: int
    month: int

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return date.fromordinal(self.later.first.toordinal() - 1)

    @property
    def earlier(self) -> "MonthOnPage":
        """The month before."""
        return MonthOnPage(self.year, self.month - 1) if self.month > 1 else MonthOnPage(self.year - 1, _DECEMBER)

    @property
    def later(self) -> "MonthOnPage":
        """The month after."""
        return MonthOnPage(self.year, self.month + 1) if self.month < _DECEMBER else MonthOnPage(self.year + 1, 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


class Sentence(Struct, frozen=True):
    """A month by a version of a payment: what it pays, and what it paid by what was accepted before."""

    payment: VersionOfPayment
    amount: Kroner
    before: Kroner
    order: OrderStands | None
    words: StateInWords


def month_asked(visit: Visit) -> MonthOnPage:
    """The month that an address names, or the present one. Raises BadRequest."""
    text = visit.query.get("month")
    if text is None:
        today = visit.now.astimezone(_OSLO)
        return MonthOnPage(today.year, today.month)
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        found = date.min
    if not 2000 < found.year < 2200:
        raise BadRequest(("month", "is a month, such as 2026-05"))
    return MonthOnPage(found.year, found.month)


def changes_of_month(visit: Visit, case_no: int, month: MonthOnPage) -> Sequence[tuple[VersionOfPayment, Kroner, Kroner]]:
    """The versions of payments that make a month what it is, each with what it pays and what was paid before it."""
    asked = {"case_no": case_no, "first": month.first, "last": month.last, "limit": _MOST}
    amounts = _amounts(fetch(visit.connection, SpanOfVersion, _SQL.spans_of_month, asked), month)
    versions = fetch(visit.connection, VersionOfPayment, _SQL.versions, asked)
    return [each for _, group in groupby(versions, lambda each: each.payment_id) for each in _changes([*group], amounts)]


def in_words(
    changes: Iterable[tuple[VersionOfPayment, Kroner, Kroner]], orders: Mapping[UUID, tuple[OrderStands, StateInWords]]
) -> Sequence[Sentence]:
    """A sentence for each change."""
    return [Sentence(*each, *orders.get(each[0].order_id, (None, _TAKEN_OVER))) for each in changes]


_Amounts = Mapping[tuple[UUID, int], Kroner]


def _amounts(spans: Sequence[SpanOfVersion], month: MonthOnPage) -> _Amounts:
    found: dict[tuple[UUID, int], list[PaySpan]] = defaultdict(list)
    for each in spans:
        found[each.payment_id, each.version].append(each.pay)
    return {version: amount_of_month(pay, month.first, month.last) for version, pay in found.items()}


def _changes(versions: Sequence[VersionOfPayment], amounts: _Amounts) -> Iterator[tuple[VersionOfPayment, Kroner, Kroner]]:
    """Of the versions of a payment, newest first: one not accepted that would change the month, and the last accepted one that did."""
    paid = [amounts.get((each.payment_id, each.version), Kroner(0)) for each in versions]
    accepted = [(each, amount) for each, amount in zip(versions, paid, strict=True) if each.state == "accepted"]
    stands = accepted[0][1] if accepted else Kroner(0)
    if versions[0].state != "accepted" and paid[0] != stands:
        yield versions[0], paid[0], stands
    for place, (each, amount) in enumerate(accepted):
        before = accepted[place + 1][1] if place + 1 < len(accepted) else Kroner(0)
        if amount != before:
            yield each, amount, before
            return
