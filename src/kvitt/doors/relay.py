"""The relay to the embedded log: what the outbox holds is told, in the order of each key, exactly once (design §4 step 8)."""

from typing import Any

import psycopg

from kvitt.doors.embedded_log import CHANNEL, place
from kvitt.errors import LeaseLost
from kvitt.hub.crash import reached
from kvitt.hub.submit import Clock
from kvitt.hub.taken import Edge
from kvitt.store.queries import load

_LOG, _LEASES = load("log"), load("leases")


class LogRelay:
    """Moves records from the outbox to the log; both are tables of one database, so a step is one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], clock: Clock, edge: Edge, max_batch: int = 2000) -> None:
        self._connection, self._clock, self._edge, self._max_batch = connection, clock, edge, max_batch

    def step(self) -> int:
        """Relays what waits, up to a batch; gives how many. Raises LeaseLost when another relay owns the lane."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            if cursor.execute(_LEASES.hold_lease, (self._edge.lease, self._edge.epoch), binary=True).fetchone() is None:
                raise LeaseLost(self._edge.lease)
            rows = cursor.execute(_LOG.unrelayed, (self._max_batch,), binary=True).fetchall()
            if not rows:
                return 0
            places = place(cursor, [(topic, key) for _, topic, key in rows])
            arguments = {
                "now": self._clock(),
                "numbers": [row[0] for row in rows],
                "partitions": [partition for partition, _ in places],
                "positions": [position for _, position in places],
            }
            cursor.execute(_LOG.relay_to_log, arguments, binary=True)
            cursor.execute(_LOG.mark_relayed, arguments, binary=True)
            cursor.execute(f"NOTIFY {CHANNEL}")
            reached("relay.before_commit")
        reached("relay.after_commit")
        return len(rows)
