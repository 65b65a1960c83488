"""The embedded log: topics with partitions and positions as PostgreSQL tables, for running without Kafka (design §10), and its relay.

Appending locks the partition's row until commit, so positions become visible in order and a reader may go on from the last one.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
import structlog
from msgspec import Struct
from psycopg.errors import LockNotAvailable

from kvitt.formats.topics import PARTITIONS, TopicPartition, partition_of
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import Source, fetch
from kvitt.kernel.leases import Lease, hold
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog

_SQL, _OUTBOX = load("log", "kvitt.transports.log"), load("outbox", "kvitt.kernel")
_log = structlog.get_logger(__name__)
CHANNEL = "kvitt_log"
BYTES_AT_ONCE = 4 << 20
"""Of one partition in one read; the record that reaches it is the last one read."""


class Record(Struct, frozen=True):
    """A record where it stands in the log; headers as the store keeps them."""

    topic: str
    partition: int
    position: int
    key: bytes | None
    value: bytes | None
    headers: bytes


class NewRecord(Struct, frozen=True):
    """A record to append."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: bytes = b"[]"


class _Reserved(NamedTuple):
    topic: str
    partition: int
    position: int


class _Partitions(NamedTuple):
    topic: str
    partitions: int


class _Unrelayed(Struct, frozen=True):
    outbox_no: int
    topic: str
    key: bytes | None


def make_topics(connection: psycopg.Connection[Any], topics: Iterable[str], partitions: int = PARTITIONS) -> None:
    """Makes the topics that are not there yet; one that is keeps the partitions that it has, or its keys would change theirs."""
    connection.execute(_SQL.make_partitions, {"topics": list(topics), "partitions": partitions})


class _EndOfPartition(NamedTuple):
    partition: int
    next_position: int


def ends_of(connection: psycopg.Connection[Any], topic: str) -> dict[int, int]:
    """Where each partition of a topic goes on; empty where there is no such topic."""
    return {each.partition: each.next_position for each in fetch(connection, _EndOfPartition, _SQL.ends_of_topic, (topic,))}


def partitions_of(source: Source, topics: Collection[str]) -> dict[str, int]:
    """How many partitions each of these topics has; those that are not there are left out."""
    return {each.topic: each.partitions for each in fetch(source, _Partitions, _SQL.partitions_of_topics, (list(topics),))}


def reserve(cursor: psycopg.Cursor[Any], records: Sequence[tuple[str, bytes | None]]) -> list[tuple[int, int]]:
    """Reserves a (partition, position) for each (topic, key) in this transaction, in order; a record without key goes to partition 0."""
    partitions = partitions_of(cursor, {topic for topic, _ in records})
    wanted = [TopicPartition(topic, partition_of(key, partitions[topic]) if key else 0) for topic, key in records]
    counts = Counter(wanted)
    asked = [[topic for topic, _ in counts], [partition for _, partition in counts], list(counts.values())]
    following = {
        TopicPartition(each.topic, each.partition): each.position for each in fetch(cursor, _Reserved, _SQL.reserve_positions, asked)
    }
    reserved = []
    for each in wanted:
        reserved.append((each.partition, following[each]))
        following[each] += 1
    return reserved


def append(connection: psycopg.Connection[Any], records: Sequence[NewRecord], at: datetime) -> list[tuple[int, int]]:
    """Appends records in one transaction and wakes readers; returns each one's (partition, position)."""
    with transaction(connection, "the record"), connection.cursor() as cursor:
        places = reserve(cursor, [(each.topic, each.key) for each in records])
        columns = [
            [each.topic for each in records],
            [partition for partition, _ in places],
            [position for _, position in places],
            [at] * len(records),
            [each.key for each in records],
            [each.value for each in records],
            [each.headers for each in records],
        ]
        cursor.execute(_SQL.append, columns, binary=True)
        cursor.execute(f"NOTIFY {CHANNEL}")
    return places


def read(connection: psycopg.Connection[Any], positions: Mapping[TopicPartition, int], limit: int) -> list[Record]:
    """Up to `limit` records of each partition from its position on, and no more than memory should hold, as they were appended."""
    asked = {
        "topics": [topic for topic, _ in positions],
        "partitions": [partition for _, partition in positions],
        "positions": list(positions.values()),
        "records": limit,
        "bytes": BYTES_AT_ONCE,
    }
    return fetch(connection, Record, _SQL.read, asked)


class LogRelay:
    """Moves records from the outbox to the log; both are tables of one database, so a step is one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], clock: Clock, lease: Lease, max_batch: int = 2000) -> None:
        self._connection, self._clock, self._lease, self._max_batch = connection, clock, lease, max_batch
        self._held = False
        self._states = StateLog(_log)

    def step(self) -> int:
        """Relays what waits, up to a batch; returns how many. Raises LeaseLost when another relay owns the lane.

        What somebody else has locked waits, with what comes behind it under its key; all else goes on.
        """
        try:
            done = self._relay(_SQL.unrelayed_free if self._held else _SQL.unrelayed)
        except LockNotAvailable:
            self._held = True
            self._states.enters("outbox", "locked", "error", "records of the outbox are locked by others, and published later")
            return self._relay(_SQL.unrelayed_free)
        if self._held and not done:
            # Either all else is published, or nothing is locked any more: the next look waits for locks again.
            self._held = False
        elif not self._held:
            self._states.leaves("outbox", "no record of the outbox is locked by others any more")
        return done

    def _relay(self, unrelayed: str) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            hold(cursor, self._lease)
            records = fetch(cursor, _Unrelayed, unrelayed, (self._max_batch,))
            if not records:
                return 0
            places = reserve(cursor, [(each.topic, each.key) for each in records])
            arguments = {
                "now": self._clock(),
                "numbers": [each.outbox_no for each in records],
                "partitions": [partition for partition, _ in places],
                "positions": [position for _, position in places],
            }
            cursor.execute(_SQL.relay_to_log, arguments, binary=True)
            cursor.execute(_OUTBOX.mark_relayed, arguments, binary=True)
            cursor.execute(f"NOTIFY {CHANNEL}")
            fault_point("relay.before_commit")
        fault_point("relay.after_commit")
        return len(records)
