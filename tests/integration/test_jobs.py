"""Scheduled jobs: each due time is run once, by one owner at a time, also when somebody dies in the middle (design §3)."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kvitt.app.parts import jobs_of
from kvitt.app.ports import PORTS
from kvitt.errors import JobNotFound, NotInThatState, PlanRefused
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.jobs import CatchUp, Every, Job, JobRow, Scheduler, list_jobs
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings
from support.console_script import KVITT, PATIENCE_SECONDS
from support.patience import until

pytestmark = pytest.mark.usefixtures("made_up_people")

START = datetime(2026, 7, 1, 8, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KARI = Operator("kari", "it is needed now")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database) as opened:
        opened.execute("CREATE TABLE ran (due timestamptz, owner text, at timestamptz DEFAULT clock_timestamp())")
        yield opened


@pytest.fixture
def keeper(database: str) -> Iterator[LeaseKeeper]:
    with closing(LeaseKeeper(database, seconds=600.0)) as made:
        yield made


def noting(owner: str = "") -> Callable[[Connection, datetime], str]:
    def run(connection: Connection, due: datetime) -> str:
        connection.execute("INSERT INTO ran (due, owner) VALUES (%s, %s)", (due, owner))
        return "noted"

    return run


def scheduler(database: str, keeper: LeaseKeeper, clock: Clock, *jobs: Job) -> Scheduler:
    return Scheduler(database, keeper, jobs, clock, WakeUp())


def ran(connection: Connection) -> list[datetime]:
    return [due for (due,) in connection.execute("SELECT due FROM ran ORDER BY at").fetchall()]


def only(connection: Connection) -> JobRow:
    (row,) = list_jobs(connection)
    return row


def due_times(count: int) -> list[datetime]:
    return [START.replace(second=0) + (number + 1) * MINUTE for number in range(count)]


@pytest.mark.parametrize(("catch_up", "expected"), [(CatchUp.EACH, due_times(3)), (CatchUp.LAST, due_times(3)[-1:])])
def test_missed_due_times_are_caught_up(
    database: str, connection: Connection, keeper: LeaseKeeper, catch_up: CatchUp, expected: list[datetime]
) -> None:
    """Each of them, oldest first, or the last one alone; and none twice."""
    clock = Clock()
    made = scheduler(database, keeper, clock, Job("minutely", Every(MINUTE), noting(), catch_up))
    made.define(connection)
    assert made.run_due(connection) == 0, "it is not due yet"
    clock.now += 3 * MINUTE
    while made.run_due(connection):
        continue
    assert ran(connection) == expected
    row = only(connection)
    assert (row.state, row.last_due, row.next_due, row.outcome) == ("scheduled", expected[-1], due_times(4)[-1], "noted")


def test_who_starts_anew_goes_on_where_it_was_and_another_timetable_holds_from_now(
    database: str, connection: Connection, keeper: LeaseKeeper
) -> None:
    clock = Clock()
    job = Job("minutely", Every(MINUTE), noting(), CatchUp.EACH)
    scheduler(database, keeper, clock, job).define(connection)
    clock.now += 2 * MINUTE
    again = scheduler(database, keeper, clock, job)
    again.define(connection)
    assert (again.run_due(connection), again.run_due(connection), again.run_due(connection)) == (1, 1, 0)
    assert ran(connection) == due_times(2)
    other = scheduler(database, keeper, clock, Job("minutely", Every(60 * MINUTE), noting(), CatchUp.EACH))
    other.define(connection)
    assert (only(connection).timetable, only(connection).next_due) == ("every 3600 s", START.replace(hour=9, minute=0, second=0))


def test_two_owners_who_fight_run_each_due_time_once(database: str, connection: Connection) -> None:
    clock = Clock()
    keepers = [LeaseKeeper(database, seconds=600.0) for _ in range(3)]
    jobs = [Job("minutely", Every(MINUTE), noting(each.owner), CatchUp.EACH) for each in keepers]
    scheduler(database, keepers[0], clock, jobs[0]).define(connection)
    clock.now += 30 * MINUTE

    def fight(keeper: LeaseKeeper, job: Job) -> int:
        made, done = scheduler(database, keeper, clock, job), 0
        with connect(database, lock_timeout_ms=1000) as own:
            while only(own).next_due <= clock.now:
                done += made.run_due(own)
        return done

    with ThreadPoolExecutor(len(keepers)) as pool:
        assert sum(pool.map(fight, keepers, jobs)) == 30
    assert ran(connection) == due_times(30), "each once, in order"
    for each in keepers:
        each.close()


def test_an_owner_whose_lease_has_gone_to_another_one_does_nothing(database: str, connection: Connection, keeper: LeaseKeeper) -> None:
    clock = Clock()
    job = Job("minutely", Every(MINUTE), noting(), CatchUp.EACH)
    old = scheduler(database, keeper, clock, job)
    old.define(connection)
    clock.now += MINUTE
    stale = keeper.acquire(connection, "job:minutely")
    assert stale
    connection.execute("UPDATE leases SET until = '-infinity'")
    with closing(LeaseKeeper(database, seconds=600.0)) as rival:
        assert scheduler(database, rival, clock, job).run_due(connection) == 1
        clock.now += MINUTE
        held = rival.acquire(connection, "job:minutely")
        assert held
        assert held.lease.token > stale.lease.token
        assert old.run_due(connection) == 0, "somebody else has it"
        with pytest.raises(NotInThatState):
            old.run_now(connection, "minutely", KARI)
    assert ran(connection) == due_times(1)


def test_a_job_that_fails_keeps_its_due_time_and_is_tried_again_later(database: str, connection: Connection, keeper: LeaseKeeper) -> None:
    clock, broken = Clock(), [True]

    def run(connection: Connection, due: datetime) -> str:
        noting()(connection, due)
        if broken[0]:
            raise PlanRefused("the bank is closed")
        return "done"

    made = scheduler(database, keeper, clock, Job("minutely", Every(MINUTE), run, CatchUp.EACH))
    made.define(connection)
    clock.now += MINUTE
    assert [made.run_due(connection), made.run_due(connection)] == [0, 0]
    row = only(connection)
    assert (row.state, row.tries, row.outcome, row.next_due) == ("failed", 1, "the bank is closed", due_times(1)[0])
    assert ran(connection) == []
    clock.now += timedelta(seconds=5)
    assert (made.run_due(connection), only(connection).tries) == (0, 2)
    broken[0] = False
    clock.now += timedelta(seconds=10)
    assert (made.run_due(connection), only(connection).state, only(connection).tries) == (1, "scheduled", 0)
    assert ran(connection) == due_times(1)


def test_a_clock_that_was_years_ahead_does_not_keep_a_job_from_running_for_years(
    database: str, connection: Connection, keeper: LeaseKeeper
) -> None:
    """Each due time is still run once where that matters; one whose last due time alone counts is due by the clock as it is."""
    clock = Clock()
    last, each = Job("last", Every(MINUTE), noting("last")), Job("each", Every(24 * 60 * MINUTE), noting("each"), CatchUp.EACH)
    made = scheduler(database, keeper, clock, last, each)
    made.define(connection)
    clock.now += timedelta(days=3)
    while made.run_due(connection):
        continue
    connection.execute("TRUNCATE ran")
    clock.now = START + MINUTE
    assert (made.run_due(connection), made.run_due(connection)) == (1, 0)
    clock.now += MINUTE
    assert (made.run_due(connection), made.run_due(connection)) == (1, 0)
    assert connection.execute("SELECT owner, due FROM ran ORDER BY at").fetchall() == [("last", due) for due in due_times(2)]


def test_one_run_out_of_turn_is_audited_and_its_due_times_stay(database: str, connection: Connection, keeper: LeaseKeeper) -> None:
    clock = Clock()
    made = scheduler(database, keeper, clock, Job("minutely", Every(MINUTE), noting(), CatchUp.EACH))
    assert made.run_now(connection, "minutely", KARI) == "noted"
    assert (ran(connection), only(connection).next_due) == ([START], due_times(1)[0])
    (published,) = connection.execute("SELECT what, note::jsonb ->> 'subject' FROM audit WHERE chain = 0").fetchall()
    assert published == ("run job", "minutely")
    with pytest.raises(JobNotFound, match="minutely"):
        made.run_now(connection, "nightly", KARI)


def test_who_is_killed_in_the_middle_has_done_nothing_and_the_next_one_does_it(database: str, tmp_path: Path) -> None:
    """A process dies after the work of its first job, before that is committed; its lease runs out."""
    options = ("--database", database, "--data", str(tmp_path))
    with connect(database) as connection, closing(LeaseKeeper(database, seconds=600.0)) as keeper:
        long_ago = Clock()
        scheduler(database, keeper, long_ago, *jobs_of(Settings(), PORTS)).define(connection)
        environment = {**os.environ, "KVITT_DIE_AT": "job.before_commit", "KVITT_LEASE_SECONDS": "1"}
        command = [str(KVITT), "run", "--roles", "scheduler", *options]
        died = subprocess.run(command, env=environment, timeout=PATIENCE_SECONDS, check=False, capture_output=True)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert {row.last_run for row in list_jobs(connection)} == {None}
    listed = subprocess.run([str(KVITT), "job", "list", "--json", *options], capture_output=True, timeout=PATIENCE_SECONDS, check=True)
    assert {json.loads(line)["name"] for line in listed.stdout.splitlines()} == {each.name for each in jobs_of(Settings(), PORTS)}
    with subprocess.Popen([str(KVITT), "run", "--roles", "scheduler", *options], stderr=subprocess.PIPE) as running:
        try:
            with connect(database) as connection:
                until(lambda: all(row.last_run for row in list_jobs(connection)), what="the jobs are run by the next one")
        finally:
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=PATIENCE_SECONDS)
    by = ("--by", "kari", "--reason", "it is needed now")
    asked = subprocess.run(
        [str(KVITT), "job", "run", "approvals", *by, *options], capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert (asked.returncode, asked.stdout) == (0, b"job approvals: 0 approvals have lapsed\n"), asked.stderr
