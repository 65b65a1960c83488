"""Sends runs of reconciliation: their messages leave through the sender of orders, in their order; the last one makes the run good.

Nobody answers them, so one of which it is unknown whether it was put, on a queue that can not tell, waits for an operator.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from msgspec import Struct

from kvitt.disbursement.ports import Ports
from kvitt.disbursement.reconcile.announce import announce_good
from kvitt.disbursement.reconcile.runs import read
from kvitt.disbursement.sender import QueueSender
from kvitt.errors import NotInThatState
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import wait_shortly
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.leases import Lease, LeaseKeeper, hold
from kvitt.kernel.loop import WakeUp
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.kernel.queue import Outgoing, Queue

_SQL: Final = load("reconcile_send", "kvitt.disbursement")
_AT_ONCE: Final = 64


class RunMessage(Struct, frozen=True):
    """A message of a run that a sender holds."""

    message_id: str
    run_no: int
    number: int
    body: bytes

    @property
    def place(self) -> tuple[str, int]:
        """Its id, and the number of its run, which is locked with it."""
        return self.message_id, self.run_no


class UnknownMessage(Struct, frozen=True):
    """A message of a run whose put may have come through or not."""

    message_id: str
    run_no: int

    @property
    def place(self) -> tuple[str, int]:
        """Its id, and the number of its run, which is locked with it."""
        return self.message_id, self.run_no

    @property
    def queue_id(self) -> str:
        """Its id, by which the queue knows it too."""
        return self.message_id


class SendRuns:
    """The steps of sending runs over one rail, on one connection and under one lease, whose fencing token every write carries."""

    def __init__(self, connection: Connection, clock: Clock, ports: Ports, lease: Lease, term: int = 1, *, rail: str) -> None:
        """`term` distinguishes the attempts of one owner: what an earlier one left half sent is unknown too."""
        self._connection, self._clock, self._ports, self._lease, self._rail = connection, clock, ports, lease, rail
        self._sender = f"{lease.name}:{lease.token}:{term}"

    def dequeue(self, limit: int) -> list[RunMessage]:
        """Takes up to `limit` messages of one run, in their order. Raises LeaseLost."""
        with self._connection.transaction():
            hold(self._connection, self._lease)
            taken = self._fetch(RunMessage, _SQL.dequeue_run_messages, limit=limit)
            fault_point("reconcile.before_dequeue_commit")
        fault_point("reconcile.after_dequeue_commit")
        return sorted(taken, key=lambda each: (each.run_no, each.number))

    def outgoing(self, taken: Sequence[RunMessage]) -> Sequence[Outgoing]:
        """They leave as they are; nobody answers them."""
        return [Outgoing(each.message_id, each.body) for each in taken]

    def sent(self, places: Sequence[tuple[str, int]], *, hurried: bool = False) -> int:
        """The queue has these; runs of which these were the last are good. Returns how many moved. Raises LeaseLost, LockNotAvailable."""
        if not places:
            return 0
        runs = sorted({run_no for _, run_no in places})
        with self._connection.transaction(), self._connection.cursor() as cursor:
            hold(self._connection, self._lease)
            if hurried:
                wait_shortly(cursor)
            cursor.execute(_SQL.lock_runs, {"runs": runs})
            ids = [name for name, _ in places]
            moved = self._values(_SQL.mark_messages_sent, ids=ids, now=self._clock())
            finish(self._connection, runs, self._ports, self._clock)
        fault_point("reconcile.after_sent_commit")
        return len(moved)

    def give_back(self, ids: Sequence[str]) -> int:
        """Of these for certain nothing reached the queue: they are ready again. Raises LeaseLost."""
        with self._connection.transaction():
            hold(self._connection, self._lease)
            return len(self._values(_SQL.give_messages_back, ids=list(ids)))

    def mark_unknown(self) -> list[str]:
        """Messages that a sender before us had begun to send become unknown; returns their ids."""
        with self._connection.transaction():
            hold(self._connection, self._lease)
            return self._values(_SQL.messages_to_unknown)

    def has_orphans(self) -> bool:
        """None is left: `mark_unknown` waits for who has locked one."""
        return False

    def unknown(self, limit: int, but: Collection[str] = ()) -> list[UnknownMessage]:
        """The first messages of which it is unknown whether they reached the queue; some left out."""
        return self._fetch(UnknownMessage, _SQL.unknown_messages, but=list(but), limit=limit)

    def put_again(self, ids: Sequence[str]) -> list[RunMessage]:
        """Takes unknown messages that the queue never got, or drops if it did. Raises LeaseLost."""
        with self._connection.transaction():
            hold(self._connection, self._lease)
            taken = self._fetch(RunMessage, _SQL.unknown_messages_to_sending, ids=list(ids))
        return sorted(taken, key=lambda each: (each.run_no, each.number))

    def _fetch(self, kind: type[Any], statement: str, **arguments: object) -> list[Any]:
        return fetch(self._connection, kind, statement, {"rail": self._rail, "sender": self._sender, **arguments})

    def _values(self, statement: str, **arguments: object) -> list[str]:
        return fetch_values(self._connection, statement, {"rail": self._rail, "sender": self._sender, **arguments})


def finish(connection: Connection, runs: Sequence[int], ports: Ports, clock: Clock) -> None:
    """Runs whose messages are all put are good, and their contracts publish that. Part of a transaction that holds them."""
    now = clock()
    with connection.cursor() as cursor:
        for run_no in fetch_values(cursor, _SQL.runs_to_good, {"runs": list(runs), "now": now}):
            announce_good(cursor, ports.contracts, run_no, now)


def run_sender(
    conninfo: str, keeper: LeaseKeeper, open_queue: Callable[[], Queue], clock: Clock, ports: Ports, *, rail: str, wake_up: WakeUp
) -> QueueSender:
    """The sender of the runs of one rail."""

    def steps_of(connection: Connection, lease: Lease, term: int, _queue: Queue) -> SendRuns:
        return SendRuns(connection, clock, ports, lease, term, rail=rail)

    lease = f"reconciler:{rail}"
    return QueueSender(
        conninfo, keeper, open_queue, steps_of, lease=lease, wake_up=wake_up, what="messages of reconciliation", max_batch=_AT_ONCE
    )


def resolve(connection: Connection, clock: Clock, ports: Ports, run_no: int, *, was_put: bool, operator: Operator) -> int:
    """An operator knows whether the messages of a run that are unknown came to the queue; returns how many these were.

    Those that came not are sent. Raises NotFound, NotInThatState where none is unknown.
    """
    with connection.transaction(), connection.cursor() as cursor:
        run = read(connection, run_no)
        cursor.execute(_SQL.lock_runs, {"runs": [run_no]})
        state, now = ("sent", clock()) if was_put else ("ready", None)
        moved = fetch_values(connection, _SQL.resolve_messages, {"run_no": run_no, "state": state, "sent_at": now})
        if not moved:
            raise NotInThatState(f"reconciliation {run_no} has no message of which it is unknown whether it was put")
        finish(connection, [run_no], ports, clock)
        said = "the queue has it" if was_put else "the queue has it not"
        note(cursor, clock(), f"resolve reconciliation: {said}", operator, f"{run.area} {run.days}")
    return len(moved)
