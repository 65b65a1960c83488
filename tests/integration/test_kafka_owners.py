"""One case is never opened by two contracts: the same decision on Kafka and over REST at the same time (design §12)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
from confluent_kafka import Message

from kvitt.app.hub import HubProcess
from kvitt.app.ports import PORTS
from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved.topics import STATUSES, primary_input
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.settings import DecisionSettings, RestSettings, Settings
from support.hub_messages import aap
from support.issuer import AUDIENCE, ISSUER, Issuer
from support.iverksetting_bodies import days, encoded, person_of, v2
from support.kafka_stage import ends, joined, read, send
from support.patience import until

CASES = 24
ROLES = ("intake", "relay", "sender", "receiver", "emulator", "decisions")
_ENDED = {"OK", "FEILET"}


@contextmanager
def site(kafka: KafkaSettings, conninfo: str, directory: Path) -> Iterator[httpx.Client]:
    """A hub on Kafka; calls are an approver's."""
    issuer = Issuer(directory / "jwks.json")
    rest = RestSettings(port=0, issuer=ISSUER, audience=AUDIENCE, jwks_file=issuer.file, schemes={"utbetal": ["AAP"]})
    approvers = {"AAP": DecisionSettings(approver_groups=("g",))}
    settings = Settings(data=directory / "data", kafka=kafka, lease_seconds=2.0, rest=rest, decisions=approvers)  # type: ignore[arg-type]
    hub = HubProcess(conninfo, settings, ROLES)
    hub.start()
    try:
        assert hub.apis is not None
        until(hub.apis.listening.is_set)
        token = issuer.token(azp_name="prod:team:utbetal", azp="utbetal", NAVident="B200002", groups=["g"])
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        with httpx.Client(base_url=hub.apis.addresses.rest.url, headers=headers, timeout=60) as client:
            yield client
    finally:
        hub.stop()


def test_a_case_is_opened_by_the_call_or_by_the_message_and_the_other_is_told_whose_it_is(
    kafka: str, database: str, tmp_path: Path
) -> None:
    settings, chance = joined(kafka), Random(1)
    start = ends(kafka, [STATUSES])
    answers: dict[int, httpx.Response] = {}

    def call(client: httpx.Client, case: int) -> None:
        spans = [days("2026-06-01", "2026-06-12", 500, benefit="AAP_UNDER_ARBEIDSAVKLARING", fastsattDagsats=1000)]
        decision = encoded(v2(f"OWNED-{case}", "B1", spans, personident=person_of(case)))

        def is_answered() -> bool:
            answers[case] = client.post("/api/iverksetting/v2", content=decision)
            return answers[case].status_code != 423

        until(is_answered, every=0.05)

    def message(case: int) -> None:
        body = json.dumps(aap(f"OWNED-{case}", ident=person_of(case))).encode()
        send(kafka, primary_input(Scheme.AAP), (f"owned-{case}".encode(), body))

    with site(settings, database, tmp_path) as client, ThreadPoolExecutor(8) as threads:
        both = [(work, case) for case in range(CASES) for work in chance.sample([True, False], 2)]
        for each in [threads.submit(call, client, case) if calls else threads.submit(message, case) for calls, case in both]:
            each.result()
        told: dict[str, tuple[str, str]] = {}

        def all_have_ended() -> bool:
            told.update(statuses(read(kafka, start)))
            return all(told.get(f"owned-{case}", ("", ""))[0] in _ENDED for case in range(CASES))

        until(all_have_ended, every=0.2)
    with connect(database) as connection:
        owners = dict(connection.execute("SELECT case_id, contract FROM cases").fetchall())
        assert connection.execute("SELECT count(*), count(DISTINCT case_no) FROM orders").fetchone() == (CASES, CASES)
    for case in range(CASES):
        answer, (status, text) = answers[case], told[f"owned-{case}"]
        if owners[f"OWNED-{case}"] == "helved":
            assert (answer.status_code, status) == (409, "OK")
            assert "hører til kontrakten helved" in answer.json()["msg"]
        else:
            assert (answer.status_code, status) == (202, "FEILET")
            assert "hører til kontrakten iverksetting" in text
    assert [str(each) for each in check(database, PORTS).differences] == []


def statuses(records: Iterator[Message]) -> Iterator[tuple[str, tuple[str, str]]]:
    """The status and the words of the refusal, by key."""
    for each in records:
        said = json.loads(each.value() or b"{}")
        yield (each.key() or b"").decode(), (said["status"], (said.get("error") or {}).get("msg", ""))
