"""Whatever the history of decisions: after each accepted order the rail pays, day by day, what the last decision wants.

The rail here is the emulator's rules, which take the order's XML and share nothing with the derivation.
"""

from collections.abc import Iterable, Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.disbursement.derive import micro_chained
from kvitt.disbursement.derive.chained import WantedPeriod, chain_payment_id
from kvitt.disbursement.expected_pay import expected_pay
from kvitt.disbursement.holding import reasons_to_hold
from kvitt.disbursement.instructions import InstructionKind, PaymentInstruction, PaymentInstructions
from kvitt.disbursement.schedule import Owed, expand
from kvitt.disbursement.values import Order, PaymentId, Period, RateType, Refusal, Scheme
from kvitt.rails.oppdrag import order_xml
from kvitt.rails.oppdrag.emulator.schedule import days_of
from support.decided_case import TILTAK, DecidedCase, RailOfCase, wanting
from support.strategies import MADE_AT, days_apart
from support.tried import tried

PAYS = tuple[PaymentId, date, int]
CHAINS = {
    Scheme.DAGPENGER: [("DAGPENGER_EØS", "card-1"), ("DAGPENGER_EØS", "card-2"), ("DAGPENGER_EØS_FERIETILLEGG", "card-1")],
    Scheme.TILTAKSPENGER: [("ARBEIDSTRENING", "card-1"), ("ARBEIDSTRENING_BARN", "card-1"), ("ARBEIDSTRENING", "card-2")],
    Scheme.TILLEGGSSTONADER: [("TILSYN_BARN_AAP", None), ("BOUTGIFTER_AAP", None), ("LÆREMIDLER_AAP", None)],
    Scheme.AAP: [("AAP_UNDER_ARBEIDSAVKLARING", None)],
}
_MIXED = (RateType.WEEKDAY, RateType.DAY, RateType.ONE_OFF)
_amounts = st.integers(1, 2)
_offices = st.sampled_from([None, "0220"])


@st.composite
def states(draw: st.DrawFn, scheme: Scheme, *, mixed: bool) -> tuple[WantedPeriod, ...]:
    """A complete state in no order. Of which rate type a period is follows from its chain and first day: another one alone is no change."""
    wanted = []
    for place, (benefit, card) in enumerate(CHAINS[scheme]):
        for first, last in draw(days_apart()):
            rate = _MIXED[(first.toordinal() + place) // 3 % len(_MIXED)] if mixed else RateType.WEEKDAY
            wanted.append(wanting(Period(first, last, draw(_amounts), draw(_offices)), benefit, card, rate))
    return tuple(draw(st.permutations(wanted)))


def histories(scheme: Scheme, *, mixed: bool) -> st.SearchStrategy[list[tuple[tuple[WantedPeriod, ...], bool]]]:
    accepted = st.sampled_from([True, True, True, False])
    return st.lists(st.tuples(states(scheme, mixed=mixed), accepted), min_size=1, max_size=7)


def wants(case: DecidedCase, wanted: Iterable[WantedPeriod]) -> set[PAYS]:
    found = set()
    for each in wanted:
        payment_id = chain_payment_id(case.decision.scheme, case.decision.case_id, each.chain)
        owed = Owed(each.period.start, each.period.end, each.period.amount, each.rate_type)
        found |= {(payment_id, due.day, due.amount) for due in expand([owed]).days}
    return found


def pays(rail: RailOfCase, state: micro_chained.CaseState) -> set[PAYS]:
    """What falls due at the rail, by the payments whose last lines are the newest of their chains."""
    of_chain = {order_xml.encode_line_id(each.last_line): payment_id for payment_id, each in state.payments.items()}
    spans = rail.pays()
    newest = {span.chain_first_line_id: of_chain[span.chain_last_line_id] for span in spans}
    return {(newest[due.chain], due.date, due.amount) for due in days_of(spans)[0]}


@pytest.mark.parametrize("scheme", CHAINS)
@given(data=st.data())
@tried(60)
def test_after_every_accepted_order_the_rail_pays_what_the_decision_wants(scheme: Scheme, data: st.DataObject) -> None:
    case, should_pay = DecidedCase(replace(TILTAK, scheme=scheme)), set[PAYS]()
    for wanted, accepted in data.draw(histories(scheme, mixed=True)):
        before = case.state
        order = case.decides(wanted, accepted=accepted)
        if order is None:
            assert should_pay == wants(case, wanted)
        else:
            sound(order, before)
            should_pay = wants(case, wanted) if accepted else should_pay
        assert pays(case.rail, case.state) == should_pay
        assert stored(case.state) == should_pay


def sound(order: Order, before: micro_chained.CaseState) -> None:
    """Cessations in front, one to a chain at most; what else is asked of an order can be asked of this one, too."""
    ceased = [line.payment_id for line in order.lines if line.ceased_from is not None]
    assert ceased == [line.payment_id for line in order.lines[: len(ceased)]]
    assert len(ceased) == len(set(ceased))
    for payment in order.payments:
        new = [line for line in order.lines if line.payment_id == payment.payment_id and line.ceased_from is None]
        begins = before.payments[payment.payment_id].last_line if payment.payment_id in before.payments else None
        assert [line.refers_to for line in new] == [begins, *(line.line_id for line in new)][: len(new)]
    if order.scheme in (Scheme.TILLEGGSSTONADER, Scheme.AAP):
        assert reasons_to_hold([order], before) == ((),), "each chain has a class code of its own"
    after = {(paid.source, paid.start, paid.end, paid.rate) for paid in expected_pay(order, before).after}
    for payment in order.payments:
        for each in payment.wanted:
            assert (payment.payment_id, each.start.toordinal(), each.end.toordinal(), payment.rate_of(each)) in after


def stored(state: micro_chained.CaseState) -> set[PAYS]:
    """What falls due by the accepted payments as they stand in the store."""
    return {
        (payment_id, due.day, due.amount)
        for payment_id, payment in state.payments.items()
        for each in payment.wanted
        for due in expand([Owed(each.start, each.end, each.amount, payment.rate_of(each))]).days
    }


@pytest.mark.parametrize("scheme", [Scheme.TILTAKSPENGER, Scheme.TILLEGGSSTONADER])
@given(data=st.data())
@tried(40)
def test_each_period_names_the_line_that_pays_it(scheme: Scheme, data: st.DataObject) -> None:
    case = DecidedCase(replace(TILTAK, scheme=scheme))
    for wanted, accepted in data.draw(histories(scheme, mixed=True)):
        case.decides(wanted, accepted=accepted)
    in_force = {(span.line_id, span.start, span.end, span.amount) for span in case.rail.pays()}
    named = {(each.line, each.start, each.end, each.amount) for payment in case.state.payments.values() for each in payment.wanted}
    assert named == in_force


@given(data=st.data())
@tried(40)
def test_the_rail_takes_what_follows_an_order_that_it_has_and_that_counts_as_rejected(data: st.DataObject) -> None:
    """By an operator's word, or by the answer to a copy: no later line is taken for one of that order."""
    case = DecidedCase()
    case.decides([wanting(Period(date(2026, 5, 4), date(2026, 5, 8), 1))])
    for wanted, accepted in data.draw(histories(Scheme.TILTAKSPENGER, mixed=False)):
        order = case.decides(wanted, accepted=accepted)
        if order and not accepted:
            assert case.rail.take(order_xml.encode(order)) == "00"
            lost = [micro_chained.AtRail(order.number, each, continues=True) for each in order.payments]
            case.state = replace(case.state, at_rail=(*case.state.at_rail, *lost))


class MicroCase:
    """The same case by micro-chaining, one payment to a chain, with a rail of its own."""

    def __init__(self, case: DecidedCase) -> None:
        self.decision = replace(case.decision, whole_case=True)
        self.state, self.rail = micro_chained.NEW_CASE, RailOfCase()

    def decides(self, wanted: Sequence[WantedPeriod]) -> None:
        chains: dict[PaymentId, list[WantedPeriod]] = {}
        for each in sorted(wanted, key=lambda each: each.period.start):
            chains.setdefault(chain_payment_id(self.decision.scheme, self.decision.case_id, each.chain), []).append(each)
        instructions = [
            PaymentInstruction(InstructionKind.PAY, payment_id, each[0].benefit, RateType.WEEKDAY, tuple([of.period for of in each]))
            for payment_id, each in chains.items()
        ]
        orders = micro_chained.derive(PaymentInstructions(self.decision, tuple(instructions)), self.state, MADE_AT)
        if isinstance(orders, Refusal):
            assert orders.status == 409, "another office alone is no change"
            return
        for order in orders:
            assert self.rail.take(order_xml.encode(order)) == "00"
            payments = {**self.state.payments, **{each.payment_id: each for each in order.payments}}
            self.state = replace(self.state, payments=payments, areas=self.state.areas | {order.area}, orders_made=order.number)


@given(data=st.data())
@tried(60)
def test_micro_chaining_pays_the_same_day_by_day(data: st.DataObject) -> None:
    case = DecidedCase()
    micro = MicroCase(case)
    for wanted, _ in data.draw(histories(Scheme.TILTAKSPENGER, mixed=False)):
        without_offices = [replace(each, period=replace(each.period, office=None)) for each in wanted]
        case.decides(without_offices)
        micro.decides(without_offices)
        assert pays(case.rail, case.state) == pays(micro.rail, micro.state) == wants(case, wanted)


@given(data=st.data())
@tried(30)
def test_a_case_that_was_taken_over_goes_on_as_if_it_had_always_been_here(data: st.DataObject) -> None:
    """What an old service says of a chain is its periods and its last line; the numbers go on behind those that it used."""
    case, history = DecidedCase(), data.draw(histories(Scheme.TILTAKSPENGER, mixed=False))
    for wanted, accepted in history:
        case.decides(wanted, accepted=accepted)
    bare = {
        payment_id: replace(each, periods=tuple([replace(of, line=None) for of in each.periods]))
        for payment_id, each in case.state.payments.items()
    }
    known = replace(case.state, payments=bare, numbered=0, orders_made=0)
    wanted = data.draw(states(Scheme.TILTAKSPENGER, mixed=False))
    one, other = DecidedCase(state=case.state, rail=case.rail), DecidedCase(state=known)
    taken = other.decides(wanted, accepted=False)
    here = one.decides(wanted)
    assert (taken is None) == (here is None)
    if taken and here:
        assert [(line.start, line.end, line.ceased_from, line.amount) for line in taken.lines] == [
            (line.start, line.end, line.ceased_from, line.amount) for line in here.lines
        ]
    assert pays(one.rail, one.state) == wants(one, wanted)
