"""Decisions over HTTP as older generations of the service answered them, in their words and bodies (iverksetting §1)."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kvitt.disbursement.values import Scheme
from kvitt.testing import TestServer
from support.iverksetting_bodies import Body, days, old, person_of, previous, v2
from support.iverksetting_stage import OLD, DecisionSite, decision_site


@pytest.fixture(scope="module", params=["first", "second_plain", "second"])
def older(
    kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[str, DecisionSite]]:
    """A hub that answers as an older generation did."""
    settings = {"answers_as": request.param, "may_lack_payments": True}
    with kvitt_server.database() as conninfo, decision_site(conninfo, tmp_path_factory.mktemp("older"), **settings) as site:
        yield request.param, site
        assert site.hub.findings() == []


def text_in(generation: str, answer: httpx.Response) -> str:
    """The text of a refusal, in the body that a generation writes."""
    if generation == "first":
        body = answer.json()
        assert {**body, "melding": ""} == {"data": None, "status": "FEILET", "melding": "", "frontendFeilmelding": None, "stacktrace": None}
        return str(body["melding"])
    return answer.text if generation == "second_plain" else str(answer.json())


def test_an_older_generation_answers_in_its_own_words(older: tuple[str, DecisionSite]) -> None:
    generation, site = older
    person = person_of(1)
    first = generation == "first"

    def refused(body: Body | bytes, code: int, text: str) -> None:
        answer = site.post(body)
        assert (answer.status_code, text_in(generation, answer)) == (code, text)

    body = v2("G1", "B1", [days("2026-05-04", "2026-05-08")], personident=person)
    site.take(body)
    again = "Iverksetting for fagsystem TILLEGGSSTØNADER, sak G1, behandling B1, iverksettingId null er allerede mottatt"
    refused(body, 409, "Behandling med id B1 er allerede mottattt" if first else again)
    following = v2("G1", "B2", [], after=previous("B1"), personident=person)
    handled = "Forrige iverksetting er ikke ferdig håndtert mhp oppdrag"
    refused(following, 409, handled if first else "Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet")
    assert [site.post(each).headers.get("retry-after") for each in (following, body)] == ["1", None]
    unknown = "Fant ikke forrige iverksetting med behandlingId B2 og forrige behandlingId B9 for fagsystem TILLEGGSSTØNADER"
    not_received = "Forrige behandling med id B9 er ikke mottatt for iverksetting"
    nine = v2("G1", "B2", [], after=previous("B9"), personident=person)
    refused(nine, 400 if first else 409, not_received if first else unknown)
    refused(b"{", 400, "Klarte ikke deserialisere request")
    refused(v2("", "B1"), 400, "SakId må være mellom 1 og 25 tegn lang")
    unnamed = v2("G2", "B1")
    del unnamed["vedtak"]["beslutterId"]
    refused(unnamed, 400, "Mangler påkrevd felt: vedtak.beslutterId")
    missing = site.status("G9", "B1")
    assert (missing.status_code, missing.content) == (404, b"")
    site.hub.run()
    lacking = v2("G1", "B2", after=previous("B1"), personident=person)
    del lacking["vedtak"]["utbetalinger"]
    site.take(lacking)
    site.hub.run()
    site.take(v2("G1", "B3", after=previous("B2"), personident=person))
    assert site.status("G1", "B3").json() == ("OK" if first else "OK_UTEN_UTBETALING")


def test_an_id_of_the_first_form_is_of_one_case_only_where_the_first_generation_answers(older: tuple[str, DecisionSite]) -> None:
    generation, site = older
    one, two, three = (str(uuid4()) for _ in range(3))

    def frame(case: str, decision: str, person: int, **members: Any) -> httpx.Response:
        body = old(decision, vedtakstype="RAMMEVEDTAK", saksreferanse=case, personIdent=person_of(person), **members)
        return site.post(body, Scheme.DAGPENGER, path=OLD)

    assert frame("K1", one, 2).status_code == 202
    site.hub.run()
    again, follows = frame("K2", one, 3), frame("K3", two, 4, forrigeIverksetting={"behandlingId": one, "utbetalinger": []})
    if generation != "first":
        assert (again.status_code, follows.status_code) == (202, 409)
        return
    assert (again.status_code, text_in(generation, again)) == (409, f"Behandling med id {one} er allerede mottattt")
    other = "Forrige behandling er knyttet til en annen sak enn denne iverksettingen gjelder"
    assert (follows.status_code, text_in(generation, follows)) == (400, other)
    assert (frame("K1", one, 2).status_code, frame("K2", three, 3).status_code) == (409, 202)
