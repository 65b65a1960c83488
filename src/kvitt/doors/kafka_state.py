"""The compacted state topics as they stand now, read from their beginning to their present end (helved §1.2)."""

from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from kvitt.config import KafkaSettings
from kvitt.doors.kafka_clients import new_reader
from kvitt.errors import TopicNotFound
from kvitt.hub.importing import StateRecord

_BROKER_SECONDS, _LOOK_SECONDS, _BATCH = 30.0, 0.2, 2000


def read_state(settings: KafkaSettings, topic: str) -> Iterator[list[StateRecord]]:
    """All records of a topic, batch by batch, in order within a partition; ends when every partition has been read to its end.

    Raises TopicNotFound, KafkaException when the brokers can't be read.
    """
    reader = new_reader(settings)
    try:
        partitions = _partitions(reader, topic)
        reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        unread = set(partitions)
        while unread:
            messages = reader.consume(_BATCH, _LOOK_SECONDS)
            if batch := [_record(message) for message in messages if not _ended(message, unread)]:
                yield batch
    finally:
        reader.close()


def _partitions(reader: Consumer, topic: str) -> list[int]:
    found = reader.list_topics(topic, timeout=_BROKER_SECONDS).topics[topic]
    if found.error is not None:
        raise TopicNotFound(f"{topic}: {found.error.str()}")
    return sorted(found.partitions)


def _ended(message: Message, unread: set[int]) -> bool:
    """Whether this is no record but the end of its partition. Raises KafkaException for any other thing that is no record."""
    error = message.error()
    if error is None:
        return False
    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
        if error.retriable():
            return True
        raise KafkaException(error)
    unread.discard(message.partition() or 0)
    return True


def _record(message: Message) -> StateRecord:
    return StateRecord(message.topic() or "", message.partition() or 0, message.key(), message.value())
