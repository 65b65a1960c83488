"""The relay to Kafka: publishes what the outbox holds, in the order of each key; who drops repeats reads it once (design §4 step 8).

A batch is one Kafka transaction, but no truth rests on it: the transaction only keeps an old relay, paused and resumed, from publishing
after a new one has begun, which would leave an old value in a compacted topic for ever.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from msgspec import Struct
from psycopg.errors import LockNotAvailable

from kvitt.broker_settings import KafkaSettings
from kvitt.errors import LeaseLost
from kvitt.formats.topics import Header, decode_headers
from kvitt.kernel.clock import Clock
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.leases import Lease, hold
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog
from kvitt.transports.kafka.clients import names_of, new_producer

_KAFKA, _OUTBOX = load("kafka", "kvitt.transports.kafka"), load("outbox", "kvitt.kernel")
_log = structlog.get_logger(__name__)
_BROKER_SECONDS = 30.0
_BYTES_AT_ONCE = 32 << 20
_FENCED = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})  # noqa: SLF001 - its public name
EVENT_ID = "event-id"
"""The header by which a consumer recognises what it has read before."""


class UnpublishedRecord(Struct, frozen=True):
    """A record of the outbox that has not been relayed; headers as the store keeps them."""

    outbox_no: int
    topic: str
    key: bytes | None
    value: bytes
    headers: bytes
    event_id: str
    made_at: datetime


class KafkaRelay:
    """Moves records from the outbox to Kafka. What a killed relay had published but not noted, at most a batch, is published again."""

    def __init__(
        self, connection: psycopg.Connection[Any], clock: Clock, lease: Lease, settings: KafkaSettings, *, max_batch: int = 2000
    ) -> None:
        """Fences every earlier relay of the group, and passes by what one of an older version has published since the migration.

        Raises KafkaException when no broker answers within half a minute, LeaseLost when another relay owns the lane.
        """
        self._connection, self._clock, self._lease, self._max_batch = connection, clock, lease, max_batch
        self._unnoted: dict[int, tuple[int, int]] = {}
        self._states = StateLog(_log)
        self._names = names_of(settings)
        self._producer = new_producer(settings)
        self._producer.init_transactions(_BROKER_SECONDS)
        self._forget_noted()

    def close(self) -> None:
        """Lets go of the producer; what is not committed is never read."""
        self._producer.purge()
        self._producer.close()

    def step(self) -> int:
        """Relays what waits, up to a batch; returns how many. Nothing is noted of a batch that fails: make a new relay then.

        Raises LeaseLost when another relay owns the lane, KafkaException when the brokers do not take the batch.
        """
        self._note_late()
        most = {"limit": self._max_batch + len(self._unnoted), "bytes": _BYTES_AT_ONCE}
        waiting = fetch(self._connection, UnpublishedRecord, _KAFKA.unpublished, most)
        batch = [each for each in waiting if each.outbox_no not in self._unnoted]
        if not batch:
            return 0
        try:
            places = self._publish(batch)
        except KafkaException as error:
            if error.args[0].code() in _FENCED:
                raise LeaseLost(f"{self._lease.name}: fenced by another relay") from error
            raise
        published = {each.outbox_no: place for each, place in zip(batch, places, strict=True)}
        try:
            self._note(published, _OUTBOX.mark_relayed)
        except LockNotAvailable:
            # They are published: doing so again at every look would be worse than noting them late.
            self._unnoted |= published
            self._note_late()
        return len(batch)

    def _forget_noted(self) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            hold(cursor, self._lease)
            if numbers := fetch_values(cursor, _OUTBOX.noted_and_waiting):
                cursor.execute(_OUTBOX.forget_relayed, {"numbers": numbers, "last": max(numbers)}, binary=True)

    def _note_late(self) -> None:
        """Notes what is published and could not be noted, because somebody else has locked its rows; the others stay for later."""
        if not self._unnoted:
            return
        with suppress(LockNotAvailable):  # somebody has the tables as a whole
            for number in self._note(self._unnoted, _OUTBOX.mark_relayed_free):
                del self._unnoted[number]
        if count := len(self._unnoted):
            self._states.enters("outbox", "locked", "error", "records are published, and locked by others: not noted yet", records=count)
        else:
            self._states.leaves("outbox", "records that were locked by others are noted as published")

    def _publish(self, batch: Sequence[UnpublishedRecord]) -> list[tuple[int, int]]:
        """Where each record stands now, in the order of the batch."""
        places: list[tuple[int, int] | None] = [None] * len(batch)
        now_ms = _milliseconds(self._clock())
        self._producer.begin_transaction()
        for index, each in enumerate(batch):
            at_ms = _milliseconds(each.made_at)
            headers: list[tuple[str, str | bytes | None]] = [*decode_headers(each.headers), *_time_headers(each, at_ms, now_ms)]
            delivered = partial(_delivered, places, index)
            self._producer.produce(self._names(each.topic), each.value, each.key, on_delivery=delivered, timestamp=at_ms, headers=headers)
        self._producer.commit_transaction(_BROKER_SECONDS)
        found = [place for place in places if place is not None]
        assert len(found) == len(batch), "a committed transaction has delivered every record"
        return found

    def _note(self, published: Mapping[int, tuple[int, int]], statement: str) -> list[int]:
        """Notes where records stand; returns the numbers that the statement returns."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            hold(cursor, self._lease)
            arguments = {
                "now": self._clock(),
                "numbers": list(published),
                "last": max(published),
                "partitions": [partition for partition, _ in published.values()],
                "positions": [position for _, position in published.values()],
            }
            cursor.execute(statement, arguments, binary=True)
            noted = [number for (number,) in cursor]
            if noted:
                cursor.execute(_OUTBOX.forget_relayed, {"numbers": noted, "last": max(noted)}, binary=True)
            fault_point("relay.before_commit")
        fault_point("relay.after_commit")
        return noted


def _delivered(places: list[tuple[int, int] | None], index: int, error: KafkaError | None, message: Message) -> None:
    partition, position = message.partition(), message.offset()
    if error is None and partition is not None and position is not None:
        places[index] = (partition, position)


def _time_headers(each: UnpublishedRecord, at_ms: int, now_ms: int) -> tuple[Header, ...]:
    """The headers that every record has (helved §1); they come last, because the last value of a header counts.

    The time of the stream is the record's own: one relay publishes in the order in which things were written.
    """
    return (EVENT_ID, each.event_id), ("x-ts", str(at_ms)), ("x-st", str(at_ms)), ("x-sy", str(now_ms))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
