"""Each rule of a decision by itself, with its text in each generation, and the order in which they are looked at (iverksetting §1.5)."""

import json

import pytest

from kvitt.contracts.iverksetting.answers import (
    EnactmentStatus,
    StatusDocument,
    decode_document,
    refusal_body,
    status_body,
    stopped_body,
    unexpected_body,
)
from kvitt.contracts.iverksetting.decision import CaseDecision, DecisionForm, EnactmentKey, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms, read_decision
from kvitt.contracts.iverksetting.rules import RULES, broken_rule
from kvitt.contracts.iverksetting.texts import SCHEME_STOPPED
from kvitt.disbursement.values import Refusal, Scheme
from support.contract_tables import BROKEN, DECISION, DP, FIRST, LAST, MAY, OVERLAP, TP, TS, V2, day
from support.iverksetting_bodies import Body, encoded, last, old, old_day, previous, tiltakspenger, v2

AAP = Scheme.AAP


def refused(body: Body, form: DecisionForm, scheme: Scheme = TS, generation: Generation = Generation.THIRD) -> Refusal | None:
    decision = read_decision(encoded(body), ReadingTerms(form, generation))
    assert isinstance(decision, CaseDecision), decision
    return broken_rule(decision, scheme, generation)


@pytest.mark.parametrize(("form", "scheme", "body", "third", "second"), BROKEN)
def test_a_broken_rule_is_said_in_the_words_of_each_generation(
    form: DecisionForm, scheme: Scheme, body: Body, third: str, second: str | None
) -> None:
    for generation, text in ((Generation.THIRD, third), (Generation.SECOND, second or third), (Generation.SECOND_PLAIN, second or third)):
        found = refused(body, form, scheme, generation)
        assert found is not None
        assert found.text.startswith(text)
        assert found.status == (403 if "hører ikke til" in text else 400)


def test_the_first_generation_spells_its_benefit_in_ascii() -> None:
    body = old(DECISION, [old_day("2023-08-21", stonadstype="DAGPENGER_EOS", ferietillegg="AVDOD")])
    found = refused(body, FIRST, DP, Generation.FIRST)
    assert found is not None
    assert found.text == "Ferietillegg til avdød er ikke tillatt for stønadstypen DAGPENGER_EOS"


KEPT: list[tuple[DecisionForm, Scheme, Body]] = [
    (V2, TS, v2(case="S" * 25, decision="B" * 30)),
    (V2, TS, v2(spans=[day("2026-05-04", "2026-05-08"), day("2026-05-09", "2026-05-12")])),
    (V2, TS, v2(spans=[day("2026-05-04", "2026-05-08"), day("2026-05-08", brukersNavKontor="0311")])),
    (V2, TP, v2(spans=[tiltakspenger("2026-05-04"), tiltakspenger("2026-05-04", barnetillegg=True)])),
    (V2, TP, v2(spans=[tiltakspenger("2026-05-04"), tiltakspenger("2026-05-04", card="M-2026-21")])),
    (V2, TS, v2(spans=[day("2026-05-01", "2026-07-31", rate="MÅNEDLIG")])),
    (V2, TS, v2(spans=[day(), day(*MAY, rate="MÅNEDLIG", benefit="BOUTGIFTER_AAP")])),
    (V2, AAP, v2(spans=[day(benefit="AAP_UNDER_ARBEIDSAVKLARING")])),
    (V2, TS, v2(spans=[day(amount=4_000_000_000)])),
    (V2, TS, v2(iverksettingId="i")),
    (V2, TS, v2(iverksettingId="i", after=previous("B0", "h"))),
    (LAST, DP, last()),
    (LAST, TS, last(spans=[day(*MAY, amount=7600, rate="MÅNEDLIG")])),
    (FIRST, DP, old(DECISION, vedtakstype="RAMMEVEDTAK")),
    (FIRST, DP, old(DECISION, resultat="AVSLÅTT")),
    (FIRST, DP, old(DECISION, resultat="OPPHØRT")),
]


@pytest.mark.parametrize(("form", "scheme", "body"), KEPT)
def test_what_keeps_the_rules_is_taken(form: DecisionForm, scheme: Scheme, body: Body) -> None:
    assert refused(body, form, scheme) is None


def test_the_id_of_an_enactment_is_as_long_as_the_store_looks_up_by() -> None:
    assert refused(v2(iverksettingId="i" * 255), V2) is None
    found = refused(v2(iverksettingId="i" * 256), V2)
    assert found is not None
    assert (found.status, found.text) == (400, "Feltet iverksettingId må være høyst 255 tegn")


def test_every_rule_of_every_form_is_broken_by_some_body() -> None:
    said = {(form, found.text) for form, scheme, body, _, _ in BROKEN if (found := refused(body, form, scheme))}
    shared = {text for _, text in said}
    for form, rules in RULES.items():
        assert {rule.wording.third for rule in rules} <= shared, form


def test_rules_are_looked_at_in_their_order() -> None:
    body = v2(case="", decision="", spans=[day("2026-05-04", "2026-05-03", amount=0), day("2026-05-02", "2026-05-09")])
    texts = []
    for mend in ({"sakId": "S"}, {"behandlingId": "B"}, {"vedtak": v2(spans=[day(amount=0), day("2026-05-04")])["vedtak"]}):
        found = refused(body, V2)
        assert found is not None
        texts.append(found.text)
        body.update(mend)
    found = refused(body, V2)
    assert found is not None
    assert texts == ["Sak-ID må være mellom 1 og 25 tegn", "Behandling-ID må være mellom 1 og 30 tegn", "Tom må være >= fom"]
    assert found.text == OVERLAP


def test_a_benefit_without_class_code_is_refused_by_name() -> None:
    found = refused(old(DECISION, [old_day("2023-08-21", stonadstype="TILTAKSPENGER")]), FIRST, TP)
    assert found is not None
    assert "TILTAKSPENGER har ingen klassekode" in found.text


REFUSAL = Refusal(400, 'Tom må være >= "fom"', "https://example/doc")


@pytest.mark.parametrize(
    ("generation", "body"),
    [
        (Generation.THIRD, '{"statusCode":400,"msg":"Tom må være >= \\"fom\\"","doc":"https://example/doc","system":"HELVED"}'),
        (Generation.SECOND, '"Tom må være >= \\"fom\\""'),
        (Generation.SECOND_PLAIN, 'Tom må være >= "fom"'),
        (
            Generation.FIRST,
            '{"data":null,"status":"FEILET","melding":"Tom må være >= \\"fom\\"","frontendFeilmelding":null,"stacktrace":null}',
        ),
    ],
)
def test_a_refusal_is_written_as_each_generation_did(generation: Generation, body: str) -> None:
    found = refusal_body(REFUSAL, generation)
    assert (found.content_type, found.body.decode()) == ("application/json", body)


def test_a_failure_of_kvitt_says_nothing_of_what_failed() -> None:
    assert json.loads(unexpected_body(Generation.THIRD, "doc").body)["msg"] == "Ukjent feil, helved er varslet."
    assert json.loads(unexpected_body(Generation.FIRST, "doc").body)["melding"] == "Uventet feil"
    assert unexpected_body(Generation.SECOND, "doc").body == b""


def test_a_scheme_that_is_switched_off_is_said_as_a_json_text() -> None:
    found = stopped_body(SCHEME_STOPPED.refusal(Generation.THIRD, scheme="DAGPENGER"))
    assert json.loads(found.body) == "Iverksetting er skrudd av for fagsystem DAGPENGER"


def test_a_status_is_a_json_text_in_the_words_of_its_generation() -> None:
    assert status_body(EnactmentStatus.NOT_BEGUN, Generation.THIRD).body.decode() == '"IKKE_PÅBEGYNT"'
    assert status_body(EnactmentStatus.NOT_BEGUN, Generation.FIRST).body.decode() == '"IKKE_PAABEGYNT"'
    assert status_body(EnactmentStatus.OK_WITHOUT_PAYMENT, Generation.FIRST).body.decode() == '"OK"'
    assert status_body(EnactmentStatus.OK_WITHOUT_PAYMENT, Generation.SECOND).body.decode() == '"OK_UTEN_UTBETALING"'


def test_a_document_comes_back_as_it_was_kept() -> None:
    document = StatusDocument(
        "S12", EnactmentKey("B1"), EnactmentStatus.OK, REFUSAL, previous=EnactmentKey("B0", "i"), meaning={"personident": "0a"}
    )
    assert decode_document(document.encode()) == document
