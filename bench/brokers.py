"""A hub on real brokers: Kafka and Artemis of our own, with everything on this one machine, and clients as neighbours write them."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from brokers.artemis import Artemis
from brokers.kafka import Kafka
from confluent_kafka import Consumer, Message, Producer
from msgspec import Struct

from bench.messages import DP_TOPIC, dp
from kvitt.config import KafkaSettings, QueueSettings, Settings
from kvitt.doors.kafka_topics import ensure_topics
from kvitt.wire.topics import STATUSES

LONGEST_SECONDS = 600.0
FINAL = (b'"status":"OK"', b'"status":"FEILET"')


class Site(Struct, frozen=True):
    """Where the brokers are."""

    bootstrap: str
    host: str
    port: int

    def settings(self) -> Settings:
        """Settings of an installation with a group of its own on these brokers."""
        kafka = KafkaSettings(bootstrap=self.bootstrap, group=f"bench-{uuid4().hex[:8]}")
        suffix = uuid4().hex[:8]
        return Settings(
            kafka=kafka,
            queue=QueueSettings(kind="stomp", host=self.host, port=self.port),
            request_queue=f"requests.{suffix}",
            reply_queue=f"replies.{suffix}",
        )


@contextmanager
def site() -> Iterator[Site]:
    """Fresh brokers for as long as the block runs, with all topics made."""
    with tempfile.TemporaryDirectory(prefix="kvitt-bench-brokers-") as directory:
        kafka, artemis = Kafka(Path(directory) / "kafka"), Artemis(Path(directory) / "artemis")
        try:
            bootstrap = kafka.start()
            host, port = artemis.start()
            ensure_topics(KafkaSettings(bootstrap=bootstrap))
            yield Site(bootstrap, host, port)
        finally:
            artemis.stop()
            kafka.stop()


class Neighbour:
    """A sender of dagpenger messages that listens to its statuses, with plain clients."""

    def __init__(self, at: Site) -> None:
        self._producer = Producer({"bootstrap.servers": at.bootstrap, "partitioner": "murmur2_random", "acks": "all", "linger.ms": 5})
        self._consumer = Consumer(
            {
                "bootstrap.servers": at.bootstrap,
                "group.id": f"neighbour-{uuid4().hex[:8]}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.subscribe([STATUSES])
        self.run = uuid4().hex[:8]

    def send(self, number: int) -> None:
        """A message about a case that is not there yet, under a key of its own."""
        body = dp(f"{self.run}-{number}")
        while True:
            try:
                self._producer.produce(DP_TOPIC, body, f"{self.run}/{number}".encode())
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.05)

    def flush(self) -> None:
        """Until the brokers have everything."""
        assert self._producer.flush(LONGEST_SECONDS) == 0, "the brokers take what they are sent"

    def hear(self, until: Callable[[], bool], told: Callable[[Message], None]) -> None:
        """Gives every status of this sender to `told` until `until` says that it is enough. Raises TimeoutError."""
        deadline, mine = time.monotonic() + LONGEST_SECONDS, self.run.encode()
        while not until():
            if time.monotonic() > deadline:
                raise TimeoutError("the statuses that were waited for did not come")
            for message in self._consumer.consume(1000, 0.02):
                if message.error() is None and (message.key() or b"").startswith(mine):
                    told(message)

    def close(self) -> None:
        """Ends the connections."""
        self._consumer.close()
