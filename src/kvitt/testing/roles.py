"""The roles of a hub, stepped one after the other in the caller's thread: the real ones, on the embedded log and queue, never waiting."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Final, LiteralString

from kvitt.app.simulation import places_of, simulator_of
from kvitt.app.transports import QueuePair, queues_of
from kvitt.disbursement.cancel.send import cancellation_sender
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.order_check_ends import OrderChecks
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.receiver import Receiver
from kvitt.disbursement.reconcile.send import run_sender
from kvitt.disbursement.resume import Resume
from kvitt.disbursement.sender import Sender
from kvitt.disbursement.simulation import ONCE, Again, AskedSimulation, Simulator
from kvitt.disbursement.simulation_role import SimulationRole
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.errors import LeaseLost
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import LOCK_MS, TRANSACTION_MS, Connection, connect
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import LoopStep, MakeStep, WakeUp
from kvitt.rails.oppdrag.emulator import Emulator
from kvitt.settings import Settings
from kvitt.testing.rail import PutAtRails, RequestQueue
from kvitt.transports.log.embedded_log import LogRelay
from kvitt.transports.log.intake import Intake
from kvitt.transports.queue.table_queue import TableQueue

_LEASE_SECONDS: Final = 3600.0
"""Whoever looks at a test in a debugger may take his time."""
_SEED: Final = 7
_WORKS_ON: Final[Mapping[str, LiteralString]] = {
    "sender": "SELECT EXISTS (SELECT FROM orders)",
    "canceller": "SELECT EXISTS (SELECT FROM cancellations)",
    "emulator": "SELECT EXISTS (SELECT FROM queue.message) OR EXISTS (SELECT FROM rail.receipt)",
    "receiver": "SELECT EXISTS (SELECT FROM queue.message)",
    "resume": "SELECT EXISTS (SELECT FROM deferred)",
    "simulator": "SELECT EXISTS (SELECT FROM simulation_requests)",
    "reconciler": "SELECT EXISTS (SELECT FROM reconciliation_messages)",
    "relay": "SELECT EXISTS (SELECT FROM outbox)",
}
"""Whether there has ever been anything for a role to do. Before that it is not even opened, which costs more than what most tests do."""


class Roles:
    """Steps each role of a hub; what a role needs is opened at its first step, and anew after it has failed."""

    def __init__(
        self,
        conninfo: str,
        settings: Settings,
        clock: Clock,
        ports: Ports,
        *,
        put: PutAtRails,
        simulation_url: Callable[[], str],
        look: Callable[[], Connection | None],
    ) -> None:
        """`put` gets the orders in each message that is put on a queue to a rail; `simulation_url` tells where the rail is asked.

        `look` gives a connection with no transaction under way, or None: then roles are opened whether they have something to do or not.
        """
        self._simulation_url, self._look = simulation_url, look
        self._conninfo, self._settings, self._clock, self._ports, self._put = conninfo, settings, clock, ports, put
        self._keeper: LeaseKeeper | None = None
        self._opened: dict[str, tuple[LoopStep, ExitStack]] = {}
        self.inputs = ports.contracts.inputs()
        self.makers: Mapping[str, MakeStep] = {
            "intake": self._intake,
            **{self._on_rail("sender", rail.name): partial(self._sender, rail.name) for rail in ports.rails},
            **{self._on_rail("canceller", rail): partial(self._canceller, rail) for rail in ports.rails.cancelling},
            "emulator": self._emulator,
            **{self._on_rail("receiver", rail.name): partial(self._receiver, rail.name) for rail in ports.rails},
            "resume": self._resume,
            "simulator": self._simulator,
            "reconciler": self._reconciler,
            "relay": self._relay,
        }

    def _on_rail(self, role: str, rail: str) -> str:
        """Returns what a role is called that each rail has for itself; that of the default rail by its role alone."""
        return role if rail == self._ports.rails.default.name else f"{role} {rail}"

    def queues_of(self, rail: str | None = None) -> QueuePair:
        """The queues of a rail; None: of the default one."""
        default = self._ports.rails.default.name
        return queues_of(self._settings, rail or default, default=default)

    def step(self, role: str) -> int:
        """Lets a role do what there is to do, up to a batch, and returns how much that was.

        Raises what it raised; then all roles begin anew, under leases of their own, as in another process.
        """
        if role not in self._opened:
            if self._has_never_had_work(role):
                return 0
            opened = ExitStack()
            self._opened[role] = (opened.enter_context(self.makers[role]()), opened)
        step, _ = self._opened[role]
        try:
            return step()
        except BaseException:
            self.close()
            raise

    def _has_never_had_work(self, role: str) -> bool:
        question, connection = _WORKS_ON.get(role.partition(" ")[0]), self._look()
        return question is not None and connection is not None and not fetch_value(connection, question)

    def close(self) -> None:
        """Closes what was opened, and gives up leases."""
        for _, opened in self._opened.values():
            opened.close()
        self._opened = {}
        if self._keeper:
            self._keeper.close(self._look())
            self._keeper = None

    @property
    def _leases(self) -> LeaseKeeper:
        self._keeper = self._keeper or LeaseKeeper(self._conninfo, seconds=_LEASE_SECONDS)
        return self._keeper

    @contextmanager
    def _intake(self) -> Iterator[LoopStep]:
        """Reads what was put on topics, and submits it in batches."""
        with connect(self._conninfo, application="kvitt submit", transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS) as connection:
            submit = Submit(connection, self._clock, self._ports)
            gathered = _Gathered(submit, self._settings.max_batch)
            with Intake(self._conninfo, self._leases, gathered.hand, topics=self.inputs, look_seconds=0.0).steps() as read:
                yield lambda: gathered.after(read)

    def _sender(self, rail: str) -> AbstractContextManager[LoopStep]:
        requests, awake, reply_to = self._requests(rail), _Awake(), self.queues_of(rail).replies
        return Sender(self._conninfo, self._leases, requests, self._clock, self._ports, rail=rail, wake_up=awake, reply_to=reply_to).steps()

    def _canceller(self, rail: str) -> AbstractContextManager[LoopStep]:
        requests, awake, reply_to = self._requests(rail), _Awake(), self.queues_of(rail).replies
        return cancellation_sender(self._conninfo, self._leases, requests, self._clock, rail=rail, reply_to=reply_to, wake_up=awake).steps()

    def _requests(self, rail: str) -> Callable[[], RequestQueue]:
        return lambda: RequestQueue(self._conninfo, self.queues_of(rail).requests, self._put)

    @contextmanager
    def _emulator(self) -> Iterator[LoopStep]:
        emulator = Emulator(
            self._conninfo,
            self._queue(self._settings.request_queue),
            self._queue,
            _SEED,
            wait_seconds=0.0,
            clock=self._clock,
            reconciliation=self._queue(self._settings.reconciliation_queue),
        )
        try:
            yield emulator.step
        finally:
            emulator.close()

    def _receiver(self, rail: str) -> AbstractContextManager[LoopStep]:
        def replies() -> TableQueue:
            return self._queue(self.queues_of(rail).replies)

        return Receiver(self._conninfo, replies, self._clock, self._ports, _Awake(), rail=rail, look_seconds=0.0).steps()

    def _resume(self) -> AbstractContextManager[LoopStep]:
        return Resume(self._conninfo, self._clock, self._ports, lambda: None, _Awake()).steps()

    def _reconciler(self) -> AbstractContextManager[LoopStep]:
        def queue() -> TableQueue:
            return self._queue(self._settings.reconciliation_queue)

        rail = self._ports.rails.default.name
        return run_sender(self._conninfo, self._leases, queue, self._clock, self._ports, rail=rail, wake_up=_Awake()).steps()

    def _simulator(self) -> AbstractContextManager[LoopStep]:
        settings, rail = self._settings.simulation, self._ports.rails.default

        def opened() -> Simulator:
            return _Waiting(simulator_of(settings, rail.schedule, self._clock, None if settings.url else self._simulation_url())())

        return SimulationRole(
            self._conninfo,
            self._leases,
            opened,
            self._clock,
            self._ports,
            wake_up=_Awake(),
            after=lambda: None,
            on_check=OrderChecks(self._ports, settings.valid_days).ended,
            rail=rail.name,
            places=places_of(settings),
            wait_seconds=settings.wait_seconds,
            rail_seconds=settings.rail_seconds,
        ).steps()

    @contextmanager
    def _relay(self) -> Iterator[LoopStep]:
        with connect(self._conninfo, application="kvitt relay", lock_timeout_ms=LOCK_MS) as connection:
            granted = self._leases.acquire(connection, "relay")
            if granted is None:
                raise LeaseLost("relay is held by another process")
            yield LogRelay(connection, self._clock, granted.lease).step

    def _queue(self, name: str) -> TableQueue:
        return TableQueue(self._conninfo, name)


class _Waiting:
    """A simulator whose answers are waited for: nothing is under way between two steps."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def ask(self, question: bytes, *, seconds: float | None = None, again: Again = ONCE) -> "Future[AskedSimulation]":
        """The answer, which is there when this returns."""
        future = self._simulator.ask(question, seconds=seconds, again=again)
        wait([future])
        return future

    def close(self) -> None:
        """As the other one."""
        self._simulator.close()


class _Awake(WakeUp):
    """Wakes nobody, since nobody sleeps: who finds nothing to do says so at once."""

    def sleep(self, seconds: float) -> None:
        """Returns at once."""


class _Gathered:
    """Holds what the intake has read, submitted in the same step: nothing is under way between two steps."""

    def __init__(self, submit: Submit, max_batch: int) -> None:
        self._submit, self._max_batch = submit, max_batch
        self._waiting: list[tuple[Incoming, Future[Outcome]]] = []

    def hand(self, incoming: Incoming, lane: int) -> "Future[Outcome]":  # noqa: ARG002 - all lanes are this one
        """Takes a record of the intake."""
        future: Future[Outcome] = Future()
        self._waiting.append((incoming, future))
        return future

    def after(self, read: LoopStep) -> int:
        """Reads, then submits what was read. When that fails, so does everything that waits."""
        try:
            count = read()
            while self._waiting:
                batch = self._waiting[: self._max_batch]
                outcomes = self._submit.execute([incoming for incoming, _ in batch])
                del self._waiting[: self._max_batch]
                for (_, future), outcome in zip(batch, outcomes, strict=True):
                    future.set_result(outcome)
        except BaseException as error:
            for _, future in self._waiting:
                future.set_exception(error)
            self._waiting = []
            raise
        return count
