"""Decisions over HTTP survive the loss of the hub: callers who repeat what was not answered have each received once, and paid once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import httpx
import pytest
from brokers.broker import free_port

from kvitt.api.rest.local_issuer import Behind, LocalIssuer
from kvitt.disbursement.values import Scheme
from kvitt.testing.apis import Rest
from support.console_script import inside
from support.iverksetting_bodies import days, encoded, person_of, previous, v2
from support.kill_harness import Child, Watch, watching
from support.patience import PATIENCE_SECONDS, until

CASES, DECISIONS, CALLERS = 24, 4, 4
DEATHS = ("submit.before_commit:3", "submit.after_commit:3", "settle.before_commit:2", "send.after_put:2", "", "")
"""Where the hub dies, one life after the other; "" is any moment."""
_RECEIVED, _LATER = 202, (423, 500, 503, 504)
PATH = "/api/iverksetting/v2"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """The port at which all hubs listen, one after the other."""
    port = free_port()
    monkeypatch.setenv("KVITT_REST_PORT", str(port))
    return port


def body(case: int, number: int) -> bytes:
    """The decision of that number: another amount for the same week, and a day more."""
    spans = [days("2026-05-04", "2026-05-08", 600 + number), *(days(f"2026-06-{day:02}", amount=500) for day in range(1, number + 1))]
    after = previous(f"B{number - 1}") if number else None
    return encoded(v2(f"K{case}", f"B{number}", spans, after=after, personident=person_of(case)))


class Callers:
    """Several callers, each of cases of its own, who repeat a decision until it is received."""

    def __init__(self, data: Path, port: int) -> None:
        by = Behind(person="Z990001", approver_of=[Scheme.TILLEGGSSTONADER])
        token = Rest("", LocalIssuer(data), "kvitt").token(application="ts-sak", schemes=[Scheme.TILLEGGSSTONADER], behind=by)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._url = f"http://127.0.0.1:{port}"
        self.unanswered = 0

    def chains(self, first: int) -> None:
        """Sends the chains of one caller's cases, decision by decision."""
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=30) as client:
            for number in range(DECISIONS):
                for case in range(first, CASES, CALLERS):
                    until(lambda case=case, number=number: self._is_received(client, case, number), every=0.05)  # type: ignore[misc]

    def _is_received(self, client: httpx.Client, case: int, number: int) -> bool:
        try:
            answer = client.post(PATH, content=body(case, number))
        except httpx.HTTPError:
            self.unanswered += 1
            return False
        assert answer.status_code in (_RECEIVED, *_LATER), answer.text
        return answer.status_code == _RECEIVED

    def repeated(self) -> set[int]:
        """How all of it is answered once more."""
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=60) as client:
            return {client.post(PATH, content=body(case, number)).status_code for case in range(CASES) for number in range(DECISIONS)}


def test_each_decision_is_received_once_however_often_the_hub_is_killed(data_dir: Path, port: int, tmp_path: Path) -> None:
    data, log, chance = data_dir, tmp_path / "hub.log", Random(1)
    callers = Callers(data, port)
    child = Child(data, log, DEATHS[0])
    try:
        with ThreadPoolExecutor(CALLERS) as threads, watching(data) as watch:
            running = [threads.submit(callers.chains, first) for first in range(CALLERS)]
            for place, following in zip(DEATHS, [*DEATHS[1:], ""], strict=True):
                if place:
                    child.await_death()
                else:
                    goal = progress(watch) + chance.randrange(5, 20)
                    until(lambda goal=goal: progress(watch) >= goal or all(each.done() for each in running))  # type: ignore[misc]
                    child.kill()
                child = Child(data, log, following)
            for each in running:
                each.result(PATIENCE_SECONDS)
            print(f"{len(DEATHS)} kills, {callers.unanswered} calls had no answer")
            assert callers.repeated() == {_RECEIVED}
            until(lambda: watch.rows("SELECT count(*) FROM messages WHERE state <> 'answered'") == [(0,)])
            assert watch.rows(_STORED) == [(CASES * DECISIONS, CASES * DECISIONS)]
        checked = inside(data, "check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert child.end() == 0
    finally:
        child.kill()


_STORED = "SELECT (SELECT count(*) FROM orders WHERE state = 'accepted'), (SELECT count(*) FROM decisions WHERE outcome = 'ordered')"


def progress(watch: Watch) -> int:
    """How many decisions were ordered by; 0 while there is no server."""
    rows = watch.rows("SELECT count(*) FROM decisions WHERE outcome = 'ordered'")
    return int(str(rows[0][0])) if rows else 0
