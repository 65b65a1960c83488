"""The emulator's loop: takes orders from the request queue, books them, and puts the receipts on the queues that the orders name.

Between its three steps (books committed, receipts put, orders acknowledged) it may be killed anywhere: what was booked keeps its
receipt as a row until that stands on the queue, and an order that is handed out again is recognised.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from threading import Event

import psycopg

from kvitt.kernel.database import TupleConnection, connect, is_connection_lost
from kvitt.kernel.queries import load
from kvitt.kernel.queue import Delivery, Outgoing, Queue
from kvitt.rails.oppdrag.emulator.batch import Arrival, handle_batch
from kvitt.rails.oppdrag.emulator.faults import get_faults
from kvitt.rails.oppdrag.emulator.reading import Unreadable, read
from kvitt.rails.oppdrag.emulator.reconciliation import take_reported

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
MOST_OPEN_REPLY_QUEUES = 64
RECEIPTS_PER_PUT = 500
_SQL = load("emulator", package="kvitt.rails.oppdrag.emulator")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Emulator:
    """The payment mainframe, played. Not for sharing between threads; any number of them may work on the same queue and database.

    `open_reply_queue` returns the queue for the name in an order's reply-to. `seed` decides which orders a probable fault strikes.
    `clock` tells the time in UTC. `wait_seconds` is how long a step waits for the first order. `reconciliation` is the queue of runs of
    reconciliation, where the rail is to judge them.
    """

    def __init__(
        self,
        conninfo: str,
        requests: Queue,
        open_reply_queue: Callable[[str], Queue],
        seed: int = 0,
        *,
        batch_size: int = 200,
        wait_seconds: float = 0.2,
        clock: Callable[[], datetime] = _utc_now,
        reconciliation: Queue | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._requests = requests
        self._open_reply_queue = open_reply_queue
        self._seed = seed
        self._batch_size = batch_size
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._reconciliation = reconciliation
        self._conn: TupleConnection | None = None
        self._reply_queues: dict[str, Queue] = {}
        self._alone = 0

    def run(self, stop: Event) -> None:
        """Steps until `stop` is set; a lost connection is tried again after pauses that grow to five seconds."""
        pause = FIRST_PAUSE_SECONDS
        try:
            while not stop.is_set():
                try:
                    if self.step() == 0:
                        stop.wait(FIRST_PAUSE_SECONDS)
                    pause = FIRST_PAUSE_SECONDS
                except (ConnectionError, psycopg.Error) as error:
                    if isinstance(error, psycopg.Error) and not is_connection_lost(error):
                        raise
                    self.close()
                    stop.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        finally:
            self.close()

    def step(self) -> int:
        """Handles one batch and puts every receipt that is due; returns how many messages it took from its queues.

        Messages of reconciliation are read when there are no more orders than one batch, so that a run is judged with the orders before it.

        Raises ConnectionError or psycopg.OperationalError when a connection ends; `close` it then, and step again.
        """
        conn = self._connected()
        # Asked first, so that nothing is taken from the queue while the books are out of reach.
        closed = get_faults(conn).closed
        taken = () if closed else self._requests.receive(1 if self._alone else self._batch_size, self._wait_seconds)
        self._alone = max(self._alone - 1, 0) if taken else 0
        arrivals = [_arrival(delivery) for delivery in taken]
        garbage = any(isinstance(arrival.reading, Unreadable) for arrival in arrivals)
        if garbage and len(arrivals) > 1:
            # Only a message that is alone can be given back alone.
            self._requests.release()
            self._alone = len(arrivals)
            return len(arrivals)
        if arrivals:
            handle_batch(conn, arrivals, seed=self._seed, now=self._clock())
        self._put_due(conn)
        if garbage:
            self._requests.release()
        elif arrivals:
            self._requests.acknowledge()
        if closed or self._alone or len(taken) == self._batch_size or self._reconciliation is None:
            return len(arrivals)
        return len(arrivals) + take_reported(conn, self._reconciliation, self._clock())

    def close(self) -> None:
        """Ends all connections; what was taken and not acknowledged comes again. The next step connects anew."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None
        self._requests.close()
        if self._reconciliation is not None:
            self._reconciliation.close()
        for queue in self._reply_queues.values():
            queue.close()
        self._reply_queues = {}
        self._alone = 0

    def _connected(self) -> TupleConnection:
        if self._conn is None or self._conn.closed:
            self._conn = connect(self._conninfo, application="kvitt emulator")
        return self._conn

    def _put_due(self, conn: TupleConnection) -> None:
        """Puts the receipts whose time has come, in order; put and not yet noted they are put again under the same id."""
        while True:
            now = self._clock()
            rows = conn.execute(_SQL.due_receipts, {"now": now, "limit": RECEIPTS_PER_PUT}, binary=True).fetchall()
            due = [(str(address), _receipt(str(receipt_id), body, resends)) for receipt_id, address, body, resends in rows]
            by_address = sorted(due, key=lambda each: each[0])
            for address, receipts in groupby(by_address, key=lambda each: each[0]):
                self._reply_queue(address).put([receipt for _, receipt in receipts])
            if rows:
                conn.execute(_SQL.mark_put, {"now": now, "receipt_ids": [str(row[0]) for row in rows]})
            if len(rows) < RECEIPTS_PER_PUT:
                return

    def _reply_queue(self, address: str) -> Queue:
        """The open queue of that name; the one opened first is closed when there are too many."""
        queue = self._reply_queues.get(address)
        if queue is None:
            if len(self._reply_queues) >= MOST_OPEN_REPLY_QUEUES:
                self._reply_queues.pop(next(iter(self._reply_queues))).close()
            queue = self._reply_queues[address] = self._open_reply_queue(address)
        return queue


def _receipt(receipt_id: str, body: object, resends: object) -> Outgoing:
    assert isinstance(body, bytes)
    assert isinstance(resends, int)
    return Outgoing(receipt_id, body, resend=resends)


def _arrival(delivery: Delivery) -> Arrival:
    digest = hashlib.sha256(delivery.body).digest()
    return Arrival(delivery.message_id, digest, delivery.body, delivery.reply_to, delivery.redeliveries == 0, read(delivery.body))
