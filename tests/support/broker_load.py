"""The load through a real Kafka, and what comes back: a plain producer that doubles and delays records, a plain consumer of statuses."""

from collections import Counter
from collections.abc import Sequence
from random import Random

from confluent_kafka import KafkaError, Producer

from kvitt.contracts.helved.outputs import decode_status
from kvitt.contracts.helved.topics import STATUSES, primary_input
from kvitt.disbursement.answers import Answer
from kvitt.formats.topics import PARTITIONS
from support.kafka_stage import header, read
from support.kill_harness import Watch
from support.kill_harness_load import Fed, Script, settled

_FLUSH_SECONDS = 0.2


class KafkaLog:
    """The input topics, by a producer such as every sender has: idempotent, with Java's partitioner, never giving up."""

    def __init__(self, bootstrap: str, watch: Watch, before: int = 0) -> None:
        """`before`: how many records stood in the topics already."""
        self._watch, self._before = watch, before
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        self._under_way: Sequence[Fed] = ()
        self._refused: list[KafkaError] = []

    def append(self, batch: Sequence[Fed]) -> bool:
        """Whether the batch stands in the topics now; the producer itself tries until it does."""
        if batch is not self._under_way:
            self._under_way = batch
            for each in batch:
                self._producer.produce(primary_input(each.scheme), each.body, each.key, on_delivery=self._delivered)
        left = self._producer.flush(_FLUSH_SECONDS)
        assert not self._refused, self._refused
        return left == 0

    def settled(self) -> int | None:
        """How many records need no more work."""
        found = settled(self._watch)
        return None if found is None else found - self._before

    def close(self) -> None:
        """Lets go of the brokers."""
        self._watch.forget()

    def _delivered(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._refused.append(error)


class Unruly:
    """Batches as senders with retries make them: some records come twice, some only after newer ones of their case."""

    def __init__(self, seed: int) -> None:
        self._script, self._chance = Script(seed), Random(seed)
        self._late: list[Fed] = []
        self.doubled = self.delayed = 0

    def batch(self) -> Sequence[Fed]:
        """The next records, in the order in which they stand in the topics."""
        batch = self._script.batch()
        kept = [each for each in batch if self._chance.random() < 0.1]
        sent = [each for each in batch if each not in kept] + self._late
        again = [each for each in sent if self._chance.random() < 0.1]
        self.doubled, self.delayed, self._late = self.doubled + len(again), self.delayed + len(kept), kept
        # Right behind the record, or behind everything that came meanwhile.
        return [*(one for each in sent for one in ([each, each] if each in again[::2] else [each])), *again[1::2]]


class Heard:
    """What a plain consumer of the status topic has heard, repeats dropped by the event id."""

    def __init__(self, bootstrap: str) -> None:
        self.published: dict[str, list[Answer]] = {}
        self._bootstrap = bootstrap
        self._next = {(STATUSES, partition): 0 for partition in range(PARTITIONS)}
        self._events: Counter[str] = Counter()

    @property
    def events(self) -> int:
        """How many different statuses were heard."""
        return len(self._events)

    def listen(self) -> int:
        """Reads on to the present end; returns how many repeats there were among it."""
        repeats = 0
        for message in read(self._bootstrap, self._next):
            offset, partition = message.offset(), message.partition()
            assert offset is not None
            assert partition is not None
            self._next[STATUSES, partition] = offset + 1
            event_id = header(message, "event-id")
            self._events[event_id] += 1
            if self._events[event_id] > 1:
                repeats += 1
                continue
            self.published.setdefault((message.key() or b"").decode(), []).append(decode_status(message.value() or b""))
        return repeats
