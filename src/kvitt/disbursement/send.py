"""Send: ready orders are taken, put on the queue, and known to be sent, each step its own commit (design §4 step 6, §6)."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.events import WithRail
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import OrderToSend, ReconcilingRail
from kvitt.disbursement.receipts import lock_messages
from kvitt.disbursement.rows import MessageStep
from kvitt.disbursement.states import MessageState
from kvitt.disbursement.unit_of_work import OutboxWriter, UnitOfWork, count_sent
from kvitt.kernel.clock import Clock, oslo
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import wait_shortly
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_value, fetch_values
from kvitt.kernel.leases import Lease, hold
from kvitt.kernel.queries import load
from kvitt.kernel.queue import Outgoing, queue_id

_SQL, _LEASES = load("orders", "kvitt.disbursement"), load("leases", "kvitt.kernel")


class UnknownOrder(Struct, frozen=True):
    """An order whose last put may have come through or not; `resend` says which copy of it that was, `file_id` in which file."""

    order_id: str
    message_no: int
    resend: int
    file_id: str

    @property
    def place(self) -> tuple[str, int]:
        """Its id, and the number of its message, which is locked with it."""
        return self.order_id, self.message_no

    @property
    def queue_id(self) -> str:
        """The id of the transport message, as the queue knows it."""
        return queue_id(self.file_id, self.resend)


class _MarkedSent(NamedTuple):
    order_id: str
    message_no: int
    first_time: bool


class Send:
    """The three steps of sending over one rail, on one connection and under one lease, whose fencing token every write carries.

    `term` distinguishes the attempts of one owner: what an earlier one left half sent is unknown too.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        ports: Ports,
        lease: Lease,
        term: int = 1,
        *,
        rail: str | None = None,
        reply_to: str = "",
    ) -> None:
        """`rail` is whose orders leave, None: those of the default one. It answers on `reply_to`. Raises UnknownRail."""
        self._reply_to = reply_to
        self._connection, self._clock, self._contracts, self._lease = connection, clock, ports.contracts, lease
        self._rail = ports.rails.default if rail is None else ports.rails.named(rail)
        self._reconciling = self._rail if isinstance(self._rail, ReconcilingRail) else None
        self._sender = f"{lease.name}:{lease.token}:{term}"

    def _hold(self) -> None:
        hold(self._connection, self._lease)

    def dequeue(self, limit: int) -> list[OrderToSend]:
        """Takes up to `limit` ready orders, oldest first; they are `sending` when this returns. Raises LeaseLost."""
        with self._connection.transaction():
            self._hold()
            now = self._clock()
            day = oslo(now).date() if self._reconciling else date.min
            arguments = {"rail": self._rail.name, "sender": self._sender, "now": now, "day": day, "limit": limit}
            orders = _in_order(fetch(self._connection, OrderToSend, _SQL.dequeue_orders, arguments))
            self._share(orders)
            fault_point("send.before_dequeue_commit")
        fault_point("send.after_dequeue_commit")
        return orders

    def outgoing(self, taken: Sequence[OrderToSend]) -> Sequence[Outgoing]:
        """The transport messages in which orders leave."""
        leaving = [self._under_its_day(each) for each in taken]
        return [Outgoing(each.file_id, each.message, self._reply_to, each.priority, each.resend) for each in self._rail.files_of(leaving)]

    def _under_its_day(self, order: OrderToSend) -> OrderToSend:
        if order.key_day is None or self._reconciling is None:
            return order
        return replace(order, message=self._reconciling.under_day(order.message, order.key_day))

    def _share(self, orders: Sequence[OrderToSend]) -> None:
        """Notes which of them leave in one transport message; most rails have one for each, and then there is nothing to note."""
        files = [file for file in self._rail.files_of(orders) if len(file.orders) > 1]
        if shared := [(each.order_id, file.file_id) for file in files for each in file.orders]:
            self._connection.execute(_SQL.share_files, [list(column) for column in zip(*shared, strict=True)], binary=True)

    def sent(self, orders: Sequence[tuple[str, int]], *, hurried: bool = False) -> int:
        """The queue has these (order id, message number): they are `sent`, and messages whose last order this was hear HOS_OPPDRAG.

        Returns how many moved; those that a receipt has overtaken stay as they are. `hurried` waits for locks no longer
        than a moment. Raises LeaseLost, LockNotAvailable when somebody else holds one of them.
        """
        if not orders:
            return 0
        with self._connection.transaction(), self._connection.cursor() as cursor:
            self._hold()
            if hurried:
                wait_shortly(cursor)
            asked = lock_messages(cursor, [message_no for _, message_no in orders], self._contracts)
            now = self._clock()
            at = {message_no: max(now, each.last_at) for message_no, each in asked.items()}
            order_ids, moments = [order_id for order_id, _ in orders], [at[message_no] for _, message_no in orders]
            arguments = {"order_ids": order_ids, "moments": moments, "sender": self._sender}
            moved = fetch(cursor, _MarkedSent, _SQL.mark_sent, arguments)
            first_time = sorted({each.message_no for each in moved if each.first_time})
            complete = {*fetch_values(cursor, _SQL.all_with_rail, [first_time])}
            work = UnitOfWork()
            outbox = OutboxWriter(self._contracts, work)
            for message_no in first_time:
                answer = outbox.publish(WithRail(), asked[message_no], at[message_no]) if message_no in complete else None
                work.steps.append(MessageStep(message_no, MessageState.DERIVED.value, None, None, answer, at[message_no]))
            work.write(cursor)
        fault_point("send.after_sent_commit")
        count_sent([each.order_id for each in moved])
        return len(moved)

    def give_back(self, order_ids: Sequence[str]) -> int:
        """Orders of ours of which for certain nothing reached the queue are `ready` again; returns how many. Raises LeaseLost."""
        with self._connection.transaction():
            self._hold()
            rows = fetch_values(self._connection, _SQL.give_back, (list(order_ids), self._sender))
        return len(rows)

    def mark_unknown(self) -> list[str]:
        """Orders that a sender before us had begun to send become `unknown`; returns their ids."""
        with self._connection.transaction():
            self._hold()
            arguments = {"rail": self._rail.name, "sender": self._sender}
            return fetch_values(self._connection, _SQL.orphans_to_unknown, arguments)

    def has_orphans(self) -> bool:
        """Whether orders are left that `mark_unknown` could not touch, because somebody else has locked them."""
        arguments = {"rail": self._rail.name, "sender": self._sender}
        return bool(fetch_value(self._connection, _SQL.has_orphans, arguments))

    def unknown(self, limit: int, but: Collection[str] = ()) -> list[UnknownOrder]:
        """The oldest orders of which it is unknown whether they, or the copy that was to be sent last, reached the queue; some left out."""
        arguments = {"rail": self._rail.name, "but": list(but), "limit": limit}
        return fetch(self._connection, UnknownOrder, _SQL.unknown_unsent, arguments)

    def put_again(self, order_ids: Sequence[str]) -> list[OrderToSend]:
        """Takes unknown orders that the queue never got, or drops if it did; to be put again as they were. Raises LeaseLost.

        Those that somebody else has locked are left out, and those that left in one file with an order that is answered.
        """
        with self._connection.transaction():
            self._hold()
            arguments = {"order_ids": list(order_ids), "sender": self._sender, "now": self._clock()}
            return _in_order(fetch(self._connection, OrderToSend, _SQL.unknown_to_sending, arguments))


def _in_order(orders: Sequence[OrderToSend]) -> list[OrderToSend]:
    """Claimed orders, oldest first."""
    return sorted(orders, key=lambda order: (order.message_no, order.number))
