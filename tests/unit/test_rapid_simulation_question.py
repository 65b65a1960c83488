"""Questions about simulations: which needs and requests are some, what they ask, and everything that can be wrong with them."""

import json
from collections.abc import Callable
from datetime import date, datetime
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.rapid.derive import forwarded_order
from kvitt.contracts.rapid.needs import Need, NeedKind, NeedLine
from kvitt.contracts.rapid.wire.simulation import problem as problem_over_http
from kvitt.contracts.rapid.wire.simulation import solution
from kvitt.contracts.rapid.wire.simulation_question import CLASS_CODES, InvalidQuestion, read_need, read_request
from kvitt.disbursement.values import LineChange
from kvitt.errors import Undecodable
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.simulation_request import encode_simulation
from support.tried import tried

Json = dict[str, Any]

LINE = NeedLine(
    start=date(2024, 3, 4),
    end=date(2024, 3, 22),
    change=LineChange.NEW,
    amount=Kroner(1450),
    rate="DAG",
    line_id=1,
    ref_line=None,
    ref_case=None,
    class_code="SPREFAG-IOP",
    class_from=None,
    ceased_from=None,
    ceased=False,
    grade=80,
)


def asked() -> Json:
    """A need, as its sender writes it."""
    line = {
        "satstype": "DAG",
        "sats": 1450,
        "fom": "2024-03-04",
        "tom": "2024-03-22",
        "grad": 80,
        "delytelseId": 1,
        "endringskode": "NY",
        "klassekode": "SPREFAG-IOP",
        "statuskode": "OPPH",
        "sjekksum": 4711,
    }
    section = {
        "mottaker": "987654321",
        "saksbehandler": "Kari Utbetaler",
        "maksdato": "2024-12-13",
        "fagområde": "SPREF",
        "fagsystemId": "KV5R2WQ7NZEXDJTLMBY4HGASCU",
        "endringskode": "ENDR",
        "linjer": [line],
    }
    return {
        "@event_name": "behov",
        "@behov": ["Simulering", "Godkjenning"],
        "@id": "0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11",
        "organisasjonsnummer": "987654321",
        "fødselsnummer": "24068715888",
        "Simulering": section,
    }


def requested() -> Json:
    """The contract's request (rapid §5.2)."""
    line = {
        "endringskode": "NY",
        "fom": "2024-03-04",
        "tom": "2024-03-22",
        "satstype": "DAGLIG",
        "sats": 1450,
        "grad": 80,
        "delytelseId": 1,
        "refDelytelseId": None,
        "refFagsystemId": None,
        "klassekode": "REFUSJON_IKKE_OPPLYSNINGSPLIKTIG",
        "klassekodeFom": None,
        "opphørerFom": None,
    }
    order = {
        "fagområde": "ARBEIDSGIVERREFUSJON",
        "fagsystemId": "KV5R2WQ7NZEXDJTLMBY4HGASCU",
        "endringskode": "ENDRET",
        "mottakerAvUtbetalingen": "987654321",
        "linjer": [line],
    }
    return {"fødselsnummer": "24068715888", "oppdrag": order, "maksdato": "2024-12-13", "saksbehandler": "Kari Utbetaler"}


def changed(document: Json, path: str, value: Any) -> bytes:
    """The document with another value at a path; `...` takes the member away."""
    *parents, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place: Any = document
    for step in parents:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document).encode()


def of(found: Need | InvalidQuestion | None) -> Need:
    assert isinstance(found, Need), found
    return found


def problems(found: Need | InvalidQuestion | None) -> tuple[str, ...]:
    assert isinstance(found, InvalidQuestion), found
    return found.problems


MEANT = Need(
    kind=NeedKind.PAYMENT,
    person="24068715888",
    organisation="987654321",
    payment_id="",
    case_id="KV5R2WQ7NZEXDJTLMBY4HGASCU",
    area="SPREF",
    change=LineChange.CHANGE,
    caseworker="Kari Utbetaler",
    recipient="987654321",
    last_day=date(2024, 12, 13),
    lines=(LINE,),
)


def test_a_need_is_read_and_what_it_says_besides_does_not_count() -> None:
    assert of(read_need(json.dumps(asked()).encode())) == MEANT
    assert of(read_need(json.dumps(asked(), ensure_ascii=False).encode())) == MEANT


def test_a_request_asks_the_same_in_words_of_its_own() -> None:
    found = of(read_request(json.dumps(requested()).encode()))
    assert found == Need(**{**{name: getattr(MEANT, name) for name in MEANT.__struct_fields__}, "organisation": ""})


def test_both_ask_the_rail_the_same() -> None:
    at = datetime(2024, 3, 20, 12)  # noqa: DTZ001 - Oslo local time by definition
    need, request = of(read_need(json.dumps(asked()).encode())), of(read_request(json.dumps(requested()).encode()))
    assert encode_simulation(forwarded_order(need, 1, 0, at)) == encode_simulation(forwarded_order(request, 1, 0, at))


@pytest.mark.parametrize("name", CLASS_CODES)
def test_each_class_code_can_be_asked_about_by_its_name_and_by_its_code(name: str) -> None:
    by_code = of(read_need(changed(asked(), "Simulering/linjer/0/klassekode", CLASS_CODES[name])))
    by_name = of(read_request(changed(requested(), "oppdrag/linjer/0/klassekode", name)))
    assert by_code.lines[0].class_code == by_name.lines[0].class_code == CLASS_CODES[name]


@pytest.mark.parametrize(
    ("in_need", "over_http", "read"),
    [
        (("fagområde", "SP"), ("oppdrag/fagområde", "BRUKERUTBETALING"), lambda need: need.area == "SP"),
        (("endringskode", "NY"), ("oppdrag/endringskode", "NY"), lambda need: need.change is LineChange.NEW),
        (("endringskode", "UEND"), ("oppdrag/endringskode", "IKKE_ENDRET"), lambda need: need.change is LineChange.NONE),
        (
            ("linjer/0/endringskode", "ENDR"),
            ("oppdrag/linjer/0/endringskode", "ENDRET"),
            lambda need: need.lines[0].change is LineChange.CHANGE,
        ),
        (("linjer/0/satstype", "ENG"), ("oppdrag/linjer/0/satstype", "ENGANGS"), lambda need: need.lines[0].rate == "ENG"),
        (("linjer/0/sats", -5), ("oppdrag/linjer/0/sats", -5), lambda need: need.lines[0].amount == -5),
        (("linjer/0/grad", None), ("oppdrag/linjer/0/grad", None), lambda need: need.lines[0].grade is None),
        (("linjer/0/refDelytelseId", 7), ("oppdrag/linjer/0/refDelytelseId", 7), lambda need: need.lines[0].ref_line == 7),
        (("linjer/0/refFagsystemId", "X1"), ("oppdrag/linjer/0/refFagsystemId", "X1"), lambda need: need.lines[0].ref_case == "X1"),
        (
            ("linjer/0/datoKlassifikFom", "2024-03-01"),
            ("oppdrag/linjer/0/klassekodeFom", "2024-03-01"),
            lambda need: need.lines[0].class_from == date(2024, 3, 1),
        ),
        (
            ("linjer/0/datoStatusFom", "2024-03-11"),
            ("oppdrag/linjer/0/opphørerFom", "2024-03-11"),
            lambda need: need.lines[0].ceased and need.lines[0].ceased_from == date(2024, 3, 11),
        ),
    ],
)
def test_each_word_has_one_over_http(in_need: tuple[str, Any], over_http: tuple[str, Any], read: Callable[[Need], bool]) -> None:
    assert read(of(read_need(changed(asked(), f"Simulering/{in_need[0]}", in_need[1]))))
    assert read(of(read_request(changed(requested(), *over_http))))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        changed(asked(), "@event_name", "vedtaksperiode_endret"),
        changed(asked(), "@behov", ["Utbetaling"]),
        changed(asked(), "@behov", "Simulering"),
        changed(asked(), "@løsning", {"Simulering": {}}),
        b"\\u no JSON",
    ],
)
def test_what_is_no_question_is_for_others(body: bytes) -> None:
    assert read_need(body) is None


def test_what_names_the_need_and_is_no_json_can_not_be_answered() -> None:
    with pytest.raises(Undecodable):
        read_need(b'{"@behov":["Simulering"]')


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("@id", ..., "@id: mangler"),
        ("fødselsnummer", ..., "fødselsnummer: mangler"),
        ("fødselsnummer", "123", "fødselsnummer: må være en tekst med 11 siffer"),
        ("organisasjonsnummer", ..., "organisasjonsnummer: mangler"),
        ("Simulering/saksbehandler", ..., "Simulering.saksbehandler: mangler"),
        ("Simulering/mottaker", ..., "Simulering.mottaker: mangler"),
        ("Simulering/fagsystemId", ..., "Simulering.fagsystemId: mangler"),
        ("Simulering/fagområde", "DP", "Simulering.fagområde: må være SPREF eller SP"),
        ("Simulering/endringskode", "X", "Simulering.endringskode: må være NY, ENDR eller UEND"),
        ("Simulering/maksdato", ..., "Simulering.maksdato: mangler"),
        ("Simulering/maksdato", "i morgen", "Simulering.maksdato: må være en dato, åååå-MM-dd"),
        ("Simulering/linjer", ..., "Simulering.linjer: mangler"),
        ("Simulering/linjer/0/sats", ..., "Simulering.linjer[0].sats: mangler"),
        ("Simulering/linjer/0/sats", 1.5, "Simulering.linjer[0].sats: må være et heltall"),
        ("Simulering/linjer/0/delytelseId", ..., "Simulering.linjer[0].delytelseId: mangler"),
        ("Simulering/linjer/0/klassekode", ..., "Simulering.linjer[0].klassekode: mangler"),
        ("Simulering/linjer/0/satstype", "MND", "Simulering.linjer[0].satstype: må være DAG eller ENG"),
        ("Simulering/linjer/0/fom", "2024-02-30", "Simulering.linjer[0].fom: må være en dato, åååå-MM-dd"),
        ("Simulering/linjer/0/tom", ..., "Simulering.linjer[0].tom: mangler"),
        ("Simulering/linjer/0/grad", 101, "Simulering.linjer[0].grad: må være fra 0 til 100"),
        ("Simulering/linjer/0/datoStatusFom", "x", "Simulering.linjer[0].datoStatusFom: må være en dato, åååå-MM-dd"),
        ("Simulering/saksbehandler", "a\u0000b", "Simulering.saksbehandler: har et tegn som XML ikke kan bære"),
    ],
)
def test_each_field_of_a_need_that_is_wrong_is_named(path: str, value: Any, problem: str) -> None:
    assert problems(read_need(changed(asked(), path, value))) == (problem,)


def test_a_class_code_that_nobody_knows_is_answered_and_not_passed_over_in_silence() -> None:
    found = read_need(changed(asked(), "Simulering/linjer/0/klassekode", "AAPOR"))
    assert isinstance(found, InvalidQuestion)
    said = json.loads(solution(found.failure))
    assert said["status"] == "FUNKSJONELL_FEIL"
    assert "Simulering.linjer[0].klassekode: må være SPATORD, SPATFER, " in said["feilmelding"]


def test_a_member_that_is_there_twice_is_named() -> None:
    body = json.dumps(asked()).encode().replace(b'"sats": 1450', b'"sats": 1450, "sats": 1451')
    assert problems(read_need(body)) == ("Simulering.linjer[0].sats: forekommer mer enn én gang",)


def test_a_need_without_lines_is_a_question_without_lines() -> None:
    assert of(read_need(changed(asked(), "Simulering/linjer", []))).lines == ()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"null", "Ugyldig simulering request, oppfyller ikke kontrakten"),
        (changed(requested(), "oppdrag/linjer", []), "Ugyldig simulering request, nytteløst å simulere oppdrag uten linjer"),
        (b"", "message is not JSON"),
        (b"{", "message is not JSON"),
        (b"[" * 100_000, "message is nested too deep"),
        (b'{"saksbehandler": "\xff"}', "message is not UTF-8"),
        (b"[]", "Ugyldig simulering request, oppfyller ikke kontrakten: må være et objekt"),
        (changed(requested(), "oppdrag", ...), "oppdrag: mangler"),
        (changed(requested(), "oppdrag/fagområde", "SPREF"), "oppdrag.fagområde: må være ARBEIDSGIVERREFUSJON eller BRUKERUTBETALING"),
        (changed(requested(), "oppdrag/linjer/0/sjekksum", 1), "oppdrag.linjer[0]: har et felt som ikke er kjent"),
        (changed(requested(), "oppdrag/mer", 1), "oppdrag: har et felt som ikke er kjent"),
        (changed(requested(), "oppdrag/linjer/0/sats", "1450"), "oppdrag.linjer[0].sats: må være et heltall"),
        (changed(requested(), "oppdrag/linjer/0/grad", 101), "oppdrag.linjer[0].grad: må være fra 0 til 100"),
        (
            json.dumps(requested()).encode().replace(b'"sats": 1450', b'"sats": 1450, "sats": 1451'),
            "oppdrag.linjer[0].sats: forekommer mer enn én gang",
        ),
    ],
)
def test_each_request_that_is_wrong_is_a_400_with_the_reason(body: bytes, problem: str) -> None:
    found = read_request(body)
    assert isinstance(found, InvalidQuestion)
    assert found.problems == (problem,)
    answer = problem_over_http(HTTPStatus.BAD_REQUEST, found.text, "c-1")
    assert (answer.status, json.loads(answer.body)["detail"]) == (400, problem)


def test_a_class_code_that_nobody_knows_is_told_with_those_that_there_are() -> None:
    (problem,) = problems(read_request(changed(requested(), "oppdrag/linjer/0/klassekode", "SPATORD")))
    assert problem.startswith("oppdrag.linjer[0].klassekode: må være SYKEPENGER_ARBEIDSTAKER_ORDINÆR, ")


def test_everything_that_is_wrong_with_a_request_is_told_at_once_up_to_a_bound() -> None:
    document = requested()
    document["oppdrag"]["linjer"] = [{**document["oppdrag"]["linjer"][0], "sats": None, "fom": "x"}] * 2
    assert problems(read_request(changed(document, "saksbehandler", ""))) == (
        "saksbehandler: må ha fra 1 til 50 tegn",
        "oppdrag.linjer[0].fom: må være en dato, åååå-MM-dd",
        "oppdrag.linjer[0].sats: mangler",
        "oppdrag.linjer[1].fom: må være en dato, åååå-MM-dd",
        "oppdrag.linjer[1].sats: mangler",
    )
    document["oppdrag"]["linjer"] *= 1000
    assert len(problems(read_request(json.dumps(document).encode()))) == 100


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("fødselsnummer", "SECRET"),
        ("saksbehandler", ""),
        ("maksdato", "SECRET"),
        ("oppdrag/mottakerAvUtbetalingen", "SECRET"),
        ("oppdrag/fagsystemId", "SECRET" * 9),
        ("oppdrag/endringskode", "SECRET"),
        ("oppdrag/linjer/0/satstype", "SECRET"),
        ("oppdrag/linjer/0/sats", "SECRET"),
        ("oppdrag/linjer/0/sats", 1.5),
        ("oppdrag/linjer/0/grad", 101),
        ("oppdrag/linjer/0/delytelseId", None),
        ("oppdrag/linjer/0/fom", "SECRET"),
        ("oppdrag/linjer/0/tom", ...),
        ("oppdrag/linjer/0/opphørerFom", "SECRET"),
    ],
)
def test_each_field_of_a_request_is_checked_and_never_quoted(path: str, value: Any) -> None:
    (problem,) = problems(read_request(changed(requested(), path, value)))
    assert "SECRET" not in problem


def test_members_that_nobody_knows_are_passed_over_at_the_top() -> None:
    assert of(read_request(changed(requested(), "mer", {"og": "mer"})))
    assert of(read_request(changed(requested(), "maksdato", None))).last_day is None


@tried(200)
@given(st.binary(max_size=60), st.integers(0, 2000))
def test_no_bytes_make_it_fail(damage: bytes, place: int) -> None:
    body = json.dumps(requested()).encode()
    assert isinstance(read_request(body[:place] + damage + body[place:]), Need | InvalidQuestion)
