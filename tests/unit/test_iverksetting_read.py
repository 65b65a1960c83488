"""Decisions of three forms are read as their senders wrote them, and what is none is refused in the words of the generation."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from kvitt.contracts.iverksetting.decision import (
    BenefitTerms,
    CaseDecision,
    DecidedSpan,
    DecisionForm,
    DecisionKind,
    EnactmentKey,
    Generation,
    HolidaySupplement,
)
from kvitt.contracts.iverksetting.read import ReadingTerms, form_of, is_organisation, is_person, read_decision, short_id
from kvitt.contracts.iverksetting.texts import NOT_READ
from kvitt.disbursement.decisions import Frame
from kvitt.disbursement.values import RateType, Refusal, Scheme
from kvitt.kernel.money import Kroner
from support.iverksetting_bodies import PERSON, Body, dagpenger, days, encoded, last, last_day, old, old_day, previous, tiltakspenger, v2

FIRST, LAST, V2 = DecisionForm.FIRST, DecisionForm.LAST, DecisionForm.V2
DECISION = "5b0f7a52-2f0e-4f0a-8a7e-3c1f40a1b001"
PREVIOUS = "0f3e19aa-6d55-4d7d-9f0f-88b0c0de0001"


def read(body: Body | bytes, form: DecisionForm = V2, generation: Generation = Generation.THIRD, **terms: Any) -> CaseDecision | Refusal:
    raw = body if isinstance(body, bytes) else encoded(body)
    return read_decision(raw, ReadingTerms(form, generation, **terms))


def decided(body: Body, form: DecisionForm = V2, **terms: Any) -> CaseDecision:
    found = read(body, form, **terms)
    assert isinstance(found, CaseDecision), found
    return found


def test_the_newest_form() -> None:
    body = v2("TS-70412", "20117", [days("2026-03-03", amount=1310)], after=previous("20101", "8c0e"), iverksettingId="9d0f")
    found = decided(body)
    terms = BenefitTerms("TILSYN_BARN_AAP", Scheme.TILLEGGSSTONADER)
    assert (found.case_id, found.key, found.previous) == ("TS-70412", EnactmentKey("20117", "9d0f"), EnactmentKey("20101", "8c0e"))
    assert found.spans == (DecidedSpan(date(2026, 3, 3), date(2026, 3, 3), Kroner(1310), RateType.WEEKDAY, terms),)
    assert (found.person, found.decided_at, found.caseworker, found.approver) == (PERSON, "2026-05-04T09:00", "A100001", "B200002")


@pytest.mark.parametrize(
    ("rate", "kind"),
    [("DAGLIG", RateType.WEEKDAY), ("DAGLIG_INKL_HELG", RateType.DAY), ("MÅNEDLIG", RateType.MONTH), ("ENGANGS", RateType.ONE_OFF)],
)
def test_rates_have_their_names(rate: str, kind: RateType) -> None:
    assert decided(v2(spans=[days("2026-05-04", rate=rate)])).spans[0].rate_type is kind


@pytest.mark.parametrize(
    ("span", "terms"),
    [
        (
            dagpenger("2026-05-04", ferietillegg="AVDØD", brukersNavKontor="0311", barnetillegg=True),
            BenefitTerms(
                "DAGPENGER_ARBEIDSSØKER_ORDINÆR",
                Scheme.DAGPENGER,
                HolidaySupplement.DECEASED,
                reporting_card="M-2026-20",
                decided_rate=Kroner(1000),
            ),
        ),
        (
            tiltakspenger("2026-05-04", barnetillegg=True, fastsattDagsats=7),
            BenefitTerms("ARBEIDSTRENING", Scheme.TILTAKSPENGER, with_children=True, reporting_card="M-2026-20", office="0311"),
        ),
        (
            days("2026-05-04", benefit="BOUTGIFTER_AAP", brukersNavKontor="0311"),
            BenefitTerms("BOUTGIFTER_AAP", Scheme.TILLEGGSSTONADER, office="0311"),
        ),
        (
            days("2026-05-04", benefit="AAP_UNDER_ARBEIDSAVKLARING", fastsattDagsats=1180),
            BenefitTerms("AAP_UNDER_ARBEIDSAVKLARING", Scheme.AAP, decided_rate=Kroner(1180)),
        ),
    ],
)
def test_the_benefit_decides_which_terms_are_read(span: Body, terms: BenefitTerms) -> None:
    assert decided(v2(spans=[span])).spans[0].terms == terms


def test_the_first_form() -> None:
    body = old(DECISION, [old_day("2023-08-21", "2023-09-01", 1290)], after=(PREVIOUS, [old_day("2023-08-21", "2023-08-25", 1290)]))
    found = decided(body, FIRST)
    assert (found.case_id, found.case_name, found.kind) == ("S900", "S900", DecisionKind.PAYMENT)
    assert (found.key, found.decision_id) == (EnactmentKey(DECISION), short_id(UUID(DECISION)))
    assert found.previous == EnactmentKey(PREVIOUS)
    assert found.spans[0].terms == BenefitTerms("DAGPENGER_ARBEIDSSØKER_ORDINÆR", Scheme.DAGPENGER)
    assert found.previous_spans is not None
    assert found.previous_spans[0].end == date(2023, 8, 25)


def test_a_case_that_is_a_uuid_has_a_name_that_the_rail_can_hold() -> None:
    found = decided(old(DECISION, sakId=PREVIOUS, saksreferanse=None), FIRST)
    assert (found.case_name, len(found.case_id)) == (PREVIOUS, 22)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"saksreferanse": None}, "SakIdentifikator må ha enten sakId eller saksreferanse"),
        ({"saksreferanse": ""}, "saksreferanse kan ikke være en tom streng"),
        ({"saksreferanse": "S" * 21}, "saksreferanse kan ikke være mer enn 20 tegn"),
    ],
)
def test_a_case_of_the_first_form_has_a_name(members: dict[str, Any], text: str) -> None:
    found = read(old(DECISION, **members), FIRST)
    assert isinstance(found, Refusal)
    assert (found.status, found.text) == (400, text)


def test_the_last_form_of_each_scheme() -> None:
    holiday = decided(last(spans=[last_day("2024-05-06", ferietillegg="ORDINÆR")]), LAST).spans[0]
    assert holiday.terms == BenefitTerms("DAGPENGER_ARBEIDSSØKER_ORDINÆR", Scheme.DAGPENGER, HolidaySupplement.ORDINARY)
    measures = last(spans=[last_day("2024-05-06", benefit="JOBBKLUBB")], brukersNavKontor={"enhet": "0311"})
    assert decided(measures, LAST).spans[0].terms == BenefitTerms("JOBBKLUBB", Scheme.TILTAKSPENGER, office="0311")
    supplementary = {**days("2024-05-01", "2024-05-31", 7600, rate="MÅNEDLIG"), "brukersNavKontor": "0311"}
    found = decided(last(spans=[supplementary]), LAST).spans[0]
    assert (found.rate_type, found.terms.office, found.amount) == (RateType.MONTH, "0311", 7600)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (old(DECISION), FIRST),
        (last(), LAST),
        ({"vedtak": {"vedtakstype": "RAMMEVEDTAK"}}, FIRST),
        ({"vedtak": []}, LAST),
        ({"personIdent": 1}, FIRST),
        ({"personIdent": PERSON, "personident": PERSON}, LAST),
        ({}, LAST),
    ],
)
def test_the_older_forms_are_known_by_their_shape(body: Body, form: DecisionForm) -> None:
    assert form_of(encoded(body)) is form


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000, b"null"])
def test_what_is_no_json_object_has_some_form(body: bytes) -> None:
    assert form_of(body) is LAST
    assert isinstance(read(body, LAST), Refusal)


def without(path: str, body: Body) -> Body:
    found = json.loads(json.dumps(body))
    *outer, name = path.split(".")
    inner = found
    for step in outer:
        inner = inner[0] if step == "0" else inner[step]
    del inner[name]
    return found  # type: ignore[no-any-return]


REQUIRED = [
    "sakId",
    "behandlingId",
    "personident",
    "vedtak",
    "vedtak.vedtakstidspunkt",
    "vedtak.saksbehandlerId",
    "vedtak.beslutterId",
    "vedtak.utbetalinger",
    "vedtak.utbetalinger.0.beløp",
    "vedtak.utbetalinger.0.satstype",
    "vedtak.utbetalinger.0.fraOgMedDato",
    "vedtak.utbetalinger.0.tilOgMedDato",
    "vedtak.utbetalinger.0.stønadsdata",
    "vedtak.utbetalinger.0.stønadsdata.stønadstype",
    "vedtak.utbetalinger.0.stønadsdata.meldekortId",
]


@pytest.mark.parametrize("path", [*REQUIRED, "vedtak.utbetalinger.0.stønadsdata.fastsattDagsats"])
def test_a_missing_field_has_one_text_in_the_third_generation(path: str) -> None:
    found = read(without(path, v2(spans=[dagpenger("2026-05-04")])))
    assert isinstance(found, Refusal)
    assert (found.status, found.text) == (400, NOT_READ)
    assert found.doc.endswith("/async/kom_i_gang/opprett_utbetaling")


@pytest.mark.parametrize("path", REQUIRED)
def test_a_missing_field_is_named_in_the_second_generation(path: str) -> None:
    found = read(without(path, v2(spans=[dagpenger("2026-05-04")])), generation=Generation.SECOND)
    assert isinstance(found, Refusal)
    assert found.text == f"Mangler påkrevd felt: {path.replace('.0', '')}"


def test_the_second_generation_knows_no_decided_rate() -> None:
    body = without("vedtak.utbetalinger.0.stønadsdata.fastsattDagsats", v2(spans=[dagpenger("2026-05-04")]))
    assert isinstance(read(body, generation=Generation.SECOND), CaseDecision)


@pytest.mark.parametrize("path", ["iverksettingId", "forrigeIverksetting"])
def test_a_nullable_member_may_be_missing(path: str) -> None:
    assert decided(without(path, v2())) == decided(v2())


def test_members_that_nobody_reads_change_nothing() -> None:
    body = v2(spans=[days("2026-05-04")])
    more = {**body, "ukjent": [1], "vedtak": {**body["vedtak"], "ukjent": None}}
    assert decided(more) == decided(body)
    assert decided(more).digest() == decided(body).digest()


def test_a_decision_that_does_not_say_what_it_pays_is_taken_where_a_setting_allows_it() -> None:
    body = without("vedtak.utbetalinger", v2())
    assert isinstance(read(body), Refusal)
    assert decided(body, may_lack_spans=True).spans == ()


def test_a_decision_without_its_content_is_never_a_cessation() -> None:
    assert isinstance(read(without("vedtak", v2()), may_lack_spans=True), Refusal)


WRONG: list[Callable[[Body], object]] = [
    lambda body: body.update(personident=f"{PERSON[:-1]}3"),
    lambda body: body.update(personident="0182039001"),
    lambda body: body.update(personident="889640782"),
    lambda body: body.update(personident={"verdi": 1}),
    lambda body: body.update(personident={}),
    lambda body: body["vedtak"].update(vedtakstidspunkt="i går"),
    lambda body: body["vedtak"].update(utbetalinger=None),
    lambda body: body["vedtak"].update(virkningstidspunkt="2026-13-01"),
    lambda body: body["vedtak"].update({"maksbeløpPerDag": -1}),
    lambda body: body["vedtak"]["utbetalinger"][0].update({"beløp": -1}),
    lambda body: body["vedtak"]["utbetalinger"][0].update({"beløp": "640"}),
    lambda body: body["vedtak"]["utbetalinger"][0].update({"beløp": 640.5}),
    lambda body: body["vedtak"]["utbetalinger"][0].update(satstype="UKENTLIG"),
    lambda body: body["vedtak"]["utbetalinger"][0]["stønadsdata"].update({"stønadstype": "LOTTO"}),
    lambda body: body["vedtak"]["utbetalinger"][0]["stønadsdata"].update({"stønadstype": "TILSYN_BARN_AAP\0"}),
    lambda body: body["vedtak"]["utbetalinger"][0]["stønadsdata"].update(brukersNavKontor="31"),
    lambda body: body.update(forrigeIverksetting={}),
]


@pytest.mark.parametrize("damage", WRONG)
@pytest.mark.parametrize("generation", [*Generation])
def test_what_can_not_be_read_is_refused(damage: Callable[[Body], object], generation: Generation) -> None:
    body = v2(spans=[days("2026-05-04")])
    damage(body)
    found = read(body, generation=generation)
    assert isinstance(found, Refusal)
    assert found.status == 400
    if generation is Generation.THIRD:
        assert found.text == NOT_READ


def test_a_number_that_breaks_its_check_is_not_named_as_missing() -> None:
    found = read(v2(personident="01820390013"), generation=Generation.SECOND)
    assert isinstance(found, Refusal)
    assert found.text == "Klarte ikke deserialisere request"


@pytest.mark.parametrize("generation", [*Generation])
def test_a_member_that_is_there_twice_is_named(generation: Generation) -> None:
    body = encoded(v2()).replace(b'"beslutterId"', b'"beslutterId": "B1", "beslutterId"')
    found = read(body, generation=generation)
    assert isinstance(found, Refusal)
    assert (found.status, found.text) == (400, "Feltet vedtak.beslutterId forekommer mer enn én gang")


def test_a_person_may_be_an_object() -> None:
    assert decided(v2(personident={"verdi": PERSON})).person == PERSON


def test_an_organisation_is_paid_in_the_last_form_alone() -> None:
    assert decided(last(personident="889640782"), LAST).person == "889640782"
    assert isinstance(read(v2(personident="889640782")), Refusal)


def test_each_check_digit_is_looked_at() -> None:
    assert is_person(PERSON)
    assert sum(is_person(f"{PERSON[:9]}{digits:02}") for digits in range(100)) == 1
    assert not is_person(PERSON + "1")
    assert not is_person("٠" * 11)
    assert sum(is_organisation(f"88964078{digit}") for digit in range(10)) == 1


def test_the_frame_is_read_in_every_form() -> None:
    frame = {"virkningstidspunkt": "2026-05-01", "maksbeløpPerDag": 2000}
    for body, form in ((v2(**frame), V2), (last(**frame), LAST), (old(DECISION, **frame), FIRST)):
        assert decided(body, form).frame == Frame(date(2026, 5, 1), Kroner(2000))
    assert decided(v2()).frame == Frame()


def test_the_meaning_says_which_fields_differ() -> None:
    one, other = decided(v2(spans=[days("2026-05-04")])), decided(v2(spans=[days("2026-05-04", amount=641)], beslutterId="B300003"))
    differing = {name for name, said in one.meaning().items() if other.meaning()[name] != said}
    assert differing == {"vedtak.utbetalinger", "vedtak.beslutterId"}
    assert one.digest() != other.digest()
    assert one.digest() == decided(json.loads(json.dumps(v2(spans=[days("2026-05-04")]), indent=3))).digest()
