"""Where kvitt stands in the input topics, next to what the topics hold, and how an operator says where it begins."""

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from msgspec import Struct

from kvitt.config import KafkaSettings
from kvitt.doors.kafka_clients import group_of, names_of, new_admin, new_reader, watermarks
from kvitt.doors.kafka_share import lease_of
from kvitt.errors import NotInThatState, TopicNotFound
from kvitt.hub.submit import Connection
from kvitt.store.queries import load

_SQL = load("kafka")
_SECONDS = 15.0


class Position(Struct, frozen=True):
    """One partition of an input topic: its first offset and its end, what is stored with our leases (0 = nothing), and what a group
    has committed (None = nothing)."""

    topic: str
    partition: int
    first: int
    end: int
    stored: int
    committed: int | None

    @property
    def next(self) -> int:
        """Where reading goes on."""
        return self.stored or (self.first if self.committed is None else max(self.committed, self.first))

    @property
    def lag(self) -> int:
        """How many records are not taken in; some of them may be marks of transactions."""
        return max(0, self.end - self.next)


def positions(connection: Connection, settings: KafkaSettings, topics: Sequence[str], group: str | None = None) -> list[Position]:
    """All partitions of these topics. `group` None: kvitt's own. Topics that are not there are left out.

    Raises KafkaException when no broker answers.
    """
    reader, named = new_reader(settings), names_of(settings)
    try:
        there = reader.list_topics(timeout=_SECONDS).topics
        places = [(topic, partition) for topic in topics if named(topic) in there for partition in sorted(there[named(topic)].partitions)]
        leases = [lease_of(topic, partition) for topic, partition in places]
        stored = dict(connection.execute(_SQL.stored_positions, (leases,)).fetchall())
        found = []
        for topic in topics:
            parts = [partition for name, partition in places if name == topic]
            committed = _committed(settings, group or group_of(settings, [topic]), named(topic), parts)
            for partition in parts:
                first, end = watermarks(reader, TopicPartition(named(topic), partition), _SECONDS)
                at = stored.get(lease_of(topic, partition), 0)
                found.append(Position(topic, partition, first, end, at, committed.get(partition)))
        return found
    finally:
        reader.close()


def _committed(settings: KafkaSettings, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition) for partition in partitions])
    # Kept in a name: an answer never comes once its client is gone.
    admin = new_admin(settings)
    answer = admin.list_consumer_group_offsets([asked])[group].result(_SECONDS)
    return {each.partition: each.offset for each in answer.topic_partitions if each.offset >= 0}


def begin(connection: Connection, settings: KafkaSettings, wanted: Sequence[Position], offsets: Mapping[int, int], *, over: bool) -> None:
    """Makes kvitt begin at these offsets by partition of one topic. With `over`, positions that are stored are given up for it.

    Call it in a transaction: what is stored changes with it. Raises NotInThatState when something is stored and not `over`, or while
    somebody reads; TopicNotFound when there are no partitions; KafkaException when the brokers do not take it.
    """
    if not wanted:
        raise TopicNotFound("there is no such topic on this cluster")
    taken = [each for each in wanted if each.stored]
    if taken and not over:
        told = ", ".join(f"{each.topic}/{each.partition} at {each.stored}" for each in taken)
        raise NotInThatState(f"kvitt has read here before ({told}); say --over to give that up")
    leases = [lease_of(each.topic, each.partition) for each in wanted]
    if busy := connection.execute(_SQL.forget_positions, (leases, leases)).fetchall():
        raise NotInThatState(f"somebody is reading: {', '.join(row[0] for row in busy)}; stop all intakes first")
    named = names_of(settings)
    places = [TopicPartition(named(each.topic), each.partition, offsets[each.partition]) for each in wanted]
    group = group_of(settings, [each.topic for each in wanted])
    consumer = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": group, "enable.auto.commit": False, **settings.client})
    try:
        consumer.commit(offsets=places, asynchronous=False)
    except KafkaException as error:
        raise NotInThatState(f"the group {group} is at work, or may not be written: {error.args[0].str()}") from error
    finally:
        consumer.close()
