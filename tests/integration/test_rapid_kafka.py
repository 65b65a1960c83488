"""The rapid on a real Kafka: under its name there, with partitions of its own, begun where an operator said, heard by plain clients."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from kvitt.app.hub import HubProcess
from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.broker_settings import KafkaSettings
from kvitt.disbursement.check import check
from kvitt.kernel.database import connect
from kvitt.settings import Settings
from support.patience import PATIENCE_SECONDS, until
from support.rapid_messages import PERSON
from support.rapid_stage import in_short, other_case

pytestmark = pytest.mark.usefixtures("made_up_people")

ROLES = ("rapid", "relay", "sender", "receiver", "emulator")


class Bus:
    """A rapid of the test's own with plain clients on it."""

    def __init__(self, kafka: str) -> None:
        self.kafka, self.topic = kafka, f"rapid-{uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": kafka})
        admin.create_topics([NewTopic(self.topic, 2, 1)])[self.topic].result(15)
        self._producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
        self._consumer = Consumer({"bootstrap.servers": kafka, "group.id": uuid4().hex, "auto.offset.reset": "earliest"})
        self._consumer.subscribe([self.topic])
        self.published: list[dict[str, Any]] = []

    def send(self, *messages: dict[str, Any]) -> None:
        """Appends messages, as the domain does, keyed by the person."""
        for message in messages:
            self._producer.produce(self.topic, json.dumps(message, ensure_ascii=False).encode(), PERSON.encode())
        assert self._producer.flush(PATIENCE_SECONDS) == 0

    def hear(self, case: str) -> list[str]:
        """What was published about a case so far, in few words; the questions themselves left out."""
        for record in self._consumer.consume(500, 0.1):
            if record.error() is None:
                self.published.append(json.loads(record.value() or b"{}"))
        about = [each for each in self.published if case in json.dumps(each) and (each["@event_name"] != "behov" or "@løsning" in each)]
        return [in_short(each) for each in about]

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def bus(kafka: str) -> Iterator[Bus]:
    bus = Bus(kafka)
    yield bus
    bus.close()


def settings_of(bus: Bus) -> Settings:
    return Settings(kafka=KafkaSettings(bootstrap=bus.kafka, group=f"g-{bus.topic}", rapid_topic=bus.topic), lease_seconds=2.0)


@contextmanager
def running(conninfo: str, bus: Bus) -> Iterator[HubProcess]:
    hub = HubProcess(conninfo, settings_of(bus), ROLES)
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def begin(conninfo: str, bus: Bus, directory: Path, *options: str) -> str:
    file = directory / "kvitt.toml"
    lines = [f"bootstrap = '{bus.kafka}'", f"group = 'g-{bus.topic}'", f"rapid_topic = '{bus.topic}'"]
    file.write_text("\n".join([f'database_url = "{conninfo}"', "[kafka]", *lines]), encoding="utf-8")
    given = CliRunner().invoke(main, ["kafka", "set-start-offset", "--config", str(file), "--topic", "tbd.rapid.v1", *options])
    return f"{given.exit_code} {given.output} {given.exception!r}"


def test_the_rapid_is_read_from_where_an_operator_said_and_answered_on_itself(database: str, bus: Bus, tmp_path: Path) -> None:
    bus.send(*(other_case(number) for number in range(3)))
    with running(database, bus) as hub:
        until(lambda: any(state.role == "rapid" and state.fault == "NotBegun" for state in hub.board.states()))
    assert "nothing was changed" in begin(database, bus, tmp_path, "--end", "--dry-run")
    assert begin(database, bus, tmp_path, "--end", "--by", "kari", "--reason", "kvitt overtar").startswith("0 ")
    bus.send(other_case(7), other_case(8), other_case(7))
    with running(database, bus):
        until(lambda: "AKSEPTERT" in bus.hear("SAK8"), what="the need was not answered")
        until(lambda: len(bus.hear("SAK7")) >= 8, what="the repeat was not answered")
    # Copies of receipts have no key, and what the rail said has the person's: neither has an order with what is under the key of the need.
    words = [word for word in bus.hear("SAK7") if word != "raw receipt" and not word.startswith("rail ")]
    assert words.count("ordered") == 1
    assert words[0] == "MOTTATT"
    with connect(database) as connection:
        cases = {row[0] for row in connection.execute("SELECT case_id FROM cases")}
        noted = connection.execute("SELECT note FROM audit WHERE chain = 0 AND what = 'kafka set-start-offset'").fetchone()
    assert cases == {"SAK7", "SAK8"}
    assert noted is not None
    assert "kvitt overtar" in str(noted[0])
    assert check(database, PORTS).differences == ()
    assert "kvitt has read here before" in begin(
        database, bus, tmp_path, "--beginning", "--by", "kari", "--reason", "igjen", "--approved-by", "ola"
    )
