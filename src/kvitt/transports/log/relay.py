"""The relay to the embedded log: publishes what the outbox holds, in the order of each key, exactly once (design §4 step 8)."""

from typing import Any

import psycopg
import structlog
from psycopg.errors import LockNotAvailable

from kvitt.errors import LeaseLost
from kvitt.kernel.clock import Clock
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.leases import Lease
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog
from kvitt.transports.log.embedded_log import CHANNEL, reserve

_LOG, _LEASES = load("log", "kvitt.transports.log"), load("leases", "kvitt.kernel")
_log = structlog.get_logger(__name__)


class LogRelay:
    """Moves records from the outbox to the log; both are tables of one database, so a step is one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], clock: Clock, lease: Lease, max_batch: int = 2000) -> None:
        self._connection, self._clock, self._lease, self._max_batch = connection, clock, lease, max_batch
        self._held = False
        self._states = StateLog(_log)

    def step(self) -> int:
        """Relays what waits, up to a batch; returns how many. Raises LeaseLost when another relay owns the lane.

        What somebody else has locked waits, with what comes behind it under its key; all else goes on.
        """
        try:
            done = self._relay(_LOG.unrelayed_free if self._held else _LOG.unrelayed)
        except LockNotAvailable:
            self._held = True
            self._states.enters("outbox", "locked", "error", "records of the outbox are locked by others, and published later")
            return self._relay(_LOG.unrelayed_free)
        if self._held and not done:
            # Either all else is published, or nothing is locked any more: the next look waits for locks again.
            self._held = False
        elif not self._held:
            self._states.leaves("outbox", "no record of the outbox is locked by others any more")
        return done

    def _relay(self, unrelayed: str) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            if cursor.execute(_LEASES.hold_lease, (self._lease.name, self._lease.token), binary=True).fetchone() is None:
                raise LeaseLost(self._lease.name)
            rows = cursor.execute(unrelayed, (self._max_batch,), binary=True).fetchall()
            if not rows:
                return 0
            places = reserve(cursor, [(topic, key) for _, topic, key in rows])
            arguments = {
                "now": self._clock(),
                "numbers": [row[0] for row in rows],
                "partitions": [partition for partition, _ in places],
                "positions": [position for _, position in places],
            }
            cursor.execute(_LOG.relay_to_log, arguments, binary=True)
            cursor.execute(_LOG.mark_relayed, arguments, binary=True)
            cursor.execute(f"NOTIFY {CHANNEL}")
            fault_point("relay.before_commit")
        fault_point("relay.after_commit")
        return len(rows)
