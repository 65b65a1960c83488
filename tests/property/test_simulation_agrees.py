"""The rail simulates what a message leads to, and then the message and the rail's payment run do just that, to the krone.

For arbitrary histories of corrections: the question made of an order is answered by the emulator over HTTP, read and compared with what the
derivation expects; then the order itself is booked there, and now and then a payment run is played.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.contracts.helved.read import instructions_of
from kvitt.disbursement.compared_pay import DifferenceKind
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState, derive
from kvitt.disbursement.expected_pay import end_of_month, expected_pay
from kvitt.disbursement.instructions import PaymentInstruction, PaymentInstructions
from kvitt.disbursement.simulation import NothingComputed, Simulation
from kvitt.disbursement.simulation_check import CheckCircumstances, CheckFinding, check_order, own_figures
from kvitt.disbursement.simulation_figures import SimulatedFigures
from kvitt.disbursement.values import Area, CaseId, Order, Period, RateType, Refusal, Scheme
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag import order_xml, simulation_request
from kvitt.rails.oppdrag.emulator.order import CaseAtRail
from kvitt.rails.oppdrag.emulator.payments import CaseMoney, money_of_cases
from kvitt.rails.oppdrag.simulation_answer import read_simulation
from kvitt.testing import TestServer
from support.simulation_stage import SimulatedRail, simulated_rail
from support.strategies import DECISION, MADE_AT, OTHER_PAYMENT, PAYMENT, ceasing, messages_of, paying
from support.tried import tried

TODAY = date(2026, 6, 15)
RUNS = [date(2026, 6, day) for day in (16, 17, 18, 19, 22, 23, 24, 25, 26, 29, 30)]
DERIVED = [scheme for scheme in Scheme if scheme is not Scheme.SYKEPENGER]
"""The schemes whose lines are ours to make."""
TABLES = "received, conflict, known_case, entry, hold_back, receipt, payment_run, paid, recovery, run_row, simulated, violation"
_numbers = count()


@pytest.fixture(scope="module")
def rail(kvitt_server: TestServer) -> Iterator[SimulatedRail]:
    with kvitt_server.database() as conninfo, simulated_rail(conninfo) as playing:
        yield playing


@dataclass
class History:
    """A case with what is accepted of it; `pending`: of each area what was simulated last, since a run was played."""

    rail: SimulatedRail
    case_id: CaseId
    state: CaseState = NEW_CASE
    pending: dict[Area, Sequence[SimulatedFigures]] = field(default_factory=dict)

    def takes(self, instructions: PaymentInstructions) -> None:
        """Simulates the orders of a message, then books them."""
        derived = derive(instructions, self.state, MADE_AT)
        if isinstance(derived, Refusal):
            return
        for order in derived:
            self.pending[order.area] = self.simulated(order)
            assert self.rail.ask(order_xml.encode(order)) == ["00"]
        payments = {**self.state.payments, **{each.payment_id: each for order in derived for each in order.payments}}
        areas = self.state.areas | {order.area for order in derived}
        self.state = CaseState(payments, instructions.decision.person, areas, self.state.orders_made + len(derived))

    def simulated(self, order: Order) -> Sequence[SimulatedFigures]:
        """The figures of an order, after a comparison with what is expected."""
        answer = self.rail.post(
            simulation_request.envelope(
                simulation_request.encode_simulation(order), to="emulator", message_id="1", assertion=self.rail.signed().encode()
            )
        )
        outcome = read_simulation(answer.status, answer.body)
        assert isinstance(outcome, Simulation | NothingComputed), outcome
        found = check_order(order, expected_pay(order, self.state), outcome, CheckCircumstances(TODAY))
        assert [each for each in found.differences if each.kind is not DifferenceKind.NOT_SIMULATED] == []
        assert found.finding is CheckFinding.AGREES
        self.finds_what_is_added(order, outcome)
        return own_figures(outcome, order)

    def finds_what_is_added(self, order: Order, outcome: Simulation | NothingComputed) -> None:
        """A krone more on any line would have been found."""
        lines = [line for line in order.lines if line.ceased_from is None]
        if not lines or isinstance(outcome, NothingComputed):
            return
        changed = [
            replace(each, periods=tuple(replace(one, amount=Kroner(one.amount + 1)) for one in each.periods)) for each in order.payments
        ]
        expected = expected_pay(replace(order, payments=tuple(changed)), self.state)
        assert check_order(order, expected, outcome, CheckCircumstances(TODAY)).finding is CheckFinding.DIFFERS

    def money(self, area: Area) -> CaseMoney:
        return money_of_cases(self.rail.conn, [CaseAtRail(area, self.case_id)], None)[CaseAtRail(area, self.case_id)]

    def is_paid(self, run: date) -> None:
        """Plays a payment run, which pays and recovers what was simulated."""
        before = {area: self.money(area) for area in self.pending}
        self.rail.pay(str(run))
        until = end_of_month(run.toordinal())
        for area, figures in self.pending.items():
            after = self.money(area)
            shown = [each for each in figures if each.start.toordinal() <= until]
            paid = Counter({(each.day.toordinal(), each.class_code): 0 for each in after.paid})
            for each in after.paid:
                paid[each.day.toordinal(), each.class_code] += each.amount
            for class_code, start, end, pays in together(shown):
                assert pays == sum(paid.pop((day, class_code), 0) for day in range(start, end + 1))
            months = {(each.start.year, each.start.month) for each in shown}
            assert not {day for day, _ in paid if (date.fromordinal(day).year, date.fromordinal(day).month) in months}
            grown = recovered(after, months) - recovered(before[area], months)
            assert sum(each.recovered for each in shown) == grown
        self.pending.clear()


def together(figures: Iterable[SimulatedFigures]) -> Iterator[tuple[str, int, int, int]]:
    """The pay of each class code in stretches of days that no figure parts."""
    kept: tuple[str, int, int, int] | None = None
    for each in sorted(figures, key=lambda each: (each.class_code, each.start)):
        start, end = each.start.toordinal(), each.end.toordinal()
        if kept and kept[0] == each.class_code and start <= kept[2]:
            kept = each.class_code, kept[1], max(kept[2], end), kept[3] + each.pays
            continue
        if kept:
            yield kept
        kept = each.class_code, start, end, each.pays
    if kept:
        yield kept


def recovered(money: CaseMoney, months: set[tuple[int, int]]) -> int:
    return sum(amount for place, amount in money.recoveries.items() if (place.day.year, place.day.month) in months)


def new_history(rail: SimulatedRail) -> History:
    """The history of a case at a rail that knows nothing."""
    rail.conn.execute("TRUNCATE " + ", ".join(f"rail.{name}" for name in TABLES.split(", ")))
    return History(rail, CaseId(f"SAK-{next(_numbers)}"))


def of_case(instructions: PaymentInstructions, case_id: CaseId) -> PaymentInstructions:
    return replace(instructions, decision=replace(instructions.decision, case_id=case_id))


@pytest.mark.parametrize("scheme", DERIVED)
def test_whatever_was_decided_before_a_message_is_simulated_and_paid_as_it_is_derived(rail: SimulatedRail, scheme: Scheme) -> None:
    runs = st.lists(st.booleans(), min_size=6, max_size=6)

    @tried(6)
    @given(messages_of(scheme), runs)
    def holds(messages: list[object], paid_after: list[bool]) -> None:
        history, days = new_history(rail), iter(RUNS)
        for message, is_paid in zip(messages, paid_after, strict=False):
            instructions = instructions_of(message, "key-1")  # type: ignore[arg-type]
            assert isinstance(instructions, PaymentInstructions)
            history.takes(of_case(instructions, history.case_id))
            if is_paid:
                history.is_paid(next(days))
        assert rail.violations() == ()

    holds()


@st.composite
def over_months(draw: st.DrawFn) -> tuple[Period, ...]:
    """Periods over half a year, with gaps, across the ends of months."""
    found, day = [], date(2026, 3, 1)
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 25), st.integers(1, 50)), min_size=1, max_size=3)):
        first = day + timedelta(days=gap)
        day = first + timedelta(days=length)
        found.append(Period(first, day - timedelta(days=1), Kroner(draw(st.integers(1, 1500)))))
    return tuple(found)


@st.composite
def changes(draw: st.DrawFn) -> tuple[PaymentInstruction, ...]:
    """Changes of two payments, each of a rate of its own, of which both or one is named, and which cease now and then."""
    kinds = {PAYMENT: ("TILSYN_BARN_AAP", RateType.WEEKDAY), OTHER_PAYMENT: ("LÆREMIDLER_AAP", RateType.MONTH)}
    found = []
    for payment_id in draw(st.sampled_from([[PAYMENT], [OTHER_PAYMENT], [PAYMENT, OTHER_PAYMENT]])):
        benefit, rate = kinds[payment_id]
        if draw(st.sampled_from([False, False, False, True])):
            found.append(ceasing(of=payment_id, benefit=benefit, rate=rate))
        else:
            found.append(paying(*draw(over_months()), of=payment_id, benefit=benefit, rate=rate))
    return tuple(found)


@tried(25)
@given(st.lists(st.tuples(changes(), st.booleans()), min_size=1, max_size=5))
def test_it_holds_across_months(rail: SimulatedRail, steps: Sequence[tuple[tuple[PaymentInstruction, ...], bool]]) -> None:
    history, days = new_history(rail), iter(RUNS)
    decision = replace(DECISION, scheme=Scheme.TILLEGGSSTONADER, case_id=history.case_id)
    for instructions, is_paid in steps:
        history.takes(PaymentInstructions(decision, instructions))
        if is_paid:
            history.is_paid(next(days))
    assert rail.violations() == ()
