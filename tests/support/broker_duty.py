"""The operator on duty, who does what the documents say: sends again what is unknown, once it is sure that it never came to the rail."""

import time

import psycopg

from kvitt.app.ports import PORTS
from kvitt.disbursement.operate import Operate
from kvitt.errors import NotInThatState
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from support.broker_site import Site
from support.patience import stretched

OPERATOR = Operator("vakt", "the rail never had it", approved_by="sjef")
_LOOK_SECONDS, _QUIET_SECONDS = 0.2, 3.0

# A queue keeps its order: what was put before something that the rail has had is not in the queue any more.
_NEVER_CAME = """
SELECT o.order_id::text, EXISTS (
    SELECT FROM orders AS l JOIN rail.received AS r ON split_part(r.message_id, '/', 1) = l.order_id::text WHERE l.sending_at > o.sending_at
)
FROM orders AS o
WHERE o.state = 'unknown' AND NOT EXISTS (SELECT FROM rail.received AS r WHERE split_part(r.message_id, '/', 1) = o.order_id::text)
ORDER BY o.order_id
"""
_UNDER_WAY = "SELECT coalesce(sum(hashtext(order_id::text || state)), 0) FROM orders"


class Duty:
    """Looks after unknown orders whenever asked to; a queue broker cannot tell what it was given, so somebody has to."""

    def __init__(self, site: Site) -> None:
        self.resent = 0
        self._site = site
        self._look_at = 0.0
        self._picture: int | None = None
        self._still_since = time.monotonic()

    @property
    def still_seconds(self) -> float:
        """For how long nothing had moved at the last look."""
        return self._look_at - _LOOK_SECONDS - self._still_since

    def begin_anew(self) -> None:
        """Something was done that should move things: what was still until now does not count."""
        self._still_since = time.monotonic()

    def look(self) -> None:
        """Sends again what has surely never come to the rail: something newer has, or nothing at all has moved for a while."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        self._take_picture(now)
        for order_id, overtaken in self._site.watch.rows(_NEVER_CAME) or ():
            if overtaken or self.still_seconds > stretched(_QUIET_SECONDS):
                self._resend(str(order_id))

    def _take_picture(self, now: float) -> None:
        picture = self._site.count(_UNDER_WAY)
        if picture is None or picture != self._picture:
            self._picture, self._still_since = picture, now

    def _resend(self, order_id: str) -> None:
        try:
            with connect(self._site.server.conninfo) as connection:
                Operate(connection, utc_now, PORTS).resend(order_id, OPERATOR)
            self.resent += 1
        except (NotInThatState, psycopg.OperationalError):
            # Its receipt came meanwhile, or the database is gone for a moment: the next look tells.
            self._look_at = 0.0
