"""An operator says where kvitt begins to read a topic: where another hub's group has come to, at the first record, or behind the last."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from confluent_kafka import ConsumerGroupState
from msgspec import Struct

from kvitt.config import KafkaSettings
from kvitt.doors.kafka_clients import new_admin
from kvitt.doors.kafka_identity import TopicIds
from kvitt.doors.kafka_positions import Position
from kvitt.doors.kafka_share import lease_of
from kvitt.errors import NotInThatState, RecordsGone, TopicNotFound
from kvitt.hub.operate import Operator, note
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load
from kvitt.wire.topics import RAPID

_SQL = load("kafka", "kvitt.store")
_BROKER_SECONDS = 15.0
_AT_REST = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)


class Start(StrEnum):
    """Where to begin."""

    GROUP = "group"
    BEGINNING = "beginning"
    END = "end"


class Beginning(Struct, frozen=True):
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


def planned(found: Sequence[Position], start: Start, *, over: bool) -> list[Beginning]:
    """Where each partition would begin; with `over` those too of which something is stored.

    Raises TopicNotFound, NotInThatState when everything has begun already or the group gives no answer, RecordsGone when what the group
    would read next is deleted. A group that has committed nothing on a partition may be another one than was meant, so nothing is guessed.
    """
    if not found:
        raise TopicNotFound("there is no such topic on this cluster")
    wanted = [each for each in found if over or each.stored is None]
    if not wanted:
        told = ", ".join(f"partition {each.partition} at {each.stored}" for each in found)
        raise NotInThatState(f"kvitt has read here before ({found[0].topic} {told}); say --over to give that up")
    return [Beginning(each, _offset(each, start)) for each in wanted]


def _offset(each: Position, start: Start) -> int:
    if start is not Start.GROUP:
        return each.end if start is Start.END else each.first
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


def begin(
    connection: Connection,
    settings: KafkaSettings,
    beginnings: Sequence[Beginning],
    start: Start,
    *,
    operator: Operator,
    now: datetime,
) -> None:
    """Stores where partitions of one topic begin, and why, in one transaction.

    Raises NeedsSecondPerson for what may pay twice or never, NotInThatState while somebody reads.
    """
    topic = beginnings[0].position.topic
    given_up = any(each.position.stored is not None for each in beginnings)
    pays_again = topic == RAPID and start is Start.BEGINNING and any(each.read for each in beginnings)
    if given_up or pays_again:
        operator.need_second_person("this may pay twice, or leave out what was to be paid")
    leases = [lease_of(topic, each.position.partition) for each in beginnings]
    with transaction(connection, "topic", topic), connection.cursor() as cursor:
        made_anew = TopicIds(settings, [topic]).renew(connection)
        shifts = [_shift(each.position, made_anew=made_anew) for each in beginnings]
        arguments = {"leases": leases, "offsets": [each.offset for each in beginnings], "shifts": shifts, "now": now}
        moved = {str(row[0]) for row in cursor.execute(_SQL.begin_at, arguments)}
        if busy := sorted(set(leases) - moved):
            raise NotInThatState(f"somebody is reading {', '.join(busy)}: stop all processes that read {topic} first")
        told = ", ".join(f"{each.position.partition}:{_was(each.position)}{each.offset}" for each in beginnings)
        note(cursor, now, "kafka begin", operator, f"{topic} {start.value} {told}")


def _shift(position: Position, *, made_anew: bool) -> int:
    """How much positions are to be ahead of offsets: records of a topic made anew are told from earlier ones, which had those offsets."""
    return position.shift + (position.stored or 0) if made_anew else position.shift


def _was(position: Position) -> str:
    return "" if position.stored is None else f"{position.stored}->"
