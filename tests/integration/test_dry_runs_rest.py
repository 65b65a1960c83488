"""Dry runs over HTTP: each answer of the rail's simulation, and of what keeps it from being asked (iverksetting §4.4)."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import count

import httpx
import pytest

from kvitt.contracts.helved.topics import STATUSES, primary_input
from kvitt.disbursement.values import Scheme
from kvitt.settings import Settings, SimulationSettings
from kvitt.testing import Hub, TestServer
from support.hub_messages import Json, aap, payment_uid, text, ts, ts_payment
from support.patience import PATIENCE_SECONDS
from support.single_payments import PERSON, days, supplement

_numbers = count(1)


class Askers:
    """Callers who ask one hub what would be paid; it works while they wait."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._pool = ThreadPoolExecutor(4)

    def close(self) -> None:
        self._pool.shutdown()

    def asked(self, path: str, body: Json | bytes, *schemes: Scheme, **headers: str) -> httpx.Response:
        """One call, with the rail at work."""
        content = body if isinstance(body, bytes) else text(body)
        token = self.hub.rest.token(schemes=schemes or (Scheme.AAP,))
        named = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self._working(lambda: httpx.post(f"{self.hub.rest.url}{path}", content=content, headers=named, timeout=PATIENCE_SECONDS))

    def _working(self, call: Callable[[], httpx.Response]) -> httpx.Response:
        asked = self._pool.submit(call)
        while not wait([asked], timeout=0.05, return_when=FIRST_COMPLETED).done:
            self.hub.run("simulator")
        return asked.result()


@pytest.fixture(scope="module")
def askers(kvitt_server: TestServer) -> Iterator[Askers]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    with kvitt_server.database() as conninfo:
        hub = Hub(conninfo, Settings(simulation=SimulationSettings(dry_run_seconds=PATIENCE_SECONDS)))
        made = Askers(hub)
        yield made
        hub.run()
        findings = hub.findings()
        made.close()
        hub.close()
        assert findings == []


@pytest.fixture
def case() -> str:
    """A case of its own."""
    return f"DR{next(_numbers)}"


def test_a_dry_run_hears_what_would_be_paid(askers: Askers, case: str) -> None:
    answer = askers.asked("/api/dryrun/aap", aap(case))
    assert (answer.status_code, answer.json()["@type"]) == (200, "v2")
    paid = answer.json()["perioder"][0]["utbetalinger"][0]
    assert (paid["sakId"], paid["fagsystem"]) == (case, "AAP")
    assert askers.hub.sent() == ()


def test_other_schemes_hear_it_month_by_month(askers: Askers, case: str) -> None:
    answer = askers.asked("/api/dryrun/tilleggsstonader", ts(case), Scheme.TILLEGGSSTONADER)
    assert (answer.status_code, answer.json()["@type"]) == (200, "v1")
    assert answer.json()["detaljer"]["perioder"][0]["posteringer"][0]["sakId"] == case


def test_the_scheme_may_be_that_of_the_application(askers: Askers, case: str) -> None:
    answer = askers.asked("/api/simulering/v3", aap(case))
    assert (answer.status_code, answer.json()["@type"]) == (200, "v2")


def test_what_would_change_nothing_is_said_so(askers: Askers, case: str) -> None:
    askers.hub.put(primary_input(Scheme.AAP), case, aap(case))
    askers.hub.run()
    answer = askers.asked("/api/dryrun/aap", aap(case))
    assert (answer.status_code, answer.json()["@type"], answer.json()["status"]) == (302, "info", "OK_UTEN_ENDRING")


def test_the_same_id_is_simulated_once_and_another_message_under_it_is_refused(askers: Askers, case: str) -> None:
    first, again = (askers.asked("/api/dryrun/aap", aap(case), transaction_id=case) for _ in range(2))
    assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json())
    requests = "SELECT count(*) FROM simulation_requests AS r JOIN messages AS m USING (message_no) WHERE m.key = %s"
    assert askers.hub.connection.execute(requests.encode(), [case.encode()]).fetchone() == (1,)
    other = askers.asked("/api/dryrun/aap", aap(case, 600), transaction_id=case)
    text = "Transaction-ID er brukt i en annen forespørsel"
    assert (other.status_code, other.json()["msg"], "retry-after" in other.headers) == (409, text, False)


@pytest.mark.parametrize("unfit", ["", "x" * 300])
def test_an_id_that_can_be_none_is_refused_by_the_name_of_its_header(askers: Askers, case: str, unfit: str) -> None:
    answer = askers.asked("/api/dryrun/aap", aap(case), transaction_id=unfit)
    assert (answer.status_code, "Transaction-ID" in answer.text, "Idempotency-Key" in answer.text) == (400, True, False)


def test_while_its_case_is_busy_none_is_asked(askers: Askers, case: str) -> None:
    askers.hub.put(primary_input(Scheme.AAP), case, aap(case))
    askers.hub.run("intake")
    answer = askers.asked("/api/dryrun/aap", aap(case, 600), transaction_id=f"busy {case}")
    assert (answer.status_code, answer.json()["status"], answer.json()["simulering"]) == (409, "FEILET", True)
    assert answer.headers["retry-after"] == "1"
    askers.hub.run()
    assert askers.asked("/api/dryrun/aap", aap(case, 600), transaction_id=f"busy {case}").status_code == 200


def test_what_keeps_a_message_from_being_simulated_is_answered_at_once(askers: Askers, case: str) -> None:
    unreadable = askers.asked("/api/dryrun/aap", b"{")
    assert (unreadable.status_code, unreadable.json()["status"], unreadable.json()["error"]["statusCode"]) == (400, "FEILET", 400)
    assert askers.asked("/api/dryrun/aap", aap("x" * 31)).json()["error"]["msg"] == "Sak-ID må være mellom 1 og 30 tegn"
    other = askers.asked("/api/dryrun/aap", aap(case), Scheme.TILTAKSPENGER)
    assert (other.status_code, [*other.json()]) == (403, ["statusCode", "msg", "doc", "system"])
    assert askers.asked("/api/dryrun/barnetrygd", aap(case)).status_code == 404
    bare = httpx.post(f"{askers.hub.rest.url}/api/dryrun/aap", content=b"{}")
    assert (bare.status_code, bare.content) == (401, b"")


def test_a_decision_may_name_what_its_approver_saw(askers: Askers, case: str) -> None:
    assert askers.asked("/api/dryrun/aap", aap(case), transaction_id=f"seen {case}").status_code == 200
    askers.hub.put(primary_input(Scheme.AAP), case, aap(case), {"simulering": f"seen {case}"})
    askers.hub.run()
    assert askers.hub.published(STATUSES, case)[-1].json["status"] == "OK"
    askers.hub.put(primary_input(Scheme.AAP), f"{case} later", aap(case, 900), {"simulering": "never"})
    askers.hub.run()
    assert askers.hub.published(STATUSES, f"{case} later")[-1].json["error"]["statusCode"] == 409


def test_a_payment_may_name_what_its_approver_saw(askers: Askers, case: str) -> None:
    uid = payment_uid(case)
    path, token = f"{askers.hub.rest.url}/utbetalinger/{uid}", askers.hub.rest.token(schemes=(Scheme.TILLEGGSSTONADER,))
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    body = supplement(*days(1, 5, weekends=False), kind="UKEDAG", sakId=case)
    assert httpx.post(path, content=text(body), headers=headers | {"simulering": "never"}).status_code == 201
    askers.hub.run()
    assert httpx.get(f"{path}/status", headers=headers).json() == "FEILET_MOT_OPPDRAG"
    seen = ts(case, ts_payment(uid, 640), personident=PERSON)
    assert askers.asked("/api/dryrun/tilleggsstonader", seen, Scheme.TILLEGGSSTONADER, transaction_id=f"seen {case}").status_code == 200
    assert httpx.post(path, content=text(body), headers=headers | {"simulering": f"seen {case}"}).status_code == 201
    askers.hub.run()
    assert httpx.get(f"{path}/status", headers=headers).json() == "OK"


def test_who_has_waited_long_enough_hears_that(database: str, case: str) -> None:
    hub = Hub(database, Settings(simulation=SimulationSettings(dry_run_seconds=0.2)))
    token = hub.rest.token(schemes=(Scheme.AAP,))
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    answer = httpx.post(f"{hub.rest.url}/api/dryrun/aap", content=text(aap(case)), headers=headers, timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.json()["statusCode"]) == (408, 408)
    hub.close()
