"""The partitions that the consumer group has given to this process, and the leases without which none of them is read.

A partition is read from the moment its lease is taken, from the position stored with that lease, until the group takes it back or
something that was handed in fails; then it is let go and taken again from what is stored.
"""

import time
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait

import psycopg
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message
from confluent_kafka import TopicPartition as PartitionOffset
from msgspec import Struct
from psycopg.errors import LockNotAvailable

from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome
from kvitt.errors import NotBegun
from kvitt.formats.topics import TopicPartition, encode_headers
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_values
from kvitt.kernel.leases import Lease, LeaseGrant, LeaseKeeper
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog
from kvitt.transports.kafka.clients import watermarks
from kvitt.transports.kafka.positions import gone, lease_of
from kvitt.transports.kafka.topics import TopicIds

_SQL, _LEASES = load("kafka", "kvitt.transports.kafka"), load("leases", "kvitt.kernel")
_log = structlog.get_logger(__name__)
_RETAKE_SECONDS, _SETTLE_SECONDS, _BROKER_SECONDS, _IDENTITY_SECONDS = 1.0, 10.0, 5.0, 10.0
_REST_SECONDS = 0.25
"""Shorter than a topic is deleted, made, filled and found again: the client waits twice as long after a fetch that was refused."""
_LANES_PER_TOPIC = 1024
"""Other teams' topics have as many partitions as they like."""


class HandedIn(Struct, frozen=True):
    """A record whose outcome is awaited; when it is there, the partition is done up to `next_position`."""

    future: "Future[Outcome]"
    next_position: int
    size: int


class AssignedPartition:
    """A partition that the group gave us. Without a lease it is not read: another holds it, or what was handed in has failed."""

    def __init__(self, at: TopicPartition, lane: int, source: str) -> None:
        """`source` is what the topic is called in the hub, whatever its name on the cluster."""
        self.at, self.lane, self.source = at, lane, source
        self.lease: Lease | None = None
        self.shift = 0
        """How much our positions are ahead of the brokers' offsets, which is what all others here are."""
        self.follows = 0
        """How far the partition has been handed in."""
        self.reads_at = 0
        """From where it is fetched: as far as it was handed in, or where it begins for us."""
        self.done = 0
        """How far it is known to be stored."""
        self.hinted = 0
        """The offset that the brokers know as done."""
        self.ends_at = 0
        """The end of the partition, when everything before it has been handed in and it was seen since the lease was taken."""
        self.heard_at = 0.0
        """When its last record came, by the monotonic clock."""
        self.bytes = 0
        self._outstanding: deque[HandedIn] = deque()

    def granted(self, grant: LeaseGrant, shift: int) -> None:
        """The lease is ours: reading begins where the last effect was stored."""
        self.lease, self.shift = grant.lease, shift
        self.follows = self.reads_at = self.done = self.hinted = grant.position - shift
        self.ends_at = 0

    def ended(self, offset: int | None) -> None:
        """The partition has no record before this offset that was not handed in; marks of transactions may stand there."""
        if self.lease is not None and offset is not None:
            self.ends_at = offset

    @property
    def is_behind_marks(self) -> bool:
        """Whether all records are done and stored, and only marks of transactions lie between them and the end."""
        return self.lease is not None and not self._outstanding and self.done == self.follows < self.ends_at

    def moved(self) -> None:
        """The end is stored as our position."""
        self.follows = self.reads_at = self.done = self.ends_at

    def incoming(self, message: Message) -> Incoming | None:
        """A record as the hub takes it; None for one that was read before, or that is not ours to read now."""
        offset = message.offset()
        if self.lease is None or offset is None or offset < self.follows:
            return None
        follows, self.follows = self.follows, offset + 1
        self.reads_at = self.follows
        where, shift, headers = (self.source, self.at.partition, offset + self.shift), self.shift, headers_of(message)
        return Incoming(*where, message.key(), message.value(), headers, self.lease, follows + shift)

    def awaits(self, future: "Future[Outcome]", size: int) -> None:
        """The record that `incoming` gave last was handed in."""
        self._outstanding.append(HandedIn(future, self.follows, size))
        self.bytes += size

    def reap(self) -> BaseException | None:
        """Takes off what is done; the first failure, after which the partition is not ours to read until its lease is taken again."""
        failure: BaseException | None = None
        while self._outstanding and self._outstanding[0].future.done():
            finished = self._outstanding.popleft()
            self.bytes -= finished.size
            failure = failure or finished.future.exception()
            if failure is None and self.lease:
                self.done = finished.next_position
        if failure:
            self.lease = None
            self.ends_at = 0
        return failure

    @property
    def lease_name(self) -> str:
        """The name of its lease."""
        return lease_of(self.source, self.at.partition)

    @property
    def start(self) -> PartitionOffset:
        """The partition and from where to fetch it."""
        return PartitionOffset(*self.at, self.reads_at)

    @property
    def outstanding(self) -> int:
        """How many records are handed in and not done."""
        return len(self._outstanding)

    def settle(self, seconds: float) -> None:
        """Waits for what is handed in, but not longer; then what is not done is refused, once another owns the lease."""
        wait([each.future for each in self._outstanding], timeout=seconds)
        self.reap()

    def wait_for_first(self, seconds: float) -> None:
        """Until the oldest record is done, or for a moment."""
        if self._outstanding:
            wait([self._outstanding[0].future], timeout=seconds)


def size_of(message: Message) -> int:
    """Bytes of a record's key and value."""
    return len(message.key() or b"") + len(message.value() or b"")


def totals(partitions: Iterable[AssignedPartition]) -> tuple[int, int]:
    """Records and bytes that are handed in and not done."""
    counted = [(each.outstanding, each.bytes) for each in partitions if each.outstanding]
    return sum(count for count, _ in counted), sum(size for _, size in counted)


def headers_of(message: Message) -> bytes:
    """As the store keeps them; what is no UTF-8 in a value is replaced, since a header explains and decides nothing."""
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return encode_headers((name, value.decode("utf-8", "replace") if isinstance(value, bytes) else value or "") for name, value in pairs)


class AssignedPartitions:
    """The partitions of the input topics that are ours. All of it runs in the thread that polls, the group's callbacks too."""

    def __init__(
        self,
        consumer: Consumer,
        connection: Connection,
        keeper: LeaseKeeper,
        ids: TopicIds,
        *,
        topics: Sequence[str],
        shared: Mapping[str, str],
    ) -> None:
        """`shared` are the topics that others read and write, too, by our name for them, with their name on this cluster."""
        self._consumer, self._connection, self._keeper, self._ids = consumer, connection, keeper, ids
        self._shared = shared
        self._sources = {shared.get(topic, topic): topic for topic in topics}
        self._lane_of_topic = {name: number * _LANES_PER_TOPIC for number, name in enumerate(self._sources)}
        self._assigned: dict[TopicPartition, AssignedPartition] = {}
        self._paused = False
        self._retake_at = self._looked_at = 0.0
        self._states = StateLog(_log)
        self.joined = False
        """Whether the group has said at least once what is ours, be it nothing."""

    def of(self, at: TopicPartition) -> AssignedPartition | None:
        """A partition, if the group has given it to us."""
        return self._assigned.get(at)

    def assigned(self, _: Consumer, partitions: list[PartitionOffset]) -> None:
        """The group gives us partitions: those whose lease is free are read from their stored position on, the others later."""
        for at in map(_at, partitions):
            self._assigned[at] = AssignedPartition(at, self._lane_of_topic[at.topic] + at.partition, self._sources[at.topic])
        if partitions:
            self._looked_at = time.monotonic()
            self._ids.check(self._connection)
        # Called even without partitions, or the client would fetch all of them from the brokers' own offsets.
        self._fetch(self._take([self._assigned[_at(each)] for each in partitions]))
        self.joined = True

    def revoked(self, _: Consumer, partitions: list[PartitionOffset]) -> None:
        """The group takes partitions back: what is handed in is finished, then others may go on from there."""
        left = [ours for each in partitions if (ours := self._assigned.pop(_at(each), None))]
        read = [each for each in left if each.lease]
        for each in left:
            each.settle(_SETTLE_SECONDS)
        self._hint(left)
        self._leave(read)
        self._give_up(read)

    def _give_up(self, partitions: Sequence[AssignedPartition]) -> None:
        leases = [each.lease_name for each in partitions]
        try:
            self._connection.execute(_SQL.give_up_leases, {"owner": self._keeper.owner, "leases": leases})
        except LockNotAvailable:
            for each in partitions if len(partitions) > 1 else ():
                self._give_up([each])
        except psycopg.OperationalError:
            _log.info("leases run out by themselves: the database is gone", leases=len(leases))

    def lost(self, consumer: Consumer, partitions: list[PartitionOffset]) -> None:
        """The group has given our partitions to others already, because it has not heard of us for too long."""
        _log.warning("partitions lost to others of the group", partitions=len(partitions))
        self.revoked(consumer, partitions)

    def reap(self) -> tuple[int, int]:
        """Takes off what is done, lets go of partitions with a failure; returns records and bytes that are not done."""
        failed: list[AssignedPartition] = []
        for each in self._assigned.values():
            was_read = each.lease is not None
            if (failure := each.reap()) and was_read:
                self._note_failed(each.at, type(failure).__name__)
                failed.append(each)
        if failed:
            self._leave(failed)
        return totals(self._assigned.values())

    def _note_failed(self, at: TopicPartition, error: str) -> None:
        self._states.enters(f"{at.topic} {at.partition}", error, "warning", "partition is read again", **at._asdict(), error=error)

    def take_free(self) -> None:
        """Each second: takes the leases that we lack and that have come free, and reads those partitions from what is stored."""
        if time.monotonic() < self._retake_at:
            return
        self._retake_at = time.monotonic() + _RETAKE_SECONDS
        # What failed may have others behind it in its lane, which must have failed too before it is read again.
        idle = [each for each in self._assigned.values() if each.lease is None and not each.outstanding]
        if idle and (taken := self._take(idle)):
            self._fetch(taken)

    def look_whether_made_anew(self) -> None:
        """Now and then: raises RecordsGone when a topic was made anew below us."""
        if time.monotonic() >= self._looked_at + _IDENTITY_SECONDS:
            self._look()

    def look_after_rest(self, partition: AssignedPartition) -> None:
        """Before a record is handed in: where none came for a while, raises RecordsGone when a topic was made anew meanwhile.

        The client says nothing of it: it goes on in the new topic at the offset that it had come to in the old one.
        """
        now = time.monotonic()
        rested_since, partition.heard_at = partition.heard_at, now
        if now >= max(rested_since, self._looked_at) + _REST_SECONDS:
            self._look()

    def _look(self) -> None:
        """Raises RecordsGone when a topic was made anew. Brokers that do not answer are asked again."""
        self._looked_at = time.monotonic()
        try:
            self._ids.check(self._connection)
        except (KafkaException, TimeoutError, LockNotAvailable) as error:
            name = type(error).__name__
            self._states.enters("ids", name, "info", "the ids of topics can not be looked at", error=name)
        else:
            self._states.leaves("ids", "the ids of topics can be looked at again")

    def _take(self, partitions: Sequence[AssignedPartition]) -> list[AssignedPartition]:
        """Takes the leases that are free; returns those that are ours to read. Raises NotBegun, RecordsGone."""
        shifts = self._shifts(partitions)
        _refuse_unbegun([each for each in partitions if each.source in self._shared and each.lease_name not in shifts])
        taken = []
        granted = self._keeper.acquire_all(self._connection, [each.lease_name for each in partitions])
        for each in partitions:
            if grant := granted.get(each.lease_name):
                each.granted(grant, shifts.get(each.lease_name, 0))
                taken.append(each)
        try:
            self._find_beginnings([each for each in taken if not each.follows], shifts.keys())
            self._look_for_gone([each for each in taken if each.reads_at > 0])
        except Exception:
            # Whoever mends it needs the leases.
            self._give_up(taken)
            for each in taken:
                each.lease = None
            raise
        return taken

    def _shifts(self, partitions: Sequence[AssignedPartition]) -> dict[str, int]:
        """How much our positions are ahead of offsets, by lease, where something is stored, be it only where an operator says to begin."""
        rows = self._connection.execute(_SQL.stored_positions, ([each.lease_name for each in partitions],))
        return {lease: shift for lease, _, shift in rows}

    def _find_beginnings(self, partitions: Sequence[AssignedPartition], begun: Container[str]) -> None:
        """Where to begin when nothing is stored: where the group had come before us, else at the first record."""
        for each in partitions:
            each.reads_at = OFFSET_BEGINNING
        asked = [PartitionOffset(*each.at) for each in partitions if each.lease_name not in begun]
        for committed in self._consumer.committed(asked, timeout=_BROKER_SECONDS) if asked else ():
            if committed.offset > 0:
                self._assigned[_at(committed)].reads_at = committed.offset

    def _look_for_gone(self, partitions: Sequence[AssignedPartition]) -> None:
        """Raises RecordsGone when a partition ends before where we are to go on, or begins behind it: nothing is passed by in silence."""
        for each in partitions:
            first, end = watermarks(self._consumer, PartitionOffset(*each.at), _BROKER_SECONDS)
            if not first <= each.reads_at <= end:
                raise gone(*each.at, first, end, each.reads_at)

    def wait_for_oldest(self, seconds: float) -> None:
        """Until something that is handed in is done, or for a moment."""
        busy = [each for each in self._assigned.values() if each.outstanding]
        if busy:
            busy[0].wait_for_first(seconds)

    def pause(self) -> None:
        """Fetches nothing for the time being; what was fetched ahead is thrown away."""
        if not self._paused:
            self._leave([each for each in self._assigned.values() if each.lease])
            for each in self._assigned.values():
                each.ends_at = 0
            self._paused = True

    def resume(self) -> None:
        """Fetches again, from exactly where reading was left."""
        if self._paused:
            self._paused = False
            self._fetch([each for each in self._assigned.values() if each.lease])

    def _fetch(self, partitions: Sequence[AssignedPartition]) -> None:
        self._consumer.incremental_assign([] if self._paused else [each.start for each in partitions])

    def _leave(self, partitions: Sequence[AssignedPartition]) -> None:
        self._consumer.incremental_unassign([] if self._paused else [PartitionOffset(*each.at) for each in partitions])

    def hint(self) -> None:
        """Says to the brokers how far we have come, without waiting for their answer."""
        self._pass_marks([each for each in self._assigned.values() if each.is_behind_marks])
        self._hint(list(self._assigned.values()))

    def _pass_marks(self, partitions: Sequence[AssignedPartition]) -> None:
        """Stores the end of partitions where only marks of transactions are left: brokers delete those, and the position would be gone."""
        if not partitions:
            return
        leases = [each.lease for each in partitions if each.lease]
        columns = [
            [lease.name for lease in leases],
            [lease.token for lease in leases],
            [each.follows + each.shift for each in partitions],
            [each.ends_at + each.shift for each in partitions],
        ]
        try:
            moved = {*fetch_values(self._connection, _LEASES.advance_positions, columns)}
        except LockNotAvailable:
            # One that somebody has locked is looked at again the next time; the others pass alone.
            for each in partitions if len(partitions) > 1 else ():
                self._pass_marks([each])
            return
        for each in partitions:
            if each.lease_name in moved:
                each.moved()

    def _hint(self, partitions: Sequence[AssignedPartition]) -> None:
        moved = [each for each in partitions if each.done > each.hinted]
        if not moved:
            return
        try:
            self._consumer.commit(offsets=[PartitionOffset(*each.at, each.done) for each in moved], asynchronous=True)
        except KafkaException as error:
            name = error.args[0].name()
            self._states.enters("offsets", name, "info", "the brokers did not take our offsets", error=name)
            return
        self._states.leaves("offsets", "the brokers take our offsets again")
        for each in moved:
            each.hinted = each.done


def _at(given: PartitionOffset) -> TopicPartition:
    return TopicPartition(given.topic, given.partition)


def _refuse_unbegun(partitions: Sequence[AssignedPartition]) -> None:
    """Raises NotBegun: a shared topic begins where somebody has said, for what is old in it others have paid."""
    if partitions:
        topic, partition = partitions[0].at
        raise NotBegun(f"{topic} partition {partition}: say where to begin with kvitt kafka set-start-offset")
