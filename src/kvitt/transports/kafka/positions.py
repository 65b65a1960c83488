"""Where kvitt stands in the input topics, next to what the topics hold, and where an operator says that it begins.

That is where another hub's group has come to, the first record, or behind the last.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from confluent_kafka import ConsumerGroupState
from confluent_kafka import TopicPartition as PartitionOffset
from msgspec import Struct

from kvitt.broker_settings import KafkaSettings
from kvitt.errors import NotBegun, NotInThatState, RecordsGone, TopicNotFound
from kvitt.formats.topics import TopicPartition
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.transports.kafka.clients import (
    group_of,
    names_of,
    new_admin,
    new_reader,
    watermarks,
)
from kvitt.transports.kafka.topics import TopicIds

_SQL = load("kafka", "kvitt.transports.kafka")
_BROKER_SECONDS = 15.0
_AT_REST = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)


def lease_of(source: str, partition: int) -> str:
    """The name of the lease of a partition."""
    return f"intake:{source}:{partition}"


class Position(Struct, frozen=True):
    """One partition of an input topic, in the brokers' offsets: first and end, what is stored with our lease, what a group committed.

    `topic` is the hub's name for it. None: nothing is stored, or committed. `shift`: how much our positions are ahead of offsets.
    `shared`: others read and write it, too, and where to begin has to be said.
    """

    topic: str
    partition: int
    first: int
    end: int
    stored: int | None
    shift: int
    committed: int | None
    shared: bool

    @property
    def next(self) -> int | None:
        """Where kvitt goes on reading; None where it has to be said."""
        if self.stored is not None:
            return self.stored
        if self.shared:
            return None
        return self.first if self.committed is None else max(self.committed, self.first)

    @property
    def lag(self) -> int:
        """How many records are not taken in; some of them may be marks of transactions."""
        return max(0, self.end - (self.first if self.next is None else self.next))


class _StoredPosition(NamedTuple):
    lease: str
    position: int
    shift: int


def positions(connection: Connection, settings: KafkaSettings, topics: Sequence[str], group: str | None = None) -> list[Position]:
    """All partitions of these topics. `group`: whose commits to ask for; None means kvitt's own, asked for where nothing is stored.

    Topics that are not there are left out. Raises KafkaException when no broker answers.
    """
    reader, named = new_reader(settings), names_of(settings)
    try:
        there = reader.list_topics(timeout=_BROKER_SECONDS).topics
        places = [
            TopicPartition(topic, partition)
            for topic in topics
            if named(topic) in there
            for partition in sorted(there[named(topic)].partitions)
        ]
        leases = [lease_of(topic, partition) for topic, partition in places]
        stored = {each.lease: each for each in fetch(connection, _StoredPosition, _SQL.stored_positions, (leases,))}
        unsaid = [place for place in places if group or lease_of(*place) not in stored]
        committed = _committed(settings, group, unsaid)
        found = []
        for topic, partition in places:
            first, end = watermarks(reader, PartitionOffset(named(topic), partition), _BROKER_SECONDS)
            kept = stored.get(lease_of(topic, partition))
            at, shift = (kept.position, kept.shift) if kept else (None, 0)
            said = committed.get(TopicPartition(topic, partition))
            found.append(Position(topic, partition, first, end, at, shift, said, topic in settings.shared_topics))
        return found
    finally:
        reader.close()


def _committed(settings: KafkaSettings, group: str | None, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
    """Returns what the group, or kvitt's group of each topic, has committed."""
    named, found = names_of(settings), {}
    groups = sorted({group or group_of(settings, [topic]) for topic, _ in places})
    for each in groups:
        asker = new_reader(settings, each)
        try:
            sources = {named(topic): topic for topic, _ in places if (group or group_of(settings, [topic])) == each}
            asked = [PartitionOffset(named(topic), partition) for topic, partition in places if named(topic) in sources]
            for answer in asker.committed(asked, timeout=_BROKER_SECONDS):
                if answer.offset >= 0:
                    found[TopicPartition(sources[answer.topic], answer.partition)] = answer.offset
        finally:
            asker.close()
    return found


def require_start_offset(connection: Connection, settings: KafkaSettings, topics: Sequence[str]) -> None:
    """Raises NotBegun when nobody has said where to begin on a shared topic, RecordsGone when a topic no longer holds what comes next."""
    found = positions(connection, settings, topics)
    for topic, its in groupby((each for each in found if each.next is None), key=attrgetter("topic")):
        unsaid = ", ".join(str(each.partition) for each in its)
        raise NotBegun(f"{topic} partition {unsaid}: say where to begin with kvitt kafka set-start-offset --topic {topic}")
    for each in found:
        # An operator may have said 0 where the first records are gone already: that is the beginning.
        if each.stored and not each.first <= each.stored <= each.end:
            raise gone(each.topic, each.partition, each.first, each.end, each.stored)


def gone(topic: str, partition: int, first: int, end: int, wanted: int) -> RecordsGone:
    """The error when a partition does not hold what comes next."""
    holds = f"{topic} partition {partition} holds {first} to {end}, and {wanted} comes next"
    return RecordsGone(f"{holds}: say where to go on with kvitt kafka set-start-offset --over")


class StartFrom(StrEnum):
    """Starts that an operator may name."""

    GROUP = "group"
    BEGINNING = "beginning"
    END = "end"


class StartOffset(Struct, frozen=True):
    """A partition and the offset at which kvitt shall begin there."""

    position: Position
    offset: int

    @property
    def skipped(self) -> int:
        """How many offsets of what the topic holds are never read."""
        return self.offset - self.position.first

    @property
    def read(self) -> int:
        """How many offsets of what the topic holds now will be read."""
        return self.position.end - self.offset


def planned(found: Sequence[Position], start: StartFrom, *, over: bool) -> list[StartOffset]:
    """Where each partition would begin; with `over` those too of which something is stored.

    Raises TopicNotFound, NotInThatState when everything has begun already or the group does not answer, RecordsGone when what the group
    would read next is deleted. A group that has committed nothing on a partition may be another one than was meant, so nothing is guessed.
    """
    if not found:
        raise TopicNotFound("there is no such topic on this cluster")
    wanted = [each for each in found if over or each.stored is None]
    if not wanted:
        where = ", ".join(f"partition {each.partition} at {each.stored}" for each in found)
        raise NotInThatState(f"kvitt has read here before ({found[0].topic} {where}); say --over to give that up")
    return [StartOffset(each, _offset(each, start)) for each in wanted]


def _offset(each: Position, start: StartFrom) -> int:
    if start is not StartFrom.GROUP:
        return each.end if start is StartFrom.END else each.first
    if each.committed is None:
        if each.first == each.end:
            return each.end
        raise NotInThatState(f"the group has committed nothing on {each.topic} partition {each.partition}: is that its name?")
    if each.committed < each.first:
        raise RecordsGone(
            f"{each.topic} partition {each.partition} begins at {each.first}, and the group would go on at {each.committed}: "
            "what was between is deleted"
        )
    if each.committed > each.end:
        raise NotInThatState(f"{each.topic} partition {each.partition} ends at {each.end}, before the group's {each.committed}")
    return each.committed


def refuse_group_at_work(settings: KafkaSettings, group: str) -> None:
    """Raises NotInThatState while the group has members: what they go on to read, kvitt would read again. KafkaException, TimeoutError."""
    admin = new_admin(settings)
    state = admin.describe_consumer_groups([group])[group].result(_BROKER_SECONDS).state
    if state not in _AT_REST:
        raise NotInThatState(f"the group {group} is at work ({state.name.lower()}): stop the other hub first")


def set_start_offset(
    connection: Connection,
    settings: KafkaSettings,
    starts: Sequence[StartOffset],
    start: StartFrom,
    *,
    operator: Operator,
    now: datetime,
) -> None:
    """Stores where partitions of one topic begin, and why, in one transaction.

    Raises NeedsSecondPerson for what may pay twice or never, NotInThatState while somebody reads.
    """
    topic = starts[0].position.topic
    given_up = any(each.position.stored is not None for each in starts)
    pays_again = topic in settings.shared_topics and start is StartFrom.BEGINNING and any(each.read for each in starts)
    if given_up or pays_again:
        operator.need_second_person("this may pay twice, or leave out what was to be paid")
    leases = [lease_of(topic, each.position.partition) for each in starts]
    with transaction(connection, "topic", topic), connection.cursor() as cursor:
        made_anew = TopicIds(settings, [topic]).renew(connection)
        shifts = [_shift(each.position, made_anew=made_anew) for each in starts]
        arguments = {"leases": leases, "offsets": [each.offset for each in starts], "shifts": shifts, "now": now}
        moved = {*fetch_values(cursor, _SQL.set_start_offsets, arguments)}
        if busy := sorted(set(leases) - moved):
            raise NotInThatState(f"somebody is reading {', '.join(busy)}: stop all processes that read {topic} first")
        where = ", ".join(f"{each.position.partition}:{_was(each.position)}{each.offset}" for each in starts)
        note(cursor, now, "kafka set-start-offset", operator, f"{topic} {start.value} {where}")


def _shift(position: Position, *, made_anew: bool) -> int:
    """How much positions are to be ahead of offsets: records of a topic made anew must not be taken for earlier ones at those offsets."""
    return position.shift + (position.stored or 0) if made_anew else position.shift


def _was(position: Position) -> str:
    return "" if position.stored is None else f"{position.stored}->"
