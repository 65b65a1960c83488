"""A database that a test has left is for the next one what a fresh copy is, or it is dropped; so are connections."""

import multiprocessing
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest

from kvitt.kernel.database import connect
from kvitt.testing import shared_server
from kvitt.testing.server import GIVEN
from support.full_store import FILL, NOW, REPORTED
from support.lived import live
from support.patience import PATIENCE_SECONDS
from support.used_again import UsingAgain

_RELATIONS: Final = """
SELECT format('%I.%I', n.nspname, c.relname), c.relkind FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'S', 'i', 't') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
"""
_SESSIONS: Final = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND (state <> 'idle' OR backend_xmin IS NOT NULL)
"""
_LOCKS: Final = """
SELECT pid FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""
_SETTINGS: Final = """
SELECT name, setting FROM pg_settings WHERE name <> 'transaction_read_only' AND name NOT LIKE 'plpgsql.%' ORDER BY name
"""
"""A session has those of the language once it has run a function in it."""
CHANGES: Final = {
    "a table more": "CREATE TABLE more (number int)",
    "a table less": "DROP TABLE rail.hold_back CASCADE",
    "a column": "ALTER TABLE cases ADD COLUMN more int",
    "a default": "ALTER TABLE cases ALTER COLUMN person SET DEFAULT 'x'",
    "an index": "CREATE INDEX ON cases (person)",
    "a constraint": "ALTER TABLE cases ADD CHECK (case_no > 0)",
    "a trigger": "ALTER TABLE ledger.entries DISABLE TRIGGER append_only",
    "a right": "GRANT SELECT ON cases TO public",
    "a view": "CREATE OR REPLACE VIEW kvitt_views.more AS SELECT 1 AS number",
    "a function": "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a setting": "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END$$",
    "a right to connect": "DO $$BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM public', current_database()); END$$",
    "statistics": "ANALYZE operators",
    "a large object": "SELECT lo_create(0)",
    "a schema": "CREATE SCHEMA more",
    "a sequence": "CREATE SEQUENCE more",
    "tables emptied at once": "TRUNCATE cases CASCADE",
}


@pytest.fixture
def again() -> Iterator[UsingAgain]:
    """Databases of the test's own."""
    made = UsingAgain(shared_server())
    yield made
    made.close()


def state(conninfo: str) -> dict[str, Any]:
    """All that a database holds, and what a new connection to it meets."""
    with connect(conninfo) as connection:
        relations = connection.execute(_RELATIONS).fetchall()
        return {
            "relations": relations,
            "rows": {name: _copied(connection, str(name)) for name, kind in relations if kind == "r"},
            "sequences": {
                name: connection.execute(f"SELECT last_value, is_called FROM {name}".encode()).fetchall()
                for name, kind in relations
                if kind == "S"
            },
            "settings": connection.execute(_SETTINGS).fetchall(),
            "sessions": connection.execute(_SESSIONS).fetchall(),
            "locks": connection.execute(_LOCKS).fetchall(),
        }


def _copied(connection: psycopg.Connection[Any], table: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT".encode()) as rows:
        return b"".join(map(bytes, rows))


def fill(conninfo: str) -> None:
    """Rows in all tables that a full store has."""
    with connect(conninfo) as connection:
        for statement in (*FILL, *REPORTED):
            connection.execute(statement.encode(), {"rows": 20, "now": NOW})
        connection.execute("DELETE FROM rail.faults")
        connection.execute("DELETE FROM counted_messages")
        connection.execute("DELETE FROM operators")


@pytest.fixture
def kept(again: UsingAgain) -> str:
    """A database that is free to be used again."""
    with again.database() as conninfo:
        return conninfo


@pytest.mark.parametrize("use", [fill, live])
def test_what_was_used_is_what_a_fresh_one_is(again: UsingAgain, kept: str, use: Any) -> None:
    with shared_server().database() as fresh:
        wanted = state(fresh)
    with again.database() as conninfo:
        use(conninfo)
        assert state(conninfo) != wanted
    with again.database() as next_one:
        assert (next_one, state(next_one)) == (kept, wanted)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_where_more_than_rows_was_changed_the_next_one_is_another(again: UsingAgain, kept: str, change: str) -> None:
    with again.database() as conninfo, connect(conninfo) as connection:
        connection.execute(change.encode())
    with again.database() as next_one:
        assert conninfo == kept != next_one


def test_on_a_server_that_is_named_each_is_a_new_one(again: UsingAgain, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVEN, shared_server().conninfo)
    with again.database() as conninfo:
        assert conninfo != kept


def test_two_that_are_in_use_are_two(again: UsingAgain) -> None:
    with again.database() as one, again.database() as other:
        assert one != other


def test_where_somebody_is_still_connected_the_next_one_is_another(again: UsingAgain, kept: str) -> None:
    with again.database() as conninfo:
        left = connect(conninfo)
    with again.database() as next_one:
        assert conninfo == kept != next_one
    left.close()


def test_a_copy_is_made_of_what_is_in_use(again: UsingAgain) -> None:
    with again.database() as conninfo:
        connect(conninfo).close()
        with again.copy(conninfo) as copied:
            assert copied != conninfo


def test_a_connection_goes_on_without_what_its_session_had(again: UsingAgain) -> None:
    with again.database() as conninfo:
        before = connect(conninfo, autocommit=False)
        process = before.info.backend_pid
        for statement in ("SET work_mem = 64", "LISTEN heard", "CREATE TEMP TABLE more ()", "DECLARE more CURSOR WITH HOLD FOR SELECT 1"):
            before.execute(statement.encode())
        before.execute("SELECT pg_advisory_lock(1), nextval('backfills_place_seq')")
        before.execute("NOTIFY heard")
        before.commit()
        before.execute("DELETE FROM publishing")
        before.close()
        assert before.closed
        with pytest.raises(psycopg.OperationalError):
            before.execute("SELECT 1")
        with connect(conninfo) as after:
            assert after.info.backend_pid == process
            assert after.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            assert after.execute("SHOW work_mem").fetchone() != ("64kB",)
            cursors, channels = "SELECT count(*) FROM pg_cursors WHERE name = 'more'", "SELECT count(*) FROM pg_listening_channels()"
            assert after.execute(f"SELECT ({cursors}), to_regclass('more'), ({channels})".encode()).fetchone() == (0, None, 0)
            assert after.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()").fetchone() == (0,)
            assert list(after.notifies(timeout=0)) == []
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                after.execute("SELECT lastval()")


@pytest.mark.parametrize("left", ["ended by the server", "in a pipeline"])
def test_a_connection_that_is_not_in_order_goes_to_nobody(again: UsingAgain, left: str) -> None:
    with again.database() as conninfo:
        before = connect(conninfo)
        process = before.info.backend_pid
        if left == "in a pipeline":
            before.pgconn.enter_pipeline_mode()
            before.close()
        else:
            before.close()
            with connect(conninfo, application="other") as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))
        with connect(conninfo) as after:
            assert after.execute("SELECT pg_backend_pid()").fetchone() != (process,)


def test_connections_of_another_kind_are_others(again: UsingAgain) -> None:
    with again.database() as conninfo:
        with connect(conninfo) as before:
            process = before.info.backend_pid
        with connect(conninfo, lock_timeout_ms=7) as after:
            assert after.info.backend_pid != process


def test_a_process_that_is_forked_has_none_of_them(again: UsingAgain) -> None:
    with again.database() as conninfo:
        with connect(conninfo) as before:
            process = before.info.backend_pid
        with multiprocessing.get_context("fork").Pool(1) as forked:
            assert forked.apply_async(_process, (conninfo,)).get(PATIENCE_SECONDS) != process
        with connect(conninfo) as after:
            assert after.execute("SELECT pg_backend_pid()").fetchone() == (process,)


def _process(conninfo: str) -> int:
    with connect(conninfo) as connection:
        return connection.info.backend_pid
