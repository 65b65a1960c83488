"""`POST /api/simulering`, and needs beside it: each answer, from whoever asks to the rail and back (rapid §5.1, §5.2, §5.4)."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import pytest

import kvitt.testing
from kvitt.api.rest.app import THREADS
from kvitt.contracts.rapid.needs import NeedKind
from kvitt.disbursement.simulation_requests import SimulationState, StoredRequest, listing
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from kvitt.rails.oppdrag.emulator import AnswerForm, Chance, ServiceFault, ServiceFaults
from kvitt.settings import Settings, SimulationSettings
from kvitt.testing import Hub, TestServer
from support.patience import until
from support.rapid_messages import line, need
from support.simulation_needs import simulation_need

Json = dict[str, Any]
PATH = "/api/simulering"
LINE = "oppdrag.linjer[0]"
ALWAYS = Chance(probability=1)
AT_ONCE = THREADS + 6
_CASES = count(1)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    """A hub whose calls wait for the rail, more at once than it has threads and connections."""
    with kvitt_server.database() as conninfo, patient_for(50.0, conninfo) as made:
        yield made


@pytest.fixture
def hasty(database: str) -> Iterator[Hub]:
    """A hub whose calls hardly wait."""
    with patient_for(0.3, database) as made:
        yield made


@contextmanager
def patient_for(seconds: float, conninfo: str) -> Iterator[Hub]:
    settings = Settings(simulation=SimulationSettings(call_seconds=seconds, calls=AT_ONCE))
    with kvitt.testing.hub(conninfo=conninfo, settings=settings) as made:
        yield made
        assert made.rail.violations() == ()


@pytest.fixture(scope="module")
def client(site: Hub) -> Iterator[httpx.Client]:
    """A caller who may ask about the scheme."""
    with site.rest.client(application="spleis") as made:
        yield made


@pytest.fixture(autouse=True)
def sound(site: Hub) -> None:
    """A rail without faults, before each test."""
    site.rail.simulation()


def a_case() -> str:
    return f"KV{next(_CASES)}"


def question(case: str, **changes: Any) -> Json:
    """A new case's question; changes to its line by wire name."""
    asked = {
        "endringskode": "NY",
        "fom": "2026-06-01",
        "tom": "2026-06-12",
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
        "fagsystemId": case,
        "endringskode": "NY",
        "mottakerAvUtbetalingen": "987654321",
        "linjer": [asked | changes],
    }
    return {"fødselsnummer": "24068715888", "oppdrag": order, "maksdato": "2026-12-13", "saksbehandler": "Kari & Ola"}


def asked(site: Hub, client: httpx.Client, body: Json, **headers: str) -> httpx.Response:
    """The answer to a call while the rail is asked."""
    with ThreadPoolExecutor(1) as caller:
        future = caller.submit(client.post, PATH, json=body, headers=headers)
        while wait([future], 0.01).not_done:
            site.run("simulator")
        return future.result()


def stored_of(site: Hub, case: str) -> list[StoredRequest]:
    return listing(site.connection, key=(Scheme.SYKEPENGER, case))


def solution_of(site: Hub, case: str) -> Json:
    """The one solution that the need about a case hears."""
    site.put(RAPID, case, simulation_need(case))
    site.run()
    (solution,) = [each.json["@løsning"]["Simulering"] for each in site.published(RAPID, case) if "@løsning" in each.json]
    return solution


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and detail of a problem in the service's form, the rest of which must be right."""
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert list(body) == ["type", "title", "status", "detail", "instance", "callId", "stacktrace"]
    assert (body["status"], body["instance"], body["stacktrace"]) == (response.status_code, PATH, None)
    assert body["callId"] == response.headers["callid"] != ""
    assert body["type"].startswith("urn:error:")
    return response.status_code, body["detail"]


def test_what_the_rail_says_is_the_answer(site: Hub, client: httpx.Client) -> None:
    case = a_case()
    response = asked(site, client, question(case), callId="c-1")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    told = response.json()
    assert list(told) == ["gjelderId", "gjelderNavn", "datoBeregnet", "totalBelop", "periodeList"]
    assert (told["gjelderId"], told["totalBelop"]) == ("24068715888", 14500)
    (period,) = told["periodeList"]
    (payment,) = period["utbetaling"]
    assert payment["fagSystemId"] == case
    assert sum(row["belop"] for row in payment["detaljer"]) == 14500
    (stored,) = listing(site.connection, key=(Scheme.SYKEPENGER, case))
    assert (stored.state, stored.contract, stored.caller) == (SimulationState.ANSWERED, "rapid", "spleis/spleis")


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        (ServiceFaults(other_form=ALWAYS, forms=(AnswerForm.PREFIXED,)), 200),
        (ServiceFaults(other_form=ALWAYS, forms=(AnswerForm.LATIN_1,)), 200),
        (ServiceFaults(other_form=ALWAYS, forms=(AnswerForm.EMPTY_SIMULATION,)), 200),
        (ServiceFaults(other_form=ALWAYS, forms=(AnswerForm.SELF_CLOSED,)), 204),
        (ServiceFaults(other_form=ALWAYS, forms=(AnswerForm.NOTE_ONLY,)), 204),
    ],
)
def test_each_form_of_an_answer_is_read(site: Hub, client: httpx.Client, faults: ServiceFaults, status: int) -> None:
    site.rail.simulation(faults=faults)
    response = asked(site, client, question(a_case()))
    assert response.status_code == status
    assert response.content == b"" if status == 204 else response.json()["gjelderId"]
    solution = solution_of(site, a_case())
    assert (solution["status"], solution["feilmelding"], solution["simulering"] is None) == ("OK", None, status == 204)


HEARD = {
    400: ("FUNKSJONELL_FEIL", "Feil i requesten vår til Spenn Simulering: {}"),
    503: ("OPPDRAG_UR_ER_STENGT", "Oppdrag/UR er stengt"),
}
"""The solution of a need by the status that a call would have."""
FUNCTIONAL = "Simulering feilet på grunn av funksjonell feil. "


@pytest.mark.parametrize(
    ("faults", "status", "detail"),
    [
        (ServiceFaults(fault=ALWAYS, answers_with=ServiceFault.NAME_UNKNOWN), 400, f"{FUNCTIONAL}Navn på person ikke funnet i PDL"),
        (
            ServiceFaults(fault=ALWAYS, answers_with=ServiceFault.NO_RUN_PLAN),
            400,
            f"{FUNCTIONAL}Kjøreplan mangler for perioden fra DATO-VEDTAK-FOM",
        ),
        (
            ServiceFaults(fault=ALWAYS, answers_with=ServiceFault.UNKNOWN_PERSON),
            400,
            f"{FUNCTIONAL}SOAP fault: SOAP-ENV:Server - Personen finnes ikke",
        ),
        (
            ServiceFaults(fault=ALWAYS, answers_with=ServiceFault.UNHEARD_OF),
            400,
            f"{FUNCTIONAL}SOAP fault: SOAP-ENV:Server - Noe ingen har hørt om",
        ),
        (ServiceFaults(fault=ALWAYS, answers_with=ServiceFault.REQUEST_CONVERSION), 500, "Uventet feil: DFHPI1009 "),
        (ServiceFaults(fault=ALWAYS, answers_with=ServiceFault.ANSWER_CONVERSION), 500, "Uventet feil: DFHPI1008 "),
        (ServiceFaults(gateway=ALWAYS), 500, "Uventet feil: Klarte ikke tolke SOAP-responsen"),
        (ServiceFaults(cut=ALWAYS), 500, "Uventet feil: Klarte ikke tolke SOAP-responsen"),
        (ServiceFaults(other_form=ALWAYS, forms=(AnswerForm.NOT_XML,)), 500, "Uventet feil: Klarte ikke tolke SOAP-responsen"),
        (ServiceFaults(dropped=ALWAYS), 503, "Service Unavailable"),
        (ServiceFaults(tokens_expire=ALWAYS, token=ALWAYS), 503, "Service Unavailable"),
    ],
)
def test_each_fault_of_the_rail_has_its_status_and_its_words(
    site: Hub, client: httpx.Client, faults: ServiceFaults, status: int, detail: str
) -> None:
    site.rail.simulation(faults=faults)
    found, text = problem(asked(site, client, question(a_case()), callId="c-2"))
    assert found == status
    assert text.startswith(detail)
    if status in HEARD:  # a technical failure is asked about again, over some seconds
        said, words = HEARD[status]
        assert solution_of(site, a_case()) == {"status": said, "feilmelding": words.format(text), "simulering": None}


def test_the_rails_own_rules_are_told_in_its_words(site: Hub, client: httpx.Client) -> None:
    body = question(a_case())
    body["oppdrag"]["endringskode"] = "ENDRET"
    status, text = problem(asked(site, client, body))
    assert (status, text.startswith(FUNCTIONAL)) == (400, True)


def test_a_call_waits_so_long_and_no_longer_and_what_nobody_waits_for_is_not_asked(hasty: Hub) -> None:
    case = a_case()
    with hasty.rest.client() as caller:
        assert problem(caller.post(PATH, json=question(case))) == (503, "Service Unavailable")
    until(lambda: stored_of(hasty, case), what="the question was not stored")
    hasty.clock.advance(timedelta(minutes=1))
    hasty.run("simulator")
    (stored,) = stored_of(hasty, case)
    assert (stored.state, stored.reason, stored.times_asked) == (SimulationState.FAILED, "timed out", 0)
    assert case not in {each.case_id for each in hasty.rail.simulated()}


def test_a_rail_that_answers_too_late_is_still_asked_until_it_does(hasty: Hub) -> None:
    """Whoever broke it off would let an order of the case meet it at the rail."""
    case = a_case()
    hasty.rail.simulation(faults=ServiceFaults(slow=ALWAYS, slow_seconds=1.0))
    with hasty.rest.client() as caller:
        assert problem(asked(hasty, caller, question(case))) == (503, "Service Unavailable")
    until(lambda: stored_of(hasty, case), what="the question was not stored")
    hasty.run("simulator")
    (stored,) = stored_of(hasty, case)
    assert stored.state is SimulationState.ANSWERED


def test_calls_that_wait_hold_no_other_up_and_more_than_may_wait_are_turned_away(site: Hub, client: httpx.Client) -> None:
    with ThreadPoolExecutor(AT_ONCE + 1) as callers:
        calls = [callers.submit(client.post, PATH, json=question(a_case())) for _ in range(AT_ONCE + 1)]
        (turned_away,) = wait(calls, return_when=FIRST_COMPLETED).done
        assert client.get("/accounts").status_code == 200
        assert [call for call in calls if call.done()] == [turned_away]
        while wait(calls, 0.01).not_done:
            site.run("simulator")
    assert problem(turned_away.result()) == (503, f"{AT_ONCE} calls wait already")
    assert {call.result().status_code for call in calls if call is not turned_away} == {200}


def test_a_case_with_an_open_order_is_refused_at_once_with_the_orders_age(site: Hub, client: httpx.Client) -> None:
    case = a_case()
    site.put(RAPID, "k", need(NeedKind.PAYMENT, fagsystemId=case, endringskode="NY", linjer=[line(endringskode="NY", delytelseId=1)]))
    site.run("intake")
    site.clock.advance(timedelta(hours=3))
    response = client.post(PATH, json=question(case))
    status, text = problem(response)
    assert (status, "i 3 timer" in text, response.headers["retry-after"]) == (409, True, "1")
    assert response.json()["type"] == "urn:error:conflict"
    assert listing(site.connection, key=(Scheme.SYKEPENGER, case)) == []
    site.run()
    assert asked(site, client, question(case)).status_code != 409


def test_each_thing_that_is_wrong_with_a_question_is_named(site: Hub, client: httpx.Client) -> None:
    body = question(a_case(), sats="mye", fom="i dag")
    body["saksbehandler"] = ""
    assert problem(client.post(PATH, json=body)) == (
        400,
        f"saksbehandler: må ha fra 1 til 50 tegn; {LINE}.fom: må være en dato, åååå-MM-dd; {LINE}.sats: må være et heltall",
    )
    headers = {"content-type": "application/json"}
    assert problem(client.post(PATH, content=b"null", headers=headers)) == (400, "Ugyldig simulering request, oppfyller ikke kontrakten")
    assert problem(client.post(PATH, content=b"{", headers=headers)) == (400, "message is not JSON")
    without = question(a_case())
    without["oppdrag"]["linjer"] = []
    assert problem(client.post(PATH, json=without)) == (400, "Ugyldig simulering request, nytteløst å simulere oppdrag uten linjer")
    many = question(a_case())
    many["oppdrag"]["linjer"] = [many["oppdrag"]["linjer"][0] | {"delytelseId": number} for number in range(1, 1402)]
    status, text = problem(client.post(PATH, json=many))
    assert (status, "1400" in text) == (400, True)


def test_unknown_members_are_passed_over_at_the_top_only(site: Hub, client: httpx.Client) -> None:
    assert asked(site, client, question(a_case()) | {"mer": 1, "maksdato": None}).status_code == 200
    further_in = question(a_case(), sjekksum=1)
    assert problem(client.post(PATH, json=further_in)) == (400, f"{LINE}: har et felt som ikke er kjent")


def test_what_stops_a_request_before_the_route_is_told_in_the_services_form(client: httpx.Client) -> None:
    assert problem(client.post(PATH, content=b" " * 1_048_577))[0] == 413
    assert problem(client.post(PATH, content=b"{}"))[0] == 415
    assert problem(client.get(PATH))[0] == 405
    assert problem(client.post(f"{PATH}?vent=1", json={}))[0] == 400


def test_only_applications_of_the_scheme_may_ask_and_each_token_names_its_application(site: Hub) -> None:
    body = question(a_case())
    nobody = httpx.post(site.rest.url + PATH, json=body, headers={"callId": "c-9"})
    assert problem(nobody)[0] == 401
    assert (nobody.json()["callId"], nobody.headers["www-authenticate"]) == ("c-9", 'Bearer realm="kvitt"')
    for token in ("x", f"{site.rest.token()}x"):
        assert problem(httpx.post(site.rest.url + PATH, json=body, headers={"authorization": f"Bearer {token}"}))[0] == 401
    other = site.rest.token(application="dp-mellom-barken-og-veden", schemes=[Scheme.DAGPENGER])
    refused = httpx.post(site.rest.url + PATH, json=body, headers={"authorization": f"Bearer {other}"})
    assert problem(refused) == (403, "the application is not one of SYKEPENGER")
    assert listing(site.connection, key=(Scheme.SYKEPENGER, body["oppdrag"]["fagsystemId"])) == []


@pytest.mark.parametrize("given", ["c-7", "7c1f0a52-8f54-4a8e-9d54-0f5a7b6f2c11", "x" * 255])
def test_the_call_id_comes_back(client: httpx.Client, given: str) -> None:
    assert client.post(PATH, json={}, headers={"callId": given}).json()["callId"] == given


@pytest.mark.parametrize("given", ["", "x" * 256, "æ"])
def test_what_is_no_call_id_is_replaced(client: httpx.Client, given: str) -> None:
    made = client.post(PATH, json={}, headers=[(b"callId", given.encode())]).json()["callId"]
    assert made not in ("", given)


def test_a_repeated_request_with_a_key_is_answered_without_asking_once_more(site: Hub, client: httpx.Client) -> None:
    case = a_case()
    first = asked(site, client, question(case), **{"idempotency-key": f"k-{case}"})
    again = client.post(PATH, json=question(case), headers={"idempotency-key": f"k-{case}"})
    assert (first.status_code, again.headers["idempotency-replayed"], again.json()) == (200, "true", first.json())
    assert len(listing(site.connection, key=(Scheme.SYKEPENGER, case))) == 1
    other = client.post(PATH, json=question(case, sats=1), headers={"idempotency-key": f"k-{case}"})
    assert problem(other)[0] == 409


def test_nothing_that_was_asked_is_ordered(site: Hub) -> None:
    assert listing(site.connection, limit=1) != []
    site.run()
    assert {order.case_id for order in site.sent()} <= {
        row[0] for row in site.connection.execute("SELECT case_id FROM cases WHERE orders_made > 0")
    }
    site.check()
