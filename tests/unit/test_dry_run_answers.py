"""Answers to dry runs of the case streams: the rail's word in the form that each scheme reads, or the contract's refusal."""

import json
from datetime import date
from typing import Any

import pytest

from kvitt.contracts.helved.dry_run import answer, encode_no_change, refusal_of
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.simulation import FailureReason, NothingComputed, Simulation, SimulationFailure
from kvitt.disbursement.values import Refusal, Scheme
from kvitt.rails.oppdrag.simulation_answer import read_simulation
from support import simulation_answers as answers
from support.simulation_answers import Of, Row

TODAY = date(2026, 1, 15)
SCHEMES = (Scheme.TILTAKSPENGER, Scheme.TILLEGGSSTONADER, Scheme.AAP, Scheme.DAGPENGER)
CLOSED = Refusal(502, "simulering stengt, tilgjengelig man-fre kl 6-21", BASE)
UNEXPECTED = Refusal(500, "Result.catch failed with an unknown throwable", BASE)


def simulation(*rows: Row, **of: str) -> Simulation:
    found = read_simulation(200, answers.computed(("2026-01-05", "2026-01-05", [Of(rows, **of)])))
    assert isinstance(found, Simulation)
    return found


def example() -> Simulation:
    found = read_simulation(200, answers.EXAMPLE)
    assert isinstance(found, Simulation)
    return found


def decoded(scheme: Scheme, of: Simulation) -> Any:
    found = answer(scheme, of, TODAY)
    assert isinstance(found, bytes)
    return json.loads(found)


def test_the_contracts_example_by_month() -> None:
    """helved §5.2: 500 a day was paid, and the decision is lowered to 300."""

    def row(amount: int, kind: str, code: str) -> dict[str, Any]:
        return {"fagområde": "TILTPENG", "sakId": "202601051001", **days, "beløp": amount, "type": kind, "klassekode": code}

    days = {"fom": "2026-01-05", "tom": "2026-01-05"}
    assert decoded(Scheme.TILTAKSPENGER, example()) == {
        "@type": "v1",
        "oppsummeringer": [
            {**days, "tidligereUtbetalt": 500, "nyUtbetaling": 300, "totalEtterbetaling": 0, "totalFeilutbetaling": 200},
        ],
        "detaljer": {
            "gjelderId": "01020312345",
            "datoBeregnet": "2026-01-15",
            "totalBeløp": 0,
            "perioder": [
                {
                    **days,
                    "posteringer": [
                        row(200, "YTELSE", "TPTPATT"),
                        row(300, "YTELSE", "TPTPATT"),
                        row(200, "FEILUTBETALING", "KL_KODE_FEIL_ARBYT"),
                        row(-200, "MOTPOSTERING", "TBMOTOBS"),
                        row(-500, "YTELSE", "TPTPATT"),
                    ],
                }
            ],
        },
    }


def test_the_contracts_example_by_payment_calls_minus_what_was_too_much_the_new_amount() -> None:
    found = decoded(Scheme.DAGPENGER, example())
    (period,) = found["perioder"]
    (payment,) = period["utbetalinger"]
    assert found["@type"] == "v2"
    assert (payment["tidligereUtbetalt"], payment["nyttBeløp"]) == (500, -200)
    assert list(payment) == ["fagsystem", "sakId", "utbetalesTil", "stønadstype", "tidligereUtbetalt", "nyttBeløp", "posteringer"]
    assert payment["fagsystem"] == "TILTAKSPENGER"
    assert payment["stønadstype"] == "ARBEIDSTRENING"
    assert payment["posteringer"][2] == {
        "fom": "2026-01-05",
        "tom": "2026-01-05",
        "beløp": 200,
        "type": "FEIL",
        "klassekode": "KL_KODE_FEIL_ARBYT",
    }


def test_of_a_raise_the_new_amount_by_payment_is_the_difference() -> None:
    """iverksetting §4.3: JUST is no recovery."""
    found = decoded(
        Scheme.AAP,
        simulation(Row("2026-01-05", "280.00"), Row("2026-01-05", "-470.00"), Row("2026-01-05", "190", "FEIL", "KL_KODE_JUST_ARBYT")),
    )
    payment = found["perioder"][0]["utbetalinger"][0]
    assert (payment["tidligereUtbetalt"], payment["nyttBeløp"]) == (470, -190)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("kind", "by_month"),
    [
        ("YTEL", "YTELSE"),
        ("FEIL", "FEILUTBETALING"),
        ("SKAT", "FORSKUDSSKATT"),
        ("JUST", "JUSTERING"),
        ("TREK", "TREKK"),
        ("MOTP", "MOTPOSTERING"),
    ],
)
def test_each_kind_of_row_has_its_word(scheme: Scheme, kind: str, by_month: str) -> None:
    found = decoded(scheme, simulation(Row("2026-01-05", "1.00", kind, "X")))
    if found["@type"] == "v1":
        assert found["detaljer"]["perioder"][0]["posteringer"][0]["type"] == by_month
    else:
        assert found["perioder"][0]["utbetalinger"][0]["posteringer"][0]["type"] == kind


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_row_of_no_known_kind_fits_no_form(scheme: Scheme) -> None:
    assert answer(scheme, simulation(Row("2026-01-05", "1.00", "NEWK")), TODAY) == UNEXPECTED


@pytest.mark.parametrize(
    ("area", "code", "name", "benefit"),
    [
        ("AAP", "AAPOR", "AAP", "AAP_UNDER_ARBEIDSAVKLARING"),
        ("DP", "DAGPENGER", "DAGPENGER", "DAGPENGER"),
        ("TILLSTDR", "NOBODY", "TILLSTDR", None),
        ("TILLST", "TSDRASISP4-OP", "TILLEGGSSTØNADER", None),
    ],
    ids=["aap", "dp", "a class code of no benefit", "a class code of several"],
)
def test_a_payment_is_named_by_its_area_and_its_one_benefit(area: str, code: str, name: str, benefit: str | None) -> None:
    payment = decoded(Scheme.AAP, simulation(Row("2026-01-05", "1.00", class_code=code), area=area))["perioder"][0]["utbetalinger"][0]
    assert (payment["fagsystem"], payment["stønadstype"]) == (name, benefit)


def test_without_pay_there_is_no_benefit_and_what_is_in_no_area_of_ours_has_no_name_by_payment() -> None:
    without = decoded(Scheme.AAP, simulation(Row("2026-01-05", "-1.00", "SKAT", "FSKTSKAT"), area="AAP"))
    assert without["perioder"][0]["utbetalinger"][0]["stønadstype"] is None
    assert decoded(Scheme.AAP, simulation(Row("2026-01-05", "1.00"), area="UFOREUT"))["perioder"][0]["utbetalinger"] == []


def test_back_pay_is_for_days_that_have_come() -> None:
    new = simulation(Row("2026-01-05", "830.00"))
    for today, back_pay in ((date(2026, 1, 4), 0), (date(2026, 1, 5), 830)):
        found = answer(Scheme.TILTAKSPENGER, new, today)
        assert isinstance(found, bytes)
        assert json.loads(found)["oppsummeringer"][0]["totalEtterbetaling"] == back_pay


@pytest.mark.parametrize("outcome", [NothingComputed(), NothingComputed("Ingenting"), read_simulation(200, answers.computed())])
def test_an_empty_answer_is_an_info_by_month_and_no_periods_by_payment(outcome: Any) -> None:
    for scheme in (Scheme.AAP, Scheme.DAGPENGER):
        assert answer(scheme, outcome, TODAY) == b'{"@type":"v2","perioder":[]}'
    for scheme in (Scheme.TILTAKSPENGER, Scheme.TILLEGGSSTONADER):
        found = answer(scheme, outcome, TODAY)
        assert isinstance(found, bytes)
        said, unchanged = json.loads(found), json.loads(encode_no_change(scheme))
        assert list(said) == ["@type", "status", "fagsystem", "message"]
        assert {**said, "message": ""} == {"@type": "info", "status": "OK_UTEN_ENDRING", "fagsystem": scheme.value, "message": ""}
        assert said["message"] != unchanged["message"]


DOC = f"{BASE}/async/kom_i_gang/simuler_en_utbetaling#personen-finnes-ikke"
EMPTY_BODY = "Simulering er midlertidig utilgjengelig: Oppdragssystemet (OS) returnerte en tom SOAP Body. Prøv igjen senere."


OF_THE_CONTRACT = [
    (500, answers.business("UTBETALES-TIL-ID er ikke utfylt"), Refusal(422, "UTBETALES-TIL-ID er ikke utfylt", BASE)),
    (500, answers.business("Oppdraget finnes fra før"), Refusal(422, "Oppdraget finnes fra før", BASE)),
    (500, answers.business("Personen finnes ikke i PDL"), Refusal(422, "Personen finnes ikke i PDL", BASE)),
    (500, answers.cics("Conversion from SOAP failed", answers.CICS_LENGTH), Refusal(400, answers.CICS_LENGTH, BASE)),
    (500, answers.fault("Personen finnes ikke"), Refusal(404, "Personen finnes ikke", DOC)),
    (500, answers.fault("The target application did not create a new SOAP Body", "<detail/>"), Refusal(503, EMPTY_BODY, BASE)),
    (
        500,
        answers.fault("Noe annet", "<detail><a><b>c</b><d><e>f</e></d></a><g>h</g></detail>"),
        Refusal(
            400,
            "ukjent soap feil fra Oppdragssystemet (OS): "
            "Fault(faultcode=SOAP-ENV:Server, faultstring=Noe annet, detail={a={b=c, d={e=f}}, g=h})",
            BASE,
        ),
    ),
    (
        200,
        answers.AUTHENTICATION,
        Refusal(
            400,
            "ukjent soap feil fra Oppdragssystemet (OS): "
            "Fault(faultcode=wsse:FailedAuthentication, faultstring=Authentication failed, detail={})",
            BASE,
        ),
    ),
    (502, answers.PAGE, CLOSED),
    (503, answers.PAGE, UNEXPECTED),
    (200, answers.EXAMPLE[:-40], UNEXPECTED),
    (200, b"", UNEXPECTED),
    (200, answers.soap("<something/>"), UNEXPECTED),
]
"""What the rail answers, and the refusal that it is (helved §4.8)."""


@pytest.mark.parametrize(("status", "said", "refusal"), OF_THE_CONTRACT)
def test_each_answer_that_is_no_simulation_is_the_contracts_refusal(status: int, said: bytes, refusal: Refusal) -> None:
    """The table of helved §4.8."""
    outcome = read_simulation(status, said)
    assert isinstance(outcome, SimulationFailure)
    assert answer(Scheme.AAP, outcome, TODAY) == refusal


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [
        (FailureReason.NOT_ASKED, Refusal(422, "why", BASE)),
        (FailureReason.CLOSED, CLOSED),
        (FailureReason.TIMED_OUT, UNEXPECTED),
        (FailureReason.UNREACHABLE, UNEXPECTED),
        (FailureReason.BROKEN_OFF, UNEXPECTED),
        (FailureReason.NO_TOKEN, UNEXPECTED),
    ],
)
def test_what_was_not_asked_says_why_and_who_does_not_answer_is_closed_only_outside_the_hours(
    reason: FailureReason, refusal: Refusal
) -> None:
    assert refusal_of(SimulationFailure(reason, "why")) == refusal


@pytest.mark.parametrize("reason", FailureReason)
def test_every_reason_has_a_refusal(reason: FailureReason) -> None:
    assert refusal_of(SimulationFailure(reason, "why")).status >= 400
