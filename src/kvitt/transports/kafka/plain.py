"""Kafka outside any consumer group: records are put where Java's clients would, and topics are read from now on, or as they stand."""

from collections.abc import Iterator, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as PartitionOffset

from kvitt.broker_settings import KafkaSettings
from kvitt.errors import TopicNotFound
from kvitt.formats.topics import StateRecord, decode_headers
from kvitt.transports.kafka.assigned_partitions import headers_of
from kvitt.transports.kafka.clients import (
    names_of,
    new_plain_producer,
    new_reader,
    watermarks,
)
from kvitt.transports.log.embedded_log import NewRecord, Record

_SECONDS, _LOOK_SECONDS, _AT_ONCE = 15.0, 0.2, 2000


def put(settings: KafkaSettings, records: Sequence[NewRecord], producer: Producer | None = None) -> list[tuple[int, int]]:
    """Appends records in order; returns each one's (partition, offset) once the brokers have all of them. Raises KafkaException."""
    producer, named = producer or new_plain_producer(settings), names_of(settings)
    places: dict[int, tuple[int, int]] = {}
    refused: list[KafkaException] = []
    for number, each in enumerate(records):

        def delivered(error: object, message: Message, number: int = number) -> None:
            if error is not None:
                refused.append(KafkaException(error))
            else:
                places[number] = (message.partition() or 0, message.offset() or 0)

        headers: list[tuple[str, str | bytes | None]] = [*decode_headers(each.headers)]
        producer.produce(named(each.topic), each.value, each.key, on_delivery=delivered, headers=headers)
        producer.poll(0)
    left = producer.flush(_SECONDS)
    if refused:
        raise refused[0]
    if left:
        raise TimeoutError(f"{left} records were not taken by the brokers within {_SECONDS:.0f} s")
    return [places[number] for number in range(len(records))]


class TopicReader:
    """Reads a topic from its present ends on, all partitions, outside of any group's life."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._consumer: Consumer = new_reader(settings)
        name = names_of(settings)(topic)
        partitions = self._consumer.list_topics(name, timeout=_SECONDS).topics[name].partitions
        places = [PartitionOffset(name, partition) for partition in sorted(partitions)]
        ends = [watermarks(self._consumer, each, _SECONDS)[1] for each in places]
        self._consumer.assign([PartitionOffset(name, each.partition, end) for each, end in zip(places, ends, strict=True)])

    def read(self, seconds: float) -> list[Record]:
        """Returns what has come since the last look; waits up to `seconds` for the first record."""
        found = [message for message in self._consumer.consume(_AT_ONCE, seconds) if message.error() is None]
        return [_record(message) for message in found]

    def close(self) -> None:
        """Ends the connections."""
        self._consumer.close()


def _record(message: Message) -> Record:
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    return Record(topic, partition, offset, message.key(), message.value(), headers_of(message))


def read_state(settings: KafkaSettings, topic: str) -> Iterator[list[StateRecord]]:
    """All records of a compacted topic as it stands (helved §1.2), batch by batch, in order within a partition, to their ends.

    Raises TopicNotFound, KafkaException when the brokers can't be read.
    """
    reader = new_reader(settings)
    try:
        partitions = _partitions(reader, topic)
        reader.assign([PartitionOffset(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        unread = set(partitions)
        while unread:
            messages = reader.consume(_AT_ONCE, _LOOK_SECONDS)
            if batch := [_state_record(message) for message in messages if not ended(message, unread)]:
                yield batch
    finally:
        reader.close()


def _partitions(reader: Consumer, topic: str) -> list[int]:
    found = reader.list_topics(topic, timeout=_SECONDS).topics[topic]
    if found.error is not None:
        raise TopicNotFound(f"{topic}: {found.error.str()}")
    return sorted(found.partitions)


def ended(message: Message, unread: set[int]) -> bool:
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


def _state_record(message: Message) -> StateRecord:
    return StateRecord(message.topic() or "", message.partition() or 0, message.key(), message.value())
