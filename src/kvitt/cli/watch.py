"""A client's view of the hub: appends to a scheme's topic, and hears the statuses that come back."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from msgspec import Struct

from kvitt.config import KafkaSettings, Settings
from kvitt.contracts.helved import status
from kvitt.contracts.helved.topics import STATUSES
from kvitt.disbursement.answers import Answer, Status
from kvitt.formats.partitions import TopicPartition
from kvitt.formats.topics import decode_headers
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import PATIENCE_MS, connect
from kvitt.kernel.queries import load
from kvitt.transports.log.embedded_log import (
    CHANNEL,
    NewRecord,
    Record,
    append,
    read,
)

FINAL = frozenset({Status.OK, Status.FAILED})
_AT_ONCE = 2000


class PublishedStatus(Struct, frozen=True):
    """A status as it stands on the status topic; `reason` is its header of that name, which explains a refusal further."""

    key: bytes
    answer: Answer
    reason: str | None = None


class Client:
    """Appends records and reads what is told from the moment of its making on, on the log that is set. Not for sharing between threads."""

    def __init__(self, conninfo: str, settings: Settings) -> None:
        self._connection: psycopg.Connection[Any] = connect(conninfo, application="kvitt client", lock_timeout_ms=PATIENCE_MS)
        self._log: _EmbeddedLog | _KafkaLog = _KafkaLog(settings.kafka) if settings.kafka else _EmbeddedLog(self._connection)

    def close(self) -> None:
        """Ends the connections."""
        self._log.close()
        self._connection.close()

    def send(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        """Appends records in order; gives where each one stands."""
        return self._log.send(records)

    def hear(self, seconds: float) -> list[PublishedStatus]:
        """What has been told since the last look; waits up to `seconds` when that is nothing."""
        return [
            PublishedStatus(record.key, status.decode(record.value), dict(decode_headers(record.headers)).get("reason"))
            for record in self._log.read(seconds)
            if record.key is not None and record.value is not None
        ]

    def answered_silently(self, topic: str, place: tuple[int, int]) -> bool:
        """Whether the message that came in at a place is answered for good without a status, as a dry run that asks for a simulation is."""
        row = self._connection.execute(load("cases", "kvitt.disbursement").answer_of_edge, (topic, *place), binary=True).fetchone()
        return row is not None and row[2] == "answered" and row[3] is None


class _EmbeddedLog:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._connection.execute(f"LISTEN {CHANNEL}")
        self._positions = self._ends()

    def _ends(self) -> dict[TopicPartition, int]:
        """Where the status topic goes on."""
        rows = self._connection.execute(load("cli", "kvitt.cli").ends_of_topic, (STATUSES,)).fetchall()
        return {TopicPartition(STATUSES, partition): position for partition, position in rows}

    def close(self) -> None:
        """The connection is its owner's to end."""

    def send(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        return append(self._connection, records, utc_now())

    def read(self, seconds: float) -> list[Record]:
        if not (found := self._read()):
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
            found = self._read()
        return found

    def _read(self) -> list[Record]:
        found = read(self._connection, self._positions, _AT_ONCE)
        for record in found:
            place = TopicPartition(record.topic, record.partition)
            self._positions[place] = max(self._positions[place], record.position + 1)
        return found


class _KafkaLog:
    def __init__(self, settings: KafkaSettings) -> None:
        from kvitt.transports.kafka.clients import new_plain_producer
        from kvitt.transports.kafka.plain import TopicReader

        self._settings, self._producer, self._reader = settings, new_plain_producer(settings), TopicReader(settings, STATUSES)
        self._heard: set[str] = set()

    def close(self) -> None:
        self._reader.close()

    def send(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        from kvitt.transports.kafka.plain import put

        return put(self._settings, records, self._producer)

    def read(self, seconds: float) -> list[Record]:
        """A relay that was killed tells its last batch again: repeats are known by their event id."""
        found = []
        for record in self._reader.read(seconds):
            event = dict(decode_headers(record.headers)).get("event-id", "")
            if event not in self._heard:
                self._heard.add(event)
                found.append(record)
        return found


def statuses_of(client: Client, key: bytes, seconds: float, silent: Callable[[], bool]) -> Iterator[PublishedStatus]:
    """The statuses told under a key until the final one; ends early when `silent` says that none will come, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not silent():
        for heard in client.hear(0.2):
            if heard.key == key:
                yield heard
                if heard.answer.status in FINAL:
                    return
