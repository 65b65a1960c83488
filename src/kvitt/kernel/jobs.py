"""Scheduled jobs: what is done at set times, by one owner at a time, each due time once, also those that were missed (design §3).

A job does its work in the transaction in which its due time is ticked off. Whoever dies in the middle has done nothing, and the next owner,
who has a higher fencing token, does it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import psycopg
import structlog
from msgspec import Struct

from kvitt.errors import JobNotFound, KvittError, LeaseLost, NotInThatState
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import LOCK_MS, Connection, connect, is_connection_lost
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value, fetch_values
from kvitt.kernel.leases import Lease, LeaseKeeper, hold, release_lease
from kvitt.kernel.loop import LoopStep, WakeUp
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog

_SQL: Final = load("jobs", "kvitt.kernel")
_log = structlog.get_logger(__name__)
_OSLO: Final = ZoneInfo("Europe/Oslo")
_LOOK_SECONDS: Final = 1.0
_MOST_DAYS: Final = 400
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)
_LONGEST_OUTCOME: Final = 500
_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""What ran further ahead than this ran by a clock that was wrong, and not by another machine's."""


class Timetable(Protocol):
    """When something is due."""

    @property
    def text(self) -> str:
        """As people read it; another text is another timetable."""

    def after(self, moment: datetime) -> datetime:
        """The first due time after a moment."""

    def latest(self, moment: datetime) -> datetime:
        """The last due time up to a moment."""


class Every(Struct, frozen=True):
    """Due at even distances, counted from 1970, so that all processes have the same due times."""

    distance: timedelta

    @property
    def text(self) -> str:
        return f"every {self.distance.total_seconds():g} s"

    def after(self, moment: datetime) -> datetime:
        return self.latest(moment) + self.distance

    def latest(self, moment: datetime) -> datetime:
        seconds = self.distance.total_seconds()
        return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, tz=moment.tzinfo)


def every_day(_day: date) -> bool:
    """A calendar without holidays."""
    return True


class At(Struct, frozen=True):
    """Due at times of the day in Oslo, on the days that a calendar has: `days` names it, `on` says which they are.

    A time that a day does not have, because the clocks go forward, is due as much later; one that it has twice is due the first time.
    """

    times: tuple[time, ...]
    days: str = "every day"
    on: Callable[[date], bool] = every_day

    @property
    def text(self) -> str:
        return f"at {', '.join(f'{each:%H:%M}' for each in sorted(self.times))}, {self.days}"

    def after(self, moment: datetime) -> datetime:
        return min(due for day in self._days(moment, 1) for due in self._on(day) if due > moment)

    def latest(self, moment: datetime) -> datetime:
        return max(due for day in self._days(moment, -1) for due in self._on(day) if due <= moment)

    def _days(self, moment: datetime, step: int) -> Iterator[date]:
        """The day of a moment, and the next one, forwards or backwards, that the calendar has."""
        day = moment.astimezone(_OSLO).date()
        yield day
        for distance in range(1, _MOST_DAYS):
            if self.on(other := day + timedelta(days=step * distance)):
                yield other
                return
        raise ValueError(f"{self.text}: no such day within {_MOST_DAYS} days")

    def _on(self, day: date) -> list[datetime]:
        return [datetime.combine(day, each, tzinfo=_OSLO).astimezone(UTC) for each in self.times] if self.on(day) else []


class CatchUp(StrEnum):
    """Ways with due times that were missed: each is run, oldest first, or only the last one.

    Where a clock was ahead and is set back, what counts by its last due time alone is due by the new time; what runs for each due time
    waits for those that it has not run for yet.
    """

    EACH = "each"
    LAST = "last"


class Job(Struct, frozen=True):
    """Something to be done at set times. `run` does it for a due time, in the transaction of a connection, and returns what came of it.

    `act` is what it is out of turn, by somebody's word, where that is an act that may take two people.
    """

    name: str
    timetable: Timetable
    run: Callable[[Connection, datetime], str]
    catch_up: CatchUp = CatchUp.LAST
    act: str | None = None


class JobRow(Struct, frozen=True):
    """A job as it stands; `outcome` is what came of it last, or why it failed, `tries` how often that was so in a row."""

    name: str
    timetable: str
    catch_up: str
    next_due: datetime
    last_due: datetime | None
    last_run: datetime | None
    tries: int
    outcome: str | None
    state: str


class _LockedJob(NamedTuple):
    next_due: datetime
    clock_went_back: bool


def list_jobs(connection: Connection) -> list[JobRow]:
    """All jobs that a scheduler has made known."""
    return fetch(connection, JobRow, _SQL.jobs)


def last_run(connection: psycopg.Connection[Any]) -> datetime | None:
    """When a scheduler ran a job last, whichever that was; None: none ever has."""
    found: datetime | None = fetch_value(connection, _SQL.last_run)
    return found


class Scheduler:
    """The role that runs jobs when they are due; in any number of processes, for each job has one owner at a time."""

    def __init__(self, conninfo: str, keeper: LeaseKeeper, jobs: Sequence[Job], clock: Clock, wake_up: WakeUp) -> None:
        """`wake_up` ends the sleep of a scheduler that has nothing to do."""
        self._conninfo, self._keeper, self._clock, self._wake_up = conninfo, keeper, clock, wake_up
        self._jobs = {job.name: job for job in jobs}
        self._states = StateLog(_log)

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Opens a connection, makes the jobs known, and returns the step of the loop: all that is due, or a little sleep."""
        with connect(self._conninfo, application="kvitt scheduler", lock_timeout_ms=LOCK_MS) as connection:
            self.define(connection)
            yield lambda: self.run_due(connection) or self._nothing_due()

    def define(self, connection: Connection) -> None:
        """Makes the jobs known, each with the time at which it is due for the first time; whose timetable is as before stays as it is."""
        for job in self._jobs.values():
            row = {
                "name": job.name,
                "timetable": job.timetable.text,
                "catch_up": job.catch_up.value,
                "next_due": job.timetable.after(self._clock()),
            }
            connection.execute(_SQL.define_job, row)

    def run_due(self, connection: Connection) -> int:
        """Runs each job that is due once, if nobody else is at it; returns how many were run. Raises psycopg errors of the connection."""
        now = self._clock()
        due = fetch_values(connection, _SQL.due_jobs, {"names": list(self._jobs), "now": now, "ahead": now + _CLOCKS_DIFFER})
        return sum(self._run_due(connection, self._jobs[name]) for name in due)

    def run_now(self, connection: Connection, name: str, operator: Operator) -> str:
        """Runs a job out of turn, by an operator's word, for this moment; its due times stay. Returns what came of it.

        Raises JobNotFound, NotInThatState while somebody else is at it, and what its work raises: then nothing was done.
        """
        if name not in self._jobs:
            raise JobNotFound(f"no job is called {name}; there are {', '.join(sorted(self._jobs)) or 'none'}")
        job = self._jobs[name]
        self.define(connection)
        grant = self._keeper.acquire(connection, _lease_of(job))
        if grant is None:
            raise NotInThatState(f"somebody is running job {name} now")
        try:
            with transaction(connection, "job", name), connection.cursor() as cursor:
                hold(connection, grant.lease)
                next_due = fetch_value(connection, _SQL.lock_job, {"name": name})
                now = self._clock()
                outcome = job.run(connection, now)
                self._tick_off(connection, job, grant.lease, due=now, next_due=next_due, outcome=outcome)
                note(cursor, now, "run job", operator, name)
            return outcome
        finally:
            release_lease(connection, grant.lease)

    def _run_due(self, connection: Connection, job: Job) -> int:
        grant = self._keeper.acquire(connection, _lease_of(job))
        if grant is None:
            return 0
        try:
            return self._run(connection, job, grant.lease)
        except LeaseLost:
            return 0
        except Exception as error:
            if is_connection_lost(error):
                raise
            self._failed(connection, job, error)
            return 0
        finally:
            if not connection.closed:
                release_lease(connection, grant.lease)

    def _run(self, connection: Connection, job: Job, lease: Lease) -> int:
        with connection.transaction():
            hold(connection, lease)
            now = self._clock()
            asked = {"name": job.name, "now": now, "ahead": now + _CLOCKS_DIFFER}
            locked = fetch_one(connection, _LockedJob, _SQL.lock_due_job, asked)
            if locked is None:
                return 0
            due = job.timetable.latest(now) if locked.clock_went_back else _due_to_run(job, locked.next_due, now)
            outcome = job.run(connection, due)
            self._tick_off(connection, job, lease, due=due, next_due=job.timetable.after(due), outcome=outcome)
        self._states.leaves(job.name, "job works again", job=job.name)
        return 1

    def _tick_off(self, connection: Connection, job: Job, lease: Lease, *, due: datetime, next_due: datetime, outcome: str) -> None:
        row = {
            "name": job.name,
            "due": due,
            "now": self._clock(),
            "next_due": next_due,
            "outcome": outcome[:_LONGEST_OUTCOME],
            "token": lease.token,
        }
        if fetch_value(connection, _SQL.job_done, row) is None:
            raise LeaseLost(lease.name)
        fault_point("job.before_commit")

    def _failed(self, connection: Connection, job: Job, error: Exception) -> None:
        name, now = type(error).__name__, self._clock()
        said = str(error) if isinstance(error, KvittError) else name
        self._states.enters(job.name, name, "error", "job failed", job=job.name, error=name)
        with connection.transaction():
            tries = fetch_value(connection, _SQL.job_failed, {"name": job.name, "now": now, "outcome": said[:_LONGEST_OUTCOME]})
            wait = min(_FIRST_WAIT * 2 ** min(tries - 1, 10), _LONGEST_WAIT)
            connection.execute(_SQL.try_job_again, {"name": job.name, "next_try": now + wait})

    def _nothing_due(self) -> int:
        self._wake_up.sleep(_LOOK_SECONDS)
        return 0


def _lease_of(job: Job) -> str:
    return f"job:{job.name}"


def _due_to_run(job: Job, next_due: datetime, now: datetime) -> datetime:
    """The due time that is run for: the oldest one, or the last one that has come, as the job has it."""
    return next_due if job.catch_up is CatchUp.EACH else max(next_due, job.timetable.latest(now))
