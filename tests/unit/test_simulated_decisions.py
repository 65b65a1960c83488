"""What callers hear of a decision that the rail did not simulate, and which of its rows they are shown (iverksetting §4.1, §4.7)."""

import json
from datetime import UTC, date, datetime

import pytest

from kvitt.contracts.iverksetting.answers import EnactmentStatus, StatusDocument
from kvitt.contracts.iverksetting.call import EnactmentCall
from kvitt.contracts.iverksetting.decision import DecisionForm, EnactmentKey, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms
from kvitt.contracts.iverksetting.simulated import SOURCE_OF, SimulatedDecisions, answered
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.events import MessageInProgress, SimulationEnded
from kvitt.disbursement.simulation import (
    FailureReason,
    NothingComputed,
    SimulatedKind,
    SimulatedPayment,
    SimulatedPeriod,
    SimulatedPosting,
    Simulation,
    SimulationFailure,
    SimulationOutcome,
)
from kvitt.disbursement.values import Scheme
from kvitt.kernel.money import Kroner

NOW, DAY = datetime(2026, 7, 1, 10, tzinfo=UTC), date(2026, 7, 1)
PERSON = "01820390012"
THIRD, SECOND = Generation.THIRD, Generation.SECOND


def said(outcome: SimulationOutcome, generation: Generation = THIRD) -> tuple[int, bytes]:
    """Status and body of what the caller hears once the rail has answered."""
    by = Authority(application="ts-sak")
    call = EnactmentCall(ReadingTerms(DecisionForm.SIMULATED, generation), by)
    waiting = StatusDocument("S1", EnactmentKey("B1"), EnactmentStatus.NOT_BEGUN, person=PERSON).encode()
    message = MessageInProgress(
        message_no=1,
        source=SOURCE_OF[Scheme.TILLEGGSSTONADER],
        partition=0,
        position=1,
        key=b"seen",
        headers=call.headers.encode(),
        scheme=Scheme.TILLEGGSSTONADER,
        body=b"",
        received_at=NOW,
        edition=1,
        answer=waiting,
        last_at=NOW,
    )
    kept = SimulatedDecisions().reply(SimulationEnded(outcome, "S1", DAY), message, NOW).answer
    assert kept is not None
    status, body = answered(kept, generation)
    return status, body.body


@pytest.mark.parametrize(
    ("failure", "status", "text"),
    [
        (SimulationFailure(FailureReason.PERSON_UNKNOWN, "Personen finnes ikke i PDL"), 404, "Personen finnes ikke i PDL"),
        (SimulationFailure(FailureReason.INVALID, "DATO er ugyldig"), 400, "DATO er ugyldig"),
        (SimulationFailure(FailureReason.NEEDS_NEW_DECISION, "Må ha nytt vedtak"), 400, "Må ha nytt vedtak"),
        (SimulationFailure(FailureReason.CASE_UNKNOWN, "x", by_rule=True), 404, "SakId ikke funnet"),
        (
            SimulationFailure(FailureReason.LINE_UNKNOWN, "x", by_rule=True),
            404,
            "Endret utbetalingsperiode refererer ikke til en eksisterende utbetalingsperiode",
        ),
        (SimulationFailure(FailureReason.ORDER_EXISTS, "x", by_rule=True), 409, "Utbetaling med SakId/BehandlingId finnes fra før"),
        (SimulationFailure(FailureReason.LINE_EXISTS, "x", by_rule=True), 409, "Utbetaling med DeltytelsesId finnes fra før"),
        (SimulationFailure(FailureReason.BROKEN_RULE, "Feil i linje", by_rule=True), 422, "Feil i linje"),
        (SimulationFailure(FailureReason.UNKNOWN_ANSWER, "x"), 502, "Ukjent svar fra Oppdragssystemet"),
        (SimulationFailure(FailureReason.UNREADABLE, "x"), 502, "Ugyldig respons fra Oppdragssystemet"),
        (SimulationFailure(FailureReason.PROXY_CLOSED, "x"), 502, "simulering stengt, tilgjengelig man-fre kl 6-21"),
        (SimulationFailure(FailureReason.LOCKED, "x"), 503, "Simulering er midlertidig utilgjengelig. Prøv igjen senere."),
        (SimulationFailure(FailureReason.OUR_FAULT, "secret"), 500, "Ukjent feil, helved er varslet."),
    ],
)
def test_each_failure_has_its_status_and_words(failure: SimulationFailure, status: int, text: str) -> None:
    found, body = said(failure)
    assert (found, json.loads(body)["statusCode"], json.loads(body)["msg"]) == (status, status, text)


@pytest.mark.parametrize("reason", list(FailureReason))
def test_no_failure_is_without_an_answer(reason: FailureReason) -> None:
    for generation in Generation:
        status, _ = said(SimulationFailure(reason, "words"), generation)
        assert 400 <= status <= 503


def test_the_second_generation_is_closed_with_its_own_status() -> None:
    closed = said(SimulationFailure(FailureReason.CLOSED, "x"), SECOND)
    assert closed == (503, b'"simulering stengt, tilgjengelig man-fre kl 6-21"')


def test_an_answer_that_holds_nothing_names_the_person_and_no_period() -> None:
    status, body = said(NothingComputed())
    details = {"gjelderId": PERSON, "datoBeregnet": "2026-07-01", "totalBeløp": 0, "perioder": []}
    assert (status, json.loads(body)) == (200, {"oppsummeringer": [], "detaljer": details})


def row(amount: int, code: str = "TSTBASISP4-OP", raw_kind: str = "YTEL", kind: SimulatedKind = SimulatedKind.PAY) -> SimulatedPosting:
    return SimulatedPosting(date(2026, 6, 1), date(2026, 6, 5), Kroner(amount), kind, raw_kind, code)


def simulation(*payments: SimulatedPayment) -> Simulation:
    return Simulation(PERSON, DAY, Kroner(999), (SimulatedPeriod(date(2026, 6, 1), date(2026, 6, 5), payments),))


def test_rows_of_the_schemes_areas_are_shown_and_an_emptied_period_stays() -> None:
    _, body = said(
        simulation(
            SimulatedPayment("TILLST", "S1", PERSON, (row(700), row(-300))),
            SimulatedPayment("TILLST", "S2", PERSON, (row(5000),)),
            SimulatedPayment("MTSTAREN", "A9", PERSON, (row(40),)),
            SimulatedPayment("DP", "S1", PERSON, (row(800),)),
            SimulatedPayment("PENAP", "P1", PERSON, (row(900),)),
        )
    )
    found = json.loads(body)
    (period,) = found["detaljer"]["perioder"]
    assert [(each["fagområde"], each["sakId"], each["beløp"]) for each in period["posteringer"]] == [
        ("TILLEGGSSTØNADER", "S1", 700),
        ("TILLEGGSSTØNADER", "S1", -300),
        ("TILLEGGSSTØNADER_ARENA_MANUELL_POSTERING", "A9", 40),
    ]
    assert found["detaljer"]["totalBeløp"] == 999
    assert [*found["oppsummeringer"][0].values()] == ["2026-06-01", "2026-06-05", 300, 740, 440, 0]
    _, others = said(simulation(SimulatedPayment("DP", "S1", PERSON, (row(800),))))
    assert [each["posteringer"] for each in json.loads(others)["detaljer"]["perioder"]] == [[]]


def test_a_row_of_a_kind_that_the_form_has_not_is_a_failure() -> None:
    assert said(simulation(SimulatedPayment("TILLST", "S1", PERSON, (row(1, raw_kind="NYTT", kind=SimulatedKind.OTHER),))))[0] == 500
