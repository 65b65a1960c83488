"""The embedded log: topics with partitions and positions as PostgreSQL tables, for running without Kafka (design §10), and its relay.

Appending locks the partition's row until commit, so positions become visible in order and a reader may go on from the last one.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.formats.topics import PARTITIONS, TopicPartition, partition_of
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import Source, fetch
from kvitt.kernel.leases import Lease, hold
from kvitt.kernel.queries import load
from kvitt.kernel.rows import packed

_SQL = load("log", "kvitt.transports.log")
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
    first_no: int
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
    """Gives records of the outbox their places in the log; both are tables of one database, so a step is one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], clock: Clock, lease: Lease, max_batch: int = 2000) -> None:
        self._connection, self._clock, self._lease, self._max_batch = connection, clock, lease, max_batch

    def step(self) -> int:
        """Relays what waits, about a batch at most; returns how many. Raises LeaseLost when another relay owns the lane."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            hold(cursor, self._lease)
            records = fetch(cursor, _Unrelayed, _SQL.unrelayed, {"limit": self._max_batch})
            if not records:
                return 0
            self._relay(cursor, records)
            fault_point("relay.before_commit")
        fault_point("relay.after_commit")
        return len(records)

    def _relay(self, cursor: psycopg.Cursor[Any], records: Sequence[_Unrelayed]) -> None:
        places = reserve(cursor, [(each.topic, each.key) for each in records])
        entries = {
            "now": self._clock(),
            "topics": packed([each.topic for each in records]),
            "partitions": packed([partition for partition, _ in places]),
            "positions": packed([position for _, position in places]),
            "numbers": packed([each.outbox_no for each in records]),
        }
        cursor.execute(_SQL.relay_to_log, entries)
        cursor.execute(_SQL.forget_relayed, {"rows": packed([*{each.first_no for each in records}])})
        cursor.execute(f"NOTIFY {CHANNEL}")
