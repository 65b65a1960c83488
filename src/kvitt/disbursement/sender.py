"""The sender of a queue: takes what is ready, puts it, notes that it is sent, asks for what is unknown (design §6).

Orders leave so, messages of reconciliation, and requests to cancel orders.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import structlog
from psycopg.errors import LockNotAvailable

from kvitt.disbursement.ports import Ports
from kvitt.disbursement.send import Send
from kvitt.errors import LeaseLost
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import LOCK_MS, TRANSACTION_MS, Connection, connect
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.leases import Lease, LeaseKeeper
from kvitt.kernel.loop import LoopStep, WakeUp
from kvitt.kernel.queue import NotPut, Outgoing, Queue
from kvitt.kernel.state_log import StateLog

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 0.2


class ToSend(Protocol):
    """Something that a sender holds, or had under way."""

    @property
    def place(self) -> tuple[str, int]:
        """Its id, and the number of what is locked with it."""


class UnknownToSend(ToSend, Protocol):
    """Something of which it is unknown whether it came to the queue."""

    @property
    def queue_id(self) -> str:
        """The id that the queue would know it by."""


class Outbound(Protocol):
    """The steps of sending, on one connection and under one lease; every step that writes is a transaction of its own."""

    def dequeue(self, limit: int) -> Sequence[Any]:
        """Takes up to `limit` that are ready; they are being sent when this returns. Raises LeaseLost."""

    def outgoing(self, taken: Sequence[Any]) -> Sequence[Outgoing]:
        """The messages in which they leave, in their order."""

    def sent(self, places: Sequence[tuple[str, int]], *, hurried: bool = False) -> int:
        """The queue has these; returns how many moved. `hurried`: raises LockNotAvailable where somebody else holds one of them."""

    def give_back(self, ids: Sequence[str]) -> int:
        """Nothing of these reached the queue: they are ready again. Raises LeaseLost."""

    def mark_unknown(self) -> list[str]:
        """Makes unknown what a sender before us had begun; returns the ids."""

    def has_orphans(self) -> bool:
        """Whether something is left that `mark_unknown` could not touch."""

    def unknown(self, limit: int, but: Collection[str] = ()) -> Sequence[UnknownToSend]:
        """The oldest of which it is unknown whether they reached the queue; some left out."""

    def put_again(self, ids: Sequence[str]) -> Sequence[Any]:
        """Takes unknown ones to put them again as they were. Raises LeaseLost."""


class QueueSender:
    """One sender of a queue at a time, by lease. A failed put leaves what it held unknown: the next round asks the queue about it.

    What it puts again of its own accord keeps its queue id, so that the queue can drop it; only an operator makes a resend.
    """

    def __init__(
        self,
        conninfo: str,
        keeper: LeaseKeeper,
        open_queue: Callable[[], Queue],
        steps_of: Callable[[Connection, Lease, int, Queue], Outbound],
        *,
        lease: str,
        wake_up: WakeUp,
        what: str = "orders",
        max_batch: int = 256,
    ) -> None:
        """`what` is sent to the queue, by the steps on a connection under the lease, in each attempt of its own number."""
        self._conninfo, self._keeper, self._open_queue, self._steps_of = conninfo, keeper, open_queue, steps_of
        self._lease, self._wake_up, self._what, self._max_batch = lease, wake_up, what, max_batch
        self._term = 0
        self._unnoted: dict[str, int] = {}
        """Those that the queue has, with their numbers, and that could not be noted as sent: somebody else has locked their rows."""
        self._unknown_left = False
        self._states = StateLog(_log)

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Takes the lease, clears up what a sender before us left unknown, and returns the step of the loop."""
        with connect(self._conninfo, application="kvitt sender", transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS) as connection:
            # Every attempt has a name of its own, so that what an earlier one of ours left half sent is unknown as well.
            self._term += 1
            grant = self._keeper.acquire(connection, self._lease)
            if grant is None:
                raise LeaseLost(f"{self._lease} is held by another process")
            queue = self._open_queue()
            try:
                # While the broker is down nothing is touched: what is ready stays ready.
                queue.connect()
                send = self._steps_of(connection, grant.lease, self._term, queue)
                self._unnoted = {}
                self._clear_unknown(send, queue)
                yield lambda: self._step(send, queue)
            finally:
                queue.close()

    def _step(self, send: Outbound, queue: Queue) -> int:
        queue.connect()
        self._note_late(send)
        if self._unknown_left:
            self._clear_unknown(send, queue, again=True)
        taken = send.dequeue(self._max_batch)
        if not taken:
            self._wake_up.sleep(_LOOK_SECONDS)
            return 0
        self._put(send, queue, taken)
        return len(taken)

    def _put(self, send: Outbound, queue: Queue, taken: Sequence[ToSend]) -> None:
        try:
            queue.put(send.outgoing(taken))
        except NotPut:
            send.give_back([each.place[0] for each in taken])
            raise
        fault_point("send.after_put")
        self._sent(send, [each.place for each in taken])

    def _sent(self, send: Outbound, places: Sequence[tuple[str, int]]) -> None:
        """Notes that these are sent; those that somebody else has locked are noted later, and hold up no others."""
        left = _note_free(send, places, hurried=False)
        self._unnoted.update((name, number) for name, number in places if name in left)

    def _note_late(self, send: Outbound) -> None:
        for name, number in list(self._unnoted.items()):
            try:
                send.sent([(name, number)], hurried=True)
            except LockNotAvailable:
                count = len(self._unnoted)
                self._states.enters(
                    self._what, "locked", "error", f"{self._what} are sent, and locked by others: not noted yet", orders=count
                )
            else:
                del self._unnoted[name]
        if not self._unnoted:
            self._states.leaves(self._what, f"{self._what} that were locked by others are noted as sent")

    def _clear_unknown(self, send: Outbound, queue: Queue, *, again: bool = False) -> None:
        """Clears up what is unknown; what somebody else has locked stays for later, and all else is sent meanwhile."""
        try:
            left = self._clear(send, queue, later=again)
            self._unknown_left = bool(left) or send.has_orphans()
        except LockNotAvailable:
            self._unknown_left = True
        if not self._unknown_left:
            self._states.leaves("unknown", f"no unknown {self._what} are locked by others any more")
        else:
            self._states.enters("unknown", "locked", "error", f"unknown {self._what} are locked by others, and looked at later")

    def _clear(self, send: Outbound, queue: Queue, *, later: bool) -> set[str]:
        """Asks the queue what it got; one that cannot tell, and drops repeats, is given once more what was under way just now.

        A queue that does neither leaves them unknown: a receipt or an operator will clear them. Returns those to look at later, because
        somebody else has locked them.
        """
        left: set[str] = set()
        unknown = send.mark_unknown()
        if unknown:
            _log.warning(f"{self._what} are unknown", orders=len(unknown))
        while batch := send.unknown(self._max_batch, left):
            got = queue.was_put(list(dict.fromkeys(each.queue_id for each in batch)))
            if got is None:
                break
            there = [each.place for each in batch if got[each.queue_id]]
            left |= _note_free(send, there, hurried=later)
            missing = [each.place[0] for each in batch if not got[each.queue_id]]
            if again := send.put_again(missing) if missing else []:
                self._put(send, queue, again)
            left.update({*missing} - {each.place[0] for each in again})
        else:
            return left
        if later:
            # Others have been put since these became unknown: a broker that remembers so many ids may have forgotten theirs.
            return left
        # Nothing was put since they became unknown, for nobody sends before this is done: the broker still knows their ids.
        for start in range(0, len(unknown) if queue.drops_repeats else 0, self._max_batch):
            if again := send.put_again(unknown[start : start + self._max_batch]):
                self._put(send, queue, again)
        return left


class Sender(QueueSender):
    """The sender of the orders of one rail."""

    def __init__(
        self,
        conninfo: str,
        keeper: LeaseKeeper,
        open_queue: Callable[[], Queue],
        clock: Clock,
        ports: Ports,
        *,
        wake_up: WakeUp,
        reply_to: str,
        rail: str | None = None,
        max_batch: int = 256,
    ) -> None:
        """`rail` None: the default one. Raises UnknownRail."""
        name = (ports.rails.default if rail is None else ports.rails.named(rail)).name

        def steps_of(connection: Connection, lease: Lease, term: int, _queue: Queue) -> Send:
            return Send(connection, clock, ports, lease, term, rail=name, reply_to=reply_to)

        super().__init__(conninfo, keeper, open_queue, steps_of, lease=lease_of(name), wake_up=wake_up, max_batch=max_batch)


def puts_again(queue: Queue) -> bool:
    """Whether what is unknown may be put again without a person: the queue can tell that it never got it, or drops it if it did."""
    return queue.drops_repeats or queue.was_put(()) is not None


def lease_of(rail: str) -> str:
    """The lease under which a rail's orders are sent."""
    return f"sender:{rail}"


def _note_free(send: Outbound, orders: Sequence[tuple[str, int]], *, hurried: bool) -> set[str]:
    """Notes that these are sent; returns those that are not noted, because somebody else has locked them."""
    try:
        send.sent(orders, hurried=hurried)
    except LockNotAvailable:
        return {orders[0][0]} if len(orders) == 1 else {left for each in orders for left in _note_free(send, [each], hurried=True)}
    return set()
