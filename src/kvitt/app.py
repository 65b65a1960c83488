"""The only place that wires concrete parts together: which database, which log, which queue, which rail (design §3, §10)."""

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from kvitt.config import Settings
from kvitt.doors.embedded_log import make_topics
from kvitt.doors.intake import Intake
from kvitt.doors.relay import LogRelay
from kvitt.errors import LeaseLost, NotUpgraded
from kvitt.hub.group_commit import GroupCommit
from kvitt.hub.leases import LeaseKeeper, release_every_lease
from kvitt.hub.loop import Bell, MakeStep, Step, run_loop
from kvitt.hub.submit import Outcome, Submit
from kvitt.hub.taken import Incoming
from kvitt.ops.roles import RoleBoard
from kvitt.rail.emulator import Emulator
from kvitt.rail.queue import Queue
from kvitt.rail.receiver import Receiver
from kvitt.rail.sender import Sender
from kvitt.rail.table_queue import TableQueue
from kvitt.store.database import TRANSACTION_MS, connect, is_connection_lost
from kvitt.store.embedded import EmbeddedServer, running_server
from kvitt.store.migrate import pending, upgrade

if TYPE_CHECKING:
    from kvitt.ops.server import OpsServer

_RELAY_LEASE, _RELAY_LOOK_SECONDS, _REST_SECONDS = "relay", 0.2, 0.02
ROLES = ("intake", "relay", "sender", "receiver", "emulator")


def utc_now() -> datetime:
    """The clock that is handed to everything that needs one."""
    return datetime.now(UTC)


@contextmanager
def database(settings: Settings, *, own: bool, upgrade_it: bool = True) -> Iterator[str]:
    """A migrated database as conninfo: the external one, a running kvitt's (unless `own`), or the embedded one, started for the while.

    Raises DataDirectoryInUse when `own` and another process has the data directory; NotUpgraded when the external one would have to be
    migrated and not `upgrade_it`.
    """
    if settings.database_url:
        if upgrade_it:
            upgrade(settings.database_url)
        elif pending(settings.database_url):
            raise NotUpgraded("this is no database of kvitt, or an older one; run kvitt db upgrade")
        yield settings.database_url
        return
    if not own and (running := running_server(settings.data)):
        yield running
        return
    server = EmbeddedServer(settings.data)
    conninfo = server.start()
    try:
        upgrade(conninfo)
        with connect(conninfo) as connection:
            release_every_lease(connection)
        yield conninfo
    finally:
        server.stop()


class _LaneWriter:
    """Executes the batches of one lane on a connection of its own, opened anew after it was lost."""

    def __init__(self, conninfo: str, after: Callable[[], None]) -> None:
        self._conninfo, self._after = conninfo, after
        self._connection: psycopg.Connection[Any] | None = None

    def __call__(self, batch: Sequence[Incoming]) -> Sequence[Outcome]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._conninfo, application="kvitt submit", transaction_ms=TRANSACTION_MS)
        try:
            outcomes = Submit(self._connection, utc_now)(batch)
        except psycopg.Error as error:
            if is_connection_lost(error):
                self._connection.close()
                self._connection = None
            raise
        self._after()
        return outcomes


class Hub:
    """The roles of one process on the embedded log and queue, each in a thread of its own."""

    def __init__(self, conninfo: str, settings: Settings, roles: Sequence[str] = ROLES) -> None:
        self.conninfo, self._settings, self._roles = conninfo, settings, roles
        self.board = RoleBoard(utc_now)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._orders, self._told = Bell(), Bell()
        with connect(conninfo) as connection:
            make_topics(connection)

    def start(self) -> None:
        """Starts the roles; returns at once."""
        # What was loaded until now stays for ever: the collector need not walk through it while messages wait.
        gc.freeze()
        self._keeper = LeaseKeeper(self.conninfo, seconds=self._settings.lease_seconds)
        self._writers: GroupCommit[Incoming, Outcome] = GroupCommit(
            lambda _: _LaneWriter(self.conninfo, self._ring), lanes=self._settings.lanes, max_batch=self._settings.max_batch
        )
        for role in self._roles:
            watched = self.board.watched(role, self._maker(role))
            thread = threading.Thread(target=run_loop, args=(role, watched, self._stop), name=role, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends the roles after the step that each is in; what was handed in is committed."""
        self._stop.set()
        self._ring()
        for thread in self._threads:
            thread.join()
        self._writers.close()
        self._keeper.close()

    def _ring(self) -> None:
        self._orders.ring()
        self._told.ring()

    def _maker(self, role: str) -> MakeStep:
        settings = self._settings
        if role == "intake":
            return Intake(self.conninfo, self._keeper, self._writers.submit).steps
        if role == "relay":
            return self._relay_steps
        if role == "sender":
            requests = self._queue(settings.request_queue)
            return Sender(self.conninfo, self._keeper, requests, utc_now, self._orders, reply_to=settings.reply_queue).steps
        if role == "receiver":
            return Receiver(self.conninfo, self._queue(settings.reply_queue), utc_now, _Both(self._orders, self._told)).steps
        if role == "emulator":
            return self._emulator_steps
        raise ValueError(f"no role is called {role}; there are {', '.join(ROLES)}")

    def _queue(self, name: str) -> Callable[[], Queue]:
        return lambda: TableQueue(self.conninfo, name)

    @contextmanager
    def _relay_steps(self) -> Iterator[Step]:
        with connect(self.conninfo, application="kvitt relay") as connection:
            held = self._keeper.take(connection, _RELAY_LEASE)
            if held is None:
                raise LeaseLost(f"{_RELAY_LEASE} is held by another process")
            relay = LogRelay(connection, utc_now, held.edge)
            yield lambda: relay.step() or self._nothing_to_tell()

    def _nothing_to_tell(self) -> int:
        self._told.wait(_RELAY_LOOK_SECONDS)
        return 0

    @contextmanager
    def _emulator_steps(self) -> Iterator[Step]:
        emulator = Emulator(
            self.conninfo, TableQueue(self.conninfo, self._settings.request_queue), lambda name: TableQueue(self.conninfo, name)
        )
        try:
            # A rail that is closed does not look into its queue, so it does not wait there either.
            yield lambda: emulator.step() or self._rest()
        finally:
            emulator.close()

    def _rest(self) -> int:
        self._stop.wait(_REST_SECONDS)
        return 0


@contextmanager
def operations(hub: Hub, settings: Settings) -> Iterator["OpsServer"]:
    """Health, metrics and alarms of the process that runs this hub, for as long as the block runs. Raises PortTaken."""
    # Imported here: a process that shows nothing need not wait for it.
    from kvitt.ops.server import OpsServer

    server = OpsServer(hub.conninfo, settings.ops, utc_now, hub.board.states)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Both(Bell):
    """A bell that rings several."""

    def __init__(self, *bells: Bell) -> None:
        super().__init__()
        self._bells = bells

    def ring(self) -> None:
        for bell in self._bells:
            bell.ring()
