"""Queues of every adapter, how their connections are broken, and what is put on them and taken, for the suite that all adapters pass."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from uuid import uuid4

import psycopg
import pytest

from kvitt.kernel.queue import (
    Delivery,
    Outgoing,
    Queue,
)
from kvitt.transports.queue.stomp_queue import StompQueue
from kvitt.transports.queue.table_queue import TableQueue
from support.patience import until

LONG = 10.0
"""Seconds to wait for a message that must come; returns as soon as it is there."""
NONE = 0.0
"""Seconds to wait where nothing must come."""
QUIET = 0.4
"""Seconds of silence after which a queue whose broker pushes counts as empty here, on however busy a machine."""


class Kit(Protocol):
    """How the suite opens queues of one adapter and breaks their connections, and what kind of broker it is."""

    tells_what_was_put: bool
    counts_for_all: bool
    """Whether all consumers learn how often a message came back; if not, only that the first of those that came back did."""

    def open(self, name: str, max_redeliveries: int = 10) -> Queue: ...

    def break_connection(self, queue: Queue) -> None: ...

    def close(self) -> None: ...


class TableKit:
    """Queues in a PostgreSQL table."""

    tells_what_was_put = True
    counts_for_all = True

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._opened: list[TableQueue] = []

    def open(self, name: str, max_redeliveries: int = 10) -> TableQueue:
        queue = TableQueue(self._conninfo, name, max_redeliveries)
        self._opened.append(queue)
        return queue

    def break_connection(self, queue: Queue) -> None:
        assert isinstance(queue, TableQueue)
        assert queue._consumer is not None
        with psycopg.connect(self._conninfo) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (queue._consumer.info.backend_pid,))

    def close(self) -> None:
        for queue in self._opened:
            queue.close()


class StompKit:
    """Queues of an Artemis broker; each test has names of its own there."""

    tells_what_was_put = False
    counts_for_all = False

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._prefix = uuid4().hex[:8]
        self._opened: list[StompQueue] = []

    def open(self, name: str, max_redeliveries: int = 10) -> StompQueue:
        host, port = self._address
        queue = StompQueue(host, port, f"{self._prefix}.{name}", max_redeliveries=max_redeliveries, quiet_seconds=QUIET)
        self._opened.append(queue)
        return queue

    def break_connection(self, queue: Queue) -> None:
        assert isinstance(queue, StompQueue)
        assert queue._consumer is not None
        # The broker ends it, because a socket that just closes now and then makes Artemis keep a message for itself (docs/queues.md).
        queue._consumer._write("DISCONNECT", receipt="unasked")
        until(lambda: queue._consumer is None or queue._consumer.ended)

    def close(self) -> None:
        for queue in self._opened:
            queue.close()


KITS: dict[str, Callable[[pytest.FixtureRequest], Kit]] = {
    "table": lambda request: TableKit(request.getfixturevalue("database")),
    "stomp": lambda request: StompKit(request.getfixturevalue("artemis")),
}


class EndsAfter:
    """A queue whose connection ends once, after what was put has been taken and before anybody hears of it."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self._ends = queue, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def put(self, messages: Sequence[Outgoing]) -> None:
        self._queue.put(messages)
        if self._ends:
            self._ends = False
            raise ConnectionError("ended before the answer")


def messages(*ids: str, body: bytes = b"<x/>", priority: int = 4, resend: int = 0) -> list[Outgoing]:
    return [Outgoing(message_id, body, "answers", priority, resend) for message_id in ids]


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.message_id for delivery in deliveries]


def collect(queue: Queue, wanted: int) -> list[Delivery]:
    """Receives and acknowledges until so many have come, however many the adapter hands out at a time."""
    collected: list[Delivery] = []
    while len(collected) < wanted and (got := queue.receive(wanted - len(collected), LONG)):
        collected += got
        queue.acknowledge()
    return collected


def acquire_all(queue: Queue, batch: int) -> list[str]:
    """Receives and acknowledges until the queue is empty."""
    taken: list[str] = []
    while got := queue.receive(batch, NONE):
        taken += ids(got)
        queue.acknowledge()
    return taken
