"""The workers of a hub: processes that share its roles, watched by the first one, which has the addresses and speaks for the whole.

A worker that ends is started again, and its leases are given up at once, for its death is known. When the first process ends, however it
does, the workers end with it.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from socket import AF_UNIX, SOCK_DGRAM, SOCK_STREAM, socket, socketpair
from typing import Final

import msgspec
import psycopg
import structlog
from msgspec.structs import replace

from kvitt import logs
from kvitt.api.emulator_http import emulator_listener
from kvitt.app.addresses import ApiAddresses
from kvitt.app.console import Console
from kvitt.app.ports import ports_as_set
from kvitt.app.roles import APIS, CONSOLE, loops_of, spread
from kvitt.app.transports import log_of
from kvitt.app.work_order import STOP_SECONDS, WorkOrder, encoded
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import LOCK_MS, connect
from kvitt.kernel.leases import new_owner, release_leases
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.kernel.state_log import StateLog
from kvitt.ops.readiness import WorkerBoard, WorkerReport
from kvitt.settings import Settings

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 5.0
LONG_LIFE_SECONDS: Final = 10.0
"""A worker that lived this long was well; the pause before the next one is short again."""
_MODULE: Final = ("-P", "-m", "kvitt.app.worker")
_KILL_SECONDS: Final = 2.0
"""How much longer than a worker itself its first process waits for its stop."""
_log = structlog.get_logger(__name__)


class Child:
    """One process that may become a worker: it loads what workers need, waits for its order, and dies when nobody holds this any more."""

    def __init__(self, number: int, hears: socket, says: Sequence[socket]) -> None:
        """In a session of its own, so that an interrupt from the terminal reaches the first process alone."""
        self._control, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        self.hears, self.says = hears.fileno(), [each.fileno() for each in says]
        given = (theirs.fileno(), self.hears, *self.says)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, *_MODULE, str(theirs.fileno()), f"worker={number}"],
                pass_fds=given,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def begin(self, order: WorkOrder) -> None:
        """Gives it its order. What it says, or that it has ended, is heard by `reports`."""
        with suppress(OSError):
            self._control.sendall(encoded(order))

    def reports(self) -> Iterator[WorkerReport]:
        """Yields what it says of itself, until it has ended."""
        with suppress(OSError), self._control.makefile("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield msgspec.json.decode(line, type=WorkerReport)

    def end(self) -> int:
        """Ends it if it lives, and returns how it ended: its status, or its signal, negated."""
        self._control.close()
        return self.process.wait()


class Crew:
    """So many processes, and the line by which they wake each other. The first ones begin to load at once."""

    def __init__(self, count: int) -> None:
        self._lines = [socketpair(AF_UNIX, SOCK_DGRAM) for _ in range(count)]
        self._waiting: dict[int, Child] = {number: self._begun(number) for number in range(1, count + 1)}

    def __len__(self) -> int:
        return len(self._lines)

    def child(self, number: int) -> Child:
        """A process for the worker of this number: the one that waits, or a new one."""
        return self._waiting.pop(number, None) or self._begun(number)

    def _begun(self, number: int) -> Child:
        own, others = self._lines[number - 1], [line for at, line in enumerate(self._lines, 1) if at != number]
        return Child(number, own[0], [says for _, says in others])

    def close(self) -> None:
        """Ends those that wait for an order."""
        for child in self._waiting.values():
            child.end()
        for each in (end for line in self._lines for end in line):
            each.close()


class _Worker:
    """One worker, started again whenever it ends. The thread that reads its reports lives as long as the hub."""

    def __init__(self, number: int, order: WorkOrder, crew: Crew, board: WorkerBoard, heard: Callable[[int, WorkerReport], None]) -> None:
        self.number, self._order, self._crew, self._board, self._heard = number, order, crew, board, heard
        self._stopping, self._guard = threading.Event(), threading.Lock()
        self._child: Child | None = None
        self.status: int | None = None
        """How it ended after it was asked to stop; None while it has not."""
        self.thread = threading.Thread(target=self._run, name=f"worker {number}", daemon=True)
        self._states = StateLog(_log)

    @property
    def pid(self) -> int | None:
        """Its process id; None while there is none."""
        child = self._child
        return child.process.pid if child and child.process.returncode is None else None

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it lives."""
        if (child := self._child) and child.process.returncode is None:
            child.process.send_signal(number)

    def stop(self) -> None:
        """Asks it to stop; nobody begins in its place."""
        with self._guard:
            self._stopping.set()
        self.signal(signal.SIGTERM)

    def _run(self) -> None:
        pause, lives = FIRST_PAUSE_SECONDS, 0
        while not self._stopping.is_set():
            born = time.monotonic()
            try:
                status = self._live_once()
            except OSError as error:
                status = None
                self._states.enters("start", type(error).__name__, "error", "worker can not be started", reason=error.strerror)
            if self._stopping.is_set():
                self.status = status
                return
            lives += 1
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - born > LONG_LIFE_SECONDS else min(pause * 2, LONGEST_PAUSE_SECONDS)
            self._say_ended(_named(status), lives, pause)
            self._stopping.wait(pause)

    def _live_once(self) -> int | None:
        """Returns how it ended; None when it never began."""
        with self._guard:
            if self._stopping.is_set():
                return None
            self._child = child = self._crew.child(self.number)
        order = replace(self._order, owner=new_owner(f"worker {self.number}"), hears=child.hears, says=child.says)
        child.begin(order)
        _log.info("worker begins", worker=self.number, pid=child.process.pid, roles=self._order.roles)
        for report in child.reports():
            self._board.reported(self.number, report)
            self._heard(self.number, report)
        status = child.end()
        if status:
            self._give_up_leases(order)
        return status

    def _say_ended(self, how: str, lives: int, pause: float) -> None:
        self._board.ended(self.number, how)
        METRICS.add(Counted.WORKERS, str(self.number))
        self._states.enters("worker", lives, "warning", "worker ended", worker=self.number, how=how, next_start_in_seconds=pause)

    def _give_up_leases(self, order: WorkOrder) -> None:
        """Its leases are free at once: it is known to be dead. Where that can not be said now, they run out."""
        with suppress(psycopg.OperationalError), connect(order.conninfo, lock_timeout_ms=LOCK_MS) as connection:
            release_leases(connection, order.owner)


def _named(status: int | None) -> str:
    """Returns how a process ended, in a word."""
    if status is None:
        return "not started"
    return signal.Signals(-status).name if status < 0 else f"status {status}"


class SharedApis:
    """The addresses at which all workers answer calls, and whether they do."""

    def __init__(self, settings: Settings, roles: Sequence[str], workers: Collection[int]) -> None:
        """Raises ApiPortTaken, BadSettings."""
        self.addresses = ApiAddresses(settings, roles, kept=True)
        self._silent = set(workers)
        self.listening = threading.Event()
        """Set once calls are answered by each of them."""

    def heard(self, worker: int, report: WorkerReport) -> None:
        """A worker has said whether it answers."""
        if report.listens:
            self._silent.discard(worker)
        if not self._silent:
            self.listening.set()


class Workers:
    """A hub whose roles are spread over workers. It does as `HubProcess` does."""

    def __init__(self, conninfo: str, settings: Settings, roles: Sequence[str], crew: Crew) -> None:
        """Takes addresses; nothing runs yet. Raises ApiPortTaken, BadSettings, OtherLog, TopicsDiffer, KafkaException."""
        self.conninfo, self._settings, self.roles, self._crew = conninfo, settings, roles, crew
        self.ports = ports_as_set(settings, roles)
        self._played = dict(enumerate(spread(roles, len(crew)), 1))
        loops = {number: loops_of(played, self.ports.rails) for number, played in self._played.items()}
        self.board = WorkerBoard(utc_now, loops)
        self.log = log_of(conninfo, settings, self.ports, roles)
        self.log.prepare()
        answering = [number for number, names in loops.items() if APIS in names]
        self.apis = SharedApis(settings, roles, answering) if answering else None
        self._has_console = next((number for number, names in loops.items() if CONSOLE in names), None)
        self.console = Console(conninfo, settings, threading.Event(), kept=True) if self._has_console else None
        self.simulation = emulator_listener(settings.emulator_port, shared=True, kept=True) if "emulator" in roles else None
        self._workers: list[_Worker] = []

    def start(self) -> None:
        """Gives the workers their orders; returns at once."""
        settings = self._shared_settings()
        for number, roles in self._played.items():
            order = WorkOrder(number, "", self.conninfo, _own(settings, number), roles, logs.terms_in_force(), 0, ())
            self._workers.append(_Worker(number, order, self._crew, self.board, self._heard))
            self._workers[-1].thread.start()

    def pids(self) -> Sequence[int]:
        """The process ids of the workers that live."""
        return [pid for each in self._workers if (pid := each.pid)]

    def stop(self, seconds: float = STOP_SECONDS) -> list[str]:
        """Asks all workers to stop at the same time, and ends those that have not after so long; returns the names of those that hung."""
        for each in self._workers:
            each.stop()
        deadline = time.monotonic() + seconds + _KILL_SECONDS
        for each in self._workers:
            each.thread.join(max(0.0, deadline - time.monotonic()))
            each.signal(signal.SIGKILL)
            each.thread.join()
        for address in (self.apis and self.apis.addresses, self.console, self.simulation):
            if address:
                address.close()
        return [each.thread.name for each in self._workers if each.status not in (None, 0, -signal.SIGTERM)]

    def _heard(self, worker: int, report: WorkerReport) -> None:
        if self.apis:
            self.apis.heard(worker, report)
        if self.console and worker == self._has_console and report.listens:
            self.console.listening.set()

    def _shared_settings(self) -> Settings:
        """Settings as all workers have them: the addresses are those that were taken here, and a role of one is there for all."""
        settings = replace(self._settings, rapid=replace(self._settings.rapid, ours=self._settings.rapid.ours or "rapid" in self.roles))
        if self.simulation:
            settings = replace(settings, emulator_port=self.simulation.port)
        if self.console:
            settings = replace(settings, console=replace(settings.console, port=self.console.listener.port))
        if self.apis:
            at = self.apis.addresses
            thrift, rest = replace(settings.thrift, port=at.thrift.port), replace(settings.rest, port=at.rest.port)
            settings = replace(settings, thrift=thrift, rest=rest)
        return replace(settings, http=replace(settings.http, shared_ports=True))


def _own(settings: Settings, worker: int) -> Settings:
    """The same with a name of its own in the consumer group, where this process has one."""
    kafka = settings.kafka
    return replace(settings, kafka=replace(kafka, instance=f"{kafka.instance}-{worker}")) if kafka and kafka.instance else settings
