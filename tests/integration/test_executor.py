"""The batch executor: whatever a batch is made of, what can be done is done once, and only what fails alone fails (design §3)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from kvitt.errors import LeaseLost
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import connect, is_connection_lost, may_pass
from kvitt.kernel.executor import BatchExecutor, Locks, ReconnectingWriter, resume
from support.tried import tried

TABLES = """
CREATE TABLE done (number bigint PRIMARY KEY, row text NOT NULL);
CREATE TABLE rows (row text PRIMARY KEY, times int NOT NULL DEFAULT 0);
CREATE TABLE kept (number bigint PRIMARY KEY, why text NOT NULL);
INSERT INTO rows SELECT 'r' || n FROM generate_series(0, 4) AS n;
"""
LOCK_MS = 60


class Command(Struct, frozen=True):
    """Adds one to a row; `fails`: not without raising."""

    number: int
    row: str
    fails: type[Exception] | None = None


class Adding:
    """Adds, in one transaction; what fails alone is kept. Notes in what batches it was run."""

    def __init__(self, connection: psycopg.Connection[Any], *, skips: bool) -> None:
        self.connection, self.skips = connection, skips
        self.runs: list[tuple[list[int], Locks]] = []
        self.raises: list[Exception] = []

    def run(self, batch: Sequence[Command], locks: Locks) -> list[str]:
        self.runs.append(([each.number for each in batch], locks))
        with transaction(self.connection), self.connection.cursor() as cursor:
            free = self._lock(cursor, {each.row for each in batch}, locks)
            if self.raises:
                raise self.raises.pop(0)
            return [self._do(cursor, each, free) for each in batch]

    def _lock(self, cursor: psycopg.Cursor[Any], rows: set[str], locks: Locks) -> set[str]:
        skip = "SKIP LOCKED" if locks is Locks.FREE and self.skips else ""
        found = cursor.execute(f"SELECT row FROM rows WHERE row = ANY (%s) ORDER BY row FOR UPDATE {skip}", (sorted(rows),))
        return {row for (row,) in found}

    def _do(self, cursor: psycopg.Cursor[Any], command: Command, free: set[str]) -> str:
        if command.row not in free:
            cursor.execute("INSERT INTO kept VALUES (%s, 'locked')", (command.number,))
            return "kept"
        cursor.execute("UPDATE rows SET times = times + 1 WHERE row = %s", (command.row,))
        cursor.execute("INSERT INTO done VALUES (%s, %s)", (command.number, command.row))
        if command.fails:
            raise command.fails("as it was asked to")
        return "done"

    def failed(self, command: Command, error: Exception) -> str:
        if may_pass(error):
            return "refused a lock" if isinstance(error, psycopg.errors.LockNotAvailable) else "passing"
        with transaction(self.connection):
            self.connection.execute("INSERT INTO kept VALUES (%s, %s)", (command.number, type(error).__name__))
        return "failed"


@pytest.fixture
def conninfo(empty_database: str) -> str:
    with connect(empty_database) as connection:
        connection.execute(TABLES)
        connection.execute("CREATE TABLE commit_markers (connection uuid PRIMARY KEY, number bigint NOT NULL, at timestamptz NOT NULL)")
    return empty_database


@pytest.fixture
def connection(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(conninfo, lock_timeout_ms=LOCK_MS) as opened:
        yield opened


@contextmanager
def locked(conninfo: str, *rows: str) -> Iterator[None]:
    """A stranger holds these rows meanwhile."""
    with connect(conninfo) as stranger, stranger.transaction():
        stranger.execute("SELECT FROM rows WHERE row = ANY (%s) FOR UPDATE", (list(rows),))
        yield


def names(command: Command) -> set[str]:
    return {command.row}


def stored(conninfo: str) -> tuple[set[int], dict[int, str], int]:
    """What was done, what was kept and why, and the sum of what rows were added to."""
    with connect(conninfo) as looking:
        done: Any = looking.execute("SELECT number FROM done").fetchall()
        kept: Any = looking.execute("SELECT number, why FROM kept").fetchall()
        total: Any = looking.execute("SELECT sum(times) FROM rows").fetchone()
    return {number for (number,) in done}, dict(kept), int(total[0])


def test_a_batch_is_one_transaction(connection: psycopg.Connection[Any]) -> None:
    subject = Adding(connection, skips=True)
    assert BatchExecutor(subject).execute([Command(1, "r0"), Command(2, "r1")]) == ["done", "done"]
    assert subject.runs == [([1, 2], Locks.WAIT)]


def test_only_the_one_that_fails_alone_is_kept_as_a_failure(connection: psycopg.Connection[Any], conninfo: str) -> None:
    batch = [Command(1, "r0"), Command(2, "r0", ValueError), Command(3, "r1")]
    assert BatchExecutor(Adding(connection, skips=True)).execute(batch) == ["done", "failed", "done"]
    assert stored(conninfo) == ({1, 3}, {2: "ValueError"}, 2)


def test_where_rows_are_locked_the_free_ones_go_on_and_the_rest_is_kept(connection: psycopg.Connection[Any], conninfo: str) -> None:
    subject = Adding(connection, skips=True)
    with locked(conninfo, "r1"):
        assert BatchExecutor(subject).execute([Command(1, "r0"), Command(2, "r1")]) == ["done", "kept"]
    assert subject.runs == [([1, 2], Locks.WAIT), ([1, 2], Locks.FREE)]


def test_a_caller_is_refused_what_is_locked_and_its_neighbours_are_not(connection: psycopg.Connection[Any], conninfo: str) -> None:
    """Those that share something with it come last, and what was locked is not waited for again while it is."""
    subject = Adding(connection, skips=False)
    executor = BatchExecutor(subject, names=names)
    with locked(conninfo, "r1"):
        batch = [Command(1, "r1"), Command(2, "r1"), Command(3, "r0")]
        assert executor.execute(batch) == ["refused a lock", "refused a lock", "done"]
        assert [numbers for numbers, _ in subject.runs] == [[1, 2, 3], [1], [3], [2]]
        subject.runs.clear()
        assert executor.execute([Command(4, "r1"), Command(5, "r0"), Command(6, "r2")]) == ["refused a lock", "done", "done"]
        assert subject.runs == [([5, 6], Locks.WAIT), ([4], Locks.FREE)]
    assert executor.execute([Command(7, "r1")]) == ["done"]
    subject.runs.clear()
    assert executor.execute([Command(8, "r1"), Command(9, "r0")]) == ["done", "done"]
    assert subject.runs == [([8, 9], Locks.WAIT)], "it is free, and shares a transaction again"


@pytest.mark.parametrize("lost", [LeaseLost("gone"), psycopg.OperationalError("the connection is lost")])
def test_what_is_no_commands_doing_is_raised_and_nothing_was_done(
    connection: psycopg.Connection[Any], conninfo: str, lost: Exception
) -> None:
    subject = Adding(connection, skips=True)
    subject.raises = [lost]
    with pytest.raises(type(lost)):
        BatchExecutor(subject).execute([Command(1, "r0"), Command(2, "r1")])
    assert (len(subject.runs), stored(conninfo)) == (1, (set(), {}, 0))


def test_one_that_met_others_is_begun_anew(connection: psycopg.Connection[Any], conninfo: str) -> None:
    subject = Adding(connection, skips=False)
    subject.raises = [psycopg.errors.UniqueViolation("1"), psycopg.errors.UniqueViolation("2"), psycopg.errors.DeadlockDetected("3")]
    assert BatchExecutor(subject, names=names, attempts=5).execute([Command(1, "r0")]) == ["done"]
    subject.raises = [psycopg.errors.UniqueViolation(str(number)) for number in range(6)]
    assert BatchExecutor(subject, names=names, attempts=5).execute([Command(2, "r0")]) == ["failed"]
    assert stored(conninfo) == ({1}, {2: "UniqueViolation"}, 1)


COMMANDS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([None, None, None, ValueError, psycopg.errors.CheckViolation])), min_size=1, max_size=8
)


@tried(40)
@given(batches=st.lists(COMMANDS, min_size=1, max_size=3), taken=st.sets(st.integers(0, 4), max_size=2), skips=st.booleans())
def test_any_batches_are_done_once_each_as_if_each_command_were_alone(
    conninfo: str, batches: list[list[tuple[int, type[Exception] | None]]], taken: set[int], skips: bool
) -> None:
    with connect(conninfo) as clearing:
        clearing.execute("DELETE FROM done; DELETE FROM kept; UPDATE rows SET times = 0")
    numbers = iter(range(10_000))
    asked = [[Command(next(numbers), f"r{row}", fails) for row, fails in batch] for batch in batches]
    held = {f"r{row}" for row in taken}
    with connect(conninfo, lock_timeout_ms=LOCK_MS) as connection, locked(conninfo, *held):
        subject = Adding(connection, skips=skips)
        executor = BatchExecutor(subject) if skips else BatchExecutor(subject, names=names)
        results = {each.number: result for batch in asked for each, result in zip(batch, executor.execute(batch), strict=True)}
    done, kept, total = stored(conninfo)
    for each in (each for batch in asked for each in batch):
        expected = ("kept" if skips else "refused a lock") if each.row in held else "failed" if each.fails else "done"
        assert results[each.number] == expected
    assert done == {number for number, result in results.items() if result == "done"}
    assert kept.keys() == {number for number, result in results.items() if result in {"failed", "kept"}}
    assert total == len(done)


def test_what_was_kept_is_run_together_then_the_first_alone_then_as_a_failure() -> None:
    asked: list[tuple[int, str | None]] = []

    def run(most: int, failure: Exception | None) -> int:
        asked.append((most, str(failure) if failure else None))
        if failure is None:
            raise ValueError("no")
        return 1

    assert resume(run, 200) == 1
    assert asked == [(200, None), (1, None), (1, "no")]
    assert resume(lambda most, _: most, 200) == 200
    with pytest.raises(psycopg.errors.DeadlockDetected):
        resume(deadlocked, 200)


def deadlocked(_most: int, _failure: Exception | None) -> int:
    raise psycopg.errors.DeadlockDetected("may pass")


def test_a_writer_opens_its_connection_anew_after_it_was_lost(conninfo: str) -> None:
    opened: list[psycopg.Connection[Any]] = []

    def on(connection: psycopg.Connection[Any]) -> Any:
        opened.append(connection)
        return BatchExecutor(Adding(connection, skips=True)).execute

    writer: ReconnectingWriter[Command, str] = ReconnectingWriter(conninfo, "test", on)
    assert writer.execute([Command(1, "r0")]) == writer.execute([Command(2, "r0")]) == ["done"]
    with connect(conninfo) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (opened[0].info.backend_pid,))
    with pytest.raises(psycopg.OperationalError) as lost:
        writer.execute([Command(3, "r0")])
    assert is_connection_lost(lost.value)
    assert writer.execute([Command(3, "r0")]) == ["done"]
    writer.close()
    assert (len(opened), opened[1].closed, stored(conninfo)) == (2, True, ({1, 2, 3}, {}, 3))
