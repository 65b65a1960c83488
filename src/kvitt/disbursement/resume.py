"""Resume: what came in while somebody else held its case is handled as soon as the case is free, in the order in which it came.

Any number of processes may do it at once: the lock of the case, and what is read under it, keep them apart.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import psycopg
import structlog

from kvitt.disbursement.case import CaseKey
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.settle import Settle
from kvitt.disbursement.submit import Submit
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import (
    LOCK_MS,
    TRANSACTION_MS,
    Connection,
    connect,
    is_connection_lost,
)
from kvitt.kernel.fetch import fetch
from kvitt.kernel.loop import LoopStep, WakeUp
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog

_SQL = load("deferred", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
_LOOK_SECONDS: Final = 0.25
_CASES_AT_ONCE: Final = 100
_FIRST: Final = ("", "")
"""Comes before every case."""
_AT_ONCE: Final = 200
"""Of one case in one transaction."""


class _HeldCase(NamedTuple):
    scheme: str
    case_id: str


class Resume:
    """The loop that looks whether cases have become free."""

    def __init__(self, conninfo: str, clock: Clock, ports: Ports, after: Callable[[], None], wake_up: WakeUp) -> None:
        """`after` is called when something was handled; `wake_up` ends a sleep early."""
        self._conninfo, self._clock, self._ports, self._after, self._wake_up = conninfo, clock, ports, after, wake_up
        self._states = StateLog(_log)
        self._after_case: tuple[str, str] = _FIRST

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Opens a connection and returns the step of the loop."""
        with connect(self._conninfo, application="kvitt resume", transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS) as connection:
            submit = Submit(connection, self._clock, self._ports)
            settle = Settle(connection, self._clock, self._ports)
            yield lambda: self._step(connection, submit, settle)

    def _step(self, connection: Connection, submit: Submit, settle: Settle) -> int:
        rows = fetch(connection, _HeldCase, _SQL.cases_with_deferred, (*self._after_case, _CASES_AT_ONCE))
        done = sum(self._case((Scheme(each.scheme), each.case_id), submit, settle) for each in rows)
        if rows and not done:
            self._states.enters("cases", "held", "error", "cases are locked by others: what comes for them waits", cases=len(rows))
        elif not rows and self._after_case == _FIRST:
            self._states.leaves("cases", "no case is locked by others any more; what came for them is handled")
        # Round and round, so that those which are held for long do not hide the others.
        self._after_case = rows[-1] if len(rows) == _CASES_AT_ONCE else _FIRST
        if done:
            self._after()
        elif self._after_case == _FIRST:
            self._wake_up.sleep(_LOOK_SECONDS)
        return done

    def _case(self, key: CaseKey, submit: Submit, settle: Settle) -> int:
        """How much of one case was handled; 0 while it, or a row behind it, is held."""
        try:
            return settle.resume(key, _AT_ONCE) + submit.resume(key, _AT_ONCE)
        except psycopg.OperationalError as error:
            if is_connection_lost(error):
                raise
            return 0
