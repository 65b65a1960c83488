"""An order's simulation is compared by day and class code with what the derivation expects, and by what may be recovered."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.compared_pay import (
    MOST_DIFFERENCES,
    DifferenceKind,
    PayDifference,
    PictureChange,
    compared_pay,
    differences_in,
    picture_changes,
)
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState, derive
from kvitt.disbursement.expected_pay import ExpectedPay, expected_pay
from kvitt.disbursement.holding import HoldKind, Paid
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
from kvitt.disbursement.simulation_figures import SimulatedFigures
from kvitt.disbursement.values import Order, PaymentId, Period, RateType
from kvitt.kernel.money import Kroner, Minor
from support.strategies import DECISION, MADE_AT, OTHER_PAYMENT, PAYMENT, ceasing, june, paying

TODAY = date(2026, 6, 15)
WHEN = CheckCircumstances(TODAY)
CODE = "TSTBASISP4-OP"
RECOVERY = "KL_KODE_FEIL_TILLST"


def span(first: str, last: str, amount: int, rate: RateType = RateType.WEEKDAY, code: str = "A") -> Paid:
    """A span of pay; days as `yyyy-mm-dd`."""
    return Paid("a payment", code, date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal(), Kroner(amount), rate)


def figure(first: str, last: str, pays: int, *, before: int = 0, recovered: int = 0, code: str = "A") -> SimulatedFigures:
    return SimulatedFigures(date.fromisoformat(first), date.fromisoformat(last), code, Kroner(before), Kroner(pays), Kroner(recovered))


def each_day(first: str, last: str, pays: int) -> list[SimulatedFigures]:
    """A figure for each weekday."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    return [figure(str(day), str(day), pays) for day in days if day.weekday() < 5]


class Case(Struct, frozen=True):
    """What is paid before and after an order, what the rail says, and the differences as (kind, first, last, expected, simulated)."""

    before: Sequence[Paid]
    after: Sequence[Paid]
    simulated: Sequence[SimulatedFigures]
    differs: Sequence[tuple[DifferenceKind, str, str, int, int]] = ()


WEEK = ("2026-06-01", "2026-06-05")
CASES = {
    "new pay, as wanted": Case([], [span(*WEEK, 500)], each_day(*WEEK, 500)),
    "another amount, neighbours as one, a weekend between them": Case(
        [],
        [span("2026-06-01", "2026-06-09", 500)],
        each_day("2026-06-01", "2026-06-09", 400),
        [(DifferenceKind.OTHER_AMOUNT, "2026-06-01", "2026-06-09", 3500, 2800)],
    ),
    "one day short": Case(
        [], [span(*WEEK, 500)], each_day("2026-06-01", "2026-06-04", 500), [(DifferenceKind.NOT_PAID, "2026-06-05", "2026-06-05", 500, 0)]
    ),
    "pay that nobody wants": Case([span(*WEEK, 500)], [], each_day(*WEEK, 500), [(DifferenceKind.NOT_WANTED, *WEEK, 0, 2500)]),
    "what ceases is missing in the answer": Case([span(*WEEK, 500)], [], []),
    "what ceases is in the answer with nothing": Case([span(*WEEK, 500)], [], each_day(*WEEK, 0)),
    "days that are not changed are missing": Case(
        [span("2026-05-04", "2026-05-08", 500)], [span("2026-05-04", "2026-05-08", 500), span(*WEEK, 500)], each_day(*WEEK, 500)
    ),
    "days that are not changed are paid otherwise": Case(
        [span("2026-05-04", "2026-05-08", 500)],
        [span("2026-05-04", "2026-05-08", 500), span(*WEEK, 500)],
        [*each_day("2026-05-04", "2026-05-08", 300), *each_day(*WEEK, 500)],
        [(DifferenceKind.UNTOUCHED, "2026-05-04", "2026-05-08", 2500, 1500)],
    ),
    "days that nobody can part are compared together": Case([], [span(*WEEK, 500)], [figure("2026-06-01", "2026-06-30", 2500)]),
    "and found to differ together": Case(
        [],
        [span(*WEEK, 500)],
        [figure("2026-06-01", "2026-06-30", 2400)],
        [(DifferenceKind.OTHER_AMOUNT, "2026-06-01", "2026-06-30", 2500, 2400)],
    ),
    "two payments of a class on a day": Case([], [span(*WEEK, 500), span(*WEEK, 100)], each_day(*WEEK, 600)),
    "a rate of all days pays on Sunday": Case(
        [],
        [span("2026-06-07", "2026-06-07", 500, RateType.DAY)],
        [],
        [(DifferenceKind.NOT_PAID, "2026-06-07", "2026-06-07", 500, 0)],
    ),
    "a rate by weekday does not": Case([], [span("2026-06-07", "2026-06-07", 500)], []),
    "months by month, the first from its first day": Case(
        [],
        [span("2026-03-15", "2026-05-20", 900, RateType.MONTH)],
        [figure("2026-03-15", "2026-03-31", 900), figure("2026-04-01", "2026-04-30", 900), figure("2026-05-01", "2026-05-20", 900)],
    ),
    "a month that is missing": Case(
        [],
        [span("2026-03-15", "2026-05-20", 900, RateType.MONTH)],
        [figure("2026-03-15", "2026-03-31", 900), figure("2026-05-01", "2026-05-20", 900)],
        [(DifferenceKind.NOT_PAID, "2026-04-01", "2026-04-30", 900, 0)],
    ),
    "a single payment, in the month in which it falls": Case(
        [], [span("2026-03-15", "2026-05-20", 900, RateType.ONE_OFF)], [figure("2026-03-15", "2026-03-15", 900)]
    ),
    "beyond the turn of the year it is not simulated": Case(
        [],
        [span("2026-12-30", "2027-01-06", 500)],
        each_day("2026-12-30", "2026-12-31", 500),
        [(DifferenceKind.NOT_SIMULATED, "2027-01-01", "2027-01-06", 0, 0)],
    ),
    "beyond it, where it is simulated, it is compared": Case(
        [],
        [span("2026-12-30", "2027-01-06", 500)],
        [*each_day("2026-12-30", "2026-12-31", 500), *each_day("2027-01-01", "2027-01-06", 400)],
        [(DifferenceKind.OTHER_AMOUNT, "2027-01-01", "2027-01-06", 2000, 1600)],
    ),
    "without end": Case(
        [],
        [span("2026-11-30", "9999-12-31", 900, RateType.MONTH)],
        [figure("2026-11-30", "2026-11-30", 900), figure("2026-12-01", "2026-12-31", 900)],
        [(DifferenceKind.NOT_SIMULATED, "2027-01-01", "9999-12-31", 0, 0)],
    ),
    "without end, and not changed": Case(
        [span("2026-01-01", "9999-12-31", 900, RateType.MONTH)],
        [span("2026-01-01", "9999-12-31", 900, RateType.MONTH), span(*WEEK, 500, code="B")],
        [replace(each, class_code="B") for each in each_day(*WEEK, 500)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_pay_is_compared_by_day_and_class_code(name: str) -> None:
    case = CASES[name]
    found = pay_differences(ExpectedPay(tuple(case.before), tuple(case.after)), case.simulated, TODAY)
    given = [(each.kind, str(each.first_day), str(each.last_day), each.expected_kroner, each.simulated_kroner) for each in found]
    assert given == list(case.differs)


def test_class_codes_are_told_apart() -> None:
    expected = ExpectedPay((), (span(*WEEK, 500), span(*WEEK, 100, code="B")))
    swapped = [*each_day(*WEEK, 100), *(replace(each, class_code="B") for each in each_day(*WEEK, 500))]
    assert [(each.class_code, each.kind) for each in pay_differences(expected, swapped, TODAY)] == [
        ("A", DifferenceKind.OTHER_AMOUNT),
        ("B", DifferenceKind.OTHER_AMOUNT),
    ]


def test_where_another_hub_had_more_of_the_case_too_much_can_not_be_compared_and_less_can() -> None:
    expected = ExpectedPay((), (span(*WEEK, 500),), complete=False)
    assert [(each.kind, each.simulated_kroner) for each in pay_differences(expected, each_day(*WEEK, 700), TODAY)] == [
        (DifferenceKind.NOT_KNOWN, 3500)
    ]
    assert [each.kind for each in pay_differences(expected, each_day(*WEEK, 400), TODAY)] == [DifferenceKind.OTHER_AMOUNT]
    assert [each.kind for each in pay_differences(expected, [], TODAY)] == [DifferenceKind.NOT_PAID]
    assert pay_differences(expected, each_day(*WEEK, 500), TODAY) == ()


def test_what_the_rail_has_paid_of_the_rest_of_a_case_is_no_difference() -> None:
    """It paid 800 before, of which 600 stand here: the 200 are what another hub had, and stay."""
    expected = ExpectedPay((span(*WEEK, 600),), (span(*WEEK, 500),), complete=False)
    days = [f"2026-06-0{day}" for day in range(1, 6)]
    assert pay_differences(expected, [figure(day, day, 700, before=800) for day in days], TODAY) == ()
    more = pay_differences(expected, [figure(day, day, 750, before=800) for day in days], TODAY)
    assert [each.kind for each in more] == [DifferenceKind.NOT_KNOWN]
    untouched = ExpectedPay((), (), complete=False)
    assert pay_differences(untouched, [figure(day, day, 700, before=700) for day in days], TODAY) == ()


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


def test_a_difference_says_itself_in_a_line() -> None:
    days = (date(2026, 6, 1), date(2026, 6, 5))
    assert str(PayDifference(DifferenceKind.NOT_PAID, "A", *days, Kroner(2500))) == (
        "A from 2026-06-01 to 2026-06-05: 2500 is wanted, and the rail would pay nothing"
    )
    said = {str(PayDifference(kind, "A", days[0], days[0], Kroner(1), Kroner(2))) for kind in DifferenceKind}
    assert len(said) == len(DifferenceKind)
    assert all(each.startswith("A on 2026-06-01: ") for each in said)


def pay_differences(expected: ExpectedPay, own: Sequence[SimulatedFigures], today: date) -> tuple[PayDifference, ...]:
    return differences_in(compared_pay(expected, own, today))


# Whole orders.


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


# Two simulations of one order.


def test_two_pictures_of_an_order_differ_in_pay_and_recovery_and_not_in_what_was_paid_before() -> None:
    seen = [*each_day(*WEEK, 500), figure("2026-06-08", "2026-06-08", 0, before=500, recovered=500)]
    paid_meanwhile = [replace(each, paid_before=Kroner(500)) for each in seen]
    assert picture_changes(seen, paid_meanwhile) == ()
    now = [
        figure("2026-06-01", "2026-06-01", 400),
        *each_day("2026-06-02", "2026-06-04", 500),
        figure("2026-06-05", "2026-06-05", 400),
        figure("2026-06-08", "2026-06-08", 0, before=500),
    ]
    assert picture_changes(seen, now) == (
        PictureChange("A", date(2026, 6, 1), date(2026, 6, 1), Kroner(500), Kroner(400)),
        PictureChange("A", date(2026, 6, 5), date(2026, 6, 8), Kroner(500), Kroner(400), Kroner(500), Kroner(0)),
    )


def test_pictures_that_part_days_otherwise_are_compared_over_the_same_days() -> None:
    assert picture_changes(each_day(*WEEK, 500), [figure("2026-06-01", "2026-06-05", 2500)]) == ()


@pytest.mark.parametrize(
    ("minutes", "orders_now", "stale"), [(5, 3, None), (60, 3, None), (61, 3, Staleness.TOO_OLD), (5, 4, Staleness.CASE_MOVED)]
)
def test_a_simulation_is_stale_once_it_is_old_or_its_case_has_moved(minutes: int, orders_now: int, stale: Staleness | None) -> None:
    asked_at = datetime(2026, 6, 15, 12, tzinfo=UTC)
    now = asked_at + timedelta(minutes=minutes)
    assert staleness(now, asked_at + timedelta(hours=1), orders_then=3, orders_now=orders_now) is stale
