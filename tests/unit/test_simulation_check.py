"""An order agrees with its simulation, or is held: by what is not paid, by what is recovered, and by what can not be compared."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from kvitt.disbursement.compared_pay import (
    MOST_DIFFERENCES,
    DifferenceKind,
    PayDifference,
    picture_changes,
)
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState, derive
from kvitt.disbursement.expected_pay import ExpectedPay, expected_pay
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.instructions import PaymentInstruction, PaymentInstructions
from kvitt.disbursement.simulation import (
    FailureReason,
    NothingComputed,
    SimulatedKind,
    SimulatedPayment,
    SimulatedPeriod,
    SimulatedPosting,
    Simulation,
    SimulationFailure,
)
from kvitt.disbursement.simulation_check import (
    NOT_POSTED,
    CheckCircumstances,
    CheckFinding,
    CheckMode,
    SimulationCheck,
    Staleness,
    check_order,
    own_figures,
    reasons_of,
    staleness,
)
from kvitt.disbursement.values import Order, PaymentId, Period, RateType
from kvitt.kernel.money import Kroner, Minor
from support.paid_spans import TODAY, WEEK, figure, span
from support.strategies import DECISION, MADE_AT, OTHER_PAYMENT, PAYMENT, ceasing, june, paying

WHEN = CheckCircumstances(TODAY)
CODE = "TSTBASISP4-OP"
RECOVERY = "KL_KODE_FEIL_TILLST"


def incomplete(pays: int, **circumstances: int) -> SimulationCheck:
    expected = ExpectedPay((), (span(*WEEK, 500, code=CODE),), complete=False)
    rows = [row(day, pays) for day in range(1, 6)]
    return check_order(FIRST, expected, answered(*rows, of=FIRST), CheckCircumstances(TODAY, **circumstances))


def test_what_can_not_be_compared_holds_an_order_under_a_name_of_its_own() -> None:
    found = incomplete(700)
    assert (found.finding, [each.kind for each in found.differences]) == (CheckFinding.NOT_COMPARED, [DifferenceKind.NOT_KNOWN])
    (reason,) = reasons_of(found, CheckMode.BLOCK)
    assert (reason.kind, reason.amounts_kroner) == (HoldKind.NOT_COMPARED, (2500, 3500))
    assert reasons_of(found, CheckMode.WARN) == ()
    assert incomplete(400).finding is CheckFinding.DIFFERS
    assert incomplete(500).finding is CheckFinding.AGREES


def test_a_check_by_earlier_rules_is_what_it_was() -> None:
    found = incomplete(700, rules=1)
    assert (found.finding, found.differences) == (CheckFinding.AGREES, ())
    assert found.picture == incomplete(700).picture
    late = check_order(FIRST, NEXT_YEAR, NothingComputed(), CheckCircumstances(TODAY, rules=1))
    assert (late.finding, [each.kind for each in late.differences]) == (CheckFinding.AGREES, [DifferenceKind.NOT_SIMULATED])


def test_an_order_that_only_moves_the_end_of_a_single_payment_needs_no_answer() -> None:
    one, other = (span("2026-06-01", end, 1, RateType.ONE_OFF, code=CODE) for end in ("2026-06-02", "2026-06-01"))
    moved = ExpectedPay((one,), (other,))
    assert check_order(FIRST, moved, NothingComputed(), WHEN).finding is CheckFinding.AGREES
    assert check_order(FIRST, moved, NothingComputed(), CheckCircumstances(TODAY, rules=2)).finding is CheckFinding.DIFFERS


NEXT_YEAR = ExpectedPay((), (span("2027-01-04", "2027-01-08", 500, code=CODE),))


def test_an_order_of_which_nothing_is_simulated_because_it_is_of_next_year_is_not_compared() -> None:
    found = check_order(FIRST, NEXT_YEAR, NothingComputed(), WHEN)
    assert (found.finding, [each.kind for each in found.differences]) == (CheckFinding.NOT_COMPARED, [DifferenceKind.NOT_SIMULATED])
    assert [each.kind for each in reasons_of(found, CheckMode.BLOCK)] == [HoldKind.NOT_COMPARED]
    assert reasons_of(found, CheckMode.WARN) == ()
    foreign = check_order(FIRST, NEXT_YEAR, answered(row(1, 500), of=FIRST, case_id="SAK-2"), WHEN)
    assert foreign.finding is CheckFinding.NOT_COMPARED


def test_an_order_over_the_turn_of_the_year_is_compared_as_far_as_it_is_simulated() -> None:
    over = ExpectedPay((), (span("2026-06-01", "2027-01-08", 500, code=CODE),))
    days = [day for day in (date(2026, 6, 1) + timedelta(days=number) for number in range(214)) if day.weekday() < 5]
    rows = [replace(row(1, 500), start=day, end=day) for day in days]
    found = check_order(FIRST, over, answered(*rows, of=FIRST), WHEN)
    assert (found.finding, [each.kind for each in found.differences]) == (CheckFinding.AGREES, [DifferenceKind.NOT_SIMULATED])
    less = check_order(FIRST, over, answered(*rows[1:], of=FIRST), WHEN)
    assert less.finding is CheckFinding.DIFFERS
    assert {each.kind for each in reasons_of(less, CheckMode.BLOCK)} == {HoldKind.SIMULATED_OTHERWISE}


def order_of(*instructions: PaymentInstruction, state: CaseState = NEW_CASE) -> Order:
    (order,) = derive(PaymentInstructions(DECISION, instructions), state, MADE_AT)  # type: ignore[misc]
    assert isinstance(order, Order)
    return order


def after(order: Order, state: CaseState = NEW_CASE) -> CaseState:
    """The case once the order is accepted."""
    payments = {**state.payments, **{each.payment_id: each for each in order.payments}}
    return replace(state, payments=payments, areas=state.areas | {order.area}, orders_made=state.orders_made + 1)


def row(day: int, amount: int, code: str = CODE, kind: SimulatedKind = SimulatedKind.PAY, rate: int | None = None) -> SimulatedPosting:
    when = date(2026, 6, day)
    rate = abs(amount) if rate is None else rate
    return SimulatedPosting(when, when, Kroner(amount), kind, "", code, rate=Minor(rate * 100), rate_type=RateType.DAY if rate else None)


def answered(*rows: SimulatedPosting, of: Order, case_id: str = "", area: str = "", more: Sequence[SimulatedPayment] = ()) -> Simulation:
    own = SimulatedPayment(area or of.area, case_id or of.case_id, of.person, rows)
    return Simulation(of.person, TODAY, Kroner(0), (SimulatedPeriod(date(2026, 6, 1), date(2026, 6, 30), (own, *more)),))


FIRST = order_of(paying(june(1, 3, 500)))
STANDS = after(FIRST)
LESS = order_of(paying(june(1, 2, 500)), state=STANDS)
"""Takes away a day that was paid."""


def taken_back(day: int, amount: int) -> list[SimulatedPosting]:
    """The rows of a day that was paid and shall not be any more."""
    return [row(day, -amount), row(day, amount, rate=0), row(day, amount, RECOVERY, SimulatedKind.RECOVERY, rate=0)]


def test_an_order_agrees_with_its_simulation() -> None:
    found = check_order(FIRST, expected_pay(FIRST, NEW_CASE), answered(row(1, 500), row(2, 500), row(3, 500), of=FIRST), WHEN)
    assert (found.finding, found.differences, found.recovered) == (CheckFinding.AGREES, (), 0)


def test_other_cases_and_areas_of_the_person_are_not_compared() -> None:
    foreign = [SimulatedPayment(area, case_id, "", (row(1, 9000),)) for area, case_id in (("DP", FIRST.case_id), (FIRST.area, "SAK-2"))]
    outcome = answered(row(1, 500), row(2, 500), row(3, 500), of=FIRST, more=foreign)
    assert check_order(FIRST, expected_pay(FIRST, NEW_CASE), outcome, WHEN).finding is CheckFinding.AGREES
    assert {each.pays for each in own_figures(outcome, FIRST)} == {500}


def test_an_answer_about_another_case_alone_pays_nothing_of_the_order() -> None:
    found = check_order(FIRST, expected_pay(FIRST, NEW_CASE), answered(row(1, 500), of=FIRST, case_id="SAK-2"), WHEN)
    assert [each.kind for each in found.differences] == [DifferenceKind.NOT_PAID]


def test_an_empty_answer_pays_nothing() -> None:
    assert [each.kind for each in check_order(FIRST, expected_pay(FIRST, NEW_CASE), NothingComputed(), WHEN).differences] == [
        DifferenceKind.NOT_PAID
    ]
    gone = order_of(ceasing(), state=STANDS)
    assert check_order(gone, expected_pay(gone, STANDS), NothingComputed(), WHEN).finding is CheckFinding.AGREES


@pytest.mark.parametrize(("allowed", "finding"), [(None, "agrees"), (500, "agrees"), (499, "differs"), (0, "differs")])
def test_more_recovered_than_is_allowed_is_a_difference(allowed: int | None, finding: str) -> None:
    outcome = answered(row(1, 500), row(2, 500), *taken_back(3, 500), of=LESS)
    when = CheckCircumstances(TODAY, None if allowed is None else Kroner(allowed))
    found = check_order(LESS, expected_pay(LESS, STANDS), outcome, when)
    assert (found.finding, found.recovered) == (finding, 500)
    if finding == "differs":
        (difference,) = found.differences
        assert difference == PayDifference(
            DifferenceKind.RECOVERS, CODE, date(2026, 6, 3), date(2026, 6, 3), Kroner(allowed or 0), Kroner(500)
        )


def test_a_first_order_recovers_nothing_whatever_is_allowed() -> None:
    outcome = answered(row(1, 500), row(2, 500), row(3, 500), *taken_back(4, 100), of=FIRST)
    found = check_order(FIRST, expected_pay(FIRST, NEW_CASE), outcome, WHEN)
    assert [each.kind for each in found.differences] == [DifferenceKind.RECOVERS]


def test_recovery_is_net() -> None:
    """One day is taken back, and an earlier recovery of another falls away."""
    fallen = [row(1, 500), row(1, -500, rate=0), row(1, -500, RECOVERY, SimulatedKind.RECOVERY, rate=0)]
    outcome = answered(*fallen, row(2, 500), *taken_back(3, 500), of=LESS)
    assert check_order(LESS, expected_pay(LESS, STANDS), outcome, CheckCircumstances(TODAY, Kroner(0))).recovered == 0


def test_a_failure_of_the_rail_is_no_word_about_the_order_and_a_rule_of_it_is() -> None:
    expected = expected_pay(FIRST, NEW_CASE)
    closed = check_order(FIRST, expected, SimulationFailure(FailureReason.CLOSED, ""), WHEN)
    assert (closed.finding, closed.text) == (CheckFinding.UNAVAILABLE, "closed")
    shut = SimulationFailure(FailureReason.CLOSED, "Oppdragssystemet er ikke tilgjengelig utenfor åpningstid", by_rule=True)
    assert check_order(FIRST, expected, shut, WHEN).finding is CheckFinding.UNAVAILABLE
    refused = check_order(FIRST, expected, SimulationFailure(FailureReason.PERSON_UNKNOWN, "Personen finnes ikke", by_rule=True), WHEN)
    assert (refused.finding, refused.text) == (CheckFinding.REFUSED, "Personen finnes ikke")


def test_while_the_order_before_is_not_posted_only_agreement_says_anything() -> None:
    """The rail simulates what it has posted, on the working day after acceptance: until then it may not know what is changed."""
    when = CheckCircumstances(TODAY, posted=False)
    expected = expected_pay(LESS, STANDS)
    for outcome in (NothingComputed(), SimulationFailure(FailureReason.LINE_UNKNOWN, "", by_rule=True)):
        found = check_order(LESS, expected, outcome, when)
        assert (found.finding, found.text) == (CheckFinding.UNAVAILABLE, NOT_POSTED)
    agreeing = answered(row(1, 500), row(2, 500), of=LESS)
    assert check_order(LESS, expected, agreeing, when).finding is CheckFinding.AGREES


def test_no_more_differences_are_kept_than_can_be_read() -> None:
    days = [date(2026, 1, 1) + timedelta(days=7 * number) for number in range(MOST_DIFFERENCES + 20)]
    found = picture_changes([figure(str(day), str(day), 1) for day in days], [])
    assert len(found) == MOST_DIFFERENCES


def test_what_is_taken_over_in_part_is_not_complete() -> None:
    unknown = replace(STANDS, unknown=(PaymentId("77777777-7777-4888-8999-000000000000"),))
    assert not expected_pay(LESS, unknown).complete
    without_periods = replace(STANDS.payments[PAYMENT], payment_id=OTHER_PAYMENT, periods=())
    assert not expected_pay(LESS, replace(STANDS, payments={**STANDS.payments, OTHER_PAYMENT: without_periods})).complete
    assert expected_pay(LESS, STANDS).complete


def test_payments_of_other_areas_are_not_expected() -> None:
    elsewhere = replace(
        STANDS.payments[PAYMENT], payment_id=OTHER_PAYMENT, area="DP", periods=(Period(date(2026, 6, 1), date(2026, 6, 3), Kroner(9)),)
    )
    both = replace(STANDS, payments={**STANDS.payments, OTHER_PAYMENT: elsewhere})
    assert expected_pay(LESS, both) == expected_pay(LESS, STANDS)


@pytest.mark.parametrize(
    ("minutes", "orders_now", "stale"), [(5, 3, None), (60, 3, None), (61, 3, Staleness.TOO_OLD), (5, 4, Staleness.CASE_MOVED)]
)
def test_a_simulation_is_stale_once_it_is_old_or_its_case_has_moved(minutes: int, orders_now: int, stale: Staleness | None) -> None:
    asked_at = datetime(2026, 6, 15, 12, tzinfo=UTC)
    now = asked_at + timedelta(minutes=minutes)
    assert staleness(now, asked_at + timedelta(hours=1), orders_then=3, orders_now=orders_now) is stale
