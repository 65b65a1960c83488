"""One input partition that the consumer group has given to this process: under which lease, how far it is read, what is not done yet."""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, wait

from confluent_kafka import Message
from confluent_kafka import TopicPartition as PartitionOffset
from msgspec import Struct

from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome
from kvitt.formats.partitions import TopicPartition
from kvitt.formats.topics import encode_headers
from kvitt.kernel.leases import Lease, LeaseGrant


def lease_of(source: str, partition: int) -> str:
    """The name of the lease of a partition."""
    return f"intake:{source}:{partition}"


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
        """How far the brokers were told that it is done."""
        self.ends_at = 0
        """The end of the partition, when everything before it has been handed in and it was seen since the lease was taken."""
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
