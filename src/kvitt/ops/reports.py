"""A process says of itself in the store how its roles do, every second, so that whoever watches knows when it does not any more.

What it says is no fact: a report that fails is left out.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec
import psycopg
import structlog
from msgspec import Struct

from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import LOCK_MS, Connection, connect
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog
from kvitt.ops.readiness import Condition, RoleState

_SQL: Final = load("ops", "kvitt.ops")
_log = structlog.get_logger(__name__)
EVERY_SECONDS: Final = 1.0
_STATEMENT_MS: Final = 2_000


class _ReportedRole(Struct, frozen=True):
    role: str
    condition: str
    since: datetime
    at_fault: str | None


class RoleReports:
    """Reports from a thread of its own, on a connection of its own, until it is closed."""

    def __init__(
        self,
        conninfo: str,
        process: str,
        roles: Callable[[], Sequence[RoleState]],
        ask_brokers: Callable[[], object] | None = None,
    ) -> None:
        """`process` is a name that no other process ever had. `ask_brokers` asks those of the log, and raises when none answers; their
        client goes on in silence when they are away.
        """
        self._conninfo, self._process, self._roles, self._ask_brokers = conninfo, process, roles, ask_brokers
        self._brokers: _ReportedRole | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reports of roles", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it; the process is one of those that do no work any more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        states = StateLog(_log)
        while not self._stop.is_set():
            try:
                self._report_until_stopped(states)
            except psycopg.Error as error:
                name = type(error).__name__
                states.enters("reports", name, "warning", "roles can not be reported", error=name)
                self._stop.wait(EVERY_SECONDS)

    def _report_until_stopped(self, states: StateLog) -> None:
        application = "kvitt reports"
        with connect(self._conninfo, application=application, statement_timeout_ms=_STATEMENT_MS, lock_timeout_ms=LOCK_MS) as connection:
            while not self._stop.is_set():
                self._report(connection)
                states.leaves("reports", "roles are reported again")
                self._stop.wait(EVERY_SECONDS)
            connection.execute(_SQL.end_process, {"process": self._process})

    def _report(self, connection: Connection) -> None:
        said = [_ReportedRole(each.role, each.condition.value, each.since, each.at_fault) for each in self._roles()]
        self._look_at_brokers()
        said += [self._brokers] if self._brokers else []
        connection.execute(_SQL.report_roles, {"process": self._process, "roles": msgspec.json.encode(said).decode()})

    def _look_at_brokers(self) -> None:
        if self._ask_brokers is None:
            return
        try:
            self._ask_brokers()
        except Exception:  # noqa: BLE001 - whatever their client raises becomes a state that is shown
            self._brokers = self._brokers or _ReportedRole("log", Condition.SILENT.value, utc_now(), "broker")
        else:
            self._brokers = None
