"""The embedded adapter of the queue port: a PostgreSQL table with SKIP LOCKED.

A hand-out is noted in a committed transaction of its own and then held by row locks in a second one, so a crash of the
consumer gives its messages back the moment its connection ends; the note that nobody holds any more counts as a delivery then.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg import sql

from kvitt.kernel.database import connect, is_connection_lost
from kvitt.kernel.fetch import fetch, fetch_value, fetch_values
from kvitt.kernel.queries import load
from kvitt.kernel.queue import HANDED_OUT_BYTES, Delivery, Outgoing
from kvitt.kernel.rows import packed

DEAD_LETTER_SUFFIX = ".dlq"
LONGEST_NAP_SECONDS = 0.25
"""Messages that return because a consumer died make no noise; a waiting consumer looks this often by itself."""

_SQL = load("table_queue", "kvitt.transports.queue")


class _Picked(NamedTuple):
    hand_out_no: int
    sequence: int
    deliveries: int


class TableQueue:
    """One named queue in the table `queue.message`; connects when first used and again after a lost connection.

    Every method raises `ConnectionError` when the connection ends under it; whatever was handed out is then redelivered.
    """

    def __init__(self, conninfo: str, name: str, max_redeliveries: int = 10) -> None:
        self._conninfo = conninfo
        self._name = name
        self._max_redeliveries = max_redeliveries
        self._channel = "queue_" + hashlib.sha256(name.encode()).hexdigest()[:32]
        self._producer: psycopg.Connection | None = None
        self._consumer: psycopg.Connection | None = None
        self._held: dict[int, int] = {}
        self._hand_out_no = 0

    def put(self, messages: Sequence[Outgoing]) -> None:
        """Stores all of them in order in one statement; a queue id that was ever put (and not pruned) is left alone."""
        if not messages:
            return
        with self._connection_errors():
            self._producing().execute(
                _SQL.put,
                {
                    "queue": self._name,
                    "channel": self._channel,
                    "message_ids": packed([message.queue_id for message in messages]),
                    "bodies": packed([message.body for message in messages]),
                    "reply_tos": packed([message.reply_to for message in messages]),
                    "priorities": packed([message.priority for message in messages]),
                },
                binary=True,
            )

    @property
    def drops_repeats(self) -> bool:
        """True, and `was_put` knows besides."""
        return True

    def connect(self) -> None:
        """Connects for putting, if that is not done."""
        with self._connection_errors():
            self._producing()

    def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Hands out up to `limit` messages, high priority first, then in order of put; waits for the first at most `wait_seconds`.

        Raises RuntimeError when the last hand-out was neither acknowledged nor released.
        """
        if self._held:
            raise RuntimeError("acknowledge or release what was handed out before receiving more")
        deadline = time.monotonic() + wait_seconds
        with self._connection_errors():
            conn = self._consuming()
            while not (deliveries := self._hand_out(conn, limit)):
                left = deadline - time.monotonic()
                if left <= 0:
                    return ()
                for _ in conn.notifies(timeout=min(left, LONGEST_NAP_SECONDS), stop_after=1):
                    pass
        return deliveries

    def acknowledge(self) -> None:
        """Consumes everything handed out by the last `receive`."""
        done = {"queue": self._name, "hand_out_no": self._hand_out_no, "sequences": list(self._held)}
        self._finish(lambda conn: conn.execute(_SQL.consume, done))

    def release(self) -> None:
        """Gives back everything handed out by the last `receive`; what came back too often goes to `<name>.dlq`."""
        exhausted = [sequence for sequence, deliveries in self._held.items() if self._is_spent(deliveries)]
        self._finish(lambda conn: self._dead_letter(conn, exhausted))

    def was_put(self, queue_ids: Sequence[str]) -> Mapping[str, bool]:
        """Which of these ids were ever put and not pruned since."""
        with self._connection_errors():
            parameters = {"queue": self._name, "message_ids": list(queue_ids)}
            known = {*fetch_values(self._producing(), _SQL.was_put, parameters)}
        return {queue_id: queue_id in known for queue_id in queue_ids}

    def depth(self) -> int:
        """How many messages wait or are handed out."""
        with self._connection_errors():
            return int(fetch_value(self._producing(), _SQL.depth, {"queue": self._name}))

    def prune(self, before: datetime) -> int:
        """Forgets the ids of messages consumed before `before`; returns how many."""
        with self._connection_errors():
            return self._producing().execute(_SQL.prune, {"queue": self._name, "before": before}).rowcount

    def close(self) -> None:
        """Ends the connections; what was handed out is redelivered."""
        self._held = {}
        for conn in (self._producer, self._consumer):
            if conn is not None:
                conn.close()
        self._producer = self._consumer = None

    def _hand_out(self, conn: psycopg.Connection, limit: int) -> tuple[Delivery, ...]:
        """Notes and holds; the gate between the two keeps others from taking what is noted, and not held yet, for lost."""
        try:
            with conn.transaction():
                conn.execute(_SQL.open_gate, {"queue": self._name})
                conn.execute(_SQL.count_lost, {"queue": self._name})
                sequences = self._pick(conn, limit)
        except psycopg.errors.LockNotAvailable:
            sequences = []
        deliveries = self._hold(conn, sequences) if sequences else ()
        conn.execute(_SQL.close_gate)
        return deliveries

    def _pick(self, conn: psycopg.Connection, limit: int) -> list[int]:
        """Notes that the next messages are handed out and returns them; those handed out too often without an answer become dead letters.

        Where all are such, the ones behind them are next: the queue is not empty because of them.
        """
        wanted = {"queue": self._name, "limit": limit, "bytes": HANDED_OUT_BYTES}
        while picked := fetch(conn, _Picked, _SQL.hand_out, wanted):
            self._hand_out_no = picked[0].hand_out_no
            self._dead_letter(conn, [each.sequence for each in picked if self._is_spent(each.deliveries)])
            if alive := [each.sequence for each in picked if not self._is_spent(each.deliveries)]:
                return alive
        return []

    def _hold(self, conn: psycopg.Connection, sequences: list[int]) -> tuple[Delivery, ...]:
        """Opens the transaction whose row locks keep the messages ours; it stays open until `acknowledge` or `release`."""
        conn.execute("BEGIN")
        noted = {"queue": self._name, "hand_out_no": self._hand_out_no, "sequences": sequences}
        held = fetch(conn, Delivery, _SQL.hold, noted)
        if not held:
            conn.execute("ROLLBACK")
        self._held = {each.receipt: each.redeliveries + 1 for each in held}
        return tuple(held)

    def _is_spent(self, deliveries: int) -> bool:
        # A dead-letter queue is the last stop: its own messages are handed out for as long as someone asks.
        return deliveries > self._max_redeliveries and not self._name.endswith(DEAD_LETTER_SUFFIX)

    def _dead_letter(self, conn: psycopg.Connection, sequences: list[int]) -> None:
        if sequences:
            conn.execute(_SQL.dead_letter, {"sequences": sequences, "dead_letters": self._name + DEAD_LETTER_SUFFIX})

    def _finish(self, effect: Callable[[psycopg.Connection], object]) -> None:
        """Runs the effect in the transaction that holds the messages, and commits it."""
        if not self._held or self._consumer is None:
            return
        try:
            with self._connection_errors():
                effect(self._consumer)
                self._consumer.execute("COMMIT")
        finally:
            self._held = {}

    def _producing(self) -> psycopg.Connection:
        """The connection for everything outside a hand-out: what is put must be durable at once, not when the hand-out ends."""
        if self._producer is None or self._producer.closed:
            self._producer = connect(self._conninfo, application="kvitt queue")
        return self._producer

    def _consuming(self) -> psycopg.Connection:
        if self._consumer is None or self._consumer.closed:
            self._consumer = connect(self._conninfo, application="kvitt queue")
            self._consumer.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        return self._consumer

    @contextmanager
    def _connection_errors(self) -> Iterator[None]:
        """After any error of the database: new connections, nothing held; the end of the connection becomes ConnectionError."""
        try:
            yield
        except psycopg.Error as error:
            # A connection left inside a failed transaction would refuse everything that follows.
            self.close()
            if not is_connection_lost(error):
                raise
            raise ConnectionError(f"the connection of queue {self._name} ended: {error}") from error
