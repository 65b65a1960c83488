"""Every rule that refuses a payment: its code, its words, the page that explains it (helved §2.9, iverksetting §3.3)."""

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from kvitt.disbursement import refusals
from kvitt.disbursement.derive.micro_chained import NEW_CASE, derive
from kvitt.disbursement.instructions import (
    Decision,
    InstructionKind,
    PaymentInstruction,
    PaymentInstructions,
    broken_case_id,
    broken_decision,
    broken_instruction,
    repeated_payment,
)
from kvitt.disbursement.values import (
    HoldBack,
    Order,
    Period,
    RateType,
    Refusal,
)
from support.strategies import DECISION, MADE_AT, OTHER_PAYMENT, PAYMENT, ceasing, june, paying

D = "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/"
DAY, WEEKDAY, MONTH, ONE_OFF = RateType.DAY, RateType.WEEKDAY, RateType.MONTH, RateType.ONE_OFF
GOOD = paying(june(1, 12, 640))


def spanning(days: int) -> Period:
    start = date(2026, 1, 1)
    return Period(start, date.fromordinal(start.toordinal() + days - 1), 100)


def over_new_year(rate: RateType) -> PaymentInstruction:
    return paying(Period(date(2025, 12, 31), date(2026, 1, 1), 100), rate=rate)


@pytest.mark.parametrize(
    ("instruction", "text", "page"),
    [
        pytest.param(paying(), "Mangler perioder", "#mangler-perioder", id="1"),
        pytest.param(over_new_year(ONE_OFF), "Engangsutbetalinger kan ikke strekke seg over årsskifte", "#engangs-aarsskifte", id="2"),
        pytest.param(
            paying(june(1, 2, 1), june(1, 3, 1)), "Kan ikke sende inn duplikate perioder", "#duplikate-perioder", id="3 equal from"
        ),
        pytest.param(paying(june(1, 3, 1), june(2, 3, 1)), "Kan ikke sende inn duplikate perioder", "#duplikate-perioder", id="3 equal to"),
        pytest.param(paying(june(3, 2, 1)), "Tom må være >= fom", "#ugyldig-periode", id="4"),
        pytest.param(paying(june(1, 5, 1), june(5, 9, 1)), "Perioder kan ikke overlappe", "#overlappende-perioder", id="overlap"),
        pytest.param(
            paying(june(1, 9, 1), june(2, 3, 1)), "Perioder kan ikke overlappe", "#overlappende-perioder", id="one inside another"
        ),
        pytest.param(
            paying(june(1, 5, 1), june(4, 9, 1), rate=ONE_OFF),
            "Perioder kan ikke overlappe",
            "#overlappende-perioder",
            id="one-offs overlap",
        ),
        pytest.param(paying(spanning(1101)), "Utbetalinger kan ikke strekke seg over 1100 dager", "#for-lang-utbetaling", id="5 by day"),
        pytest.param(
            paying(spanning(1101), rate=WEEKDAY),
            "Utbetalinger kan ikke strekke seg over 1100 dager",
            "#for-lang-utbetaling",
            id="5 by weekday",
        ),
        pytest.param(paying(june(1, 2, 1), june(4, 5, 0)), "Beløp må være > 0", "#ugyldig-belop", id="6"),
        pytest.param(
            paying(june(1, 2, 1, office="220")),
            "Feltet betalendeEnhet/kostnadssted må være et enhetsnummer på 4 siffer",
            "#ugyldig-enhet",
            id="office",
        ),
        pytest.param(
            paying(june(1, 2, 1), benefit="FLYTTING_AAP"),
            "Stønad FLYTTING_AAP har ingen klassekode og kan ikke utbetales",
            "#mangler-klassekode",
            id="class code",
        ),
    ],
)
def test_a_payment_that_breaks_a_rule_is_refused_in_the_contracts_words(instruction: PaymentInstruction, text: str, page: str) -> None:
    refusal = Refusal(400, text, f"{D}opprett_utbetaling{page}", "HELVED")
    assert broken_instruction(DECISION, instruction) == refusal
    assert derive(PaymentInstructions(DECISION, (GOOD, replace(instruction, payment_id=OTHER_PAYMENT))), NEW_CASE, MADE_AT) == refusal


@pytest.mark.parametrize(
    ("field", "value", "text", "page"),
    [
        ("case_id", "x" * 31, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
        ("case_id", "", "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
        ("case_id", "  ", "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
        *(
            (field, blank, "Sak-ID og behandling-ID kan ikke begynne eller slutte med blanke tegn", "#ugyldig-sak-id")
            for field in ("case_id", "decision_id")
            for blank in (" 1", "1 ")
        ),
        ("decision_id", "x" * 31, "Behandling-ID må være mellom 1 og 30 tegn", "#ugyldig-behandling-id"),
        ("decision_id", "", "Behandling-ID må være mellom 1 og 30 tegn", "#ugyldig-behandling-id"),
        *(
            ("person", person, "Feltet personident må være 11 siffer (person) eller 9 siffer (organisasjon)", "#ugyldig-personident")
            for person in ("", "0102031234", "010203123456", "0102031234x", "01020312345\n", "٠١٠٢٠٣١٢٣٤٥")
        ),
        *(
            ("caseworker", name, "Feltet saksbehandler må være mellom 1 og 8 tegn", "#ugyldig-saksbehandler")
            for name in ("", " ", "dagpenger")
        ),
        *(("approver", name, "Feltet beslutter må være mellom 1 og 8 tegn", "#ugyldig-beslutter") for name in ("", " ", "dagpenger")),
        ("hold_back", HoldBack(date(2026, 6, 2), date(2026, 6, 1)), "Feltet avvent må ha tom >= fom", "#ugyldig-avvent"),
    ],
)
@pytest.mark.parametrize("instructions", [(GOOD,), ()], ids=["with a payment", "with nothing to pay"])
def test_a_message_that_breaks_a_rule_is_refused_whatever_it_pays(
    instructions: tuple[PaymentInstruction, ...], field: str, value: Any, text: str, page: str
) -> None:
    decision = replace(DECISION, **{field: value})
    refusal = Refusal(400, text, f"{D}opprett_utbetaling{page}", "HELVED")
    assert broken_decision(decision) == refusal
    assert derive(PaymentInstructions(decision, instructions), NEW_CASE, MADE_AT) == refusal


@pytest.mark.parametrize(
    ("decision", "instruction"),
    [
        pytest.param(DECISION, paying(spanning(1100)), id="1100 days"),
        pytest.param(DECISION, paying(spanning(1200), rate=MONTH), id="months may go on"),
        pytest.param(DECISION, over_new_year(WEEKDAY), id="days over new year"),
        pytest.param(DECISION, over_new_year(MONTH), id="months over new year"),
        pytest.param(DECISION, paying(june(1, 1, 1, office="0220")), id="an office"),
        pytest.param(DECISION, paying(june(6, 7, 1), rate=WEEKDAY), id="a weekend"),
        pytest.param(DECISION, paying(june(1, 5, 1), june(6, 9, 1)), id="neighbours"),
        pytest.param(replace(DECISION, case_id="x" * 30, decision_id="x" * 30), GOOD, id="30 characters"),
        pytest.param(replace(DECISION, caseworker="x" * 8, approver="x" * 8), GOOD, id="8 characters"),
        pytest.param(replace(DECISION, person="987654321"), GOOD, id="an organisation"),
        pytest.param(replace(DECISION, hold_back=HoldBack(date(2026, 6, 1), date(2026, 6, 1))), GOOD, id="hold back a day"),
    ],
)
def test_what_just_keeps_the_rules_is_ordered(decision: Decision, instruction: PaymentInstruction) -> None:
    assert broken_instruction(decision, instruction) is None
    orders = derive(PaymentInstructions(decision, (instruction,)), NEW_CASE, MADE_AT)
    assert not isinstance(orders, Refusal)
    assert [type(order) for order in orders] == [Order]


WORST = replace(DECISION, case_id="", decision_id="", person="", caseworker="", approver="")
FIRST_BROKEN: list[tuple[Decision, PaymentInstruction, Refusal]] = [
    (WORST, paying(rate=ONE_OFF), refusals.NO_PERIODS),
    (
        WORST,
        paying(Period(date(2025, 6, 2), date(2025, 6, 1), 0, "x"), Period(date(2025, 6, 2), date(2026, 1, 1), 0), rate=ONE_OFF),
        refusals.ONE_OFF_ACROSS_YEARS,
    ),
    (WORST, paying(june(2, 1, 0), june(2, 9, 0)), refusals.DUPLICATE_PERIODS),
    (WORST, paying(june(1, 9, 0), june(3, 2, 0)), refusals.END_BEFORE_START),
    (WORST, paying(replace(spanning(1101), amount=0), june(2, 3, 0)), refusals.OVERLAP),
    (WORST, paying(replace(spanning(1101), amount=0)), refusals.TOO_LONG),
    (WORST, paying(june(1, 1, 0, office="x")), refusals.ZERO_AMOUNT),
    (WORST, paying(june(1, 1, 1, office="x")), refusals.BAD_CASE_ID),
    (replace(WORST, case_id="1"), paying(june(1, 1, 1, office="x")), refusals.BAD_DECISION_ID),
    (replace(WORST, case_id="1", decision_id="1"), paying(june(1, 1, 1, office="x")), refusals.BAD_PERSON),
    (DECISION, paying(june(1, 1, 1, office="x"), benefit="FLYTTING_AAP"), refusals.BAD_OFFICE),
]


@pytest.mark.parametrize(("decision", "instruction", "first"), FIRST_BROKEN)
def test_of_many_broken_rules_the_first_of_the_contract_is_reported(
    decision: Decision, instruction: PaymentInstruction, first: Refusal
) -> None:
    assert broken_instruction(decision, instruction) == first


@pytest.mark.parametrize("kind", [InstructionKind.CEASE, InstructionKind.CEASE_STORED])
def test_a_cessation_needs_no_periods(kind: InstructionKind) -> None:
    assert broken_instruction(DECISION, replace(ceasing(), kind=kind)) is None
    assert broken_instruction(WORST, replace(ceasing(), kind=kind)) == refusals.BAD_CASE_ID


def test_a_payment_named_twice_is_refused_even_with_equal_content() -> None:
    refusal = Refusal(400, "Samme utbetaling (id) kan bare forekomme én gang i en melding", f"{D}opprett_utbetaling#duplikat-id")
    assert repeated_payment((GOOD, GOOD)) == refusal
    assert repeated_payment((GOOD, paying(june(1, 1, 1), of=OTHER_PAYMENT))) is None
    assert derive(PaymentInstructions(DECISION, (GOOD, GOOD)), NEW_CASE, MADE_AT) == refusal


def test_nothing_is_there_to_cease() -> None:
    refusal = Refusal(404, f"previous utbetaling for {PAYMENT}", "https://helved-docs.ansatt.dev.nav.no")
    for kind in (InstructionKind.CEASE, InstructionKind.CEASE_STORED):
        assert derive(PaymentInstructions(DECISION, (replace(ceasing(), kind=kind),)), NEW_CASE, MADE_AT) == refusal


@pytest.mark.parametrize(("case_id", "good"), [("1", True), ("x" * 30, True), ("x" * 31, False), ("", False), (" ", False), ("1 ", False)])
def test_case_ids(case_id: str, good: bool) -> None:
    assert (broken_case_id(case_id) is None) is good
