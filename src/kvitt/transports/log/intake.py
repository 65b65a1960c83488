"""The intake from the embedded log: reads the input topics and hands each record to the hub, under one lease per partition.

The position that was handled is stored with the effect, in the same transaction; what this process remembers only saves a look. Several
intakes share the partitions of each topic; each of them has a lease of its own, by which the others know that it lives.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final

from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import TopicPartition
from kvitt.kernel.database import LOCK_MS, Connection, connect
from kvitt.kernel.leases import Lease, LeaseKeeper, held_leases, release_lease
from kvitt.kernel.loop import LoopStep
from kvitt.transports.log.embedded_log import CHANNEL, partitions_of, read

Hand = Callable[[Incoming, int], "Future[Outcome]"]
"""Hands a record to the hub on a lane; records of one lane are handled in order."""

_LOOK_SECONDS, _RETAKE_SECONDS = 0.2, 1.0
_SEAT: Final = "intakes"
MOST_INTAKES: Final = 16
"""Of one kind, at work on one database. More would have nothing to read: a topic has fewer partitions."""
_MAX_OUTSTANDING_BYTES = 64 << 20


class _Outstanding:
    """Holds what was handed in and is not done, oldest first, with its size."""

    def __init__(self) -> None:
        self._handed: deque[tuple[Future[Outcome], int]] = deque()
        self._bytes = 0

    def add(self, future: "Future[Outcome]", size: int) -> None:
        self._handed.append((future, size))
        self._bytes += size

    def settle(self, max_records: int) -> None:
        """Lets go of what is done, and waits while there is too much. Raises what a record raised."""
        while self._handed and (self._handed[0][0].done() or len(self._handed) > max_records or self._bytes > _MAX_OUTSTANDING_BYTES):
            future, size = self._handed.popleft()
            self._bytes -= size
            future.result()

    def finish(self) -> None:
        """Waits for everything, whatever came of it."""
        for future, _ in self._handed:
            future.exception()


class Intake:
    """The input partitions that this process reads."""

    def __init__(
        self,
        conninfo: str,
        keeper: LeaseKeeper,
        hand: Hand,
        *,
        topics: Mapping[str, Scheme],
        limit: int = 256,
        max_outstanding: int = 2048,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """`topics` are read, each with its scheme. A step that finds nothing waits `look_seconds` for something to be appended."""
        self._conninfo, self._keeper, self._hand = conninfo, keeper, hand
        self._limit, self._max_outstanding, self._look_seconds = limit, max_outstanding, look_seconds
        self._topics = topics
        self._seats = [f"{_SEAT}:{min(topics, default='')}:{number}" for number in range(MOST_INTAKES)]

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Opens a connection and returns the step of the loop; whatever was handed in is finished before it closes."""
        outstanding = _Outstanding()
        with connect(self._conninfo, application="kvitt intake", lock_timeout_ms=LOCK_MS) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            partitions = _LeasedPartitions(connection, self._keeper, self._lanes(connection), self._seats, outstanding.finish)
            try:
                yield lambda: self._step(partitions, outstanding)
            finally:
                outstanding.finish()

    def _lanes(self, connection: Connection) -> Mapping[TopicPartition, int]:
        """All partitions of a scheme's topics share a lane, so that one intake handles them as they were appended: keys are free, so the
        messages of a case may lie in any of them. Several intakes promise what Kafka does, the order of each partition."""
        schemes, partitions = list(Scheme), partitions_of(connection, self._topics)
        return {
            TopicPartition(topic, at): schemes.index(scheme) for topic, scheme in self._topics.items() for at in range(partitions[topic])
        }

    def _step(self, partitions: "_LeasedPartitions", outstanding: _Outstanding) -> int:
        outstanding.settle(self._max_outstanding)
        records = partitions.next(self._limit)
        for incoming, lane in records:
            outstanding.add(self._hand(incoming, lane), len(incoming.body or b""))
        if not records:
            partitions.wait(self._look_seconds)
        return len(records)


class _LeasedPartitions:
    """The partitions that we hold, and how far each is read."""

    def __init__(
        self,
        connection: Connection,
        keeper: LeaseKeeper,
        lanes: Mapping[TopicPartition, int],
        seats: Sequence[str],
        finish: Callable[[], None],
    ) -> None:
        """`seats` are the leases of intakes that share these partitions; `finish` waits until all that was handed in is done."""
        self._connection, self._keeper, self._lanes, self._seats, self._finish = connection, keeper, lanes, seats, finish
        self._seat: str | None = None
        self._leases: dict[TopicPartition, Lease] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._retake_at = 0.0

    def next(self, limit: int) -> Sequence[tuple[Incoming, int]]:
        """Returns what has come in on our partitions since the last look."""
        if time.monotonic() >= self._retake_at:
            self._share()
        if not self._positions:
            return ()
        incoming = []
        for record in read(self._connection, self._positions, limit):
            at = TopicPartition(record.topic, record.partition)
            follows, self._positions[at] = self._positions[at], record.position + 1
            lease = self._leases[at]
            found = Incoming(record.topic, record.partition, record.position, record.key, record.value, record.headers, lease, follows)
            incoming.append((found, self._lanes[at]))
        return incoming

    def _share(self) -> None:
        """Takes what falls to this intake and is free, and gives up what falls to another one."""
        falls_to_us = self._ours()
        if surplus := self._leases.keys() - falls_to_us:
            self._give_up(surplus)
        missing = {f"intake:{each.topic}:{each.partition}": each for each in falls_to_us - self._leases.keys()}
        for name, grant in self._keeper.acquire_all(self._connection, [*missing]).items() if missing else ():
            self._leases[missing[name]], self._positions[missing[name]] = grant.lease, grant.position
        self._retake_at = time.monotonic() + _RETAKE_SECONDS

    def _ours(self) -> set[TopicPartition]:
        """Returns the partitions that fall to this intake: those of each topic go round among all that live."""
        if not self._holds_seat():
            return set()
        living = held_leases(self._connection, self._seats)
        place = living.index(self._seat) if self._seat in living else 0
        topics = list(dict.fromkeys(each.topic for each in self._lanes))
        return {each for each in self._lanes if (each.partition + topics.index(each.topic)) % max(1, len(living)) == place}

    def _holds_seat(self) -> bool:
        """Whether we have a seat, taken now if need be. Who was away for long may have lost it; where all are taken, the others do."""
        seats = (self._seat, *self._seats) if self._seat else self._seats
        self._seat = next((seat for seat in seats if self._keeper.acquire(self._connection, seat)), None)
        return self._seat is not None

    def _give_up(self, partitions: Collection[TopicPartition]) -> None:
        """Gives them up when all that was handed in is done: the next owner goes on behind it."""
        self._finish()
        for each in partitions:
            release_lease(self._connection, self._leases.pop(each))
            del self._positions[each]

    def wait(self, seconds: float) -> None:
        """Until somebody appends to the log, or for a moment."""
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            return
