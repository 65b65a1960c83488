"""Whatever the history of corrections: after every accepted order the rail pays, day by day, what the last message wants.

The rail here is the chain rule of helved §0.5 and nothing else: a new line overwrites its chain from its first day on, without
end; a cessation cuts it from its date, and must be the chain's last line as that was sent.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import takewhile
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.helved.messages import (
    AapMessage,
    DpKind,
    DpMessage,
    HistoriskMessage,
    Span,
    StreamMessage,
    TpMessage,
    TsMessage,
    ValpMessage,
)
from kvitt.contracts.helved.read import instructions_of
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState, derive
from kvitt.disbursement.instructions import InstructionKind, PaymentInstruction, PaymentInstructions, merge
from kvitt.disbursement.values import (
    Action,
    Area,
    Order,
    OrderLine,
    Payment,
    PaymentId,
    Period,
    RateType,
    Refusal,
    Scheme,
)
from kvitt.rails.oppdrag import order_xml
from support.strategies import DECISION, MADE_AT, PAYMENT, messages_of, paying, periods
from support.tried import tried

CLOCK = re.compile(rb"<(nokkelAvstemming|tidspktMelding)>[^<]*<")

Money = tuple[int, int | None]
Paid = frozenset[tuple[date, date, Money]]
"""What is paid: per day for rates by day, per span of days where one amount pays for a whole period."""

DERIVED = [scheme for scheme in Scheme if scheme is not Scheme.SYKEPENGER]
"""The schemes whose lines are ours to make."""


@dataclass
class Chain:
    """One chain at the rail: its last line, and which line is valid on which day."""

    last: OrderLine
    valid: dict[date, OrderLine] = field(default_factory=dict)

    def end(self, first_day: date) -> None:
        self.valid = {day: line for day, line in self.valid.items() if day < first_day}

    def take(self, line: OrderLine) -> None:
        self.end(line.start)
        self.valid.update(dict.fromkeys(days(line.start, line.end), line))
        self.last = line


@dataclass
class Rail:
    """Takes orders, knows areas, refuses by assertion what the real one would reject."""

    chains: dict[tuple[Area, PaymentId], Chain] = field(default_factory=dict)
    areas: set[Area] = field(default_factory=set)

    def take(self, order: Order) -> None:
        assert order.is_first_order is (order.area not in self.areas)
        self.areas.add(order.area)
        for line in order.lines:
            key = order.area, line.payment_id
            if line.ceased_from is not None:
                self._cease(self.chains[key], line, line.ceased_from)
                continue
            chain = self.chains.setdefault(key, Chain(line))
            assert line.refers_to == (None if chain.last is line else chain.last.line_id)
            chain.take(line)

    def _cease(self, chain: Chain, line: OrderLine, first_day: date) -> None:
        assert line.refers_to is None
        assert as_sent(line) == as_sent(chain.last)
        chain.end(first_day)

    def pays(self, payment_id: PaymentId, rate_type: RateType) -> Paid:
        found = [chain.valid for (_, named), chain in self.chains.items() if named == payment_id]
        return paid([(day, line.line_id, money(line)) for valid in found for day, line in valid.items()], rate_type)


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def money(what: OrderLine | Period) -> Money:
    return what.amount, what.decided_rate


def as_sent(line: OrderLine) -> tuple[object, ...]:
    return line.line_id, line.start, line.end, line.amount, line.decided_rate, line.rate_type, line.class_code


def paid(found: Iterable[tuple[date, object, Money]], rate_type: RateType) -> Paid:
    """The middle one tells the spans of a day apart; rates by weekday pay nothing at weekends."""
    if rate_type is not RateType.ONE_OFF:
        return frozenset((day, day, what) for day, _, what in found if rate_type is not RateType.WEEKDAY or day.weekday() < 5)
    spans: dict[object, list[tuple[date, Money]]] = {}
    for day, span, what in found:
        spans.setdefault(span, []).append((day, what))
    return frozenset((min(of)[0], max(of)[0], of[0][1]) for of in spans.values())


def paid_for(wanted: Iterable[Period], rate_type: RateType) -> Paid:
    return paid([(day, number, money(each)) for number, each in enumerate(wanted) for day in days(each.start, each.end)], rate_type)


@dataclass
class Hub:
    """A case with its accepted state, the rail, and what the rail should pay by the messages whose orders were accepted."""

    state: CaseState = NEW_CASE
    rail: Rail = field(default_factory=Rail)
    should_pay: dict[PaymentId, tuple[RateType, Paid]] = field(default_factory=dict)
    line_ids: set[str] = field(default_factory=set)

    def submit(
        self, instructions: PaymentInstructions, wanted: Mapping[PaymentId, tuple[RateType, Paid]], receipts: Iterable[bool]
    ) -> None:
        derived = derive(instructions, self.state, MADE_AT)
        assert derive(instructions, self.state, MADE_AT) == derived
        if isinstance(derived, Refusal):
            assert derived.status in (404, 409), derived
            return
        touched = {payment.payment_id for order in derived for payment in order.payments}
        for payment_id in wanted.keys() - touched:
            assert self.should_pay.get(payment_id, (None, frozenset()))[1] == wanted[payment_id][1]
        for order, accepted in zip(derived, receipts, strict=False):
            self._check(order)
            if accepted:
                self._accept(order, wanted)
        self.state = CaseState(self.state.payments, self.state.person, self.state.areas, self.state.orders_made + len(derived))
        for payment_id, (rate_type, schedule) in self.should_pay.items():
            assert self.rail.pays(payment_id, rate_type) == schedule

    def _check(self, order: Order) -> None:
        """New ids, XML that the schema takes, and nothing sent again that did not change."""
        fresh = [line.line_id for line in order.lines if line.ceased_from is None]
        assert len(self.line_ids) + len(fresh) == len(self.line_ids | set(fresh))
        self.line_ids |= set(fresh)
        order_xml.validate(order_xml.encode(order))
        for payment in order.payments:
            stored = self.state.payments.get(payment.payment_id)
            sends_only_what_changed(order, payment, stored.wanted if stored else ())

    def _accept(self, order: Order, wanted: Mapping[PaymentId, tuple[RateType, Paid]]) -> None:
        self.rail.take(order)
        accepted = {payment.payment_id: payment for payment in order.payments}
        payments = {**self.state.payments, **accepted}
        self.state = CaseState(payments, order.person, self.state.areas | {order.area}, self.state.orders_made)
        for payment_id, payment in accepted.items():
            self.should_pay[payment_id] = wanted.get(payment_id, (payment.rate_type, frozenset()))


def sends_only_what_changed(order: Order, payment: Payment, accepted: tuple[Period, ...]) -> None:
    """At most one cessation, in front; then a new line for each of the last wanted periods, none before the first difference."""
    lines = [line for line in order.lines if line.payment_id == payment.payment_id]
    new = [line for line in lines if line.ceased_from is None]
    assert lines
    assert all(line.ceased_from is None for line in lines[1:])
    wanted = payment.wanted
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(accepted, wanted, strict=False))))
    assert [(line.start, line.end, *money(line)) for line in new] == [
        (each.start, each.end, *money(each)) for each in wanted[len(wanted) - len(new) :]
    ]
    assert len(new) <= len(wanted) - same


# What a message wants, read naively and without kvitt's own reading of it.


def derived_id(scheme: str, case: str, fortnight: str, class_code: str) -> PaymentId:
    number = 0
    for unit in memoryview(f"{scheme}{case}{fortnight}{class_code}".encode("utf-16-le")).cast("H"):
        number = (number * 31 + unit) % 2**32
    signed = number - 2**32 if number >= 2**31 else number
    return PaymentId(str(UUID(bytes=hashlib.sha256(signed.to_bytes(8, "big", signed=True)).digest()[:16])))


TP_CODES = {
    ("ARBEIDSTRENING", False): "TPTPATT",
    ("ARBEIDSTRENING", True): "TPBTATTILT",
    ("GRUPPE_AMO", False): "TPTPGRAMO",
    ("GRUPPE_AMO", True): "TPBTGRAMO",
}
DP_CODES = {DpKind.DAGPENGER: "DAGPENGER", DpKind.HOLIDAY_SUPPLEMENT: "DAGPENGERFERIE"}


def said(message: StreamMessage) -> list[tuple[object, Iterable[Period | Span]]]:
    """Payment ids with spans said of them; an id may come many times."""
    case = message.header.case_id
    match message:
        case DpMessage():
            return [
                (
                    derived_id("DAGPENGER", case, each.reporting_period, DP_CODES[each.kind]),
                    [Period(each.day, each.day, each.amount, None, each.decided_rate)],
                )
                for each in message.days
            ]
        case AapMessage():
            return [(each.payment_id, [Period(each.start, each.end, each.amount, None, each.decided_rate)]) for each in message.entries]
        case TpMessage():
            return [
                (
                    derived_id("TILTAKSPENGER", case, each.reporting_period, TP_CODES[each.benefit, each.with_children]),
                    [Span(each.start, each.end, each.amount)],
                )
                for each in message.entries
            ]
        case TsMessage():
            return [(each.payment_id, each.spans) for each in message.payments]
        case HistoriskMessage():
            return [(message.payment_id, message.spans)]
        case ValpMessage():
            return [(message.payment_id, [message.span])]


def named_periods(message: StreamMessage) -> dict[PaymentId, list[Period]]:
    """Every payment of the message with what is said of it, in no order, amounts of 0 left out."""
    found: dict[PaymentId, list[Period]] = {}
    for payment_id, spans in said(message):
        paid_spans = [Period(each.start, each.end, each.amount, None, getattr(each, "decided_rate", None)) for each in spans if each.amount]
        found.setdefault(PaymentId(str(payment_id)), []).extend(paid_spans)
    return found


def wants(message: StreamMessage) -> dict[PaymentId, tuple[RateType, Paid]]:
    match message:
        case TsMessage() | HistoriskMessage():
            rate_type = message.rate_type
        case ValpMessage():
            rate_type = RateType.ONE_OFF
        case _:
            # The holiday supplement too is given day by day.
            rate_type = RateType.WEEKDAY
    return {payment_id: (rate_type, paid_for(said, rate_type)) for payment_id, said in named_periods(message).items()}


def read(message: StreamMessage) -> PaymentInstructions:
    instructions = instructions_of(message, "key-1")
    assert isinstance(instructions, PaymentInstructions)
    return instructions


receipts = st.lists(st.sampled_from([True, True, True, False]), min_size=3, max_size=3)


@pytest.mark.parametrize("scheme", DERIVED)
@given(data=st.data())
@tried(60)
def test_after_every_accepted_order_the_rail_pays_what_the_messages_want(scheme: Scheme, data: st.DataObject) -> None:
    hub = Hub()
    for message in data.draw(messages_of(scheme)):
        hub.submit(read(message), wants(message), data.draw(receipts))


def instruction_of(kind: InstructionKind, wanted: tuple[Period, ...], rate_type: RateType) -> PaymentInstruction:
    if kind is InstructionKind.PAY:
        return paying(*wanted, rate=rate_type)
    return PaymentInstruction(kind, PAYMENT, paying().benefit, rate_type, ())


steps = st.tuples(
    st.sampled_from([InstructionKind.PAY] * 5 + [InstructionKind.CEASE, InstructionKind.CEASE_STORED]),
    periods(smallest=1),
    st.booleans() | st.just(True),
)


@given(st.sampled_from(RateType), st.lists(steps, min_size=1, max_size=8))
@tried(400)
def test_one_payment_is_paid_as_last_claimed_whatever_its_history(
    rate_type: RateType, history: list[tuple[InstructionKind, tuple[Period, ...], bool]]
) -> None:
    hub = Hub()
    for kind, wanted, accepted in history:
        schedule = paid_for(wanted if kind is InstructionKind.PAY else (), rate_type)
        hub.submit(PaymentInstructions(DECISION, (instruction_of(kind, wanted, rate_type),)), {PAYMENT: (rate_type, schedule)}, [accepted])


def reaches(before: Chain, cut: date | None, new: Iterable[OrderLine], wanted: dict[date, Money]) -> bool:
    chain = Chain(before.last, dict(before.valid))
    if cut:
        chain.end(cut)
    for line in new:
        chain.take(line)
    return {day: money(line) for day, line in chain.valid.items()} == wanted


def tidy(given: tuple[Period, ...]) -> tuple[Period, ...]:
    return merge([(each.start, each.end, each.amount, None, None) for each in given], RateType.DAY)


@given(history=st.lists(periods(smallest=1).map(tidy), min_size=2, max_size=5))
@tried(150)
def test_no_fewer_of_the_wanted_periods_would_do(history: list[tuple[Period, ...]]) -> None:
    """Tries at the rail every shorter tail of the new lines with every cut: none of them gives what is wanted."""
    hub = Hub()
    for wanted in history:
        instructions = PaymentInstructions(DECISION, (paying(*wanted),))
        derived = derive(instructions, hub.state, MADE_AT)
        assert not isinstance(derived, Refusal)
        if derived and hub.rail.chains:
            (before,) = hub.rail.chains.values()
            new = [line for line in derived[0].lines if line.ceased_from is None]
            target = {day: money(each) for each in wanted for day in days(each.start, each.end)}
            tails = [new[dropped:] for dropped in range(1, len(new) + 1)]
            assert not any(reaches(before, cut, tail, target) for tail in tails for cut in (None, *before.valid))
        hub.submit(instructions, {PAYMENT: (RateType.DAY, paid_for(wanted, RateType.DAY))}, [True])


@pytest.mark.parametrize("scheme", DERIVED)
@given(data=st.data())
@tried(30)
def test_equal_input_gives_equal_bytes_but_for_the_clock(scheme: Scheme, data: st.DataObject) -> None:
    message = data.draw(messages_of(scheme, largest=1))[0]
    state = CaseState({}, None, frozenset(), 4)
    one, other = derive(read(message), state, MADE_AT), derive(read(message), state, datetime(2031, 1, 2, 3, 4))  # noqa: DTZ001
    if isinstance(one, Refusal) or isinstance(other, Refusal):
        assert one == other
        return
    texts = [[CLOCK.sub(b"", order_xml.encode(order)) for order in orders] for orders in (one, other)]
    assert texts[0] == texts[1]
    assert [order.payments for order in one] == [order.payments for order in other]


@pytest.mark.parametrize("scheme", DERIVED)
@given(data=st.data())
@tried(30)
def test_the_same_message_again_changes_nothing(scheme: Scheme, data: st.DataObject) -> None:
    hub = Hub()
    message = data.draw(messages_of(scheme, largest=1))[0]
    hub.submit(read(message), wants(message), [True] * 3)
    again = derive(read(message), hub.state, MADE_AT)
    assert again == () or (isinstance(again, Refusal) and again.status == 404 and not hub.state.payments)


@given(st.lists(periods(smallest=1), min_size=1, max_size=3))
@tried(100)
def test_a_ceased_payment_pays_nothing_and_the_next_claim_revives_it(history: list[tuple[Period, ...]]) -> None:
    hub = Hub()
    for wanted in history:
        hub.submit(PaymentInstructions(DECISION, (paying(*wanted),)), {PAYMENT: (RateType.DAY, paid_for(wanted, RateType.DAY))}, [True])
        hub.submit(
            PaymentInstructions(DECISION, (instruction_of(InstructionKind.CEASE, (), RateType.DAY),)),
            {PAYMENT: (RateType.DAY, frozenset())},
            [True],
        )
        assert hub.state.payments[PAYMENT].action is Action.DELETE
        assert hub.rail.pays(PAYMENT, RateType.DAY) == frozenset()
