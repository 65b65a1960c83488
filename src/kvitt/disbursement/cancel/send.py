"""Sends requests to cancel: each leaves on the queue of its rail's orders, behind its order, with the promises of an order (design §6)."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from kvitt.disbursement.sender import QueueSender, puts_again
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import wait_shortly
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.leases import Lease, LeaseKeeper, hold
from kvitt.kernel.loop import WakeUp
from kvitt.kernel.queries import load
from kvitt.kernel.queue import Outgoing, Queue, queue_id

_SQL: Final = load("cancel", "kvitt.disbursement")
_AT_ONCE: Final = 64


class CancellationToSend(Struct, frozen=True):
    """A request that a sender holds."""

    cancellation_id: str
    number: int
    asked_at: datetime
    message: bytes
    resends: int

    @property
    def place(self) -> tuple[str, int]:
        """Its id, and its number; nothing else is locked with it."""
        return self.cancellation_id, self.number


class UnknownCancellation(Struct, frozen=True):
    """A request whose put may have come through or not."""

    cancellation_id: str
    number: int
    resends: int

    @property
    def place(self) -> tuple[str, int]:
        """Its id, and its number; nothing else is locked with it."""
        return self.cancellation_id, self.number

    @property
    def queue_id(self) -> str:
        """The id by which the queue knows its last copy."""
        return queue_id(self.cancellation_id, self.resends)


class SendCancellations:
    """The steps of sending requests over one rail, on one connection and under one lease, whose fencing token every write carries."""

    def __init__(
        self, connection: Connection, clock: Clock, lease: Lease, term: int, *, rail: str, reply_to: str, waits_for_unknown: bool
    ) -> None:
        """`term` distinguishes the attempts of one owner: what an earlier one left half sent is unknown too.

        `waits_for_unknown`: the sender of orders may put an unknown one again of its own accord, and the request would overtake it.
        """
        self._connection, self._clock, self._lease, self._rail, self._reply_to = connection, clock, lease, rail, reply_to
        self._waits_for_unknown = waits_for_unknown
        self._sender = f"{lease.name}:{lease.token}:{term}"

    def dequeue(self, limit: int) -> list[CancellationToSend]:
        """Takes up to `limit` requests, oldest first. Raises LeaseLost."""
        with self._connection.transaction():
            hold(self._connection, self._lease)
            taken = self._fetch(CancellationToSend, _SQL.dequeue_cancellations, limit=limit, waits=self._waits_for_unknown)
            fault_point("cancel.before_dequeue_commit")
        fault_point("cancel.after_dequeue_commit")
        return _in_order(taken)

    def outgoing(self, taken: Sequence[CancellationToSend]) -> Sequence[Outgoing]:
        """They leave as they are stored; the rail answers where it answers orders."""
        return [Outgoing(each.cancellation_id, each.message, self._reply_to, resend=each.resends) for each in taken]

    def sent(self, places: Sequence[tuple[str, int]], *, hurried: bool = False) -> int:
        """The queue has these; returns how many moved. One that is answered already stays so. Raises LeaseLost, LockNotAvailable."""
        if not places:
            return 0
        with self._connection.transaction(), self._connection.cursor() as cursor:
            hold(self._connection, self._lease)
            if hurried:
                wait_shortly(cursor)
            moved = self._values(_SQL.mark_cancellations_sent, ids=[name for name, _ in places], now=self._clock())
        fault_point("cancel.after_sent_commit")
        return len(moved)

    def give_back(self, ids: Sequence[str]) -> int:
        """Of these for certain nothing reached the queue: they are ready again. Raises LeaseLost."""
        return len(self._written(_SQL.give_cancellations_back, ids=list(ids)))

    def mark_unknown(self) -> list[str]:
        """Requests that a sender before us had begun to send become unknown; returns their ids."""
        return self._written(_SQL.cancellations_to_unknown)

    def has_orphans(self) -> bool:
        """None is left: `mark_unknown` waits for who has locked one."""
        return False

    def unknown(self, limit: int, but: Collection[str] = ()) -> list[UnknownCancellation]:
        """The oldest requests of which it is unknown whether they reached the queue; some left out."""
        return self._fetch(UnknownCancellation, _SQL.unknown_cancellations, but=list(but), limit=limit)

    def put_again(self, ids: Sequence[str]) -> list[CancellationToSend]:
        """Takes unknown requests that the queue never got, or drops if it did. Raises LeaseLost."""
        with self._connection.transaction():
            hold(self._connection, self._lease)
            return _in_order(self._fetch(CancellationToSend, _SQL.unknown_cancellations_to_sending, ids=list(ids)))

    def _written(self, statement: str, **arguments: object) -> list[str]:
        with self._connection.transaction():
            hold(self._connection, self._lease)
            return self._values(statement, **arguments)

    def _fetch(self, kind: type[Any], statement: str, **arguments: object) -> list[Any]:
        return fetch(self._connection, kind, statement, {"rail": self._rail, "sender": self._sender, **arguments})

    def _values(self, statement: str, **arguments: object) -> list[str]:
        return fetch_values(self._connection, statement, {"rail": self._rail, "sender": self._sender, **arguments})


def _in_order(taken: Sequence[CancellationToSend]) -> list[CancellationToSend]:
    return sorted(taken, key=lambda each: (each.asked_at, each.cancellation_id))


def cancellation_sender(
    conninfo: str, keeper: LeaseKeeper, open_queue: Callable[[], Queue], clock: Clock, *, rail: str, reply_to: str, wake_up: WakeUp
) -> QueueSender:
    """The sender of the requests of one rail, which answers on `reply_to`."""

    def steps_of(connection: Connection, lease: Lease, term: int, queue: Queue) -> SendCancellations:
        return SendCancellations(connection, clock, lease, term, rail=rail, reply_to=reply_to, waits_for_unknown=puts_again(queue))

    lease = f"canceller:{rail}"
    return QueueSender(conninfo, keeper, open_queue, steps_of, lease=lease, wake_up=wake_up, what="requests to cancel", max_batch=_AT_ONCE)
