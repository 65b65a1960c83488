"""Decisions simulated over HTTP on a hub with the rail: what they would lead to, and why some are not simulated (iverksetting §4.1)."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kvitt.contracts.iverksetting.texts import NOT_READ
from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.emulator.habits import ServiceFaults
from kvitt.testing import TestServer
from support.fuzzed_bodies import fuzzed
from support.iverksetting_bodies import Body, dagpenger, days, encoded, person_of, previous, tiltakspenger, v2
from support.iverksetting_stage import DecisionSite, decision_site

PATH = "/api/simulering/v2"
TS, DP, TP, AAP = Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER, Scheme.TILTAKSPENGER, Scheme.AAP
NOT_ENDED = "Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet, eller har ikke blitt iverksatt enda"
_numbers = count(1100)


class Case:
    """A case of its own, with the decisions of which callers ask."""

    def __init__(self, site: DecisionSite, scheme: Scheme = TS) -> None:
        number = next(_numbers)
        self.site, self.scheme, self.name, self.person = site, scheme, f"SIM{number}", person_of(number)

    def takes(self, decision: str, *spans: Body, after: str | None = None, settled: bool = True) -> None:
        """A decision is received, and taken by the rail."""
        self.site.take(v2(self.name, decision, spans, after=after and previous(after), personident=self.person), self.scheme)
        if settled:
            self.site.hub.run()

    def body(self, *spans: Body, after: str | None = None, **members: Any) -> Body:
        """A question."""
        return {
            "sakId": self.name,
            "behandlingId": "NEW",
            "personident": self.person,
            "saksbehandlerId": "A100001",
            "utbetalinger": [*spans],
            "forrigeIverksetting": after and previous(after),
            **members,
        }

    def asked(self, *spans: Body, after: str | None = None, **headers: str) -> httpx.Response:
        """The answer to a question."""
        return asked(self.site, self.body(*spans, after=after), self.scheme, **headers)


_pool = ThreadPoolExecutor(4)


def asked(
    site: DecisionSite, body: Mapping[str, Any] | bytes, scheme: Scheme = TS, *, approver: bool = False, **headers: str
) -> httpx.Response:
    """One call of a machine, with the rail at work."""
    named = {**site.headers(scheme, approver=approver), "content-type": "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return _working(site, lambda: site.client.post(PATH, content=body if isinstance(body, bytes) else encoded(body), headers=named))


def _working(site: DecisionSite, call: Callable[[], httpx.Response]) -> httpx.Response:
    done = _pool.submit(call)
    while not wait([done], timeout=0.05, return_when=FIRST_COMPLETED).done:
        site.hub.run("simulator")
    return done.result()


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionSite]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    with kvitt_server.database() as conninfo, decision_site(conninfo, Path(tmp_path_factory.mktemp("simulated"))) as site:
        yield site
        site.hub.run()
        site.hub.check()


@pytest.fixture
def case(site: DecisionSite) -> Case:
    return Case(site)


@contextmanager
def faulty(site: DecisionSite, **faults: Any) -> Iterator[None]:
    """A rail whose simulation fails."""
    site.hub.rail.simulation(faults=ServiceFaults(**faults))
    try:
        yield
    finally:
        site.hub.rail.simulation(faults=ServiceFaults())


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status and text of a refusal of the newest generation."""
    body = answer.json()
    assert [*body] == ["statusCode", "msg", "doc", "system"]
    assert body["statusCode"] == answer.status_code
    return answer.status_code, body["msg"]


def test_a_decision_hears_what_would_be_paid_and_is_not_received(case: Case) -> None:
    answer = case.asked(days("2026-06-01", "2026-06-05", 700))
    assert answer.status_code == 200
    (month,) = answer.json()["oppsummeringer"]
    assert [*month] == ["fom", "tom", "tidligereUtbetalt", "nyUtbetaling", "totalEtterbetaling", "totalFeilutbetaling"]
    assert [*month.values()] == ["2026-06-01", "2026-06-05", 0, 3500, 3500, 0]
    details = answer.json()["detaljer"]
    assert (details["gjelderId"], details["datoBeregnet"]) == (case.person, "2026-07-01")
    (period,) = details["perioder"]
    paid = [each for each in period["posteringer"] if each["type"] == "YTELSE"]
    assert {(each["fagområde"], each["sakId"], each["klassekode"]) for each in paid} == {("TILLEGGSSTØNADER", case.name, "TSTBASISP4-OP")}
    assert sum(each["beløp"] for each in paid) == 3500
    assert case.site.status(case.name, "NEW").status_code == 404
    case.takes("B1", days("2026-06-01", "2026-06-05", 700))
    assert case.site.status(case.name, "B1").json() == "OK", "it is the first of its case still"


def test_a_correction_is_simulated_behind_the_latest_decision(case: Case) -> None:
    case.takes("B1", days("2026-06-01", "2026-06-05", 700))
    case.site.hub.rail.pay()
    answer = case.asked(days("2026-06-01", "2026-06-05", 500), after="B1")
    (month,) = answer.json()["oppsummeringer"]
    assert [month[name] for name in ("tidligereUtbetalt", "nyUtbetaling", "totalFeilutbetaling")] == [3500, 2500, 1000]


def test_the_lines_are_those_that_the_decision_sends(case: Case) -> None:
    spans = [days("2026-06-01", "2026-06-05", 700), days("2026-06-08", "2026-06-12", 900)]
    case.takes("B1", spans[0])
    assert case.asked(*spans, after="B1").status_code == 200
    newest = "SELECT question FROM simulation_questions ORDER BY request_no DESC LIMIT 1"
    ((question,),) = case.site.hub.connection.execute(newest).fetchall()
    case.takes("B2", *spans, after="B1")
    order = case.site.hub.sent()[-1].message
    for name in (b"delytelseId", b"refDelytelseId", b"sats", b"kodeKlassifik"):
        assert _values(question, name) == _values(order, name) != []


def _values(xml: bytes, name: bytes) -> list[bytes]:
    return [part.partition(b"</")[0] for part in xml.replace(b":" + name, name).split(b"<" + name + b">")[1:]]


def test_what_would_change_nothing_has_no_body(case: Case) -> None:
    empty = case.asked()
    assert (empty.status_code, empty.content) == (204, b"")
    case.takes("B1", days("2026-06-01", "2026-06-05"))
    same = case.asked(days("2026-06-01", "2026-06-05"), after="B1")
    assert (same.status_code, same.content) == (204, b"")
    assert case.asked(after="B1").status_code == 200, "that all ends is a change"
    case.takes("B2", days("2026-06-01", "2026-06-05", 800), after="B1")
    assert case.site.status(case.name, "B2").json() == "OK", "what was asked meanwhile is no link of the chain"


def test_the_decision_before_must_have_ended_and_be_the_latest(case: Case) -> None:
    assert said(case.asked(days("2026-06-01"), after="B0")) == (409, NOT_ENDED)
    case.takes("B1", days("2026-06-01"), settled=False)
    busy = case.asked(days("2026-06-01", amount=700), after="B1")
    assert (*said(busy), "retry-after" in busy.headers) == (409, NOT_ENDED, True)
    case.site.hub.run()
    case.takes("B2", days("2026-06-02"), after="B1")
    of_ids = "BehandlingId/IverksettingId forrige iverksetting: {}/null, behandlingId/iverksettingId siste mottatte iverksetting: B2/null"
    for named, shown in (("B1", "B1"), (None, "null")):
        text = f"Forrige iverksetting stemmer ikke med siste mottatte iverksetting på saken. {of_ids.format(shown)}"
        assert said(case.asked(days("2026-06-03"), after=named)) == (400, text)
    assert case.asked(days("2026-06-03"), after="B2").status_code == 200


def test_only_what_passes_by_itself_says_when_to_ask_again(case: Case) -> None:
    case.takes("B1", days("2026-06-01"))
    pair = {"first": str(uuid4()), "second": "TILSYN_BARN_AAP"}
    move = {"sakId": case.name, "behandlingId": "B1", "uidToStønad": pair}
    assert case.site.post(move, path="/api/iverksetting/v2/migrate").status_code == 200
    moved = case.asked(days("2026-06-02"), after="B1")
    text = "Saken hører til kontrakten utbetalinger, og kan bare endres gjennom den"
    assert (*said(moved), "retry-after" in moved.headers) == (409, text, False)


def test_the_same_id_is_simulated_once_and_a_decision_may_name_it(case: Case) -> None:
    span, other = days("2026-06-01", "2026-06-05", 700), days("2026-06-01", "2026-06-05", 900)
    before = len(case.site.hub.rail.simulated())
    first, again = (case.asked(span, transaction_id=case.name) for _ in range(2))
    assert (first.status_code, again.json()) == (200, first.json())
    assert len(case.site.hub.rail.simulated()) == before + 1
    used = case.asked(other, transaction_id=case.name)
    assert (*said(used), "retry-after" in used.headers) == (409, "Transaction-ID er brukt i en annen forespørsel", False)
    site = case.site
    headers = {**site.headers(case.scheme), "content-type": "application/json"}
    decision = v2(case.name, "B1", [other], personident=case.person)
    assert (
        site.client.post("/api/iverksetting/v2", content=encoded(decision), headers=headers | {"simulering": case.name}).status_code == 202
    )
    site.hub.run()
    assert site.status(case.name, "B1").json() == "FEILET_MOT_OPPDRAG", "the approver saw something else"
    seen = headers | {"simulering": f"{case.name} again"}
    assert case.asked(span, after="B1", transaction_id=seen["simulering"]).status_code == 200
    decision = v2(case.name, "B2", [span], personident=case.person, after=previous("B1"))
    assert site.client.post("/api/iverksetting/v2", content=encoded(decision), headers=seen).status_code == 202
    site.hub.run()
    assert site.status(case.name, "B2").json() == "OK"


def test_each_scheme_asks_for_its_own_cases(site: DecisionSite) -> None:
    for scheme, span, area in (
        (DP, dagpenger("2026-06-01", "2026-06-05"), "DAGPENGER"),
        (TP, tiltakspenger("2026-06-01", "2026-06-05"), "TILTAKSPENGER"),
        (AAP, days("2026-06-01", "2026-06-05", benefit="AAP_UNDER_ARBEIDSAVKLARING", fastsattDagsats=1180), "AAP"),
    ):
        case = Case(site, scheme)
        answer = case.asked(span)
        (period,) = answer.json()["detaljer"]["perioder"]
        assert {each["fagområde"] for each in period["posteringer"]} == {area}
        refused = asked(site, case.body(span), TS)
        assert (said(refused)[0], said(refused)[1].startswith("Stønadstypen ")) == (403, True)


def test_another_case_of_the_person_is_not_shown(case: Case) -> None:
    case.takes("B1", days("2026-06-01", "2026-06-05", 700))
    other = Case(case.site)
    other.person = case.person
    answer = other.asked(days("2026-06-01", "2026-06-05", 300, benefit="LÆREMIDLER_AAP"))
    shown = [row for period in answer.json()["detaljer"]["perioder"] for row in period["posteringer"]]
    assert {row["sakId"] for row in shown} == {other.name}


def test_a_case_of_another_contract_is_not_simulated(case: Case) -> None:
    case.takes("B1", days("2026-06-01"))
    uid = "5f0d3c0e-0000-4000-8000-00000000a001"
    move = {"sakId": case.name, "behandlingId": "B1", "uidToStønad": {"first": uid, "second": "TILSYN_BARN_AAP"}}
    assert case.site.post(move, path="/api/iverksetting/v2/migrate").status_code == 200
    assert said(case.asked(days("2026-06-02"), after="B1")) == (
        409,
        "Saken hører til kontrakten utbetalinger, og kan bare endres gjennom den",
    )


def test_a_closed_rail_says_so(case: Case) -> None:
    with faulty(case.site, closed=True):
        assert said(case.asked(days("2026-06-01"))) == (502, "simulering stengt, tilgjengelig man-fre kl 6-21")
    assert case.asked(days("2026-06-01")).status_code == 200


@pytest.mark.parametrize(
    ("changed", "status", "text"),
    [
        ({"sakId": None}, 400, NOT_READ),
        ({"personident": "12345678901"}, 400, NOT_READ),
        ({"saksbehandlerId": "A12345678"}, 400, None),
        ({"sakId": "x" * 26}, 400, "Sak-ID må være mellom 1 og 25 tegn"),
        ({"behandlingId": ""}, 400, "Behandling-ID må være mellom 1 og 30 tegn"),
        ({"utbetalinger": [days("2026-06-02", "2026-06-01")]}, 400, "Tom må være >= fom"),
        ({"utbetalinger": [days("2026-06-01", amount=0)]}, 400, "Beløp må være > 0"),
        ({"utbetalinger": [days("2026-06-01"), days("2026-06-01")]}, 400, "Utbetalinger inneholder perioder som overlapper i tid"),
        ({"utbetalinger": [days("2026-06-01", benefit="NOTHING")]}, 400, NOT_READ),
        ({"forrigeIverksetting": {"behandlingId": "B0", "iverksettingId": "i"}}, 409, NOT_ENDED),
    ],
)
def test_what_no_decision_may_say_is_not_simulated(case: Case, changed: Body, status: int, text: str | None) -> None:
    found = said(asked(case.site, case.body(days("2026-06-01"), **changed)))
    assert found == (status, text or found[1])


def test_what_is_no_question_is_refused(case: Case) -> None:
    body = case.body(days("2026-06-01"))
    del body["utbetalinger"]
    assert said(asked(case.site, body)) == (400, NOT_READ)
    assert said(asked(case.site, b"{"))[0] == 400
    assert said(asked(case.site, b'{"sakId": "a", "sakId": "b"}'))[0] == 400
    assert said(asked(case.site, case.body(), content_type="text/plain"))[0] == 415
    bare = httpx.post(f"{case.site.hub.rest.url}{PATH}", content=b"{}")
    assert (bare.status_code, bare.content) == (401, b"")


def test_whatever_a_body_is_kvitt_does_not_fail_on_it(case: Case) -> None:
    bodies = [case.body(days("2026-06-01")), case.body(days("2026-06-01"), after="B1"), case.body()]
    for body in fuzzed(bodies, 300, seed=12):
        answer = asked(case.site, body)
        assert answer.status_code in (200, 204, 400, 403, 409, 422), (answer.text, body)


@pytest.mark.parametrize(("generation", "closed"), [("second", b'"simulering stengt, tilgjengelig man-fre kl 6-21"'), ("first", b"")])
def test_older_generations_have_their_own_words(database: str, tmp_path: Path, generation: str, closed: bytes) -> None:
    with decision_site(database, tmp_path, answers_as=generation) as site:
        case = Case(site)
        refused = case.asked(days("2026-06-01"), after="B0")
        text = "Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet"
        assert (refused.status_code, text in refused.text, "melding" in refused.text) == (409, True, generation == "first")
        with faulty(site, closed=True):
            answer = case.asked(days("2026-06-01"))
        assert (answer.status_code, closed in answer.content) == (503, True)
        site.hub.check()
