"""Kafka as any neighbour uses it: records are put where Java's clients would put them, and statuses are read from now on."""

from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from kvitt.config import KafkaSettings
from kvitt.doors.embedded_log import NewRecord, Record
from kvitt.doors.kafka_clients import names_of, new_plain_producer, new_reader, watermarks
from kvitt.wire.topics import decode_headers, encode_headers

_SECONDS, _AT_ONCE = 15.0, 2000


def put(settings: KafkaSettings, records: Sequence[NewRecord], producer: Producer | None = None) -> list[tuple[int, int]]:
    """Appends records in order; gives each one's (partition, offset) once the brokers have all of them. Raises KafkaException."""
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


class Reader:
    """Reads a topic from its present ends on, all partitions, outside of any group's life."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._consumer: Consumer = new_reader(settings)
        name = names_of(settings)(topic)
        partitions = self._consumer.list_topics(name, timeout=_SECONDS).topics[name].partitions
        places = [TopicPartition(name, partition) for partition in sorted(partitions)]
        ends = [watermarks(self._consumer, each, _SECONDS)[1] for each in places]
        self._consumer.assign([TopicPartition(name, each.partition, end) for each, end in zip(places, ends, strict=True)])

    def read(self, seconds: float) -> list[Record]:
        """What has come since the last look; waits up to `seconds` for the first record."""
        found = [message for message in self._consumer.consume(_AT_ONCE, seconds) if message.error() is None]
        return [_record(message) for message in found]

    def close(self) -> None:
        """Ends the connections."""
        self._consumer.close()


def _record(message: Message) -> Record:
    pairs = message.headers() or []
    assert isinstance(pairs, list), "consumers give lists of pairs"
    headers = encode_headers((name, value.decode("utf-8", "replace") if isinstance(value, bytes) else value or "") for name, value in pairs)
    return Record(message.topic() or "", message.partition() or 0, message.offset() or 0, message.key(), message.value(), headers)
