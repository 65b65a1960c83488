"""What a payment run makes of a case: rows of pay, reversal, recovery and adjustment, period by period (helved §4.8)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from kvitt.rails.oppdrag.emulator.bank_days import due_in_run, is_bank_day, is_open, month_run, next_bank_day
from kvitt.rails.oppdrag.emulator.due import DayMoney
from kvitt.rails.oppdrag.emulator.groups import account_codes
from kvitt.rails.oppdrag.emulator.payments import posting_limit
from kvitt.rails.oppdrag.emulator.reckoning import Recovery, reckon

PERSON = "01020312345"
RUN = date(2026, 6, 16)
Told = Sequence[tuple[str, str, int]]


def money(published: Told) -> list[DayMoney]:
    """Each item: first day, last day, kroner a day; every day of them, by a line of its own for each amount."""
    return [
        DayMoney(day, day, f"L{amount}", "AAPOR", "DAG7", PERSON, amount)
        for first, last, amount in published
        for day in days(date.fromisoformat(first), date.fromisoformat(last))
    ]


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def periods(new: Told, old: Told, recoveries: Mapping[Recovery, int] | None = None, area: str = "AAP") -> dict[str, list[str]]:
    result = reckon(money(new), money(old), recoveries or {}, account_codes(area), RUN)
    return {
        f"{period.first}/{period.last}": [f"{row.row_type.value} {row.amount:+} {row.class_code}" for row in period.rows]
        for period in result.periods
    }


TABLE = {
    "new, past": (
        [("2026-05-05", "2026-05-05", 830)],
        [],
        {"2026-05-05/2026-05-05": ["YTEL +830 AAPOR"]},
    ),
    "new, future": (
        [("2026-08-05", "2026-08-05", 830)],
        [],
        {"2026-08-05/2026-08-05": ["YTEL +830 AAPOR"]},
    ),
    "raise": (
        [("2026-05-05", "2026-05-05", 4200)],
        [("2026-05-05", "2026-05-05", 3100)],
        {"2026-05-05/2026-05-05": ["YTEL +4200 AAPOR", "YTEL -3100 AAPOR"]},
    ),
    "reduction": (
        [("2026-05-05", "2026-05-05", 60)],
        [("2026-05-05", "2026-05-05", 150)],
        {
            "2026-05-05/2026-05-05": [
                "YTEL +90 AAPOR",
                "YTEL +60 AAPOR",
                "FEIL +90 KL_KODE_FEIL_ARBYT",
                "MOTP -90 TBMOTOBS",
                "YTEL -150 AAPOR",
            ]
        },
    ),
    "moved inside a month": (
        [("2026-04-21", "2026-04-21", 2900)],
        [("2026-04-06", "2026-04-06", 2100)],
        {
            "2026-04-06/2026-04-06": ["FEIL +2100 KL_KODE_JUST_ARBYT", "YTEL -2100 AAPOR"],
            "2026-04-21/2026-04-21": ["YTEL +2900 AAPOR", "FEIL -2100 KL_KODE_JUST_ARBYT"],
        },
    ),
    "absorbed by the next month": (
        [("2026-04-10", "2026-04-10", 500), ("2026-05-08", "2026-05-08", 1700)],
        [("2026-04-10", "2026-04-10", 900)],
        {
            "2026-04-10/2026-04-10": ["YTEL +500 AAPOR", "FEIL +400 KL_KODE_JUST_ARBYT", "YTEL -900 AAPOR"],
            "2026-05-08/2026-05-08": ["YTEL +1700 AAPOR", "FEIL -400 KL_KODE_JUST_ARBYT"],
        },
    ),
    "partly absorbed": (
        [("2026-04-10", "2026-04-10", 120), ("2026-05-08", "2026-05-08", 200)],
        [("2026-04-10", "2026-04-10", 230), ("2026-05-08", "2026-05-08", 130)],
        {
            "2026-04-10/2026-04-10": [
                "YTEL +40 AAPOR",
                "YTEL +120 AAPOR",
                "FEIL +40 KL_KODE_FEIL_ARBYT",
                "FEIL +70 KL_KODE_JUST_ARBYT",
                "MOTP -40 TBMOTOBS",
                "YTEL -230 AAPOR",
            ],
            "2026-05-08/2026-05-08": ["YTEL +200 AAPOR", "FEIL -70 KL_KODE_JUST_ARBYT", "YTEL -130 AAPOR"],
        },
    ),
    "an increase before the reduction is not used": (
        [("2026-05-05", "2026-05-05", 300), ("2026-05-06", "2026-05-06", 100)],
        [("2026-05-05", "2026-05-05", 200), ("2026-05-06", "2026-05-06", 150)],
        {
            "2026-05-05/2026-05-05": ["YTEL +300 AAPOR", "YTEL -200 AAPOR"],
            "2026-05-06/2026-05-06": [
                "YTEL +50 AAPOR",
                "YTEL +100 AAPOR",
                "FEIL +50 KL_KODE_FEIL_ARBYT",
                "MOTP -50 TBMOTOBS",
                "YTEL -150 AAPOR",
            ],
        },
    ),
    "an increase two months after the reduction is not used": (
        [("2026-05-05", "2026-05-05", 100)],
        [("2026-03-05", "2026-03-05", 100)],
        {
            "2026-03-05/2026-03-05": ["YTEL +100 AAPOR", "FEIL +100 KL_KODE_FEIL_ARBYT", "MOTP -100 TBMOTOBS", "YTEL -100 AAPOR"],
            "2026-05-05/2026-05-05": ["YTEL +100 AAPOR"],
        },
    ),
    "an increase that a later run pays is not used": (
        [("2026-07-05", "2026-07-05", 100)],
        [("2026-06-05", "2026-06-05", 100)],
        {
            "2026-06-05/2026-06-05": ["YTEL +100 AAPOR", "FEIL +100 KL_KODE_FEIL_ARBYT", "MOTP -100 TBMOTOBS", "YTEL -100 AAPOR"],
            "2026-07-05/2026-07-05": ["YTEL +100 AAPOR"],
        },
    ),
    "a period never spans a month, and is split where pay differs": (
        [("2026-04-29", "2026-05-02", 10), ("2026-05-03", "2026-05-04", 20)],
        [],
        {
            "2026-04-29/2026-04-30": ["YTEL +20 AAPOR"],
            "2026-05-01/2026-05-02": ["YTEL +20 AAPOR"],
            "2026-05-03/2026-05-04": ["YTEL +40 AAPOR"],
        },
    ),
    "a day without pay ends a period": (
        [("2026-05-04", "2026-05-05", 10), ("2026-05-07", "2026-05-08", 10)],
        [],
        {"2026-05-04/2026-05-05": ["YTEL +20 AAPOR"], "2026-05-07/2026-05-08": ["YTEL +20 AAPOR"]},
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_each_case_of_the_table_gives_its_rows(case: str) -> None:
    new, old, rows = TABLE[case]
    assert periods(new, old) == rows


@pytest.mark.parametrize(
    ("area", "recovery", "adjustment"),
    [("TILLSTPB", "KL_KODE_FEIL_TILLST", "KL_KODE_JUST_TILLST"), ("DP", "KL_KODE_FEIL_ARBYT", "KL_KODE_JUST_ARBYT")],
)
def test_each_group_has_accounts_of_its_own(area: str, recovery: str, adjustment: str) -> None:
    found = periods([("2026-05-06", "2026-05-06", 30)], [("2026-05-05", "2026-05-05", 100)], area=area)
    assert found["2026-05-05/2026-05-05"] == [
        "YTEL +70 AAPOR",
        f"FEIL +70 {recovery}",
        f"FEIL +30 {adjustment}",
        "MOTP -70 TBMOTOBS",
        "YTEL -100 AAPOR",
    ]


def test_an_increase_first_takes_back_what_is_under_recovery() -> None:
    day = date(2026, 5, 5)
    found = periods([("2026-05-05", "2026-05-05", 170)], [("2026-05-05", "2026-05-05", 60)], {Recovery(PERSON, day, "AAPOR"): 90})
    assert found["2026-05-05/2026-05-05"] == [
        "YTEL -90 AAPOR",
        "YTEL +170 AAPOR",
        "FEIL -90 KL_KODE_FEIL_ARBYT",
        "MOTP +90 TBMOTOBS",
        "YTEL -60 AAPOR",
    ]


def test_only_the_classes_that_became_less_are_recovered_from() -> None:
    day = date(2026, 5, 5)

    def at(class_code: str, amount: int) -> DayMoney:
        return DayMoney(day, day, class_code, class_code, "DAG7", PERSON, amount)

    result = reckon([at("A", 50), at("B", 30)], [at("A", 100), at("C", 20)], {}, account_codes("AAP"), RUN)
    assert result.recovered == {Recovery(PERSON, day, "A"): 20, Recovery(PERSON, day, "C"): 20}


def test_another_payee_is_reckoned_for_itself() -> None:
    day = date(2026, 5, 5)
    old = [DayMoney(day, day, "L1", "AAPOR", "DAG7", PERSON, 100)]
    new = [DayMoney(day, day, "L2", "AAPOR", "DAG7", "00987654321", 100)]
    result = reckon(new, old, {}, account_codes("AAP"), RUN)
    assert [(period.payee, period.payout) for period in result.periods] == [("00987654321", 100), (PERSON, 0)]
    assert result.recovered == {Recovery(PERSON, day, "AAPOR"): 100}


@pytest.mark.parametrize(
    ("day", "following"),
    [
        ("2026-06-15", "2026-06-16"),
        ("2026-06-19", "2026-06-22"),
        ("2026-04-01", "2026-04-07"),
        ("2026-04-30", "2026-05-04"),
        ("2026-05-13", "2026-05-15"),
        ("2026-05-22", "2026-05-26"),
        ("2026-12-24", "2026-12-28"),
        ("2026-12-31", "2027-01-04"),
    ],
)
def test_weekends_and_red_days_are_no_bank_days(day: str, following: str) -> None:
    assert next_bank_day(date.fromisoformat(day)) == date.fromisoformat(following)


def test_a_coming_month_is_paid_on_its_day_and_all_before_in_the_next_run() -> None:
    assert due_in_run(date(2026, 5, 1), RUN) == RUN
    assert due_in_run(date(2026, 6, 30), RUN) == RUN
    assert due_in_run(date(2026, 7, 1), RUN) == date(2026, 7, 20)
    assert month_run(date(2026, 9, 3)) == date(2026, 9, 18)


def test_an_order_is_posted_the_bank_day_after_it_was_accepted() -> None:
    oslo = ZoneInfo("Europe/Oslo")
    friday, monday, tuesday = (datetime(2026, 6, day, 23, 30, tzinfo=oslo) for day in (12, 15, 16))
    assert friday < posting_limit(monday.date()) <= monday
    assert not friday < posting_limit(friday.date())
    assert not friday < posting_limit(date(2026, 6, 14))
    assert monday < posting_limit(tuesday.date())


@pytest.mark.parametrize(
    ("moment", "answers"),
    [
        ("2026-06-15T06:00", True),
        ("2026-06-15T05:59", False),
        ("2026-06-15T20:59", True),
        ("2026-06-15T21:00", False),
        ("2026-06-13T12:00", False),
        ("2026-05-14T12:00", False),
        ("2026-05-25T12:00", False),
        ("2026-12-24T12:00", True),
    ],
)
def test_the_rail_answers_in_its_hours_on_bank_days(moment: str, *, answers: bool) -> None:
    local = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("Europe/Oslo"))
    assert is_open(local, time(6), time(21)) is answers
    assert is_open(local, time(0), time.min) is is_bank_day(local.date())
