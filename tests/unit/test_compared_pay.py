"""Pay that is expected and pay that is simulated are compared by day and class code; and so are two simulations of one order."""

from collections.abc import Sequence
from datetime import date

import pytest
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.compared_pay import (
    DifferenceKind,
    PayDifference,
    PictureChange,
    compared_pay,
    differences_in,
    picture_changes,
)
from kvitt.disbursement.expected_pay import ExpectedPay
from kvitt.disbursement.holding import Paid
from kvitt.disbursement.simulation_figures import SimulatedFigures
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner
from support.paid_spans import TODAY, WEEK, each_day, figure, span


class Case(Struct, frozen=True):
    """What is paid before and after an order, what the rail says, and the differences as (kind, first, last, expected, simulated)."""

    before: Sequence[Paid]
    after: Sequence[Paid]
    simulated: Sequence[SimulatedFigures]
    differs: Sequence[tuple[DifferenceKind, str, str, int, int]] = ()


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


ENDS = {
    "a single payment ends earlier": Case(
        [span("2026-06-01", "2026-06-02", 1, RateType.ONE_OFF)], [span("2026-06-01", "2026-06-01", 1, RateType.ONE_OFF)], []
    ),
    "a single payment ends in the next year": Case(
        [span("2026-12-30", "2026-12-31", 1, RateType.ONE_OFF)], [span("2026-12-30", "2027-01-05", 1, RateType.ONE_OFF)], []
    ),
    "a single payment of the next year ends later": Case(
        [span("2027-01-04", "2027-01-05", 1, RateType.ONE_OFF)], [span("2027-01-04", "2027-01-08", 1, RateType.ONE_OFF)], []
    ),
}
"""Changes of which the rail says nothing, as the money falls due on the same day as before."""


@pytest.mark.parametrize("name", ENDS)
def test_the_last_day_of_a_single_payment_changes_nothing_that_is_paid(name: str) -> None:
    expected = ExpectedPay(tuple(ENDS[name].before), tuple(ENDS[name].after))
    assert compared_pay(expected, [], TODAY) == ()
    assert [each.kind for each in compared_pay(expected, [], TODAY, single_ends=True)] != []


def pay_differences(expected: ExpectedPay, own: Sequence[SimulatedFigures], today: date) -> tuple[PayDifference, ...]:
    return differences_in(compared_pay(expected, own, today))


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


def test_a_difference_says_itself_in_a_line() -> None:
    days = (date(2026, 6, 1), date(2026, 6, 5))
    assert str(PayDifference(DifferenceKind.NOT_PAID, "A", *days, Kroner(2500))) == (
        "A from 2026-06-01 to 2026-06-05: 2500 is wanted, and the rail would pay nothing"
    )
    said = {str(PayDifference(kind, "A", days[0], days[0], Kroner(1), Kroner(2))) for kind in DifferenceKind}
    assert len(said) == len(DifferenceKind)
    assert all(each.startswith("A on 2026-06-01: ") for each in said)


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
