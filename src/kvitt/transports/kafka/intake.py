"""The intake from Kafka: reads the input topics as one of a consumer group and hands each record to the hub (design §4 steps 1-2).

The group says who reads a partition, the lease says who may: the position is stored with the effect, in the same transaction, and sought
to whenever a partition comes to us. What the brokers hear about offsets is a hint, for those who watch the lag.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from kvitt.broker_settings import KafkaSettings
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome
from kvitt.errors import RecordsGone
from kvitt.formats.topics import TopicPartition
from kvitt.kernel.database import LOCK_MS, connect
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import LoopStep
from kvitt.kernel.state_log import StateLog
from kvitt.transports.kafka.assigned_partitions import AssignedPartitions, size_of
from kvitt.transports.kafka.clients import (
    ConsumerErrors,
    group_of,
    is_the_end,
    names_of,
    new_consumer,
)
from kvitt.transports.kafka.topics import TopicIds

Hand = Callable[[Incoming, int], "Future[Outcome]"]
"""Hands a record to the hub on a lane; records of one lane are handled in order. It must take `max_outstanding` records without waiting."""

_states = StateLog(structlog.get_logger(__name__))
_LOOK_SECONDS, _FULL_SECONDS, _PAUSE_AFTER_SECONDS, _HINT_SECONDS = 0.1, 0.05, 1.0, 1.0
_JOIN_SECONDS = 6.0
_MAX_BYTES = 64_000_000


class KafkaIntake:
    """The input topics as one process of the group reads them."""

    def __init__(
        self,
        conninfo: str,
        keeper: LeaseKeeper,
        hand: Hand,
        settings: KafkaSettings,
        *,
        topics: Sequence[str],
        limit: int = 512,
        max_outstanding: int = 1024,
    ) -> None:
        self._conninfo, self._keeper, self._hand, self._settings = conninfo, keeper, hand, settings
        self._topics, self._limit, self._max_outstanding = topics, limit, max_outstanding

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Joins the group and returns the step of the loop; on the way out it leaves the group and gives up its leases."""
        with connect(self._conninfo, application="kvitt intake", lock_timeout_ms=LOCK_MS) as connection:
            errors = ConsumerErrors()
            consumer = new_consumer(self._settings, group_of(self._settings, self._topics), errors)
            try:
                named = names_of(self._settings)
                ids = TopicIds(self._settings, self._topics)
                shared = self._settings.shared_topics
                ours = AssignedPartitions(consumer, connection, self._keeper, ids, topics=self._topics, shared=shared)
                consumer.subscribe(
                    [named(topic) for topic in self._topics], on_assign=ours.assigned, on_revoke=ours.revoked, on_lost=ours.lost
                )
                yield _PollLoop(consumer, errors, ours, self._hand, limit=self._limit, max_outstanding=self._max_outstanding).step
            finally:
                # Gives the partitions back, which calls `revoked`.
                consumer.close()


class _PollLoop:
    """Polls, and hands in what came. It never waits for work for long: what is handed in is bounded, and while it is too much the
    partitions rest.
    """

    def __init__(
        self, consumer: Consumer, errors: ConsumerErrors, assigned: AssignedPartitions, hand: Hand, *, limit: int, max_outstanding: int
    ) -> None:
        self._consumer, self._errors, self._assigned, self._hand = consumer, errors, assigned, hand
        self._limit, self._max_outstanding = limit, max_outstanding
        self._full_since: float | None = None
        self._hint_at = 0.0
        self._join_by = time.monotonic() + _JOIN_SECONDS

    def step(self) -> int:
        """Hands in what has come, up to a batch; returns how many records. Waits a moment when there is nothing.

        The first step lasts until the group has said what is ours, within seconds: until then this process does not work.
        """
        handed = self._round()
        while not handed and not self._assigned.joined and time.monotonic() < self._join_by:
            handed = self._round()
        return handed

    def _round(self) -> int:
        self._errors.raise_fatal()
        count, size = self._assigned.reap()
        room = 0 if size >= _MAX_BYTES else min(self._limit, self._max_outstanding - count)
        if room <= 0:
            self._full()
            return 0
        self._full_since = None
        self._assigned.resume()
        self._assigned.look_whether_made_anew()
        self._assigned.take_free()
        handed = sum(map(self._hand_in, self._next(room)))
        if time.monotonic() >= self._hint_at:
            self._assigned.hint()
            self._hint_at = time.monotonic() + _HINT_SECONDS
        return handed

    def _next(self, limit: int) -> Iterator[Message]:
        """The first record as soon as there is one, and what waits behind it; `consume` alone would wait for a batch to fill."""
        first = self._consumer.poll(_LOOK_SECONDS)
        if first is not None:
            yield first
            if limit > 1:
                yield from self._consumer.consume(limit - 1, 0.0)

    def _hand_in(self, message: Message) -> bool:
        partition = self._assigned.of(_at(message)) if message.topic() else None
        if error := message.error():
            if partition and _is_end(error):
                partition.ended(message.offset())
            _heed(error)
            return False
        if partition is None:
            return False
        self._assigned.look_after_rest(partition)
        if (incoming := partition.incoming(message)) is None:
            return False
        partition.awaits(self._hand(incoming, partition.lane), size_of(message))
        return True

    def _full(self) -> None:
        """Waits a little for work to be done. If that lasts, the partitions are paused and polled, so that the group does not lose us."""
        now = time.monotonic()
        self._full_since = self._full_since or now
        if now - self._full_since < _PAUSE_AFTER_SECONDS:
            self._assigned.wait_for_oldest(_FULL_SECONDS)
            return
        self._assigned.pause()
        # Only to serve the group: nothing is fetched, and what might slip through is fetched again by `resume`.
        if (message := self._consumer.poll(_LOOK_SECONDS)) and (error := message.error()):
            _heed(error)


def _at(message: Message) -> TopicPartition:
    topic, partition = message.topic(), message.partition()
    assert topic is not None, "a record has a topic"
    assert partition is not None, "a record has a partition"
    return TopicPartition(topic, partition)


def _heed(error: KafkaError) -> None:
    """Heeds what comes in place of records. Raises KafkaException for the consumer's end, RecordsGone when a topic does not hold what comes
    next; other errors mend themselves.
    """
    if is_the_end(error):
        raise KafkaException(error)
    if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its public name
        raise RecordsGone(f"a topic no longer holds what comes next: {error.str()[:200]}")
    if _is_end(error):
        return
    _states.enters(error.name(), error.name(), "warning", "kafka intake", error=error.name(), reason=error.str()[:200])


def _is_end(error: KafkaError) -> bool:
    return error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 - its public name
