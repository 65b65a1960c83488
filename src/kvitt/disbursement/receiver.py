"""The receiver of one rail: takes answers from its queue, settles them, and acknowledges only after the commit (design §4 step 7)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import structlog

from kvitt.disbursement.ports import Ports
from kvitt.disbursement.settle import RawReceipt, Settle
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import (
    LOCK_MS,
    TRANSACTION_MS,
    connect,
    is_connection_lost,
)
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.loop import LoopStep, WakeUp
from kvitt.kernel.queue import Queue
from kvitt.kernel.state_log import StateLog

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 0.5


class Receiver:
    """Any number of receivers may run: the queue hands each message to one, and the locks of the cases do the rest."""

    def __init__(
        self,
        conninfo: str,
        open_queue: Callable[[], Queue],
        clock: Clock,
        ports: Ports,
        wake_up: WakeUp,
        *,
        rail: str | None = None,
        max_batch: int = 256,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """`rail` None: the default one. A step waits `look_seconds` for the first receipt."""
        self._conninfo, self._open_queue, self._clock, self._ports, self._wake_up = conninfo, open_queue, clock, ports, wake_up
        self._rail, self._max_batch, self._look_seconds = rail, max_batch, look_seconds
        self._states = StateLog(_log)

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Opens the queue and a connection, and returns the step of the loop."""
        queue = self._open_queue()
        try:
            with connect(
                self._conninfo, application="kvitt receiver", transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS
            ) as connection:
                settle = Settle(connection, self._clock, self._ports, self._rail)
                yield lambda: self._step(queue, settle)
        finally:
            queue.close()

    def _step(self, queue: Queue, settle: Settle) -> int:
        deliveries = queue.receive(self._max_batch, self._look_seconds)
        if not deliveries:
            return 0
        try:
            settle.execute([RawReceipt(delivery.message_id, delivery.body) for delivery in deliveries])
        except psycopg.Error as error:
            if not is_connection_lost(error):
                name = type(error).__name__
                self._states.enters("receipts", name, "error", "receipts go back to the queue", receipts=len(deliveries), error=name)
                queue.release()
            raise
        self._states.leaves("receipts", "receipts are settled again")
        queue.acknowledge()
        fault_point("receive.after_acknowledge")
        self._wake_up.notify()
        return len(deliveries)
