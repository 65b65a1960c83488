"""Where kvitt stands in the input topics, next to what the topics hold."""

from collections.abc import Mapping, Sequence

from confluent_kafka import TopicPartition
from msgspec import Struct

from kvitt.config import KafkaSettings
from kvitt.doors.kafka_clients import group_of, names_of, new_reader, watermarks
from kvitt.doors.kafka_share import lease_of
from kvitt.errors import NotBegun, RecordsGone
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load
from kvitt.wire.topics import RAPID

_SQL = load("kafka", "kvitt.store")
_SECONDS = 15.0
_Place = tuple[str, int]


class Position(Struct, frozen=True):
    """One partition of an input topic, in the brokers' offsets: first and end, what is stored with our lease, what a group committed.

    `topic` is the hub's name for it. None: nothing is stored, or committed. `shift`: how much our positions are ahead of offsets.
    """

    topic: str
    partition: int
    first: int
    end: int
    stored: int | None
    shift: int
    committed: int | None

    @property
    def next(self) -> int | None:
        """Where kvitt goes on reading; None where it has to be said."""
        if self.stored is not None:
            return self.stored
        if self.topic == RAPID:
            return None
        return self.first if self.committed is None else max(self.committed, self.first)

    @property
    def lag(self) -> int:
        """How many records are not taken in; some of them may be marks of transactions."""
        return max(0, self.end - (self.first if self.next is None else self.next))


def positions(connection: Connection, settings: KafkaSettings, topics: Sequence[str], group: str | None = None) -> list[Position]:
    """All partitions of these topics. `group`: whose commits to ask for; None means kvitt's own, asked for where nothing is stored.

    Topics that are not there are left out. Raises KafkaException when no broker answers.
    """
    reader, named = new_reader(settings), names_of(settings)
    try:
        there = reader.list_topics(timeout=_SECONDS).topics
        places = [(topic, partition) for topic in topics if named(topic) in there for partition in sorted(there[named(topic)].partitions)]
        leases = [lease_of(topic, partition) for topic, partition in places]
        stored = {str(lease): (int(at), int(shift)) for lease, at, shift in connection.execute(_SQL.stored_positions, (leases,))}
        unsaid = [place for place in places if group or lease_of(*place) not in stored]
        committed = _committed(settings, group, unsaid)
        found = []
        for topic, partition in places:
            first, end = watermarks(reader, TopicPartition(named(topic), partition), _SECONDS)
            at, shift = stored.get(lease_of(topic, partition), (None, 0))
            found.append(Position(topic, partition, first, end, at, shift, committed.get((topic, partition))))
        return found
    finally:
        reader.close()


def _committed(settings: KafkaSettings, group: str | None, places: Sequence[_Place]) -> Mapping[_Place, int]:
    """What the group, or kvitt's group of each topic, has committed."""
    named, found = names_of(settings), {}
    groups = sorted({group or group_of(settings, [topic]) for topic, _ in places})
    for each in groups:
        asker = new_reader(settings, each)
        try:
            sources = {named(topic): topic for topic, _ in places if (group or group_of(settings, [topic])) == each}
            asked = [TopicPartition(named(topic), partition) for topic, partition in places if named(topic) in sources]
            for answer in asker.committed(asked, timeout=_SECONDS):
                if answer.offset >= 0:
                    found[sources[answer.topic], answer.partition] = answer.offset
        finally:
            asker.close()
    return found


def refuse_to_guess(connection: Connection, settings: KafkaSettings, topics: Sequence[str]) -> None:
    """Raises NotBegun when nobody has said where to begin on the rapid, RecordsGone when a topic no longer holds what comes next."""
    found = positions(connection, settings, topics)
    if unsaid := [str(each.partition) for each in found if each.next is None]:
        raise NotBegun(f"{RAPID} partition {', '.join(unsaid)}: say where to begin with kvitt kafka begin --topic {RAPID}")
    for each in found:
        # An operator may have said 0 where the first records are gone already: that is the beginning.
        if each.stored and not each.first <= each.stored <= each.end:
            raise gone(each.topic, each.partition, each.first, each.end, each.stored)


def gone(topic: str, partition: int, first: int, end: int, wanted: int) -> RecordsGone:
    """What is told when a partition does not hold what comes next."""
    return RecordsGone(
        f"{topic} partition {partition} holds {first} to {end}, and {wanted} comes next: say where to go on with kvitt kafka begin --over"
    )
