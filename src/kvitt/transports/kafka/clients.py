"""Kafka clients as kvitt needs them: what is set on them, and why."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as PartitionOffset
from confluent_kafka.admin import AdminClient

from kvitt.broker_settings import KafkaSettings
from kvitt.kernel.state_log import StateLog

_log = structlog.get_logger(__name__)
_states = StateLog(_log)
"""A client says the same of a broker that is down each time that it looks, and nothing when it is back."""
_QUEUE_KILOBYTES = 16_384
_TRANSACTION_SECONDS = 60
_ASK_AGAIN_SECONDS = 0.1
_SOON = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - its public name
        KafkaError._TRANSPORT,  # noqa: SLF001 - its public name
    }
)
"""What is answered about a partition that is being made or moved."""


class _ClientLog:
    """Takes what librdkafka says into our log; it never quotes records."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        said = text % arguments if arguments else text
        if level >= logging.WARNING:
            _states.enters(f"client {_kind_of(said)}", "said", "warning", "kafka client", said=said)
        else:
            _log.debug("kafka client", said=said)


def _kind_of(said: str) -> str:
    """The subject of a line of librdkafka: `[thrd:broker:9092/1]: broker:9092/1: Connect to … failed: … (after 3ms in state CONNECT)`."""
    return re.sub(r"\d+", "#", said)[:200]


def names_of(settings: KafkaSettings) -> Callable[[str], str]:
    """Returns what a topic is called on this cluster: a shared one may have another name there."""
    return lambda topic: settings.shared_topics.get(topic, topic)


def new_admin(settings: KafkaSettings) -> AdminClient:
    """A client for making and describing topics."""
    return AdminClient({**_common(settings), **settings.client}, logger=_ClientLog())


def group_of(settings: KafkaSettings, topics: Sequence[str]) -> str:
    """The consumer group that reads these topics: one for our own, one for those shared with others, as one process may be in both."""
    return f"{settings.group}-rapid" if settings.shared_topics.keys() & {*topics} else settings.group


def is_the_end(error: KafkaError) -> bool:
    """Whether the client will do nothing more, for ever; it does not say so of every such error that it is fatal."""
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001 - its public name


class ConsumerErrors:
    """Hears a consumer's errors. What ends it may come here and not in place of a record: it keeps its partitions in silence then."""

    def __init__(self) -> None:
        self._last: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """One error."""
        _noted(error)
        if is_the_end(error):
            self._last = error

    def raise_fatal(self) -> None:
        """Raises KafkaException when the consumer has ended."""
        if self._last is not None:
            raise KafkaException(self._last)


def new_consumer(settings: KafkaSettings, group: str, errors: ConsumerErrors) -> Consumer:
    """A member of the consumer group; positions are ours to keep, so it stores none and commits only what it is given.

    A partition moves only when it must (cooperative), records of unfinished transactions are not seen, and what is fetched ahead is
    bounded for all partitions together.
    """
    session_ms = int(settings.session_seconds * 1000)
    chosen: dict[str, Any] = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # A position that a topic does not hold is an error: going on elsewhere would pass records by, or read them again.
        "auto.offset.reset": "error",
        # The end says how far a partition is read where only marks of transactions come behind its last record.
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": session_ms // 4,
        "queued.max.messages.kbytes": _QUEUE_KILOBYTES,
        "fetch.wait.max.ms": 100,
        # A topic that is made while we run is noticed soon; a broker that is down is looked for often.
        "topic.metadata.refresh.interval.ms": 30_000,
        "error_cb": errors,
    }
    if settings.instance:
        chosen["group.instance.id"] = settings.instance
    return Consumer({**_common(settings), **chosen, **settings.client}, logger=_ClientLog())


def new_reader(settings: KafkaSettings, group: str | None = None) -> Consumer:
    """A consumer outside any group's life, for reading topics from their beginning to their present end.

    With `group` it can be asked what that group has committed; it never joins it.
    """
    chosen: dict[str, Any] = {
        "group.id": group or f"{settings.group}-reader",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": _QUEUE_KILOBYTES,
    }
    return Consumer({**_common(settings), **chosen, **settings.client}, logger=_ClientLog())


def new_producer(settings: KafkaSettings) -> Producer:
    """The relay's producer: idempotent, and transactional so that a new relay fences a paused old one; keys land where Java puts them."""
    chosen: dict[str, Any] = {
        "transactional.id": settings.transactional_id,
        "transaction.timeout.ms": _TRANSACTION_SECONDS * 1000,
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 0,
        # A transaction begins while the one before is still being closed: what is asked again, is asked soon.
        "retry.backoff.ms": 10,
        # The largest order is 8 MB as it stands, and a tenth of that as it travels.
        "message.max.bytes": 16_000_000,
    }
    return Producer({**_common(settings), **chosen, **settings.client}, logger=_ClientLog())


def new_plain_producer(settings: KafkaSettings) -> Producer:
    """A producer like any neighbour's: idempotent, and keys land where Java puts them."""
    chosen = {"enable.idempotence": True, "acks": "all", "partitioner": "murmur2_random", "linger.ms": 5, "message.max.bytes": 16_000_000}
    return Producer({**_common(settings), **chosen, **settings.client}, logger=_ClientLog())


def watermarks(consumer: Consumer, at: PartitionOffset, seconds: float) -> tuple[int, int]:
    """The first offset and the end of a partition. One that was made a moment ago has no leader yet: it is asked again.

    Raises KafkaException when no answer comes in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            first, end = consumer.get_watermark_offsets(at, timeout=seconds)
            return first, end
        except KafkaException as error:
            if error.args[0].code() not in _SOON or time.monotonic() > deadline:
                raise
        time.sleep(_ASK_AGAIN_SECONDS)


def _common(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap,
        "client.id": settings.client_id,
        "allow.auto.create.topics": False,
        "reconnect.backoff.max.ms": 1000,
        "error_cb": _noted,
    }


def _noted(error: KafkaError) -> None:
    """Errors of the connection; the client mends them itself, whoever needs it meanwhile gets its own error."""
    _states.enters(
        f"error {error.name()} {_kind_of(error.str())}", "noted", "warning", "kafka", error=error.name(), reason=error.str()[:200]
    )
