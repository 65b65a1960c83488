"""The partitions that the consumer group has given to this process, and the leases without which none of them is read.

A partition is read from the moment its lease is taken, from the position stored with that lease, until the group takes it back or
something that was handed in fails; then it is let go and taken again from what is stored.
"""

import time
from collections.abc import Callable, Container, Sequence

import psycopg
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from psycopg.errors import LockNotAvailable

from kvitt.doors.kafka_clients import watermarks
from kvitt.doors.kafka_identity import TopicIds
from kvitt.doors.kafka_positions import gone
from kvitt.doors.kafka_share import Place, Share, totals
from kvitt.errors import NotBegun
from kvitt.kernel.database import Connection
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog
from kvitt.wire.topics import RAPID

_SQL, _LEASES = load("kafka", "kvitt.store"), load("leases", "kvitt.kernel")
_log = structlog.get_logger(__name__)
_RETAKE_SECONDS, _SETTLE_SECONDS, _BROKER_SECONDS, _IDENTITY_SECONDS = 1.0, 10.0, 5.0, 10.0
_LANES_PER_TOPIC = 1024
"""Other teams' topics have as many partitions as they like."""


class Shares:
    """What is ours of the input topics. All of it runs in the thread that polls, the group's callbacks too."""

    def __init__(
        self,
        consumer: Consumer,
        connection: Connection,
        keeper: LeaseKeeper,
        ids: TopicIds,
        *,
        topics: Sequence[str],
        named: Callable[[str], str],
    ) -> None:
        self._consumer, self._connection, self._keeper, self._ids = consumer, connection, keeper, ids
        self._lane_of_topic = {named(topic): number * _LANES_PER_TOPIC for number, topic in enumerate(topics)}
        self._sources = {named(topic): topic for topic in topics}
        self._shares: dict[Place, Share] = {}
        self._paused = False
        self._retake_at = self._identify_at = 0.0
        self._states = StateLog(_log)
        self.joined = False
        """Whether the group has said at least once what is ours, be it nothing."""

    def of(self, place: Place) -> Share | None:
        """The share of a partition, if the group has given it to us."""
        return self._shares.get(place)

    def assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """The group gives us partitions: those whose lease is free are read from their stored position on, the others later."""
        for each in partitions:
            lane = self._lane_of_topic[each.topic] + each.partition
            self._shares[each.topic, each.partition] = Share((each.topic, each.partition), lane, self._sources[each.topic])
        if partitions:
            self._ids.check(self._connection)
            self._identify_at = time.monotonic() + _IDENTITY_SECONDS
        # Called even without partitions, or the client would fetch all of them from the brokers' own offsets.
        self._fetch(self._take([self._shares[each.topic, each.partition] for each in partitions]))
        self.joined = True

    def revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """The group takes partitions back: what is handed in is finished, then others may go on from there."""
        left = [share for each in partitions if (share := self._shares.pop((each.topic, each.partition), None))]
        read = [share for share in left if share.lease]
        for share in left:
            share.settle(_SETTLE_SECONDS)
        self._hint(left)
        self._leave(read)
        self._give_up(read)

    def _give_up(self, shares: Sequence[Share]) -> None:
        leases = [share.lease_name for share in shares]
        try:
            self._connection.execute(_SQL.give_up_leases, {"owner": self._keeper.owner, "leases": leases})
        except LockNotAvailable:
            for share in shares if len(shares) > 1 else ():
                self._give_up([share])
        except psycopg.OperationalError:
            _log.info("leases run out by themselves: the database is gone", leases=len(leases))

    def lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The group has given our partitions to others already, because it has not heard of us for too long."""
        _log.warning("partitions lost to others of the group", partitions=len(partitions))
        self.revoked(consumer, partitions)

    def reap(self) -> tuple[int, int]:
        """Takes off what is done, lets go of partitions with a failure; gives records and bytes that are not done."""
        failed: list[Share] = []
        for share in self._shares.values():
            was_read = share.lease is not None
            if (failure := share.reap()) and was_read:
                self._tell_failed(share.place, type(failure).__name__)
                failed.append(share)
        if failed:
            self._leave(failed)
        return totals(self._shares.values())

    def _tell_failed(self, place: Place, error: str) -> None:
        where = {"topic": place[0], "partition": place[1]}
        self._states.enters(f"{place[0]} {place[1]}", error, "warning", "partition is read again", **where, error=error)

    def take_free(self) -> None:
        """Each second: takes the leases that we lack and that have come free, and reads those partitions from what is stored."""
        if time.monotonic() < self._retake_at:
            return
        self._retake_at = time.monotonic() + _RETAKE_SECONDS
        # What failed may have others behind it in its lane, which must have failed too before it is read again.
        idle = [share for share in self._shares.values() if share.lease is None and not share.outstanding]
        if idle and (taken := self._take(idle)):
            self._fetch(taken)

    def look_whether_made_anew(self) -> None:
        """Now and then: raises RecordsGone when a topic was made anew below us. Brokers that do not answer are asked again."""
        if time.monotonic() < self._identify_at:
            return
        self._identify_at = time.monotonic() + _IDENTITY_SECONDS
        try:
            self._ids.check(self._connection)
        except (KafkaException, TimeoutError, LockNotAvailable) as error:
            name = type(error).__name__
            self._states.enters("ids", name, "info", "the ids of topics can not be looked at", error=name)
        else:
            self._states.leaves("ids", "the ids of topics can be looked at again")

    def _take(self, shares: Sequence[Share]) -> list[Share]:
        """Takes the leases that are free; gives the shares that are ours to read. Raises NotBegun, RecordsGone."""
        shifts = self._shifts(shares)
        _refuse_unbegun([share for share in shares if share.source == RAPID and share.lease_name not in shifts])
        taken = []
        for share in shares:
            if grant := self._keeper.take(self._connection, share.lease_name):
                share.granted(grant, shifts.get(share.lease_name, 0))
                taken.append(share)
        try:
            self._find_beginnings([share for share in taken if not share.follows], shifts.keys())
            self._look_for_gone([share for share in taken if share.reads_at > 0])
        except Exception:
            # Whoever mends it needs the leases.
            self._give_up(taken)
            for share in taken:
                share.lease = None
            raise
        return taken

    def _shifts(self, shares: Sequence[Share]) -> dict[str, int]:
        """How much our positions are ahead of offsets, by lease, where something is stored, be it only where an operator says to begin."""
        rows = self._connection.execute(_SQL.stored_positions, ([share.lease_name for share in shares],))
        return {lease: shift for lease, _, shift in rows}

    def _find_beginnings(self, shares: Sequence[Share], begun: Container[str]) -> None:
        """Where to begin when nothing is stored: where the group had come before us, else at the first record."""
        for share in shares:
            share.reads_at = OFFSET_BEGINNING
        asked = [TopicPartition(*share.place) for share in shares if share.lease_name not in begun]
        for each in self._consumer.committed(asked, timeout=_BROKER_SECONDS) if asked else ():
            if each.offset > 0:
                self._shares[each.topic, each.partition].reads_at = each.offset

    def _look_for_gone(self, shares: Sequence[Share]) -> None:
        """Raises RecordsGone when a partition ends before where we are to go on, or begins behind it: nothing is passed by in silence."""
        for share in shares:
            first, end = watermarks(self._consumer, TopicPartition(*share.place), _BROKER_SECONDS)
            if not first <= share.reads_at <= end:
                raise gone(*share.place, first, end, share.reads_at)

    def wait_for_oldest(self, seconds: float) -> None:
        """Until something that is handed in is done, or for a moment."""
        busy = [share for share in self._shares.values() if share.outstanding]
        if busy:
            busy[0].wait_for_first(seconds)

    def pause(self) -> None:
        """Fetches nothing for the time being; what was fetched ahead is thrown away."""
        if not self._paused:
            self._leave([share for share in self._shares.values() if share.lease])
            for share in self._shares.values():
                share.ends_at = 0
            self._paused = True

    def resume(self) -> None:
        """Fetches again, from exactly where reading was left."""
        if self._paused:
            self._paused = False
            self._fetch([share for share in self._shares.values() if share.lease])

    def _fetch(self, shares: Sequence[Share]) -> None:
        self._consumer.incremental_assign([] if self._paused else [share.start for share in shares])

    def _leave(self, shares: Sequence[Share]) -> None:
        self._consumer.incremental_unassign([] if self._paused else [TopicPartition(*share.place) for share in shares])

    def hint(self) -> None:
        """Tells the brokers how far we have come, without waiting for their answer."""
        self._pass_marks([share for share in self._shares.values() if share.is_behind_marks])
        self._hint(list(self._shares.values()))

    def _pass_marks(self, shares: Sequence[Share]) -> None:
        """Stores the end of partitions where only marks of transactions are left: brokers delete those, and the position would be gone."""
        if not shares:
            return
        leases = [share.lease for share in shares if share.lease]
        columns = [
            [lease.name for lease in leases],
            [lease.token for lease in leases],
            [share.follows + share.shift for share in shares],
            [share.ends_at + share.shift for share in shares],
        ]
        try:
            moved = {row[0] for row in self._connection.execute(_LEASES.advance_positions, columns, binary=True)}
        except LockNotAvailable:
            # One that somebody has locked is looked at again the next time; the others pass alone.
            for share in shares if len(shares) > 1 else ():
                self._pass_marks([share])
            return
        for share in shares:
            if share.lease_name in moved:
                share.moved()

    def _hint(self, shares: Sequence[Share]) -> None:
        moved = [share for share in shares if share.done > share.hinted]
        if not moved:
            return
        try:
            self._consumer.commit(offsets=[TopicPartition(*share.place, share.done) for share in moved], asynchronous=True)
        except KafkaException as error:
            name = error.args[0].name()
            self._states.enters("offsets", name, "info", "the brokers did not take our offsets", error=name)
            return
        self._states.leaves("offsets", "the brokers take our offsets again")
        for share in moved:
            share.hinted = share.done


def _refuse_unbegun(shares: Sequence[Share]) -> None:
    """Raises NotBegun: the rapid begins where somebody has said, for its old needs have been paid by another hub."""
    if shares:
        topic, partition = shares[0].place
        raise NotBegun(f"{topic} partition {partition}: say where to begin with kvitt kafka begin")
