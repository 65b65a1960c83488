"""The hub: the roles of one process, each in a thread of its own, on the edges that are set."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kvitt.app.edges import INPUTS, RelayRole, edge_of, queue_named, queues_of, sleep
from kvitt.app.ports import ports_of
from kvitt.config import Settings
from kvitt.hub.ports import Ports
from kvitt.hub.resume import Resume
from kvitt.hub.submit import Outcome, Submit
from kvitt.hub.taken import Incoming
from kvitt.kernel.clock import utc_now
from kvitt.kernel.executor import ReconnectingWriter
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import (
    MakeStep,
    Step,
    WakeUp,
    run_loop,
)
from kvitt.ops.roles import RoleBoard
from kvitt.rail.emulator import Emulator
from kvitt.rail.queue import Queue
from kvitt.rail.receiver import Receiver
from kvitt.rail.sender import Sender

if TYPE_CHECKING:
    from kvitt.app.doors import Doors
    from kvitt.ops.server import OpsServer

_SLEEP_SECONDS = 0.02
_ROOM_PER_INTAKE = 2048
LISTENERS = ("payouts", "ledger")
"""The roles that answer calls."""
_DOORS = "doors"
"""What the thread of the listening roles is called: they answer on one address."""
_RESUME = "resume"
"""What the thread is called that handles what came in while its case was locked: wherever messages or receipts come in."""
_ON_RAILS = ("sender", "receiver")
"""The roles that each rail has for itself."""
ROLES = ("intake", "rapid", "relay", "sender", "receiver", "emulator", *LISTENERS)


def lane_writer(conninfo: str, ports: Ports, after: Callable[[], None]) -> Callable[[Sequence[Incoming]], Sequence[Outcome]]:
    """Executes the batches of one lane on a connection of its own; `after` is called when one was executed."""
    writer: ReconnectingWriter[Incoming, Outcome] = ReconnectingWriter(
        conninfo,
        "kvitt submit",
        lambda connection: Submit(connection, utc_now, ports).execute,
    )

    def execute(batch: Sequence[Incoming]) -> Sequence[Outcome]:
        outcomes = writer.execute(batch)
        after()
        return outcomes

    return execute


class Hub:
    """The roles of one process, each in a thread of its own."""

    def __init__(self, conninfo: str, settings: Settings, roles: Sequence[str] = ROLES) -> None:
        """Raises ValueError for an unknown role, DoorPortTaken, OtherLog, TopicsDiffer, KafkaException when no broker answers."""
        if unknown := [role for role in roles if role not in ROLES]:
            raise ValueError(f"no role is called {unknown[0]}; there are {', '.join(ROLES)}")
        self.conninfo, self._settings, self.roles = conninfo, settings, roles
        self.ports = ports_of(settings.rapid, settings.ops, hears_strays=settings.rapid.ours or "rapid" in roles)
        self._on_rails: dict[str, tuple[str, str]] = {}
        self.board = RoleBoard(utc_now, self._threads_of(roles))
        self.edge = edge_of(conninfo, settings, roles)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._orders, self._told, self._kept = WakeUp(), WakeUp(), WakeUp()
        self.edge.prepare()
        self.doors = self._take_addresses() if set(roles) & set(LISTENERS) else None

    def _take_addresses(self) -> "Doors":
        # Imported here: a process that listens for no calls need not wait for it.
        from kvitt.app.doors import Doors

        return Doors(self.conninfo, self._settings, self.roles, self._stop)

    def start(self) -> None:
        """Starts the roles; returns at once."""
        # What was loaded until now stays for ever: the collector need not walk through it while messages wait.
        gc.freeze()
        settings = self._settings
        self._keeper = LeaseKeeper(self.conninfo, seconds=settings.lease_seconds)
        self._writers: GroupCommit[Incoming, Outcome] = GroupCommit(
            lambda _: lane_writer(self.conninfo, self.ports, self._notify_work),
            lanes=settings.lanes,
            max_batch=settings.max_batch,
            # An intake must never wait for room: it has a group to keep in touch with.
            max_waiting=_ROOM_PER_INTAKE * len(INPUTS),
        )
        for role in self._threads_of(self.roles):
            watched = self.board.watched(role, self._maker(role))
            thread = threading.Thread(target=run_loop, args=(role, watched, self._stop), name=role, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _threads_of(self, roles: Sequence[str]) -> list[str]:
        """What runs for these roles, each in a thread of its own: for each rail one that sends, and one that receives."""
        resuming = [_RESUME] if set(roles) & {*INPUTS, "receiver"} else []
        names = [name for role in roles for name in (self._names_on_rails(role) if role in _ON_RAILS else [role])]
        return list(dict.fromkeys([*(_DOORS if name in LISTENERS else name for name in names), *resuming]))

    def _names_on_rails(self, role: str) -> list[str]:
        """What the threads of a role are called, one per rail; that of the default rail by the role alone."""
        default, *others = [rail.name for rail in self.ports.rails]
        self._on_rails |= {role: (role, default)} | {f"{role} {rail}": (role, rail) for rail in others}
        return [role, *(f"{role} {rail}" for rail in others)]

    def stop(self, seconds: float | None = None) -> list[str]:
        """Ends the roles after the step that each is in; what was handed in is committed, leases are given up.

        Gives the names of the parts that did not end within `seconds`; what they hold runs out by itself.
        """
        self._stop.set()
        self._notify_all()
        deadline = None if seconds is None else time.monotonic() + seconds
        if hanging := _not_ended(self._threads, deadline):
            return hanging
        closing = threading.Thread(target=self._close, name="writers and leases", daemon=True)
        closing.start()
        return _not_ended([closing], deadline)

    def _close(self) -> None:
        self._writers.close()
        self._keeper.close()
        if self.doors:
            self.doors.close()

    def _notify_all(self) -> None:
        self._notify_work()
        self._kept.notify()

    def _notify_work(self) -> None:
        """There are orders to send, and something to tell."""
        self._orders.notify()
        self._told.notify()

    def _maker(self, role: str) -> MakeStep:
        if role == _DOORS:
            assert self.doors is not None, "there are doors where a role listens"
            return self.doors.steps
        if role in INPUTS:
            return self.edge.intake(self._keeper, self._writers.submit, role)
        if role == "relay":
            return RelayRole(self.conninfo, self._keeper, self.edge, self._told).steps
        if role == _RESUME:
            return Resume(self.conninfo, utc_now, self.ports, self._notify_work, self._kept).steps
        if role == "emulator":
            return self._emulator_steps
        return self._rail_role(*self._on_rails[role])

    def _rail_role(self, role: str, rail: str) -> MakeStep:
        """Who sends over a rail, or hears its receipts, on the queues of that rail."""
        queues = queues_of(self._settings, rail, default=self.ports.rails.default.name)
        if role == "sender":
            requests = self._queue(queues.requests)
            sender = Sender(
                self.conninfo,
                self._keeper,
                requests,
                utc_now,
                self.ports,
                rail=rail,
                wake_up=self._orders,
                reply_to=queues.replies,
            )
            return sender.steps
        wake_up = _WakeUps(self._orders, self._told)
        return Receiver(self.conninfo, self._queue(queues.replies), utc_now, self.ports, wake_up, rail=rail).steps

    def _queue(self, name: str) -> Callable[[], Queue]:
        return lambda: queue_named(self.conninfo, self._settings.queue, name)

    @contextmanager
    def _emulator_steps(self) -> Iterator[Step]:
        queue = self._settings.queue
        emulator = Emulator(
            self.conninfo,
            queue_named(self.conninfo, queue, self._settings.request_queue),
            lambda name: queue_named(self.conninfo, queue, name),
        )
        try:
            # A rail that is closed does not look into its queue, so it does not wait there either.
            yield lambda: emulator.step() or sleep(self._stop, _SLEEP_SECONDS)
        finally:
            emulator.close()


def _not_ended(threads: Sequence[threading.Thread], deadline: float | None) -> list[str]:
    """The names of those that have not ended by then."""
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in threads if thread.is_alive()]


@contextmanager
def operations(hub: Hub, settings: Settings) -> Iterator["OpsServer"]:
    """Health, metrics and alarms of the process that runs this hub, for as long as the block runs. Raises PortTaken."""
    # Imported here: a process that shows nothing need not wait for it.
    from kvitt.ops.server import OpsServer

    schedules = {rail.name: rail.schedule for rail in hub.ports.rails}
    server = OpsServer(hub.conninfo, settings.ops, utc_now, hub.board.states, schedules=schedules, broker_lag=hub.edge.read_lag)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _WakeUps(WakeUp):
    """Wakes several loops."""

    def __init__(self, *wake_ups: WakeUp) -> None:
        super().__init__()
        self._wake_ups = wake_ups

    def notify(self) -> None:
        for wake_up in self._wake_ups:
            wake_up.notify()


def roles_of(settings: Settings) -> tuple[str, ...]:
    """The roles that one process plays by these settings; the rapid of a cluster is only served where that is said."""
    left_out = {"emulator": not settings.emulator, "rapid": settings.kafka is not None and not settings.rapid.ours}
    return tuple(role for role in ROLES if not left_out.get(role))


@contextmanager
def hub_at_work(conninfo: str, settings: Settings) -> Iterator[None]:
    """Every role that the settings allow, in this process while the block runs. Raises as `Hub`."""
    hub = Hub(conninfo, settings, roles_of(settings))
    hub.start()
    try:
        yield
    finally:
        hub.stop()
