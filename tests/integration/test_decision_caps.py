"""Above the cap over HTTP: no way of dividing an amount has a day pay more than the frame of its case, without an approver (design §16)."""

from collections.abc import Iterator, Sequence

import httpx
import pytest

from kvitt.disbursement.values import Scheme
from kvitt.testing import TestServer
from support.iverksetting_bodies import Body, dagpenger, days, encoded, last, last_day, person_of, previous, v2
from support.iverksetting_stage import OLD, DecisionSite, decision_site
from support.single_payments import days as single_days
from support.single_payments import supplement

DP, TS = Scheme.DAGPENGER, Scheme.TILLEGGSSTONADER
LAID_OFF, FISH = "DAGPENGER_PERMITTERING_ORDINÆR", "DAGPENGER_PERMITTERING_FISKEINDUSTRI"
ABOVE = (403, "Beløp over maksgrensen på 1000 kr per dag må sendes av en ansatt med beslutter-rolle")


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionSite]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    with kvitt_server.database() as conninfo, decision_site(conninfo, tmp_path_factory.mktemp("caps")) as site:
        yield site
        assert site.hub.findings() == []


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["msg"]


PEOPLE = {f"P{number}": 3110 + number for number in range(1, 10)}
WEEK = "2026-05-04", "2026-05-08"
PAID = [dagpenger(*WEEK, 800)]


@pytest.mark.parametrize(
    ("case", "spans"),
    [
        ("P1", [dagpenger(*WEEK, 800), dagpenger(*WEEK, 800, card="M-OTHER", benefit=LAID_OFF)]),
        ("P2", [*PAID, dagpenger("2026-05-08", "2026-05-12", 201, benefit=LAID_OFF)]),
        ("P3", [*PAID, dagpenger("2026-05-06", "2026-05-06", 201, benefit=LAID_OFF, rate="ENGANGS")]),
        ("P4", [*PAID, dagpenger(*WEEK, 150, benefit=LAID_OFF), dagpenger(*WEEK, 150, benefit=FISH)]),
        ("P5", [*PAID, dagpenger(*WEEK, 201, ferietillegg="ORDINÆR")]),
        ("P6", [*PAID, dagpenger("2026-05-01", "2026-05-31", 31 * 201, benefit=LAID_OFF, rate="MÅNEDLIG")]),
    ],
)
def test_no_division_pays_more_a_day(site: DecisionSite, case: str, spans: Sequence[Body]) -> None:
    """Eight hundred are paid; what makes it more than a thousand a day needs an approver, who may."""
    person = person_of(PEOPLE[case])
    site.take(v2(case, "B1", [], personident=person, virkningstidspunkt="2026-05-01", maksbeløpPerDag=1000), DP)
    site.hub.run()
    assert said(site.post(v2(case, "B2", spans, after=previous("B1"), personident=person), DP, approver=False)) == ABOVE
    site.take(v2(case, "B2", PAID, after=previous("B1"), personident=person), DP, approver=False)
    site.hub.run()
    assert said(site.post(v2(case, "B3", spans, after=previous("B2"), personident=person), DP, approver=False)) == ABOVE
    site.take(v2(case, "B3", spans, after=previous("B2"), personident=person), DP)
    site.hub.run()
    assert site.status(case, "B3", scheme=DP).json() == "OK"
    more = [*spans, dagpenger("2026-06-01", "2026-06-05", 1000)]
    site.take(v2(case, "B4", more, after=previous("B3"), personident=person), DP, approver=False)


def test_the_last_form_has_the_same_cap(site: DecisionSite) -> None:
    person, members = person_of(PEOPLE["P7"]), {"virkningstidspunkt": "2026-05-01", "maksbeløpPerDag": 1000}
    site.take(last("P7", "B1", [], personident=person, **members), DP, path=OLD)
    both = [last_day(*WEEK, 900), last_day(*WEEK, 101, benefit=LAID_OFF)]
    assert said(site.post(last("P7", "B2", both, after=previous("B1"), personident=person), DP, path=OLD, approver=False)) == ABOVE


def test_an_approver_above_the_cap_has_not_decided_it(site: DecisionSite) -> None:
    """Nor before the frame; within it whoever decided may send it, as anybody may."""
    person, own = person_of(PEOPLE["P8"]), {"saksbehandlerId": "B200002", "beslutterId": "C300003"}
    site.take(v2("P8", "B1", [], personident=person, virkningstidspunkt="2026-05-04", maksbeløpPerDag=1000), DP)
    refused = (403, "Beslutter som sender vedtaket kan ikke selv være saksbehandler i det")
    for spans in ([dagpenger(*WEEK, 1001)], [dagpenger("2026-05-01", "2026-05-08", 900)]):
        assert said(site.post(v2("P8", "B2", spans, after=previous("B1"), personident=person, **own), DP)) == refused
    site.take(v2("P8", "B2", PAID, after=previous("B1"), personident=person, **own), DP)


@pytest.mark.parametrize("decided_by", ["b200002 ", "B20000\u200b2", "В200002", "B2OOOO2"])
def test_a_name_that_looks_like_another_is_the_same_person(site: DecisionSite, decided_by: str) -> None:
    body = v2("P9", "B1", [days(*WEEK)], personident=person_of(PEOPLE["P9"]), saksbehandlerId=decided_by)
    assert said(site.post(body)) == (403, "Saksbehandler og beslutter kan ikke være samme person")


def test_an_approver_who_opens_a_case_with_a_single_payment_has_not_decided_it(site: DecisionSite) -> None:
    uid, headers = "5f0d3c0e-0000-4000-8000-0000000000c1", {**site.headers(TS), "content-type": "application/json"}
    body = supplement(*single_days(1, 5, 500), sakId="P10", saksbehandlerId="B200002", beslutterId="C300003")
    answer = site.client.post(f"/utbetalinger/{uid}", content=encoded(body), headers=headers)
    assert said(answer) == (403, "Beslutter som sender vedtaket kan ikke selv være saksbehandler i det")
    other = encoded({**body, "saksbehandlerId": "A100001"})
    assert site.client.post(f"/utbetalinger/{uid}", content=other, headers=headers).status_code == 201
