"""The sender of one rail: takes ready orders, puts them on its queue, notes that they are sent, asks for what is unknown (design §6)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from psycopg.errors import LockNotAvailable

from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import OrderToSend
from kvitt.disbursement.send import Send
from kvitt.errors import LeaseLost
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import LOCK_MS, TRANSACTION_MS, connect
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import LoopStep, WakeUp
from kvitt.kernel.queue import (
    NotPut,
    Outgoing,
    Queue,
    queue_id,
)
from kvitt.kernel.state_log import StateLog

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 0.2


class Sender:
    """One sender of a rail at a time, by lease. A failed put leaves its orders unknown: the next round asks the queue about them.

    What it puts again of its own accord keeps its queue id, so that the queue can drop it; only an operator makes a resend.
    """

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
        self._rail = ports.rails.default if rail is None else ports.rails.named(rail)
        self._conninfo, self._keeper, self._open_queue, self._clock = conninfo, keeper, open_queue, clock
        self._ports, self._wake_up, self._reply_to, self._max_batch = ports, wake_up, reply_to, max_batch
        self._term = 0
        self._unnoted: dict[str, int] = {}
        """Orders (with their messages) that the queue has, and that could not be noted as sent: somebody else has locked their rows."""
        self._unknown_left = False
        self._states = StateLog(_log)

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Takes the lease, clears up what a sender before us left unknown, and returns the step of the loop."""
        with connect(self._conninfo, application="kvitt sender", transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS) as connection:
            # Every attempt has a name of its own, so that orders which an earlier one of ours left half sent are unknown as well.
            self._term += 1
            lease = lease_of(self._rail.name)
            grant = self._keeper.take(connection, lease)
            if grant is None:
                raise LeaseLost(f"{lease} is held by another process")
            queue = self._open_queue()
            try:
                # While the broker is down nothing is touched: what is ready stays ready.
                queue.connect()
                send = Send(connection, self._clock, self._ports, grant.lease, self._term, rail=self._rail.name)
                self._unnoted = {}
                self._clear_unknown(send, queue)
                yield lambda: self._step(send, queue)
            finally:
                queue.close()

    def _step(self, send: Send, queue: Queue) -> int:
        queue.connect()
        self._note_late(send)
        if self._unknown_left:
            self._clear_unknown(send, queue, again=True)
        orders = send.claim(self._max_batch)
        if not orders:
            self._wake_up.sleep(_LOOK_SECONDS)
            return 0
        self._put(send, queue, orders)
        return len(orders)

    def _put(self, send: Send, queue: Queue, orders: Sequence[OrderToSend]) -> None:
        try:
            files = self._rail.files_of(orders)
            queue.put([Outgoing(file.file_id, file.message, self._reply_to, file.priority, file.resend) for file in files])
        except NotPut:
            send.give_back([order.order_id for order in orders])
            raise
        fault_point("send.after_put")
        self._sent(send, [(order.order_id, order.message_no) for order in orders])

    def _sent(self, send: Send, orders: Sequence[tuple[str, int]]) -> None:
        """Notes that these are sent; those that somebody else has locked are noted later, and hold up no others."""
        left = _note_free(send, orders, hurried=False)
        self._unnoted.update((order_id, message_no) for order_id, message_no in orders if order_id in left)

    def _note_late(self, send: Send) -> None:
        for order_id, message_no in list(self._unnoted.items()):
            try:
                send.sent([(order_id, message_no)], hurried=True)
            except LockNotAvailable:
                count = len(self._unnoted)
                self._states.enters("orders", "locked", "error", "orders are sent, and locked by others: not noted yet", orders=count)
            else:
                del self._unnoted[order_id]
        if not self._unnoted:
            self._states.leaves("orders", "orders that were locked by others are noted as sent")

    def _clear_unknown(self, send: Send, queue: Queue, *, again: bool = False) -> None:
        """Clears up what is unknown; what somebody else has locked stays for later, and all else is sent meanwhile."""
        try:
            left = self._clear(send, queue, later=again)
            self._unknown_left = bool(left) or send.has_orphans()
        except LockNotAvailable:
            self._unknown_left = True
        if not self._unknown_left:
            self._states.leaves("unknown", "no unknown order is locked by others any more")
        else:
            self._states.enters("unknown", "locked", "error", "unknown orders are locked by others, and looked at later")

    def _clear(self, send: Send, queue: Queue, *, later: bool) -> set[str]:
        """Asks the queue what it got; one that cannot tell, and drops repeats, is given once more what was under way just now.

        A queue that does neither leaves orders unknown: a receipt or an operator will clear them. Gives those to look at later, because
        somebody else has locked them.
        """
        left: set[str] = set()
        unknown = send.mark_unknown()
        if unknown:
            _log.warning("orders are unknown", orders=len(unknown))
        while batch := send.unknown_orders(self._max_batch, left):
            names = {each.order_id: queue_id(each.file_id, each.resend) for each in batch}
            got = queue.was_put(list(dict.fromkeys(names.values())))
            if got is None:
                break
            there = [(each.order_id, each.message_no) for each in batch if got[names[each.order_id]]]
            left |= _note_free(send, there, hurried=later)
            missing = [each.order_id for each in batch if not got[names[each.order_id]]]
            if again := send.put_again(missing) if missing else []:
                self._put(send, queue, again)
            left.update({*missing} - {order.order_id for order in again})
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


def lease_of(rail: str) -> str:
    """The lease under which a rail's orders are sent."""
    return f"sender:{rail}"


def _note_free(send: Send, orders: Sequence[tuple[str, int]], *, hurried: bool) -> set[str]:
    """Notes that these are sent; returns those that are not noted, because somebody else has locked them."""
    try:
        send.sent(orders, hurried=hurried)
    except LockNotAvailable:
        return {orders[0][0]} if len(orders) == 1 else {left for each in orders for left in _note_free(send, [each], hurried=True)}
    return set()
