"""10,000 damaged bodies over HTTP, on every path of decisions, payments, simulations and reconciliation: kvitt fails on none of them.

And many equal calls at once on a single payment: one is done.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from itertools import chain, count
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from kvitt.api.rest.local_issuer import Behind
from kvitt.disbursement.values import Scheme
from kvitt.settings import Settings, SimulationSettings
from kvitt.testing import Hub, TestServer
from support.fuzzed_bodies import fuzzed
from support.hub_messages import aap, dp, payment_uid, ts, ts_payment
from support.iverksetting_bodies import Body, days, last, last_day, old, old_day, person_of, previous, v2
from support.patience import PATIENCE_SECONDS
from support.single_payments import days as single_days
from support.single_payments import supplement, text

UID, ONE, TWO = (f"0f3e19aa-6d55-4d7d-9f0f-88b0c0de200{number}" for number in range(3))
TS, DP, AAP = Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER, Scheme.AAP
_WEEK = [days("2026-05-04", "2026-05-08"), days("2026-05-11")]
_OLD = old(ONE, [old_day("2023-08-21", ferietillegg="ORDINAER")], after=(TWO, [old_day("2023-08-21")]), virkningstidspunkt="2023-01-01")
_PAID = [supplement(*single_days(1, 3, betalendeEnhet="4488"), sakId="FUZZ", avvent={"fom": "2026-06-01", "tom": "2026-06-05"})]
_HELD = {"fom": "2026-06-01", "tom": "2026-06-02", "overføres": "2026-07-01", "årsak": "AVVENT_AVREGNING", "feilregistrering": True}
_AVVENT = {"stønad": "TILSYN_BARN_AAP", "sakId": "FUZZ", "personident": "01820390012", "saksbehandlerId": "A1", "avvent": _HELD}
_LINE = {
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
_QUESTION = {
    "fødselsnummer": "24068715888",
    "oppdrag": {
        "fagområde": "ARBEIDSGIVERREFUSJON",
        "fagsystemId": "FUZZ",
        "endringskode": "NY",
        "mottakerAvUtbetalingen": "987654321",
        "linjer": [_LINE],
    },
    "maksdato": "2026-12-13",
    "saksbehandler": "Kari",
}
_RANGE = {"today": "2026-07-01", "fom": "2026-06-30T00:00:00", "tom": "2026-06-30T23:59:59.999999999"}
_NAMED = {
    "fagsystem": "DP",
    "perioderForBehandlinger": [{"behandlingId": "B1", "perioder": [1, 2], "aktivFødselsnummer": "01020312345"}],
    "avstemmingstidspunkt": "2026-05-05T08:00:00",
}
_SENT_LINE = {
    "periodeId": 1,
    "vedtaksdato": "2026-05-01",
    "klassifisering": "DPORAS",
    "fom": "2026-05-01",
    "tom": "2026-05-30",
    "sats": 300,
    "satstype": "DAG",
    "utbetalesTil": "01020312345",
    "behandlingId": "B1",
}
_SENT = {
    "fagsystem": "DP",
    "utbetalingsoppdrag": [{"saksnummer": "81", "aktør": "01020312345", "saksbehandlerId": "A1", "utbetalingsperiode": [_SENT_LINE]}],
    "avstemmingstidspunkt": "2026-05-05T08:00:00",
}
_MOVE = [
    {"sakId": "S1", "behandlingId": "B1", "iverksettingId": None, "meldeperiode": "M1"},
    {"sakId": "S1", "behandlingId": "B1", "uidToStønad": {"first": UID, "second": "TILSYN_BARN_AAP"}},
]
_SIMULATED = {
    "sakId": "FUZZ3",
    "behandlingId": "B1",
    "personident": person_of(1900),
    "saksbehandlerId": "A100001",
    "utbetalinger": _WEEK,
    "forrigeIverksetting": None,
}
_ITEMS = {"items": [{"uid": UID, "id": ONE}, {"uid": TWO, "id": TWO}]}
_THICK: dict[str, list[Body]] = {
    "aap": [aap("FUZZ")],
    "dagpenger": [dp("FUZZ")],
    "tilleggsstonader": [ts("FUZZ", ts_payment(payment_uid("FUZZ")))],
}
EACH: Mapping[tuple[str, str], tuple[Scheme, list[Body], int]] = {
    ("POST", "/api/iverksetting/v2"): (
        TS,
        [v2("FUZZ", "B1", _WEEK, after=previous("B0", "i"), iverksettingId="j"), v2("FUZZ2", "B1", _WEEK)],
        1500,
    ),
    ("POST", "/api/iverksetting"): (DP, [_OLD, last("FUZZ", "B1", [last_day("2024-05-06", ferietillegg="ORDINÆR")])], 1500),
    ("POST", "/api/iverksetting/v2/migrate"): (TS, _MOVE, 400),
    ("POST", "/api/iverksetting/v2/migrate/dryrun"): (TS, _MOVE, 400),
    ("POST", f"/utbetalinger/{UID}"): (TS, _PAID, 1500),
    ("PUT", f"/utbetalinger/{UID}"): (TS, _PAID, 800),
    ("DELETE", f"/utbetalinger/{UID}"): (TS, _PAID, 800),
    ("POST", f"/utbetalinger/{UID}/avvent"): (TS, [_AVVENT], 600),
    **{("POST", f"/utbetalinger/{UID}/{path}"): (AAP, [{"id": ONE}], 100) for path in ("migrate", "migrate/dryrun")},
    **{("POST", f"/utbetalinger/{path}"): (AAP, [_ITEMS], 200) for path in ("migrate", "migrate/dryrun")},
    ("POST", "/api/simulering/v2"): (TS, [_SIMULATED], 300),
    ("POST", "/api/simulering"): (Scheme.SYKEPENGER, [_QUESTION], 500),
    ("POST", "/api/simulering/v3"): (AAP, _THICK["aap"], 300),
    ("POST", "/api/dryrun/aap"): (AAP, _THICK["aap"], 300),
    ("POST", "/api/dryrun/dagpenger"): (DP, _THICK["dagpenger"], 300),
    ("POST", "/api/dryrun/tilleggsstonader"): (TS, _THICK["tilleggsstonader"], 300),
    ("POST", "/api/next_range"): (AAP, [{"date": "2026-07-01"}], 100),
    ("POST", "/api/avstem"): (AAP, [_RANGE], 200),
    ("POST", "/api/avstem/dryrun"): (AAP, [_RANGE], 200),
    ("POST", "/api/v2/konsistensavstemming"): (AAP, [_NAMED], 200),
    ("POST", "/api/konsistensavstemming"): (AAP, [_SENT], 200),
}
"""By method and path: whose application calls, bodies that are none wrong, and into how many damaged ones they are made."""
NOT_IN_TIME, NOT_MOVED = {408, 503}, 501
CALLERS = 4
_numbers = count(1)


@pytest.fixture(scope="module")
def hub(kvitt_server: TestServer) -> Iterator[Hub]:
    """One hub, whose calls hardly wait for the rail; whatever came, all of it can be made again from what is stored."""
    hasty = SimulationSettings(call_seconds=0.01, dry_run_seconds=0.01)
    with kvitt_server.database() as conninfo:
        hub = Hub(conninfo, Settings(simulation=hasty))
        yield hub
        hub.run()
        findings = hub.findings()
        hub.close()
        assert findings == []


def client_of(hub: Hub, scheme: Scheme) -> httpx.Client:
    """An application of the scheme, with an approver of it behind."""
    return hub.rest.client(application="prod:team:fuzz", schemes=[scheme], behind=Behind(person="Z990001", approver_of=[scheme]))


def test_they_are_ten_thousand_on_every_path_that_takes_a_body(hub: Hub) -> None:
    with client_of(hub, TS) as client:
        described = client.get("/schema/openapi.json").json()["paths"]
    prefixes = ("/api/iverksetting", "/utbetalinger", "/api/simulering", "/api/dryrun", "/api/avstem", "/api/konsist", "/api/v2/konsist")
    taken = {
        (method.upper(), path.replace("{uid}", UID).replace("{scheme}", "aap"))
        for path, operations in described.items()
        for method, operation in operations.items()
        if path.startswith(prefixes) and "requestBody" in operation
    }
    assert taken <= EACH.keys()
    assert sum(number for _, _, number in EACH.values()) >= 10_000


@pytest.mark.parametrize(("method", "path"), EACH)
def test_kvitt_fails_on_no_damaged_body(hub: Hub, method: str, path: str) -> None:
    scheme, bodies, number = EACH[method, path]
    with client_of(hub, scheme) as client:
        headers = {"authorization": client.headers["authorization"], "content-type": "application/json"}
    damaged = [*fuzzed(bodies, number, seed=sum(path.encode()))]
    with ThreadPoolExecutor(CALLERS) as threads:
        answers = [
            *chain(*threads.map(lambda some: calls(hub, method, path, headers, some), (damaged[n::CALLERS] for n in range(CALLERS))))
        ]
    assert len(answers) == number
    assert [answer for answer in answers if answer.status >= 500 and not answer.is_known(path)] == []


class Answered(NamedTuple):
    """What a body was answered."""

    status: int
    said: bytes
    body: bytes

    def is_known(self, path: str) -> bool:
        """Whether a status that means a failure elsewhere is one that the callers of this path know."""
        if "konsistensavstemming" in path:
            # Every refusal has it; the code says why.
            return self.status == 500 and json.loads(self.said)["kode"] not in (None, "kvitt_error")
        if "migrate" in path:
            return self.status == NOT_MOVED
        return ("simulering" in path or "dryrun" in path) and self.status in NOT_IN_TIME


def calls(hub: Hub, method: str, path: str, headers: Mapping[str, str], bodies: Sequence[bytes]) -> list[Answered]:
    """The answers to these bodies, one after the other by one caller: as plain as can be: most of the work would be a better one's."""
    place, answers = urlsplit(hub.rest.url), []
    with closing(HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE_SECONDS)) as connection:
        for body in bodies:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answers.append(Answered(answer.status, answer.read(), body))
    return answers


@pytest.fixture
def uid() -> str:
    """A payment of its own."""
    return str(UUID(int=0x9999 << 96 | 0x4 << 76 | 0x8 << 60 | next(_numbers)))


def paid(uid: str, last_day: int = 5) -> Body:
    """A payment in a case, and of a person, of its own."""
    return supplement(*single_days(1, last_day), sakId=f"AT{uid[-6:]}", personident=person_of(2000 + int(uid[-6:], 16)))


def at_once(hub: Hub, number: int, call: Any) -> list[httpx.Response]:
    """The answers to so many calls at once, each by a client of its own."""
    with ThreadPoolExecutor(number) as threads, hub.rest.client(application="payers") as client:
        return list(threads.map(lambda place: call(client, place), range(number)))


def test_of_fifty_equal_calls_at_once_one_makes_the_payment(hub: Hub, uid: str) -> None:
    body = text(paid(uid))
    answers = at_once(
        hub, 50, lambda client, _: client.post(f"/utbetalinger/{uid}", content=body, headers={"content-type": "application/json"})
    )
    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert {answer.json()["msg"] for answer in answers if answer.content} == {f"Utbetaling med uid {uid} finnes allerede"}
    hub.run()
    assert len([order for order in hub.sent() if order.case_id == f"AT{uid[-6:]}"]) == 1


def test_fifty_equal_calls_at_once_under_one_key_have_one_answer(hub: Hub, uid: str) -> None:
    body, key = text(paid(uid)), f"fifty {uid}"

    def call(client: httpx.Client, _: int) -> httpx.Response:
        """Whoever hears that it is being done asks again, as it says."""
        for _ in range(int(PATIENCE_SECONDS * 20)):
            answer = client.post(f"/utbetalinger/{uid}", content=body, headers={"content-type": "application/json", "idempotency-key": key})
            if "retry-after" not in answer.headers:
                break
        return answer

    answers = at_once(hub, 50, call)
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, b"")}
    hub.run()
    assert len([order for order in hub.sent() if order.case_id == f"AT{uid[-6:]}"]) == 1


def test_of_two_changes_at_once_one_wins_and_the_other_hears_the_contracts_refusal(hub: Hub, uid: str) -> None:
    at_once(hub, 1, lambda client, _: client.post(f"/utbetalinger/{uid}", json=paid(uid)))
    hub.run()
    answers = at_once(hub, 2, lambda client, place: client.put(f"/utbetalinger/{uid}", json=paid(uid, 3 + place)))
    lost, won = sorted(answers, key=lambda answer: answer.status_code, reverse=True)
    assert (won.status_code, lost.status_code, lost.json()["msg"]) == (
        204,
        423,
        "Utbetalingen har et pågående oppdrag, vent til dette er ferdig",
    )
    hub.run()
