"""Looks outside a case for reasons to hold its orders: other cases that pay the same person the same days (design §8).

They may be of whatever scheme and contract. It is looked up set by set, by person, under a lock on the person, so that two cases that are
ordered for at the same time see each other. What is found stands in a row of its own: nobody can find it again later, and `kvitt check`
takes it as a fact of that day.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement import payment_document
from kvitt.disbursement.caller import call_headers
from kvitt.disbursement.case import Case
from kvitt.disbursement.catalogue import SCHEMES, PaidTwice
from kvitt.disbursement.contract import DECISIONS, Contract, Contracts
from kvitt.disbursement.derive.forwarded import pay_of_forwarded, pay_of_lines
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.holding import (
    HoldKind,
    HoldReason,
    OwnPay,
    Paid,
    Twice,
    paid_twice,
    paid_twice_reasons,
    pay_of_orders,
    pay_of_payment,
)
from kvitt.disbursement.inbox import InboxMessage, Incoming, ParsedRecord, ReplyTo
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rows import LineOfOtherCase, OtherCase, OutsideFindingRow, PaymentOfOtherCase, SourceHourRow
from kvitt.disbursement.source_limits import SourceHours, decode_limits, in_force, kroner_of
from kvitt.disbursement.values import PERSON_DIGITS, Order
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import Source, fetch, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("other_cases", "kvitt.disbursement")
_LIMITS: Final = load("source_limits", "kvitt.disbursement")


class OutsideFinding(Struct, frozen=True):
    """A reason that holds an order, and the case that it was found in."""

    reason: HoldReason
    other_case_no: int | None = None

    def row(self, order_id: str, place: int, case_no: int) -> OutsideFindingRow:
        """The row that remembers it."""
        return OutsideFindingRow(order_id, place, case_no, self.other_case_no, self.reason.class_code, self.reason.encode())


OutsideFindings = Sequence[OutsideFinding]


class AskedFor(Struct, frozen=True):
    """An order that is about to be made: of which case, what it changes of the case's pay, and who asks for it, as limits count."""

    case: Case
    order: Order
    own: OwnPay
    source: str


Looked = tuple[AskedFor, OutsideFindings]


class Outside(Protocol):
    """Finds what outside its case holds an order."""

    def findings(self, asked: AskedFor) -> OutsideFindings:
        """Returns what holds this order."""

    def made(self, asked: AskedFor, found: OutsideFindings) -> Sequence[SourceHourRow]:
        """This order is made: whoever comes next in the transaction sees what it pays. Returns what is to be written besides."""


class LookedUp:
    """Finds what was looked up in the transaction: what other cases pay, and what limited sources had paid."""

    def __init__(self, ports: Ports, now: datetime) -> None:
        self._other_pay = PayOfOtherCases()
        self._ports, self._now = ports, now
        self._hours: SourceHours | None = None

    def look(self, cursor: psycopg.Cursor[Any], of_people: str | None, records: Iterable[ParsedRecord]) -> None:
        """Looks up what those that ask in these messages had paid, as far as they are limited, by settings or as people have set it."""
        if of_people or self._ports.limits:
            limits = in_force(self._ports.limits, decode_limits(of_people), self._now)
            self._hours = self._hours or SourceHours(self._now)
            self._hours.look(cursor, limits, sources_of(self._ports.contracts, records))

    def foresee(self, connection: Connection, records: Iterable[ParsedRecord]) -> None:
        """Looks up the same without locking anything, for who looks at what would be."""
        limits = in_force(self._ports.limits, decode_limits(fetch_value(connection, _LIMITS.limits_set)), self._now)
        self._hours = SourceHours(self._now)
        with connection.cursor() as cursor:
            self._hours.look(cursor, limits, sources_of(self._ports.contracts, records), lock=False)

    def findings(self, asked: AskedFor) -> OutsideFindings:
        """Returns what other cases pay as well, and whether the source is over its limit."""
        found = self._other_pay.findings(asked.case, asked.order, asked.own)
        if self._hours is None or not self._hours.is_limited(asked.source):
            return found
        over = self._hours.over_limit(asked.source, _kroner(asked))
        return found if over is None else (*found, OutsideFinding(over))

    def made(self, asked: AskedFor, found: OutsideFindings) -> Sequence[SourceHourRow]:
        """Counts the order where it is not held for its limit; the row that says so."""
        self._other_pay.made(asked.case, asked.order, asked.own)
        over = any(each.reason.kind is HoldKind.OVER_LIMIT for each in found)
        if over or self._hours is None or not self._hours.is_limited(asked.source):
            return ()
        counted = counted_in(self._hours.hour, asked)
        self._hours.count(asked.source, counted.kroner)
        return [counted]


def counted_in(hour: datetime, asked: AskedFor) -> SourceHourRow:
    """Returns what an order counts on the limit of its source in an hour."""
    return SourceHourRow(asked.order.order_id, asked.case.case_no, asked.source, hour, _kroner(asked))


def _kroner(asked: AskedFor) -> int:
    return kroner_of(asked.own, asked.order.made_at.date())


def look_outside(
    outside: Outside, case: Case, state: CaseState, orders: Sequence[Order], *, contract: Contract, message: InboxMessage
) -> list[Looked]:
    """Each order of a message that is about to be made, with what outside its case holds it."""
    source = source_of(contract, message)
    asked = (AskedFor(case, order, _own_pay(order, state, forwards=contract.forwards), source) for order in orders)
    return [(each, outside.findings(each)) for each in asked]


def _own_pay(order: Order, state: CaseState, *, forwards: bool) -> OwnPay:
    return pay_of_forwarded(order, state.lines) if forwards else pay_of_orders([order], state)


class _OtherPay(NamedTuple):
    """Holds what another case pays a recipient; the sources are named with their case."""

    case_no: int
    recipient: str
    pays: Sequence[Paid]


class PayOfOtherCases:
    """Finds what other cases pay: what was looked up of them (`Case.of_other_cases`), and what was ordered since in this transaction."""

    def __init__(self) -> None:
        self._made: dict[str, list[_OtherPay]] = defaultdict(list)

    def findings(self, case: Case, order: Order, own: OwnPay) -> OutsideFindings:
        """A reason for each other case, and class code, that pays the same recipient what the order pays as well."""
        policy = SCHEMES[order.scheme].paid_twice
        if policy is PaidTwice.ALLOWED or not own.after:
            return ()
        recipient = recipient_of(order)
        others = [each for each in self._others(case, order) if each.recipient == recipient]
        return tuple(_reasons(case, others, own, policy)) if others else ()

    def made(self, case: Case, order: Order, own: OwnPay) -> None:
        """Counts what the order pays as paid elsewhere, for all that comes after it in the transaction."""
        other = OtherCase(0, case.case_no, case.scheme.value, case.case_id)
        self._made[order.person].append(_OtherPay(case.case_no, recipient_of(order), _named(own.after, other)))

    def _others(self, case: Case, order: Order) -> Iterator[_OtherPay]:
        for found in case.of_other_cases:
            if isinstance(found, PaymentOfOtherCase) and found.document is not None:
                payment = payment_document.decode(found.document)
                yield _OtherPay(found.other.case_no, payment.person, _named(pay_of_payment(payment), found.other))
        yield from _chains([each for each in case.of_other_cases if isinstance(each, LineOfOtherCase)])
        yield from (each for each in self._made.get(order.person, ()) if each.case_no != case.case_no)


def _reasons(case: Case, others: Sequence[_OtherPay], own: OwnPay, policy: PaidTwice) -> Iterator[OutsideFinding]:
    codes = {each.class_code for each in own.after}
    case_of = {paid.source: each.case_no for each in others for paid in each.pays}
    pays = [paid for each in others for paid in each.pays if paid.class_code in codes]
    before = {name: tuple(paid for paid in pays if paid.source == name) for name in case_of}
    found: dict[tuple[int, str], list[Twice]] = defaultdict(list)
    for each in paid_twice([*own.after, *pays], lambda: {**own.before(), **before}, own.touched, policy):
        # What the case itself pays twice has a reason of its own.
        if other := case_of.get(each.one) or case_of.get(each.other):
            found[other, each.class_code].append(each)
    for (other, class_code), twice in sorted(found.items()):
        if not any(class_code in (row.other.exempt or ()) for row in case.of_other_cases if row.other.case_no == other):
            yield OutsideFinding(_reason(twice), other)


def source_of(contract: Contract, record: Incoming | ReplyTo) -> str:
    """Who asks, as limits count: the application that calls, or the topic."""
    return call_headers(record.headers).application if contract.role == DECISIONS else record.source


def recipient_of(order: Order) -> str:
    """Who gets the money of an order."""
    return order.forwarded.recipient if order.forwarded else order.person


def sources_of(contracts: Contracts, records: Iterable[ParsedRecord]) -> set[str]:
    """Who asks in these messages, as limits count."""
    return {source_of(contracts.of[each.incoming.source], each.incoming) for each in records}


def lock_persons(cursor: psycopg.Cursor[Any], persons: Iterable[str]) -> None:
    """Has this transaction decide alone about what these persons are paid. Cases are locked before persons, and persons at once."""
    if named := sorted({each for each in persons if len(each) == PERSON_DIGITS}):
        cursor.execute(_SQL.lock_persons, [named])


class ExemptPair(Struct, frozen=True):
    """Two cases that rightly pay a person the same class code on the same days, by the word of the two people who released an order."""

    scheme: str
    case_id: str
    other_scheme: str
    other_case_id: str
    class_code: str
    order_id: str


def remember_exempt_pairs(cursor: psycopg.Cursor[Any], order_id: str) -> None:
    """Two people let an order go: what it was found to pay besides another case is right, and holds no order of the two again."""
    cursor.execute(_SQL.exempt_pairs, {"order_id": order_id})


def exempt_pairs(source: Source, order_id: str | None, limit: int) -> list[ExemptPair]:
    """The pairs of cases that hold no orders of each other, newest release first; those of one release if its order is named."""
    return fetch(source, ExemptPair, _SQL.list_exempt_pairs, {"order_id": order_id, "limit": limit})


def end_exempt_pairs(cursor: psycopg.Cursor[Any], order_id: str) -> int:
    """Ends what the release of an order let be; returns how many pairs of cases hold each other's orders again."""
    return cursor.execute(_SQL.end_exempt_pairs, {"order_id": order_id}).rowcount


def _named(pays: Iterable[Paid], other: OtherCase) -> tuple[Paid, ...]:
    return tuple(replace(each, source=f"{each.source} {other.name}") for each in pays)


def _chains(rows: Sequence[LineOfOtherCase]) -> Iterator[_OtherPay]:
    """Returns what the lines of other cases pay, as they stand and as they will once the rail has accepted what is under way."""
    by_case: dict[tuple[int, str], list[LineOfOtherCase]] = defaultdict(list)
    for row in rows:
        by_case[row.other.case_no, row.recipient].append(row)
    for (case_no, recipient), found in by_case.items():
        lines = [row.line for row in found]
        before, after = pay_of_lines([line for line in lines if not line.certain], lines)
        yield _OtherPay(case_no, recipient, _named(dict.fromkeys((*before, *after)), found[0].other))


def _reason(found: Sequence[Twice]) -> HoldReason:
    """The first of what a case is found to pay as well, and how much more there is."""
    first, *others = found
    more = f", and {len(others)} more like it" if others else ""
    (reason,) = paid_twice_reasons([first])
    return replace(reason, kind=HoldKind.PAID_ELSEWHERE, text=f"{reason.text}{more}", more=len(others))
