"""Kafka clients as kvitt needs them: what is set on them, and why."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient

from kvitt.config import KafkaSettings
from kvitt.wire.topics import RAPID

_log = structlog.get_logger(__name__)
_QUEUE_KILOBYTES = 16_384
_TRANSACTION_SECONDS = 60


class _ClientLog:
    """Takes what librdkafka says into our log; it never quotes records."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        said = text % arguments if arguments else text
        (_log.warning if level >= logging.WARNING else _log.debug)("kafka client", said=said)


def names_of(settings: KafkaSettings) -> Callable[[str], str]:
    """What a topic is called on this cluster: the rapid may have another name there."""
    return lambda topic: settings.rapid_topic if topic == RAPID else topic


def new_admin(settings: KafkaSettings) -> AdminClient:
    """A client for making and describing topics."""
    return AdminClient({**_common(settings), **settings.client}, logger=_ClientLog())


def group_of(settings: KafkaSettings, topics: Sequence[str]) -> str:
    """The consumer group that reads these topics: one for the case streams, one for the rapid, as one process may be in both."""
    return f"{settings.group}-rapid" if RAPID in topics else settings.group


def new_consumer(settings: KafkaSettings, group: str) -> Consumer:
    """A member of the consumer group; positions are ours to keep, so it stores none and commits only what it is told to.

    A partition moves only when it must (cooperative), records of unfinished transactions are not seen, and what is fetched ahead is
    bounded for all partitions together.
    """
    session_ms = int(settings.session_seconds * 1000)
    chosen: dict[str, Any] = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": session_ms // 4,
        "queued.max.messages.kbytes": _QUEUE_KILOBYTES,
        "fetch.wait.max.ms": 100,
        # A topic that is made while we run is noticed soon; a broker that is down is looked for often.
        "topic.metadata.refresh.interval.ms": 30_000,
    }
    if settings.instance:
        chosen["group.instance.id"] = settings.instance
    return Consumer({**_common(settings), **chosen, **settings.client}, logger=_ClientLog())


def new_reader(settings: KafkaSettings) -> Consumer:
    """A consumer outside any group's life, for reading topics from their beginning to their present end."""
    chosen: dict[str, Any] = {
        "group.id": f"{settings.group}-reader",
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
        # The largest order is 8 MB as it stands, and a tenth of that as it travels.
        "message.max.bytes": 16_000_000,
    }
    return Producer({**_common(settings), **chosen, **settings.client}, logger=_ClientLog())


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
    _log.warning("kafka", error=error.name(), reason=error.str()[:200])
