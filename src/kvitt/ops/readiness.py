"""How the roles of this process are doing, and whether it can do its work; if not, why: what `/isready` answers.

Each role's loop is watched from outside, step by step. A reason says what is wrong in a word for machines and in one for people. What is
as it should be but worth knowing is a note.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
import psycopg
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from kvitt.errors import LeaseLost
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import connect
from kvitt.kernel.jobs import last_run
from kvitt.kernel.loop import LoopStep, MakeStep
from kvitt.kernel.metrics import METRICS, Counted, Counters, Tally
from kvitt.kernel.migrate import pending
from kvitt.ops.figures import TopicLag

SILENT_AFTER = timedelta(seconds=60)
"""A step waits for a moment when there is nothing to do. One that has not come back for this long hangs."""


NO_SCHEDULER_AFTER = timedelta(minutes=5)
"""Jobs are due several times a minute. A job that fails is tried again at least as often."""


class Condition(StrEnum):
    """States of a role; only the first two are as they should be."""

    WORKS = "works"
    STANDS_BY = "stands by"
    BEGINS = "begins"
    STARTS_ANEW = "starts anew"
    SILENT = "silent"


class RoleState(Struct, frozen=True):
    """A role's condition and since when; `fault` is the type of what stopped it last, until a step has succeeded again.

    A role stands by while another process holds its lease. `worker` is said where several processes are one hub.
    """

    role: str
    condition: Condition
    since: datetime
    stepped_at: datetime
    fault: str | None = None
    at_fault: str | None = None
    worker: int | UnsetType = UNSET

    @property
    def named(self) -> str:
        """The role, and the worker that plays it."""
        return self.role if self.worker is UNSET else f"{self.role} of worker {self.worker}"


class RoleBoard:
    """The states of the roles of one process. Each is written by its own thread, as one value, and may be read by any."""

    def __init__(self, clock: Clock, roles: Sequence[str] = ()) -> None:
        """`roles` are those that will begin: until they have, they are seen as beginning."""
        self._clock = clock
        now = clock()
        self._states: dict[str, RoleState] = {role: RoleState(role, Condition.BEGINS, now, now) for role in roles}

    def watched(self, role: str, make_step: MakeStep) -> MakeStep:
        """The same role, seen: what its steps do is counted, what fails is noted and raised on."""
        now = self._clock()
        self._states[role] = RoleState(role, Condition.BEGINS, now, now)

        @contextmanager
        def steps() -> Iterator[LoopStep]:
            try:
                with make_step() as step:
                    yield lambda: self._step(role, step)
            except Exception as error:
                self._failed(role, error)
                raise

        return steps

    def states(self) -> Sequence[RoleState]:
        """How every role is doing now."""
        now = self._clock()
        return [_silent(state) if _hangs(state, now) else state for state in list(self._states.values())]

    def counted(self) -> Counters:
        """Returns what this process has done."""
        return METRICS

    def _step(self, role: str, step: Callable[[], int]) -> int:
        done = step()
        now, state = self._clock(), self._states[role]
        if state.condition is Condition.WORKS:
            self._states[role] = replace(state, stepped_at=now)
        else:
            self._states[role] = RoleState(role, Condition.WORKS, now, now)
        if done and role not in _COUNTED_BY_THE_HUB:
            METRICS.batch(role, done)
            if role == "relay":
                METRICS.add(Counted.RELAYED, times=done)
        return done

    def _failed(self, role: str, error: Exception) -> None:
        now, state = self._clock(), self._states[role]
        condition = Condition.STANDS_BY if isinstance(error, LeaseLost) else Condition.STARTS_ANEW
        since = state.since if state.condition is condition else now
        self._states[role] = RoleState(role, condition, since, now, type(error).__name__, _blamed(error))
        if condition is Condition.STARTS_ANEW:
            METRICS.add(Counted.RESTARTS, role)


_COUNTED_BY_THE_HUB = frozenset({"intake", "rapid", "emulator"})
"""What an intake hands in is not yet a batch: the writers make those."""


class WorkerReport(Struct, frozen=True):
    """How the roles of one worker do, what it has counted until now, and whether it answers calls."""

    roles: tuple[RoleState, ...]
    tally: Tally
    listens: bool = False


class WorkerBoard:
    """All workers of a hub as one: how their roles do, and what they have counted together, which never goes down.

    Each worker is written of by its own thread; any may read.
    """

    def __init__(self, clock: Clock, loops: Mapping[int, Sequence[str]]) -> None:
        """`loops` says what will run in each worker: until it has begun, it is seen as beginning."""
        self._clock, self._lock = clock, threading.Lock()
        now = clock()
        self._states = {worker: [RoleState(loop, Condition.BEGINS, now, now) for loop in names] for worker, names in loops.items()}
        self._heard: dict[int, datetime] = {}
        self._tallies: dict[int, Tally] = {}
        self._ended = Counters()

    def reported(self, worker: int, report: WorkerReport) -> None:
        """Takes what a worker has said of itself."""
        with self._lock:
            self._states[worker], self._tallies[worker] = list(report.roles), report.tally
            self._heard[worker] = self._clock()

    def ended(self, worker: int, how: str) -> None:
        """A worker has ended: another one will begin in its place, and counts from nothing."""
        now = self._clock()
        with self._lock:
            self._ended.include(self._tallies.pop(worker, Tally()))
            self._heard.pop(worker, None)
            self._states[worker] = [RoleState(each.role, Condition.STARTS_ANEW, now, now, how, "kvitt") for each in self._states[worker]]

    def states(self) -> Sequence[RoleState]:
        """How every role of every worker is doing now."""
        now = self._clock()
        with self._lock:
            silent = {worker for worker, heard in self._heard.items() if now - heard > SILENT_AFTER}
            states = [(worker, each) for worker, states in self._states.items() for each in states]
        return [replace(_silent(each) if worker in silent else each, worker=worker) for worker, each in states]

    def counted(self) -> Counters:
        """Returns what all of them have counted, those that have ended too, and this process."""
        whole = Counters()
        with self._lock:
            for tally in (METRICS.tally(), self._ended.tally(), *self._tallies.values()):
                whole.include(tally)
        return whole


def _hangs(state: RoleState, now: datetime) -> bool:
    return state.condition in (Condition.WORKS, Condition.BEGINS) and now - state.stepped_at > SILENT_AFTER


def _silent(state: RoleState) -> RoleState:
    return replace(state, condition=Condition.SILENT, since=state.stepped_at)


def _blamed(error: Exception) -> str:
    """Returns what outside of kvitt is at fault, as far as the error says."""
    if isinstance(error, psycopg.Error):
        return "database"
    # Kafka's client is not loaded where it is not used, so its errors are known by name.
    if isinstance(error, ConnectionError | TimeoutError) or type(error).__name__ == "KafkaException":
        return "broker"
    return "kvitt"


class ReadinessReason(Struct, frozen=True):
    """Something about this process; `code` is stable, `since` is None where it is not known."""

    code: str
    said: str
    since: datetime | None = None


class DatabaseState(Struct, frozen=True):
    """The migrations that a database has not had, and when a job was run last in it."""

    missing: Sequence[str]
    scheduler_ran_at: datetime | None


class Readiness(Struct, frozen=True):
    """Ready when there is no reason against it."""

    ready: bool
    reasons: Sequence[ReadinessReason]
    notes: Sequence[ReadinessReason]
    roles: Sequence[RoleState]


def readiness(
    stopping: bool,
    roles: Sequence[RoleState],
    read_database: Callable[[], DatabaseState],
    broker_lag: Callable[[], Sequence[TopicLag]] | None,
    now: datetime,
) -> Readiness:
    """Looks at everything. `read_database` raises psycopg errors or TimeoutError when it can not."""
    reasons = [ReadinessReason("stopping", "this process has been asked to stop")] if stopping else []
    if not roles:
        reasons.append(ReadinessReason("no_roles", "no role runs in this process"))
    database = _database(read_database)
    reasons += _faults_of(database)
    if broker_lag is not None:
        reasons += _broker(broker_lag)
    reasons += [reason for state in roles if (reason := _fault_of(state))]
    notes = [_stands_by(state) for state in roles if state.condition is Condition.STANDS_BY]
    if isinstance(database, DatabaseState) and not database.missing:
        notes += _scheduler(database.scheduler_ran_at, now)
    return Readiness(not reasons, reasons, notes, roles)


def database_state(conninfo: str) -> DatabaseState:
    """Reads it. Raises psycopg.OperationalError when it can't be reached."""
    if missing := pending(conninfo):
        return DatabaseState(missing, None)
    with connect(conninfo, application="kvitt readiness") as connection:
        return DatabaseState([], last_run(connection))


def encode(found: Readiness) -> bytes:
    """As JSON."""
    return msgspec.json.encode(found)


def _database(read: Callable[[], DatabaseState]) -> DatabaseState | ReadinessReason:
    try:
        return read()
    except TimeoutError:
        return ReadinessReason("database_slow", "the database did not answer in time")
    except psycopg.Error as error:
        # The type only: libpq's words name hosts and users.
        return ReadinessReason("database_unreachable", f"the database can not be reached: {type(error).__name__}")


def _faults_of(found: DatabaseState | ReadinessReason) -> list[ReadinessReason]:
    if isinstance(found, ReadinessReason):
        return [found]
    lacks = f"the database lacks {', '.join(found.missing)}; run kvitt db upgrade"
    return [ReadinessReason("not_upgraded", lacks)] if found.missing else []


def _scheduler(ran_at: datetime | None, now: datetime) -> list[ReadinessReason]:
    """Says that nobody does what is done at set times; that is no reason against this process."""
    if ran_at is not None and now - ran_at <= NO_SCHEDULER_AFTER:
        return []
    minutes = int(NO_SCHEDULER_AFTER.total_seconds()) // 60
    said = f"no scheduler has run for {minutes} minutes, in any process: no alarm is raised, and no order is asked about again"
    return [ReadinessReason("no_scheduler", said, ran_at)]


def _broker(lag: Callable[[], Sequence[TopicLag]]) -> list[ReadinessReason]:
    try:
        lag()
    except Exception as error:  # noqa: BLE001 - whatever the client raises becomes the reason that is shown
        return [ReadinessReason("broker_unreachable", f"the log's brokers can not be asked: {type(error).__name__}")]
    return []


def _fault_of(state: RoleState) -> ReadinessReason | None:
    match state.condition:
        case Condition.BEGINS:
            return ReadinessReason("role_begins", f"role {state.named} has not done its first step yet", state.since)
        case Condition.SILENT:
            return ReadinessReason("role_silent", f"role {state.named} has not come back from its last step", state.since)
        case Condition.STARTS_ANEW:
            code = f"{state.at_fault}_unreachable" if state.at_fault in ("database", "broker") else "role_starts_anew"
            return ReadinessReason(code, f"role {state.named} starts anew: {state.fault}", state.since)
        case _:
            return None


def _stands_by(state: RoleState) -> ReadinessReason:
    return ReadinessReason("lease_held_by_another", f"role {state.named} stands by: another process has its lease", state.since)
