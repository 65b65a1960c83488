"""Reads records of Kafka's topics for people who look: outside any group's life, newest first, bounded in time and bytes."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaException, Message
from confluent_kafka import TopicPartition as PartitionOffset
from msgspec import Struct

from kvitt.broker_settings import KafkaSettings
from kvitt.errors import BrokersSilent, TopicNotFound
from kvitt.transports.kafka.assigned_partitions import headers_of
from kvitt.transports.kafka.clients import names_of, new_reader, watermarks
from kvitt.transports.kafka.plain import ended

_SECONDS: Final = 3.0
"""A page does not wait longer for brokers; a read of what is there takes some hundredths."""
_SPAN: Final = 1_000
"""Offsets that are looked through at most: where a topic is compacted, or has marks of transactions, not every one is a record."""


class BrowsedPartition(Struct, frozen=True):
    """A partition, by our name for its topic: its first offset that is there, and that of its next record."""

    topic: str
    partition: int
    first_position: int
    next_position: int


class BrowsedRecord(Struct, frozen=True):
    """A record where it stands; headers as the store keeps them. `value` is None for a tombstone, and where only its size was asked for."""

    topic: str
    partition: int
    position: int
    at: datetime | None
    key: bytes | None
    size: int | None
    headers: bytes
    value: bytes | None


class BrowsedRecords(Struct, frozen=True):
    """Records, newest first; `older` is the position before which there may be more, None: the first offset that is there was reached."""

    records: Sequence[BrowsedRecord]
    older: int | None


class KafkaBrowser:
    """Looks at these topics, by our names for them. Safe for use by several threads, one of which reads at a time."""

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        self._settings, self._topics, self._named = settings, topics, names_of(settings)
        self._reader, self._guard = new_reader(settings), threading.Lock()

    def partitions(self) -> list[BrowsedPartition]:
        """All partitions that are there. Raises BrokersSilent."""
        with self._guard, _answering():
            there = self._reader.list_topics(timeout=_SECONDS).topics
            return [
                BrowsedPartition(topic, partition, *self._ends(topic, partition))
                for topic in self._topics
                if self._named(topic) in there
                for partition in sorted(there[self._named(topic)].partitions)
            ]

    def ends(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that is there, and the end. Raises BrokersSilent, TopicNotFound."""
        self._need(topic)
        with self._guard, _answering():
            return self._ends(topic, partition)

    def before(self, topic: str, partition: int, position: int | None, limit: int) -> BrowsedRecords:
        """Up to `limit` records before a position, or before the end, newest first and without values.

        Where few of the offsets before it are records, it is looked through some of them only. Raises BrokersSilent, TopicNotFound.
        """
        self._need(topic)
        deadline = time.monotonic() + _SECONDS
        with self._guard, _answering():
            first, end = self._ends(topic, partition)
            until = end if position is None else max(first, min(position, end))
            found: list[BrowsedRecord] = []
            reached, least = until, max(first, until - _SPAN)
            while len(found) < limit and reached > least:
                start = max(least, reached - (limit - len(found)))
                found = [*self._read(topic, partition, start, reached, deadline), *found]
                reached = start
            return BrowsedRecords(found[::-1], reached if reached > first else None)

    def one(self, topic: str, partition: int, position: int) -> BrowsedRecord | None:
        """The record at a position; None where there is none, or none any more. Raises BrokersSilent, TopicNotFound."""
        self._need(topic)
        with self._guard, _answering():
            first, end = self._ends(topic, partition)
            if not first <= position < end:
                return None
            read = self._read(topic, partition, position, position + 1, time.monotonic() + _SECONDS, with_value=True)
            return next(iter(read), None)

    def close(self) -> None:
        """Ends the connections."""
        self._reader.close()

    def _need(self, topic: str) -> None:
        if topic not in self._topics:
            raise TopicNotFound(f"{topic} is no topic of kvitt")

    def _ends(self, topic: str, partition: int) -> tuple[int, int]:
        return watermarks(self._reader, PartitionOffset(self._named(topic), partition), _SECONDS)

    def _read(
        self, topic: str, partition: int, start: int, until: int, deadline: float, *, with_value: bool = False
    ) -> list[BrowsedRecord]:
        """The records from one offset up to another, oldest first. Raises TimeoutError after the deadline."""
        self._reader.assign([PartitionOffset(self._named(topic), partition, start)])
        try:
            return [_browsed(topic, each, with_value=with_value) for each in self._polled(partition, until, deadline)]
        finally:
            self._reader.unassign()

    def _polled(self, partition: int, until: int, deadline: float) -> Iterator[Message]:
        unread = {partition}
        while unread:
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            message = self._reader.poll(left)
            if message is None or ended(message, unread):
                continue
            offset = message.offset() or 0
            if offset < until:
                yield message
            if offset >= until - 1:
                return


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (KafkaException, TimeoutError) as error:
        raise BrokersSilent("the brokers do not answer") from error


def _browsed(topic: str, message: Message, *, with_value: bool) -> BrowsedRecord:
    value = message.value()
    kind, milliseconds = message.timestamp()
    at = None if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(milliseconds / 1000, UTC)
    place = topic, message.partition() or 0, message.offset() or 0
    return BrowsedRecord(
        *place, at, message.key(), None if value is None else len(value), headers_of(message), value if with_value else None
    )
