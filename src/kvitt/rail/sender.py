"""The sender: takes ready orders, puts them on the queue, notes that they are sent; what is in doubt is asked for (design §6, §8)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from psycopg.errors import LockNotAvailable

from kvitt.errors import LeaseLost
from kvitt.hub.ports import Ports
from kvitt.hub.send import OrderToSend, Send
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import LOCK_MS, TRANSACTION_MS, connect
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import Step, WakeUp
from kvitt.kernel.state_log import StateLog
from kvitt.rail.queue import NotPut, Outgoing, Queue, queue_id

_log = structlog.get_logger(__name__)
LEASE = "sender"
_LOOK_SECONDS = 0.2


class Sender:
    """One sender at a time, by lease. A failed put leaves its orders in doubt: the next round asks the queue about them.

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
        max_batch: int = 256,
    ) -> None:
        self._conninfo, self._keeper, self._open_queue, self._clock = conninfo, keeper, open_queue, clock
        self._ports, self._wake_up, self._reply_to, self._max_batch = ports, wake_up, reply_to, max_batch
        self._term = 0
        self._unnoted: dict[str, int] = {}
        """Orders (with their messages) that the queue has, and that could not be noted as sent: somebody else has locked their rows."""
        self._doubt_left = False
        self._states = StateLog(_log)

    @contextmanager
    def steps(self) -> Iterator[Step]:
        """Takes the lease, clears up what a sender before us left in doubt, and gives the step of the loop."""
        with connect(self._conninfo, application="kvitt sender", transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS) as connection:
            # Every attempt has a name of its own, so that orders which an earlier one of ours left half sent are in doubt as well.
            self._term += 1
            grant = self._keeper.take(connection, LEASE)
            if grant is None:
                raise LeaseLost(f"{LEASE} is held by another process")
            queue = self._open_queue()
            try:
                # While the broker is down nothing is touched: what is ready stays ready.
                queue.connect()
                send = Send(connection, self._clock, self._ports, grant.lease, self._term)
                self._unnoted = {}
                self._clear_doubt(send, queue)
                yield lambda: self._step(send, queue)
            finally:
                queue.close()

    def _step(self, send: Send, queue: Queue) -> int:
        queue.connect()
        self._note_late(send)
        if self._doubt_left:
            self._clear_doubt(send, queue, again=True)
        orders = send.claim(self._max_batch)
        if not orders:
            self._wake_up.sleep(_LOOK_SECONDS)
            return 0
        self._put(send, queue, orders)
        return len(orders)

    def _put(self, send: Send, queue: Queue, orders: Sequence[OrderToSend]) -> None:
        try:
            queue.put([Outgoing(order.order_id, order.xml, self._reply_to, order.priority, order.resend) for order in orders])
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

    def _clear_doubt(self, send: Send, queue: Queue, *, again: bool = False) -> None:
        """Clears up what is in doubt; what somebody else has locked stays for later, and all else is sent meanwhile."""
        try:
            left = self._clear(send, queue, later=again)
            self._doubt_left = bool(left) or send.has_orphans()
        except LockNotAvailable:
            self._doubt_left = True
        if not self._doubt_left:
            self._states.leaves("doubt", "no order in doubt is locked by others any more")
        else:
            self._states.enters("doubt", "locked", "error", "orders in doubt are locked by others, and looked at later")

    def _clear(self, send: Send, queue: Queue, *, later: bool) -> set[str]:
        """Asks the queue what it got; one that cannot tell, and drops repeats, is given once more what was under way just now.

        A queue that does neither leaves orders unknown: a receipt or an operator will clear them. Gives those to look at later, because
        somebody else has locked them.
        """
        left: set[str] = set()
        doubtful = send.put_in_doubt()
        if doubtful:
            _log.warning("orders in doubt", orders=len(doubtful))
        while batch := send.in_doubt(self._max_batch, left):
            asked = {queue_id(each.order_id, each.resend): each for each in batch}
            got = queue.was_put(list(asked))
            if got is None:
                break
            left |= _note_free(send, [(each.order_id, each.message_no) for name, each in asked.items() if got[name]], hurried=later)
            missing = [each.order_id for name, each in asked.items() if not got[name]]
            if again := send.put_again(missing) if missing else []:
                self._put(send, queue, again)
            left.update({*missing} - {order.order_id for order in again})
        else:
            return left
        if later:
            # Others have been put since these came into doubt: a broker that remembers so many ids may have forgotten theirs.
            return left
        # Nothing was put since they came into doubt, for nobody sends before this is done: the broker still knows their ids.
        for start in range(0, len(doubtful) if queue.drops_repeats else 0, self._max_batch):
            if again := send.put_again(doubtful[start : start + self._max_batch]):
                self._put(send, queue, again)
        return left


def _note_free(send: Send, orders: Sequence[tuple[str, int]], *, hurried: bool) -> set[str]:
    """Notes that these are sent; gives those that are not noted, because somebody else has locked them."""
    try:
        send.sent(orders, hurried=hurried)
    except LockNotAvailable:
        return {orders[0][0]} if len(orders) == 1 else {left for each in orders for left in _note_free(send, [each], hurried=True)}
    return set()
