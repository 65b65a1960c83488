"""`kvitt run` on Kafka, PostgreSQL and a queue broker: one process, a stop under load, its log, and servers that are not there yet."""

import json
import os
import signal
from pathlib import Path

import pytest
from brokers.kafka import Kafka

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.answers import Status
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.transports.kafka.topics import ensure_topics
from support.console_script import command
from support.hub_messages import aap, dp, text
from support.kafka_stage import joined, send
from support.kill_harness import worker_pids
from support.patience import PATIENCE_SECONDS, until
from support.run_stage import Place, running
from support.topics import TOPIC_TERMS

DP, AAP = helved_topics.EXTERNAL_INPUTS[Scheme.DAGPENGER], helved_topics.EXTERNAL_INPUTS[Scheme.AAP]
ALL = "intake,relay,sender,receiver,emulator"


@pytest.fixture
def place(tmp_path: Path, database: str, kafka: str, artemis: tuple[str, int]) -> Place:
    return Place(tmp_path, database, joined(kafka), artemis)


def feed(place: Place, cases: int, name: str = "c") -> list[str]:
    """Two messages for each of so many cases of two schemes, the second while the first is on its way; returns their keys."""
    keys = []
    for topic, make in ((DP, dp), (AAP, aap)):
        for index in range(cases):
            case = f"{place.run}-{name}{index}"
            sent = [(f"{case}-{topic}-{amount}", text(make(case, amount))) for amount in (500, 600)]
            send(place.kafka, topic, *[(key.encode(), body) for key, body in sent])
            keys += [key for key, _ in sent]
    return keys


def assert_consistent(place: Place) -> None:
    """`kvitt check` finds no difference, between what came in and what is stored, and between that and the rail."""
    checked = command("check", "--config", place.config)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_one_process_takes_messages_from_kafka_to_their_final_status_over_a_broker(place: Place) -> None:
    with running(place, ALL) as (runner,):
        keys = feed(place, 5)
        assert place.await_final(keys) == {key: [Status.OK] for key in keys}
        assert runner.stop() == 0
    assert_consistent(place)


def test_workers_of_one_run_may_be_killed_on_kafka(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVITT_WORKERS", "2")
    with running(place, ALL) as (runner,), connect(place.database) as connection:

        def taken() -> bool:
            return connection.execute("SELECT count(*) > 5 FROM messages").fetchone() == (True,)

        keys = feed(place, 20)
        until(taken)
        for number, pid in worker_pids(runner.process.pid).items():
            os.kill(pid, signal.SIGKILL)
            until(lambda number=number, pid=pid: worker_pids(runner.process.pid).get(number, pid) != pid)  # type: ignore[misc]
        assert set(place.await_final(keys)) == set(keys)
        assert runner.stop() == 0
    assert_consistent(place)


def test_a_process_that_is_asked_to_stop_under_load_hands_over_and_ends_with_zero(place: Place) -> None:
    with running(place, ALL, ALL) as (first, second), connect(place.database) as connection:

        def count(query: str) -> int:
            ((number,),) = connection.execute(query.encode()).fetchall()
            return int(str(number))

        until(lambda: count("SELECT count(DISTINCT owner) FROM leases WHERE lease LIKE 'intake:%'") == 2)
        keys = feed(place, 20)
        until(lambda: count("SELECT count(*) FROM messages") > 5)
        assert first.stop() == 0, first.lines[-20:]
        assert set(place.await_final(keys)) == set(keys)
        assert second.stop() == 0, second.lines[-20:]
        assert count("SELECT count(*) FROM leases WHERE until > now()") == 0
    assert_consistent(place)


def test_the_log_is_json_lines(place: Place) -> None:
    with running(place, "relay") as (runner,):
        until(lambda: any("health" in line for line in runner.lines))
        runner.process.send_signal(signal.SIGINT)
        assert runner.process.wait(PATIENCE_SECONDS) == 0
    published = [json.loads(line) for line in runner.lines if line.startswith("{")]
    assert published
    assert {"event", "level", "timestamp"} <= published[0].keys()


def test_secrets_in_any_part_of_the_database_url_are_not_shown(place: Place) -> None:
    url = "postgresql://kvitt:s3cret@db/kvitt?sslmode=require&sslpassword=s3cret&password=s3cret"
    shown = place.command("run", "--show-config", environment={"KVITT_DATABASE_URL": url, "KVITT_QUEUE_PASSWORD": "s3cret"})
    assert shown.returncode == 0, shown.stderr
    assert "s3cret" not in shown.stdout + shown.stderr
    assert place.kafka in shown.stdout


def test_a_broker_that_comes_back_is_waited_for(tmp_path: Path, database: str, own_kafka: Kafka) -> None:
    settings = KafkaSettings(bootstrap=own_kafka.address)
    ensure_topics(settings, TOPIC_TERMS)
    place = Place(tmp_path, database, settings)
    own_kafka.kill()
    with running(place, "relay") as (runner,):
        until(lambda: any("FAIL" in line or "waits for a server" in line for line in runner.lines))
        own_kafka.restart()
        until(lambda: any("kvitt runs relay" in line for line in runner.lines), what="the process did not begin")
        assert runner.stop() == 0
