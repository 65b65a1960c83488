"""The hub: the roles of one process, each in a thread of its own, over the transports that are set."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from kvitt.app.ports import limits_of_nobody, ports_as_set
from kvitt.app.roles import APIS, CANCELLER, CONSOLE, RESUME, ROLES, loops_of, on_rail, roles_of, roles_without_people
from kvitt.app.transports import QueuePair, RelayRole, log_of, queue_named, queues_of, sleep
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.receiver import Receiver
from kvitt.disbursement.resume import Resume
from kvitt.disbursement.sender import Sender
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.kernel.clock import utc_now
from kvitt.kernel.executor import ReconnectingWriter
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.jobs import Scheduler
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import LoopStep, MakeStep, WakeLine, WakeUp, run_loop
from kvitt.kernel.queue import Queue
from kvitt.ops.readiness import RoleBoard
from kvitt.ops.reports import RoleReports
from kvitt.settings import Settings

if TYPE_CHECKING:
    from kvitt.api.http_server import HttpListener
    from kvitt.app.apis import Apis
    from kvitt.app.console import Console

_log = structlog.get_logger(__name__)
_SLEEP_SECONDS = 0.02
_SWITCH_SECONDS = 0.0005
"""How long a thread goes on while others wait. The writer of decisions lets go of the interpreter twice for each order, while its bytes are
checked; if it waited five milliseconds each time for the loop that reads requests, whoever called would wait for a batch of such times.
"""
_COLLECTED_AFTER: Final = (10_000, 20, 100)
"""How many values the collector lets gather. A batch keeps tens of thousands until its commit, and hardly any of them is in a circle: by
the usual numbers each batch would be walked through dozens of times. Five times as many cost a hub of all roles a MiB.
"""
_ROOM_PER_INTAKE = 2048


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


class HubProcess:
    """The roles of one process, each in a thread of its own."""

    pids = None
    """It has no workers."""

    def __init__(
        self,
        conninfo: str,
        settings: Settings,
        roles: Sequence[str] | None = None,
        *,
        owner: str | None = None,
        line: WakeLine | None = None,
    ) -> None:
        """All roles where none are named, those of people where they are known.

        Where others play the rest: the name under which leases are taken, and the line to the others.
        Raises ValueError for an unknown one, ApiPortTaken, OtherLog, TopicsDiffer, KafkaException when no broker answers.
        """
        roles = [role for role in ROLES if role not in roles_without_people(settings)] if roles is None else roles
        if unknown := [role for role in roles if role not in ROLES]:
            raise ValueError(f"no role is called {unknown[0]}; there are {', '.join(ROLES)}")
        self.conninfo, self._settings, self.roles = conninfo, settings, roles
        self.ports = ports_as_set(settings, roles)
        for source in limits_of_nobody(settings, self.ports.contracts):
            _log.warning("limit of no topic or application that is known here", source=source)
        self._loops = loops_of(roles, self.ports.rails)
        self.board = RoleBoard(utc_now, self._loops)
        self.log = log_of(conninfo, settings, self.ports, roles)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._owner, self._line = owner, line or WakeLine()
        self._orders, self._outbox, self._questions = self._line.wake_up(), self._line.wake_up(), self._line.wake_up()
        self._deferred, self._jobs, self._runs, self._cancellations = WakeUp(), WakeUp(), WakeUp(), WakeUp()
        self.log.prepare()
        self.apis = self._take_addresses() if APIS in self._loops else None
        self.console = self._take_console_address() if CONSOLE in self._loops else None
        self.simulation = self._take_simulation_address() if "emulator" in roles else None
        """Where the emulator is asked for simulations."""

    def _take_addresses(self) -> "Apis":
        # Imported here: a process that listens for no calls need not wait for it.
        from kvitt.app.apis import Apis

        asked, decided = self._questions.notify, self._notify_work
        return Apis(self.conninfo, self._settings, self.roles, self._stop, ports=self.ports, asked=asked, decided=decided)

    def _take_console_address(self) -> "Console":
        # Imported here for the same reason.
        from kvitt.app.console import Console

        return Console(self.conninfo, self._settings, self._stop)

    def _take_simulation_address(self) -> "HttpListener":
        # Imported here for the same reason.
        from kvitt.api.emulator_http import emulator_listener

        return emulator_listener(self._settings.emulator_port, shared=self._settings.http.shared_ports)

    def start(self) -> None:
        """Starts the roles; returns at once."""
        # What was loaded until now stays for ever: the collector need not walk through it while messages wait.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTED_AFTER)
        if "decisions" in self.roles:
            sys.setswitchinterval(_SWITCH_SECONDS)
        settings = self._settings
        self._keeper = LeaseKeeper(self.conninfo, seconds=settings.lease_seconds, owner=self._owner)
        self._writers: GroupCommit[Incoming, Outcome] = GroupCommit(
            lambda _: lane_writer(self.conninfo, self.ports, self._notify_work),
            lanes=settings.lanes,
            max_batch=settings.max_batch,
            weigh=lambda incoming: len(incoming.body or b""),
            # An intake must never wait for room: it has a group to keep in touch with.
            max_waiting=_ROOM_PER_INTAKE * len({contract.role for contract in self.ports.contracts}),
        )
        self._line.listen()
        self._reports = RoleReports(self.conninfo, self._keeper.owner, self.board.states, self.log.ask_brokers)
        makers = self._makers()
        for loop in self._loops:
            watched = self.board.watched(loop, makers[loop]())
            thread = threading.Thread(target=run_loop, args=(loop, watched, self._stop), name=loop, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float | None = None) -> list[str]:
        """Ends the roles after the step that each is in; what was handed in is committed, leases are given up.

        Returns the names of the parts that did not end within `seconds`; what they hold runs out by itself.
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
        self._reports.close()
        if self.apis:
            self.apis.close()
        if self.console:
            self.console.close()
        if self.simulation:
            self.simulation.close()

    def _notify_all(self) -> None:
        self._notify_work()
        self._deferred.notify()
        self._jobs.notify()
        self._runs.notify()
        self._cancellations.notify()

    def _notify_work(self) -> None:
        """There are orders to send, records to publish, and questions to ask."""
        self._orders.notify()
        self._outbox.notify()
        self._questions.notify()

    def _makers(self) -> Mapping[str, Callable[[], MakeStep]]:
        """Returns what makes each loop. What only one needs is imported where it is made: other processes need not hold it in memory."""
        return {
            "intake": lambda: self._intake_loop("intake"),
            "rapid": lambda: self._intake_loop("rapid"),
            "relay": self._relay_loop,
            "emulator": lambda: self._emulator_steps,
            "scheduler": self._scheduler_loop,
            "simulator": self._simulator_loop,
            "reconciler": self._reconciler_loop,
            RESUME: self._resume_loop,
            APIS: self._api_loop,
            CONSOLE: self._console_loop,
            **{on_rail("sender", rail.name, self.ports.rails): partial(self._sender_loop, rail.name) for rail in self.ports.rails},
            **{on_rail(CANCELLER, rail, self.ports.rails): partial(self._canceller_loop, rail) for rail in self.ports.rails.cancelling},
            **{on_rail("receiver", rail.name, self.ports.rails): partial(self._receiver_loop, rail.name) for rail in self.ports.rails},
        }

    def _queues_of(self, rail: str) -> QueuePair:
        return queues_of(self._settings, rail, default=self.ports.rails.default.name)

    def _api_loop(self) -> MakeStep:
        assert self.apis is not None, "addresses are taken where a role answers calls"
        return self.apis.steps

    def _console_loop(self) -> MakeStep:
        assert self.console is not None, "its address is taken where the console is played"
        return self.console.steps

    def _scheduler_loop(self) -> MakeStep:
        from kvitt.app.parts import jobs_of

        return Scheduler(self.conninfo, self._keeper, jobs_of(self._settings, self.ports), utc_now, self._jobs).steps

    def _intake_loop(self, role: str) -> MakeStep:
        return self.log.intake(self._keeper, self._writers.submit, role)

    def _relay_loop(self) -> MakeStep:
        return RelayRole(self.conninfo, self._keeper, self.log, self._outbox).steps

    def _resume_loop(self) -> MakeStep:
        return Resume(self.conninfo, utc_now, self.ports, self._notify_work, self._deferred).steps

    def _sender_loop(self, rail: str) -> MakeStep:
        queues = self._queues_of(rail)
        requests, wake_up = self._queue(queues.requests), self._orders
        sender = Sender(self.conninfo, self._keeper, requests, utc_now, self.ports, rail=rail, wake_up=wake_up, reply_to=queues.replies)
        return sender.steps

    def _canceller_loop(self, rail: str) -> MakeStep:
        from kvitt.disbursement.cancel.send import cancellation_sender

        queues = self._queues_of(rail)
        requests = self._queue(queues.requests)
        wake_up, reply_to = self._cancellations, queues.replies
        return cancellation_sender(self.conninfo, self._keeper, requests, utc_now, rail=rail, reply_to=reply_to, wake_up=wake_up).steps

    def _receiver_loop(self, rail: str) -> MakeStep:
        replies, wake_up = self._queue(self._queues_of(rail).replies), _WakeUps(self._orders, self._outbox)
        return Receiver(self.conninfo, replies, utc_now, self.ports, wake_up, rail=rail).steps

    def _reconciler_loop(self) -> MakeStep:
        """Runs are sent to the default rail only: no other reconciles."""
        from kvitt.disbursement.reconcile.send import run_sender

        queue, rail = self._queue(self._settings.reconciliation_queue), self.ports.rails.default
        return run_sender(self.conninfo, self._keeper, queue, utc_now, self.ports, rail=rail.name, wake_up=self._runs).steps

    def _simulator_loop(self) -> MakeStep:
        """Only the default rail is asked: no other simulates."""
        from kvitt.app.simulation import places_of, simulator_of
        from kvitt.disbursement.order_check_ends import OrderChecks
        from kvitt.disbursement.simulation_role import SimulationRole

        settings, rail = self._settings.simulation, self.ports.rails.default
        return SimulationRole(
            self.conninfo,
            self._keeper,
            simulator_of(settings, rail.schedule, utc_now, self.simulation.url if self.simulation else None),
            utc_now,
            self.ports,
            wake_up=self._questions,
            after=self._notify_ended,
            on_check=OrderChecks(self.ports, settings.valid_days).ended,
            rail=rail.name,
            places=places_of(settings),
            wait_seconds=settings.wait_seconds,
            rail_seconds=settings.rail_seconds,
        ).steps

    def _notify_ended(self) -> None:
        """Records are to be published, and orders may leave whose case the rail was being asked about."""
        self._orders.notify()
        self._outbox.notify()

    def _queue(self, name: str) -> Callable[[], Queue]:
        return lambda: queue_named(self.conninfo, self._settings.queue, name)

    @contextmanager
    def _emulator_steps(self) -> Iterator[LoopStep]:
        from kvitt.rails.oppdrag.emulator import Emulator

        queue = self._settings.queue
        emulator = Emulator(
            self.conninfo,
            queue_named(self.conninfo, queue, self._settings.request_queue),
            lambda name: queue_named(self.conninfo, queue, name),
            reconciliation=queue_named(self.conninfo, queue, self._settings.reconciliation_queue),
        )
        # Imported here for the same reason as where the address is taken.
        from kvitt.api.emulator_http import emulator_serving

        assert self.simulation is not None, "its address is taken where the emulator plays"
        try:
            with emulator_serving(self.conninfo, self.simulation):
                # A rail that is closed does not look into its queue, so it does not wait there either.
                yield lambda: emulator.step() or sleep(self._stop, _SLEEP_SECONDS)
        finally:
            emulator.close()


def _not_ended(threads: Sequence[threading.Thread], deadline: float | None) -> list[str]:
    """The names of those that have not ended by then."""
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in threads if thread.is_alive()]


class _WakeUps(WakeUp):
    """Wakes several loops."""

    def __init__(self, *wake_ups: WakeUp) -> None:
        super().__init__()
        self._wake_ups = wake_ups

    def notify(self) -> None:
        for wake_up in self._wake_ups:
            wake_up.notify()


@contextmanager
def hub_at_work(conninfo: str, settings: Settings) -> Iterator[None]:
    """Every role that the settings allow but the console, in this process while the block runs. Raises as `HubProcess`."""
    hub = HubProcess(conninfo, settings, [role for role in roles_of(settings) if role != "console"])
    hub.start()
    try:
        yield
    finally:
        hub.stop()
