"""The figures of a simulation: the summary of each month by the newest rules, and each day with what it was paid, pays and gives back."""

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from kvitt.disbursement.simulation import (
    LeftOut,
    SimulatedKind,
    SimulatedPayment,
    SimulatedPeriod,
    SimulatedPosting,
    Simulation,
    merged,
    of_case,
)
from kvitt.disbursement.simulation_figures import MonthSummary, SimulatedFigures, figures, summaries
from kvitt.disbursement.values import RateType, Scheme
from kvitt.kernel.money import Kroner, Minor
from support.tried import tried

TODAY = date(2025, 12, 1)
RECOVERY, ADJUSTMENT = "KL_KODE_FEIL_ARBYT", "KL_KODE_JUST_ARBYT"


def posting(
    amount: int,
    code: str = "TPTPATT",
    *,
    start: date = TODAY,
    end: date | None = None,
    rate: int = 0,
    rate_type: RateType | None = None,
    kind: SimulatedKind | None = None,
) -> SimulatedPosting:
    """A row; its kind by its class code, unless it is named. `rate` in kroner."""
    by_code = {RECOVERY: SimulatedKind.RECOVERY, ADJUSTMENT: SimulatedKind.ADJUSTMENT, "TBMOTOBS": SimulatedKind.COUNTER}
    return SimulatedPosting(
        start,
        end or start,
        Kroner(amount),
        kind or by_code.get(code, SimulatedKind.PAY),
        "",
        code,
        rate=Minor(rate * 100),
        rate_type=rate_type,
    )


def period(start: str, *rows: int | tuple[int, str], end: str | None = None) -> SimulatedPeriod:
    """A period with these rows, each over all of it."""
    days = date.fromisoformat(start), date.fromisoformat(end or start)
    postings = [posting(*((row,) if isinstance(row, int) else row), start=days[0], end=days[1]) for row in rows]
    return SimulatedPeriod(*days, (SimulatedPayment("TILTPENG", "S-1", "01020312345", tuple(postings)),))


def simulation(*periods: SimulatedPeriod) -> Simulation:
    return Simulation("01020312345", TODAY, Kroner(0), periods)


class Case(Struct, frozen=True):
    """A row of the contract's table: what the rail says, and of each month before, new, back pay and recovery."""

    periods: Sequence[SimulatedPeriod]
    months: Sequence[tuple[int, int, int, int]]


OF_THE_CONTRACT = {
    "new, past": Case([period("2025-08-06", 830)], [(0, 830, 830, 0)]),
    "new, future": Case([period("2025-12-02", 830)], [(0, 830, 0, 0)]),
    "raise": Case([period("2025-08-06", 4200, -3100)], [(3100, 4200, 1100, 0)]),
    "reduction": Case([period("2025-08-06", 90, 60, (90, RECOVERY), (-90, "TBMOTOBS"), -150)], [(150, 60, 0, 90)]),
    "moved inside a month": Case(
        [period("2025-08-06", (2100, ADJUSTMENT), -2100), period("2025-08-21", (-2100, ADJUSTMENT), 2900)], [(2100, 2900, 800, 0)]
    ),
    "absorbed by next month": Case(
        [period("2025-04-03", (400, ADJUSTMENT), 500, -900), period("2025-05-02", (-400, ADJUSTMENT), 1700)],
        [(900, 500, 0, 0), (0, 1700, 1300, 0)],
    ),
    "partly absorbed": Case(
        [
            period("2025-10-01", 40, 120, (40, RECOVERY), (70, ADJUSTMENT), (-40, "TBMOTOBS"), -230),
            period("2025-11-03", (-70, ADJUSTMENT), 200, -130),
        ],
        [(230, 120, 0, 40), (130, 200, 0, 0)],
    ),
}


@pytest.mark.parametrize("name", OF_THE_CONTRACT)
def test_each_row_of_the_contracts_table(name: str) -> None:
    """The table of iverksetting §4.3, newest generation."""
    case = OF_THE_CONTRACT[name]
    found = summaries(simulation(*case.periods), TODAY)
    assert [(each.paid_before, each.new_pay, each.back_pay, each.recovery) for each in found] == list(case.months)


def test_a_row_spans_the_periods_of_its_month_in_the_order_in_which_the_rail_names_months() -> None:
    moved = OF_THE_CONTRACT["moved inside a month"]
    found = summaries(simulation(period("2025-09-01", 1), *reversed(moved.periods), period("2024-08-01", 1)), TODAY)
    days = [(date(2025, 9, 1), date(2025, 9, 1)), (date(2025, 8, 6), date(2025, 8, 21)), (date(2024, 8, 1), date(2024, 8, 1))]
    assert [(each.start, each.end) for each in found] == days


def test_today_is_not_in_the_future() -> None:
    assert [each.back_pay for each in summaries(simulation(period(TODAY.isoformat(), 830)), TODAY)] == [830]


@pytest.mark.parametrize("kind", [SimulatedKind.TAX, SimulatedKind.DEDUCTION, SimulatedKind.COUNTER, SimulatedKind.OTHER])
def test_tax_deductions_and_counter_rows_change_neither_summary_nor_figures(kind: SimulatedKind) -> None:
    plain = period("2025-08-06", 830, -100)
    (payment,) = plain.payments
    with_more = SimulatedPayment(
        payment.area, payment.case_id, payment.recipient, (*payment.postings, posting(-300, "FSKTSKAT", kind=kind, start=plain.start))
    )
    other = SimulatedPeriod(plain.start, plain.end, (with_more,))
    assert summaries(simulation(other), TODAY) == summaries(simulation(plain), TODAY)
    assert figures(simulation(other)) == figures(simulation(plain))


def test_days_are_told_apart_where_every_row_pays_each_of_them_the_same() -> None:
    monday, friday = date(2025, 10, 6), date(2025, 10, 10)
    rows = (
        posting(3500, start=monday, end=friday, rate=700, rate_type=RateType.WEEKDAY),
        posting(-2500, start=monday, end=friday, rate=500, rate_type=RateType.WEEKDAY),
    )
    found = figures(of(rows))
    assert found == tuple([SimulatedFigures(day, day, "TPTPATT", Kroner(500), Kroner(700), Kroner(0)) for day in week(monday)])


def test_what_is_taken_back_counts_for_the_class_code_that_it_is_of() -> None:
    """The rows of a cessation: the row of pay beside the recovery is no new pay."""
    monday, friday = date(2025, 10, 6), date(2025, 10, 10)
    rows = (
        posting(-3500, start=monday, end=friday, rate=700, rate_type=RateType.WEEKDAY),
        posting(3500, start=monday, end=friday),
        posting(3500, RECOVERY, start=monday, end=friday),
        posting(-3500, "TBMOTOBS", start=monday, end=friday),
    )
    assert figures(of(rows)) == tuple([SimulatedFigures(day, day, "TPTPATT", Kroner(700), Kroner(0), Kroner(700)) for day in week(monday)])


def test_of_two_class_codes_on_a_day_only_the_one_that_was_lowered_gives_back() -> None:
    rows = (
        posting(-500, "A", rate=500),
        posting(300, "A", rate=300),
        posting(200, "A"),
        posting(-80, "B", rate=80),
        posting(80, "B", rate=80),
    )
    found = figures(of((*rows, posting(200, RECOVERY), posting(-200, "TBMOTOBS"))))
    assert [(each.class_code, each.paid_before, each.pays, each.recovered) for each in found] == [("A", 500, 300, 200), ("B", 80, 80, 0)]


def test_an_earlier_recovery_that_falls_away_is_negative_and_its_money_was_not_paid_before_but_owed() -> None:
    """10000 had been paid, and was to be had back; now the days pay 11000 after all, and 1000 leave."""
    rows = (posting(-10_000), posting(11_000, rate=11_000), posting(-10_000, RECOVERY), posting(10_000, "TBMOTOBS"))
    found = figures(of(rows))
    assert [(each.paid_before, each.pays, each.recovered) for each in found] == [(0, 11_000, -10_000)]
    (figure,) = found
    assert figure.pays - figure.paid_before + figure.recovered == 1000


def test_an_earlier_recovery_without_pay_beside_it_takes_no_pay_away() -> None:
    found = figures(of((posting(-300, rate=300), posting(700, rate=700), posting(-700, RECOVERY), posting(700, "TBMOTOBS"))))
    assert [(each.paid_before, each.pays, each.recovered) for each in found] == [(300, 700, -700)]


def test_a_row_of_another_code_stands_beside_no_recovery_as_long_as_there_is_one_without_a_rate() -> None:
    rows = (
        posting(-500, "A", rate=500),
        posting(500, "A"),
        posting(-900, "B", rate=900),
        posting(900, "B", rate=900),
        posting(500, RECOVERY),
    )
    found = figures(of(rows))
    assert [(each.class_code, each.paid_before, each.pays, each.recovered) for each in found] == [("A", 500, 0, 500), ("B", 900, 900, 0)]


def test_rows_that_can_not_be_split_to_the_krone_stay_whole() -> None:
    """24800 at 1240 is twenty days, and the month has 22 of them: nobody says which."""
    september = {"start": date(2025, 9, 1), "end": date(2025, 9, 30)}
    rows = (
        posting(24800, **september, rate=1240, rate_type=RateType.WEEKDAY),
        posting(-24800, **september, rate=1240, rate_type=RateType.WEEKDAY),
    )
    assert figures(of(rows)) == (SimulatedFigures(date(2025, 9, 1), date(2025, 9, 30), "TPTPATT", Kroner(24800), Kroner(24800), Kroner(0)),)


@pytest.mark.parametrize("rate_type", [RateType.MONTH, RateType.ONE_OFF])
def test_rates_that_are_not_of_days_stay_whole(rate_type: RateType) -> None:
    (found,) = figures(of((posting(3000, start=date(2025, 9, 1), end=date(2025, 9, 30), rate=3000, rate_type=rate_type),)))
    assert (found.start, found.end, found.pays) == (date(2025, 9, 1), date(2025, 9, 30), 3000)


def test_rates_of_all_days_count_weekends() -> None:
    week_days = {"start": date(2025, 10, 6), "end": date(2025, 10, 12)}
    assert len(figures(of((posting(700, **week_days, rate=100, rate_type=RateType.DAY),)))) == 7
    assert len(figures(of((posting(500, **week_days, rate=100, rate_type=RateType.WEEKDAY),)))) == 5


def of(rows: Sequence[SimulatedPosting]) -> Simulation:
    """A simulation of one payment."""
    return simulation(SimulatedPeriod(rows[0].start, rows[0].end, (SimulatedPayment("TILTPENG", "S-1", "01020312345", tuple(rows)),)))


def rows_of(whole: Simulation) -> list[SimulatedPosting]:
    return [row for period in whole.periods for payment in period.payments for row in payment.postings]


def week(monday: date) -> list[date]:
    return [monday + timedelta(days=count) for count in range(5)]


spans = st.tuples(st.dates(date(2025, 1, 1), date(2025, 3, 1)), st.integers(-2, 40)).map(
    lambda span: {"start": span[0], "end": span[0] + timedelta(days=span[1])}
)
rows = st.builds(
    lambda span, amount, code, rate, rate_type: posting(amount, code, **span, rate=rate, rate_type=rate_type),
    spans,
    st.integers(-10_000, 10_000),
    st.sampled_from(["A", "B", RECOVERY, ADJUSTMENT, "TBMOTOBS"]),
    st.sampled_from([0, 0, 100, 553]),
    st.none() | st.sampled_from(RateType),
)
wild = st.lists(st.lists(rows, min_size=1, max_size=6).map(of), min_size=1, max_size=4)


@tried(200)
@given(wild)
def test_however_rows_are_split_their_sums_stay(several: list[Simulation]) -> None:
    whole = merged(several)
    all_rows = rows_of(whole)
    pay, back = ([row.amount for row in all_rows if row.kind is kind] for kind in (SimulatedKind.PAY, SimulatedKind.RECOVERY))
    found = figures(whole)
    before, owed = -sum(amount for amount in pay if amount < 0), -sum(amount for amount in back if amount < 0)
    assert before - owed <= sum(each.paid_before for each in found) <= before
    assert sum(each.recovered for each in found) == sum(back)
    assert sum(each.pays for each in found) == sum(amount for amount in pay if amount > 0) - sum(amount for amount in back if amount > 0)
    assert len({(each.start, each.end, each.class_code) for each in found}) == len(found)


@tried(100)
@given(wild)
def test_summaries_and_figures_agree(several: list[Simulation]) -> None:
    whole = merged(several)
    found, months = figures(whole), summaries(whole, TODAY)
    assert sum(each.pays for each in found) == sum(each.new_pay for each in months)
    if not any(row.kind is SimulatedKind.RECOVERY and row.amount < 0 for row in rows_of(whole)):
        assert sum(each.paid_before for each in found) == sum(each.paid_before for each in months)
    assert all(isinstance(each, MonthSummary) and each.back_pay >= 0 and each.recovery >= 0 for each in months)


def test_other_cases_of_the_person_and_other_schemes_areas_are_left_out_and_named() -> None:
    def paid(area: str, case_id: str) -> SimulatedPayment:
        return SimulatedPayment(area, case_id, "01020312345", (posting(1),))

    whole = simulation(
        SimulatedPeriod(TODAY, TODAY, (paid("TILLSTPB", "S-1"), paid("TILLST", "S-1"), paid("TILLST", "S-2"), paid("UFOREUT", "S-1"))),
        SimulatedPeriod(TODAY, TODAY, (paid("AAP", "S-1"),)),
    )
    own, left_out = of_case(whole, Scheme.TILLEGGSSTONADER, "S-1")
    assert [[payment.area for payment in each.payments] for each in own.periods] == [["TILLSTPB", "TILLST"]]
    assert left_out == (LeftOut("TILLST", "S-2"), LeftOut("UFOREUT", "S-1"), LeftOut("AAP", "S-1"))
    assert own.total == whole.total


def test_simulations_of_several_areas_become_one_with_each_period_once() -> None:
    one, other = simulation(period("2025-08-06", 830)), simulation(period("2025-08-06", 70), period("2025-09-01", 5))
    both = merged([one, other])
    assert [len(each.payments) for each in both.periods] == [2, 1]
    assert [each.new_pay for each in summaries(both, TODAY)] == [900, 5]
