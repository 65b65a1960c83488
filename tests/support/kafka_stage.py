"""A Kafka cluster as the neighbours of kvitt use it: plain producers and consumers, and processes that can be killed and paused."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved.topics import SCHEME_OF_INPUT
from kvitt.formats.topics import PARTITIONS
from kvitt.transports.kafka.topics import ensure_topics
from support.kafka_process import Roles
from support.patience import PATIENCE_SECONDS, until
from support.topics import TOPIC_TERMS

_BEING_MADE = frozenset(
    {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}
)
_PROGRAM = Path(__file__).with_name("kafka_process.py")


def joined(kafka: str) -> KafkaSettings:
    """Settings of a group of the test's own, whose input begins where the topics end now."""
    settings = KafkaSettings(bootstrap=kafka, group=f"test-{uuid4().hex[:8]}")
    ensure_topics(settings, TOPIC_TERMS)
    hint(settings, {place: end for place, end in ends(kafka, list(SCHEME_OF_INPUT)).items() if end})
    return settings


def hint(settings: KafkaSettings, offsets: dict[tuple[str, int], int]) -> None:
    """Commits offsets for the group, as a hub of the past or an operator's tool might have."""
    consumer = _consumer(settings.bootstrap, settings.group)
    if offsets:
        consumer.commit(offsets=[TopicPartition(topic, part, offset) for (topic, part), offset in offsets.items()], asynchronous=False)
    consumer.close()


def ends(kafka: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """Where the partitions of topics end now."""
    consumer = _consumer(kafka, "ends")
    found: dict[tuple[str, int], int] = {}
    for topic in topics:
        for partition in range(PARTITIONS):
            until(lambda place=(topic, partition): _note_end(consumer, place, found))  # type: ignore[misc]
    consumer.close()
    return found


def _note_end(consumer: Consumer, place: tuple[str, int], found: dict[tuple[str, int], int]) -> bool:
    """False while the brokers have not chosen a leader for a partition that was just made."""
    try:
        found[place] = consumer.get_watermark_offsets(TopicPartition(*place), timeout=PATIENCE_SECONDS)[1]
    except KafkaException as error:
        if error.args[0].code() not in _BEING_MADE:
            raise
        return False
    return True


def send(kafka: str, topic: str, *records: tuple[bytes | None, bytes | None], headers: list[tuple[str, bytes]] | None = None) -> None:
    """Sends records (key, value) as a plain producer with Java's partitioner does."""
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    refused: list[KafkaError] = []
    for key, value in records:
        producer.produce(topic, value, key, headers=headers, on_delivery=lambda error, _: refused.append(error) if error else None)
        producer.poll(0)
    assert producer.flush(PATIENCE_SECONDS) == 0
    assert not refused, refused


def read(kafka: str, start: dict[tuple[str, int], int], *, committed: bool = True) -> list[Message]:
    """All records from `start` to the present ends, as a plain consumer reads them, in order within a partition."""
    consumer = _consumer(kafka, "reader", isolation="read_committed" if committed else "read_uncommitted")
    consumer.assign([TopicPartition(topic, partition, offset) for (topic, partition), offset in start.items()])
    unread, records = set(start), []
    while unread:
        for message in consumer.consume(1000, 0.2):
            error = message.error()
            if error is None:
                records.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                unread.discard((str(message.topic()), int(message.partition() or 0)))
    consumer.close()
    return records


def header(message: Message, name: str) -> str:
    """The value of a header that counts: the last one."""
    pairs = message.headers() or []
    assert isinstance(pairs, list)
    return [value.decode() if isinstance(value, bytes) else str(value) for key, value in pairs if key == name][-1]


def _consumer(kafka: str, group: str, isolation: str = "read_committed") -> Consumer:
    quiet = {"enable.auto.commit": False, "enable.partition.eof": True, "isolation.level": isolation}
    return Consumer({"bootstrap.servers": kafka, "group.id": group, **quiet})


@contextmanager
def roles(conninfo: str, settings: KafkaSettings, *names: str) -> Iterator[Roles]:
    """Kafka roles in this process for as long as the block runs."""
    working = Roles(conninfo, settings, list(names))
    try:
        yield working
    finally:
        working.close()


class Neighbour:
    """A process of its own with Kafka roles."""

    def __init__(self, conninfo: str, settings: KafkaSettings, *names: str, lease_seconds: float = 2.0, die_at: str = "") -> None:
        arguments = [conninfo, settings.bootstrap, settings.group, str(lease_seconds), *names]
        self._process = subprocess.Popen([sys.executable, str(_PROGRAM), *arguments], env={**os.environ, "KVITT_DIE_AT": die_at})

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def is_dead(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Ends it in order, or by force when it does not."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def neighbours(*started: Neighbour) -> Iterator[None]:
    """Ends the processes after the block."""
    try:
        yield
    finally:
        for each in started:
            each.end()


__all__ = ["Neighbour", "ends", "header", "hint", "joined", "neighbours", "read", "roles", "send", "until"]
