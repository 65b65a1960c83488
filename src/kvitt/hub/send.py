"""Send: ready orders are taken, put on the queue, and known to be sent, each step its own commit (design §4 step 6, §6)."""

from collections.abc import Collection, Sequence

from msgspec import Struct

from kvitt.errors import LeaseLost
from kvitt.hub import metrics
from kvitt.hub.books import lock_messages
from kvitt.hub.ports import Ports
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.leases import Lease
from kvitt.kernel.queries import load
from kvitt.rules.states import MessageState
from kvitt.store.rows import MessageStep

_SQL, _LEASES, _DEFERRED = load("orders", "kvitt.store"), load("leases", "kvitt.kernel"), load("deferred", "kvitt.store")


class OrderToSend(Struct, frozen=True):
    """An order that this sender holds in state `sending`, with the stored bytes; `resend` counts how often operators had it sent again."""

    order_id: str
    xml: bytes
    message_no: int
    number: int
    priority: int
    resend: int


class OrderInDoubt(Struct, frozen=True):
    """An order whose last put may have come through or not; `resend` tells which copy of it that was."""

    order_id: str
    message_no: int
    resend: int


class Send:
    """The three steps of sending, on one connection and under one lease, whose fencing token every write carries.

    `term` tells apart the attempts of one owner: what an earlier one left half sent is in doubt too.
    """

    def __init__(self, connection: Connection, clock: Clock, ports: Ports, lease: Lease, term: int = 1) -> None:
        self._connection, self._clock, self._contracts, self._lease = connection, clock, ports.contracts, lease
        self._sender = f"{lease.name}:{lease.token}:{term}"

    def _hold(self) -> None:
        if self._connection.execute(_LEASES.hold_lease, (self._lease.name, self._lease.token), binary=True).fetchone() is None:
            raise LeaseLost(self._lease.name)

    def claim(self, limit: int) -> list[OrderToSend]:
        """Takes up to `limit` ready orders, oldest first; they are `sending` when this returns. Raises LeaseLost."""
        with self._connection.transaction():
            self._hold()
            arguments = {"sender": self._sender, "now": self._clock(), "limit": limit}
            rows = self._connection.execute(_SQL.claim_ready, arguments, binary=True).fetchall()
            fault_point("send.before_claim_commit")
        fault_point("send.after_claim_commit")
        return sorted((OrderToSend(*row) for row in rows), key=lambda order: (order.message_no, order.number))

    def sent(self, orders: Sequence[tuple[str, int]], *, hurried: bool = False) -> int:
        """The queue has these (order id, message number): they are `sent`, and messages whose last order this was hear HOS_OPPDRAG.

        Gives how many moved; those that a receipt has overtaken stay as they are. `hurried` waits for locks no longer
        than a moment. Raises LeaseLost, LockNotAvailable when somebody else holds one of them.
        """
        if not orders:
            return 0
        with self._connection.transaction(), self._connection.cursor() as cursor:
            self._hold()
            if hurried:
                cursor.execute(_DEFERRED.wait_shortly)
            asked = lock_messages(cursor, [message_no for _, message_no in orders], self._contracts)
            now = self._clock()
            at = {message_no: max(now, each.last_at) for message_no, each in asked.items()}
            order_ids, moments = [order_id for order_id, _ in orders], [at[message_no] for _, message_no in orders]
            arguments = {"order_ids": order_ids, "moments": moments, "sender": self._sender}
            moved = cursor.execute(_SQL.mark_sent, arguments, binary=True).fetchall()
            first_time = sorted({message_no for _, message_no, first in moved if first})
            complete = {row[0] for row in cursor.execute(_SQL.all_with_rail, [first_time], binary=True)}
            facts = UnitOfWork()
            for message_no in first_time:
                contract = self._contracts.of(asked[message_no].address.source)
                told = contract.voice(asked[message_no], facts, at[message_no]).with_rail() if message_no in complete else None
                facts.steps.append(MessageStep(message_no, MessageState.DERIVED.value, None, None, told, at[message_no]))
            facts.write(cursor)
        fault_point("send.after_sent_commit")
        metrics.sent([order_id for order_id, *_ in moved])
        return len(moved)

    def give_back(self, order_ids: Sequence[str]) -> int:
        """Orders of ours of which for certain nothing reached the queue are `ready` again; gives how many. Raises LeaseLost."""
        with self._connection.transaction():
            self._hold()
            rows = self._connection.execute(_SQL.give_back, (list(order_ids), self._sender), binary=True).fetchall()
        return len(rows)

    def put_in_doubt(self) -> list[str]:
        """Orders that a sender before us had begun to send become `unknown`; gives their ids."""
        with self._connection.transaction():
            self._hold()
            return [row[0] for row in self._connection.execute(_SQL.orphans_to_unknown, (self._sender,), binary=True)]

    def has_orphans(self) -> bool:
        """Whether orders are left that `put_in_doubt` could not touch, because somebody else has locked them."""
        row = self._connection.execute(_SQL.has_orphans, (self._sender,), binary=True).fetchone()
        return row is not None and bool(row[0])

    def in_doubt(self, limit: int, but: Collection[str] = ()) -> list[OrderInDoubt]:
        """The oldest orders of which it is unknown whether they, or the copy that was to be sent last, reached the queue; some left out."""
        return [OrderInDoubt(*row) for row in self._connection.execute(_SQL.unknown_unsent, (list(but), limit), binary=True)]

    def put_again(self, order_ids: Sequence[str]) -> list[OrderToSend]:
        """Takes orders in doubt that the queue never got, or drops if it did; to be put again as they were. Raises LeaseLost.

        Those that somebody else has locked are left out.
        """
        with self._connection.transaction():
            self._hold()
            arguments = {"order_ids": list(order_ids), "sender": self._sender, "now": self._clock()}
            rows = self._connection.execute(_SQL.unknown_to_sending, arguments, binary=True).fetchall()
        return sorted((OrderToSend(*row) for row in rows), key=lambda order: (order.message_no, order.number))
