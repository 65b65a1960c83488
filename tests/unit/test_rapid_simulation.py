"""Answers about simulations on the rapid and over HTTP: three keys, four statuses, and the service's own forms."""

import json
from typing import Any

import pytest

from kvitt.contracts.rapid.wire.simulation import AGAIN, HttpAnswer, http_answer, solution
from kvitt.disbursement.simulation import FailureReason, NothingComputed, SimulationFailure, SimulationOutcome
from kvitt.rails.oppdrag.simulation_answer import read_simulation
from support import simulation_answers as answers
from support.simulation_answers import Of, Row

CLOSED = (503, "Service Unavailable", "OPPDRAG_UR_ER_STENGT", "Oppdrag/UR er stengt")


def technical(why: str) -> tuple[int, str, str, str]:
    detail = f"Uventet feil: {why}"
    return 500, detail, "TEKNISK_FEIL", f"Feil fra Spenn Simulering (http 500): {detail}"


def functional(why: str) -> tuple[int, str, str, str]:
    detail = f"Simulering feilet på grunn av funksjonell feil. {why}"
    return 400, detail, "FUNKSJONELL_FEIL", f"Feil i requesten vår til Spenn Simulering: {detail}"


def both(outcome: SimulationOutcome) -> tuple[int, str, str, str]:
    """Status and detail over HTTP, status and text on the rapid."""
    over_http, said = http_answer(outcome, "c-1"), json.loads(solution(outcome))
    assert list(said) == ["status", "feilmelding", "simulering"]
    assert said["simulering"] is None
    problem = json.loads(over_http.body)
    assert problem["status"] == over_http.status
    return over_http.status, problem["detail"], said["status"], said["feilmelding"]


FULL = answers.computed(
    (
        "2024-03-01",
        "2024-03-31",
        [
            Of(
                [
                    Row(
                        "2024-03-04",
                        "21750.99",
                        class_code="SPREFAG-IOP",
                        end="2024-03-22",
                        rate="1450.50",
                        rate_type="DAG",
                        count="15.00",
                        grade="80",
                    )
                ],
                area="SPREF",
                case_id="KV5R2WQ7",
                recipient="00987654321",
                due_on="2024-04-05",
            )
        ],
    ),
    total="21750.99",
    computed_on="2024-03-20",
)


def test_a_simulation_is_told_as_the_service_tells_it() -> None:
    found: Any = read_simulation(200, FULL)
    body = {
        "gjelderId": "01020312345",
        "gjelderNavn": "ÅSE BØ",
        "datoBeregnet": "2024-03-20",
        "totalBelop": 21750,
        "periodeList": [
            {
                "fom": "2024-03-01",
                "tom": "2024-03-31",
                "utbetaling": [
                    {
                        "fagSystemId": "KV5R2WQ7",
                        "utbetalesTilId": "987654321",
                        "utbetalesTilNavn": "ÅSE BØ",
                        "forfall": "2024-04-05",
                        "feilkonto": False,
                        "detaljer": [
                            {
                                "faktiskFom": "2024-03-04",
                                "faktiskTom": "2024-03-22",
                                "konto": "2338020",
                                "belop": 21750,
                                "tilbakeforing": False,
                                "sats": 1450.5,
                                "typeSats": "DAG",
                                "antallSats": 15,
                                "uforegrad": 80,
                                "klassekode": "SPREFAG-IOP",
                                "klassekodeBeskrivelse": "Beskrivelse & mer",
                                "utbetalingsType": "YTEL",
                                "refunderesOrgNr": "",
                            }
                        ],
                    }
                ],
            }
        ],
    }
    over_http = http_answer(found, "c-1")
    assert (over_http.status, over_http.content_type) == (200, "application/json")
    assert json.loads(over_http.body) == body
    assert list(json.loads(over_http.body)["periodeList"][0]["utbetaling"][0]["detaljer"][0]) == list(
        body["periodeList"][0]["utbetaling"][0]["detaljer"][0]
    )
    assert json.loads(solution(found)) == {"status": "OK", "feilmelding": None, "simulering": body}


def test_a_rate_is_written_with_a_point() -> None:
    assert b'"sats":1450.0,' in solution(read_simulation(200, FULL.replace(b"1450.50", b"1450.00")))


def test_a_simulation_without_periods_is_told_with_an_empty_list() -> None:
    assert json.loads(http_answer(read_simulation(200, answers.computed()), "c-1").body)["periodeList"] == []


@pytest.mark.parametrize("answer", [answers.empty(), answers.empty("Ingenting å beregne")])
def test_that_nothing_would_change_is_ok_with_nulls_and_a_204(answer: bytes) -> None:
    found = read_simulation(200, answer)
    assert isinstance(found, NothingComputed)
    assert http_answer(found, "c-1") == HttpAnswer(204)
    assert solution(found) == b'{"status":"OK","feilmelding":null,"simulering":null}'


OF_THE_CONTRACT = [
    (500, answers.business("UTBETALES-TIL-ID er ikke utfylt"), functional("UTBETALES-TIL-ID er ikke utfylt")),
    (200, answers.business("Oppdraget finnes fra før", time="2026-01-15T10:11:12.123456"), functional("Oppdraget finnes fra før")),
    (
        500,
        answers.business("Oppdraget finnes fra før", time="2026-01-15T10:11:12Z"),
        functional("SOAP fault: SOAP-ENV:Server - simulerBeregningFeilUnderBehandling"),
    ),
    (
        500,
        answers.business("Oppdraget finnes fra før", time="15.01.2026"),
        functional("SOAP fault: SOAP-ENV:Server - simulerBeregningFeilUnderBehandling"),
    ),
    (
        500,
        answers.business("Oppdraget finnes fra før", more="<errorType>x</errorType>"),
        functional("SOAP fault: SOAP-ENV:Server - simulerBeregningFeilUnderBehandling"),
    ),
    (
        500,
        answers.business("Oppdraget finnes fra før", more="<rootCause>twice</rootCause>"),
        functional("SOAP fault: SOAP-ENV:Server - simulerBeregningFeilUnderBehandling"),
    ),
    (500, answers.fault("Personen finnes ikke"), functional("SOAP fault: SOAP-ENV:Server - Personen finnes ikke")),
    (500, answers.AUTHENTICATION, functional("SOAP fault: wsse:FailedAuthentication - Authentication failed")),
    (
        500,
        answers.fault("The target application did not create a new SOAP Body", "<detail/>"),
        functional("SOAP fault: SOAP-ENV:Server - The target application did not create a new SOAP Body"),
    ),
    (500, answers.cics("Conversion from SOAP failed", answers.CICS_LENGTH), technical(answers.CICS_LENGTH)),
    (500, answers.cics("Conversion to SOAP failed", answers.CICS_LOCKED), technical(answers.CICS_LOCKED)),
    (502, answers.PAGE, technical("Klarte ikke tolke SOAP-responsen")),
    (503, answers.PAGE, technical("Klarte ikke tolke SOAP-responsen")),
    (200, answers.PAGE, technical("Klarte ikke tolke SOAP-responsen")),
    (200, b"no XML", technical("Klarte ikke tolke SOAP-responsen")),
    (200, answers.soap("<something/>"), technical("Klarte ikke tolke SOAP-responsen")),
    (200, answers.soap("").replace(b"Body", b"Elsewhere"), technical("SOAP Body er null")),
    (200, b"", CLOSED),
    (200, FULL.replace(b"2024-04-05", b"          "), technical("forfall mangler")),
    (200, FULL.replace(b"<datoBeregnet>2024-03-20", b"<datoBeregnet>"), technical("Klarte ikke tolke SOAP-responsen")),
]
"""What the rail answers, and what is said of it (rapid §5.4)."""


@pytest.mark.parametrize(("status", "answer", "expected"), OF_THE_CONTRACT)
def test_each_answer_of_the_rail_is_told_by_the_contracts_table(status: int, answer: bytes, expected: tuple[int, str, str, str]) -> None:
    """The table of rapid §5.4."""
    assert both(read_simulation(status, answer)) == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (FailureReason.CLOSED, CLOSED),
        (FailureReason.UNREACHABLE, CLOSED),
        (FailureReason.TIMED_OUT, CLOSED),
        (FailureReason.BROKEN_OFF, CLOSED),
        (FailureReason.NO_TOKEN, CLOSED),
        (FailureReason.NOT_ASKED, functional("why")),
    ],
)
def test_who_does_not_answer_is_closed_and_what_can_not_be_asked_is_refused_with_the_reason(
    reason: FailureReason, expected: tuple[int, str, str, str]
) -> None:
    assert both(SimulationFailure(reason, "why")) == expected


@pytest.mark.parametrize("reason", FailureReason)
def test_every_reason_is_told(reason: FailureReason) -> None:
    assert both(SimulationFailure(reason, "why"))[0] in ((409,) if reason is FailureReason.ORDER_OPEN else (400, 500, 503))


def test_a_case_with_an_open_order_is_a_conflict_over_http_and_no_fault_of_the_question_on_the_rapid() -> None:
    published = both(SimulationFailure(FailureReason.ORDER_OPEN, "Saken har et åpent oppdrag"))
    assert published == (
        409,
        "Saken har et åpent oppdrag",
        "FUNKSJONELL_FEIL",
        "Feil i requesten vår til Spenn Simulering: Simulering feilet på grunn av funksjonell feil. Saken har et åpent oppdrag",
    )


def test_a_problem_has_the_services_members() -> None:
    over_http = http_answer(SimulationFailure(FailureReason.NOT_ASKED, "why"), "c-1")
    assert over_http.content_type == "application/problem+json"
    assert json.loads(over_http.body) == {
        "type": "urn:error:bad_request",
        "title": "Bad Request",
        "status": 400,
        "detail": "Simulering feilet på grunn av funksjonell feil. why",
        "instance": "/api/simulering",
        "callId": "c-1",
        "stacktrace": None,
    }


def test_only_technical_failures_are_asked_about_again_three_times() -> None:
    assert AGAIN.waits_seconds == (0.5, 1.5, 3.0)
    asked_again = [
        AGAIN.after(read_simulation(status, answer))
        for status, answer in [
            (502, answers.PAGE),
            (500, answers.cics("Conversion to SOAP failed", "DFHPI1008")),
            (200, FULL),
            (200, answers.empty()),
            (500, answers.business("Oppdraget finnes fra før")),
            (200, b""),
        ]
    ]
    assert asked_again == [True, True, False, False, False, False]
