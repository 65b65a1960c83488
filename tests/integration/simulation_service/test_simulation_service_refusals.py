"""The emulator's simulation over HTTP: what it does not take, and who gets an answer at all."""

import base64
from datetime import timedelta

import pytest
from lxml import etree

from support.emulator_orders import PERSON, Line
from support.simulation_stage import MAY, SimulatedRail, after, envelope, local, request_xml


@pytest.mark.parametrize(
    ("request_body", "text", "code"),
    [
        (request_xml(MAY), "Oppdraget finnes fra før", "B110008F"),
        (request_xml(MAY, case="SAK-9", change="ENDR"), "OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før", "B110010F"),
        (request_xml(after("L2", "2026-05-11", "2026-05-15", 1, ref="L9"), change="ENDR"), "Referert vedtak/linje ikke funnet", "BB50024F"),
        (request_xml(MAY, change="ENDR"), "DELYTELSE-ID finnes i oppdragsbasen fra før", "BB50018F"),
    ],
)
def test_the_rail_says_no_by_its_own_rules(paid: SimulatedRail, request_body: str, text: str, code: str) -> None:
    answer = paid.post(envelope(request_body, paid.signed()))
    assert answer.status == 500
    code_, said, detail = answer.fault
    assert (code_, said) == ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling")
    assert detail.startswith(f"{text} | ")
    assert f"Kode {code}" in detail
    (found,) = local(answer.xml, "simulerBeregningFeilUnderBehandling")
    assert found.tag == "{http://nav.no/system/os/tjenester/oppdragService}simulerBeregningFeilUnderBehandling"
    assert [each.tag for each in found] == ["errorMessage", "errorSource", "rootCause", "dateTimeStamp"]
    assert found.findtext("dateTimeStamp") == "2026-06-15T14:00:00"
    assert b"simulerBeregningFeilUnderBehandling".ljust(80) + b"</faultstring>" in answer.body


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("<saksbehId>Z900001<", "<saksbehId>Z90000123<", "saksbehId", "OUTPUT_OVERFLOW"),
        ("<attestantId>Z900002<", "<attestantId>Z90000234<", "attestantId", "OUTPUT_OVERFLOW"),
        ("<delytelseId>L1<", f"<delytelseId>{'L' * 31}<", "delytelseId", "OUTPUT_OVERFLOW"),
        ("<datoVedtakTom>2026-05-15<", "<datoVedtakTom>+999999999-12-31<", "datoVedtakTom", "OUTPUT_OVERFLOW"),
        ("<datoVedtakFom>2026-05-04<", "<datoVedtakFom>2026-02-30<", "datoVedtakFom", "INPUT_CONVERSION_ERROR"),
        ("<sats>1000<", "<sats>tusen<", "sats", "INPUT_CONVERSION_ERROR"),
        ("<sats>1000<", f"<sats>{'9' * 14}<", "sats", "INPUT_CONVERSION_ERROR"),
        ("<typeSats>DAG<", "<typeSats>TIME<", "typeSats", "UNDEFINED_VALUE"),
        ("<kodeKlassifik>AAPOR</kodeKlassifik>", "", "kodeKlassifik", "MISSING_ELEMENT"),
        (f"<oppdragGjelderId>{PERSON}<", "<oppdragGjelderId>1<", "oppdragGjelderId", "INPUT_UNDERFLOW"),
        ("simulerBeregningRequest", "sendInnOppdragRequest", "sendInnOppdragRequest", "UNDEFINED_ELEMENT"),
    ],
)
def test_a_field_that_does_not_fit_is_named(rail: SimulatedRail, old: str, new: str, field: str, reason: str) -> None:
    answer = rail.post(envelope(request_xml(MAY).replace(old, new), rail.signed()))
    code, text, detail = answer.fault
    assert (answer.status, code, text) == (500, "SOAP-ENV:Client", "Conversion from SOAP failed")
    assert detail.startswith("DFHPI1009 ")
    assert f"({reason}) occurred when converting field {field} " in detail


def test_more_than_1400_lines_are_too_many(rail: SimulatedRail) -> None:
    lines = [Line(f"L{number}", "2026-05-04", "2026-05-04", 1) for number in range(1401)]
    assert rail.simulate(*lines[:-1]).status == 200
    assert "oppdragslinje" in rail.simulate(*lines).fault[2]


def test_an_order_without_end_or_far_ahead_is_answered_as_far_as_the_rail_looks(rail: SimulatedRail) -> None:
    endless = Line("L1", "2026-05-01", "9999-12-31", 100)
    answer = rail.simulate(endless)
    assert len(answer.periods()) == len(answer.rows()) == 12 * 10 + 2
    assert [f"{row.first}" for row in rail.simulate(endless, span=None).rows()] == ["2026-05-01"]
    assert [f"{row.first}" for row in rail.simulate(Line("L1", "2050-05-01", "2050-05-31", 100), span=None).rows()] == ["2050-05-01"]
    many = [Line(f"L{number}", "1900-01-01", "9999-12-31", 1) for number in range(100)]
    assert "Kjøreplan mangler" in rail.simulate(*many).fault[2]
    chained = [Line(f"L{number}", "2026-05-01", "9999-12-31", 1, ref=f"L{number - 1}" if number else "") for number in range(100)]
    assert rail.simulate(*chained).status == 200


def test_who_gets_the_money_stands_before_the_grade(rail: SimulatedRail) -> None:
    graded = "<ns2:grad><typeGrad>UFOR</typeGrad><grad>80</grad></ns2:grad>"
    late = request_xml(MAY).replace("<utbetalesTilId>", f"{graded}<utbetalesTilId>")
    assert "utbetalesTilId" in rail.post(envelope(late, rail.signed())).fault[2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<soap:Envelope",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "<!DOCTYPE a []><a/>".encode("utf-16"),
        b'<a xmlns="x"/>',
        b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body/></Envelope>',
        b"<a>" * 300_000,
    ],
)
def test_what_is_no_envelope_is_malformed(rail: SimulatedRail, body: bytes) -> None:
    answer = rail.post(body)
    assert (answer.status, *answer.fault[:2]) == (500, "SOAP-ENV:Client", "Malformed SOAP message")
    assert rail.simulate(MAY).status == 200


def test_only_an_assertion_of_the_token_service_lets_in(rail: SimulatedRail) -> None:
    response = rail.token()
    published = response.json()
    assert (published["issued_token_type"], published["token_type"], published["expires_in"]) == (
        "urn:ietf:params:oauth:token-type:saml2",
        "Bearer",
        3600,
    )
    assertion = base64.b64decode(published["access_token"]).decode()
    assert etree.fromstring(assertion).tag == "{urn:oasis:names:tc:SAML:2.0:assertion}Assertion"
    body = request_xml(MAY)
    assert rail.post(envelope(body, assertion)).status == 200
    for wrong in ("", assertion.replace("SAML-", "SAML+")):
        code, _, _ = rail.post(envelope(body, wrong)).fault
        assert "FailedAuthentication" in code
    rail.now += timedelta(seconds=3601)
    assert "FailedAuthentication" in rail.post(envelope(body, assertion)).fault[0]
    assert [outcome for _, outcome in rail.simulated()] == ["answered", "refused", "refused", "refused"]


def test_the_token_service_wants_a_user_with_a_password(rail: SimulatedRail) -> None:
    for headers in ({}, {"Authorization": "Basic !"}, {"Authorization": "Basic " + base64.b64encode(b"user:").decode()}):
        response = rail.http.get("/rest/v1/sts/samltoken", headers=headers)
        assert (response.status_code, response.json()["title"]) == (401, "Unauthorized")


CREDENTIALS = {"grant_type": "client_credentials", "client_id": "kvitt", "client_secret": "s", "scope": "api://proxy/.default"}


def test_the_proxy_wants_its_token_where_that_is_set(rail: SimulatedRail) -> None:
    body = envelope(request_xml(MAY), rail.signed())
    rail.behave(wants_proxy_token=True, assertion_seconds=600)
    published = rail.http.post("/tenant/oauth2/v2.0/token", data=CREDENTIALS).json()
    assert (published["token_type"], published["expires_in"]) == ("Bearer", 600)
    passed = {"X-Proxy-Authorization": f"Bearer {published['access_token']}"}
    for headers in ({}, {"X-Proxy-Authorization": "Bearer x"}, {"X-Proxy-Authorization": published["access_token"]}):
        assert rail.post(body, **headers).status == 401
        assert rail.http.get("/rest/v1/sts/samltoken", auth=("u", "p"), headers=headers).status_code == 401
    assert rail.post(body, **passed).status == 200
    assert rail.http.get("/rest/v1/sts/samltoken", auth=("u", "p"), headers=passed).status_code == 200
    rail.now += timedelta(seconds=601)
    assert rail.post(body, **passed).status == 401


@pytest.mark.parametrize("left_out", CREDENTIALS)
def test_the_proxys_issuer_wants_all_of_the_credentials(rail: SimulatedRail, left_out: str) -> None:
    form = {name: value for name, value in CREDENTIALS.items() if name != left_out}
    assert rail.http.post("/oauth2/v2.0/token", data=form).status_code == 400
    assert rail.http.post("/oauth2/v2.0/token", content=b"\xff").status_code == 400


def test_other_paths_are_not_there(rail: SimulatedRail) -> None:
    assert rail.http.post("/elsewhere").status_code == 404
    assert rail.http.get("/cics/services/simulerFpServiceWSBinding").status_code == 404
    assert rail.http.post("/cics/services/simulerFpServiceWSBinding", content=b" " * 8_000_001).status_code == 413
