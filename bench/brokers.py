"""A hub on real brokers: Kafka and Artemis of our own, with everything on this one machine, and clients as neighbours write them."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from brokers.artemis import Artemis
from brokers.kafka import Kafka
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]
from lxml import etree
from msgspec import Struct

from bench.messages import DP_TOPIC, dp
from bench.report import BrokerDurability
from bench.topics import TOPIC_TERMS
from kvitt.broker_settings import KafkaSettings, QueueSettings
from kvitt.contracts.helved.topics import STATUSES
from kvitt.settings import Settings
from kvitt.transports.kafka.clients import watermarks
from kvitt.transports.kafka.topics import ensure_topics

ACKS = "all"
_ANSWER_SECONDS, _LONGEST_SECONDS, _LOOK_SECONDS = 30.0, 180.0, 0.05
_AT_ONCE = 1000
_DATASYNC_UNLESS_SAID = "true"


class Site(Struct, frozen=True):
    """Where the brokers are, and what they are set to."""

    bootstrap: str
    host: str
    port: int
    durability: BrokerDurability

    def settings(self) -> Settings:
        """Settings of an installation of its own on these brokers: it reads the topics from the place it is begun at."""
        name = uuid4().hex[:8]
        return Settings(
            kafka=KafkaSettings(bootstrap=self.bootstrap, group=f"bench-{name}"),
            queue=QueueSettings(kind="stomp", host=self.host, port=self.port),
            request_queue=f"requests.{name}",
            reply_queue=f"replies.{name}",
        )


@contextmanager
def site() -> Iterator[Site]:
    """Fresh brokers for as long as the block runs, with all topics made."""
    with tempfile.TemporaryDirectory(prefix="kvitt-bench-brokers-") as directory:
        kafka, artemis = Kafka(Path(directory) / "kafka"), Artemis(Path(directory) / "artemis")
        try:
            bootstrap = kafka.start()
            host, port = artemis.start()
            ensure_topics(KafkaSettings(bootstrap=bootstrap), TOPIC_TERMS)
            yield Site(bootstrap, host, port, _durability(bootstrap, artemis))
        finally:
            artemis.stop()
            kafka.stop()


def _durability(bootstrap: str, artemis: Artemis) -> BrokerDurability:
    """Of Kafka what it says itself about the topic of the statuses; of Artemis what it was started with."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = ConfigResource(ConfigResource.Type.TOPIC, STATUSES)
    said = admin.describe_configs([asked])[asked].result(_ANSWER_SECONDS)
    replicas = len(admin.list_topics(STATUSES, _ANSWER_SECONDS).topics[STATUSES].partitions[0].replicas)
    journal = etree.parse(artemis.data_dir / "etc" / "broker.xml")
    return BrokerDurability(
        kafka_acks=ACKS,
        kafka_replicas=replicas,
        kafka_flush_messages=said["flush.messages"].value,
        kafka_flush_ms=said["flush.ms"].value,
        artemis_journal=str(journal.findtext(".//{*}journal-type")),
        artemis_journal_datasync=str(journal.findtext(".//{*}journal-datasync", _DATASYNC_UNLESS_SAID)),
    )


def begin_here(settings: Settings) -> None:
    """The installation reads what is sent from now on: what earlier ones were sent is none of its business."""
    assert settings.kafka, "the settings name brokers"
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap, "group.id": settings.kafka.group})
    try:
        if begun := [each for each in _ends(consumer, DP_TOPIC) if each.offset > 0]:
            consumer.commit(offsets=begun, asynchronous=False)
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """Where each partition of a topic goes on."""
    partitions = consumer.list_topics(topic, _ANSWER_SECONDS).topics[topic].partitions
    places = [TopicPartition(topic, partition) for partition in partitions]
    for each in places:
        each.offset = watermarks(consumer, each, _ANSWER_SECONDS)[1]
    return places


class Neighbour:
    """A sender of dagpenger messages that listens to the statuses published since it was made, with plain clients."""

    def __init__(self, at: Site) -> None:
        common = {"bootstrap.servers": at.bootstrap}
        self._producer = Producer({**common, "partitioner": "murmur2_random", "acks": ACKS, "linger.ms": 5})
        self._run = uuid4().hex[:8]
        group = {"group.id": f"neighbour-{self._run}", "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        self._consumer = Consumer({**common, **group})
        self._consumer.assign(_ends(self._consumer, STATUSES))

    def send(self, number: int) -> None:
        """A message about a case that is not there yet, under a key of its own."""
        body, key = dp(f"{self._run}-{number}"), self.key(number)
        while True:
            try:
                self._producer.produce(DP_TOPIC, body, key)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(_LOOK_SECONDS)

    def key(self, number: int) -> bytes:
        """The key of a message."""
        return f"{self._run}/{number}".encode()

    @property
    def keys(self) -> bytes:
        """A pattern (LIKE) of the keys of all messages."""
        return f"{self._run}/%".encode()

    def flush(self) -> None:
        """Until the brokers have everything."""
        assert self._producer.flush(_LONGEST_SECONDS) == 0, "the brokers take what they are sent"

    def hear(self, until: Callable[[], bool], published: Callable[[Message], None]) -> None:
        """Gives every status of this sender to `published` until `until` says that it is enough. Raises TimeoutError."""
        deadline, mine = time.monotonic() + _LONGEST_SECONDS, f"{self._run}/".encode()
        while not until():
            if time.monotonic() > deadline:
                raise TimeoutError("the statuses that were waited for did not come")
            # `consume` alone would wait for a batch to fill, which a clock would take for the hub's doing.
            first = self._consumer.poll(_LOOK_SECONDS)
            for message in [first, *self._consumer.consume(_AT_ONCE, 0.0)] if first else []:
                if message.error() is None and (message.key() or b"").startswith(mine):
                    published(message)

    def close(self) -> None:
        """Ends the connections."""
        self._consumer.close()
