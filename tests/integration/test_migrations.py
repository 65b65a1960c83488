"""Migrations: numbered files are applied once, in order, whole or not at all, whoever else starts at the same moment."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from kvitt.errors import MigrationFailed
from kvitt.store.database import connect
from kvitt.store.migrate import pending, upgrade

WITH_A_FUNCTION = """
-- A body with semicolons and a percent sign, in two kinds of quotes.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.a LIKE 'x%;' THEN RAISE EXCEPTION 'no; never'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON first FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Makes an importable package whose migrations have these names and texts; returns its name."""
    sys.path.insert(0, str(tmp_path))
    name = f"migrated_{uuid4().hex}"
    (tmp_path / name / "migrations").mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()

    def write(**texts: str) -> str:
        for file, text in texts.items():
            (tmp_path / name / "migrations" / f"{file.lstrip('_')}.sql").write_text(text)
        return name

    yield write
    sys.path.remove(str(tmp_path))


def test_pending_migrations_are_applied_in_order_and_once(empty_database: str, package: Callable[..., str]) -> None:
    name = package(_0002_trigger=WITH_A_FUNCTION, _0001_first="CREATE TABLE first (a text);")
    assert pending(empty_database, package=name) == ["0001_first", "0002_trigger"]
    assert upgrade(empty_database, package=name) == ["0001_first", "0002_trigger"]
    assert pending(empty_database, package=name) == []
    assert upgrade(empty_database, package=name) == []
    with connect(empty_database) as connection, pytest.raises(psycopg.errors.RaiseException, match="no; never"):
        connection.execute("INSERT INTO first VALUES ('x1;')")


def test_a_refused_migration_leaves_nothing_and_those_before_it_stand(empty_database: str, package: Callable[..., str]) -> None:
    name = package(_0001_first="CREATE TABLE first (a text);", _0002_wrong="CREATE TABLE second (a text); SELECT 1/0;")
    with pytest.raises(MigrationFailed, match="0002_wrong: division by zero"):
        upgrade(empty_database, package=name)
    assert pending(empty_database, package=name) == ["0002_wrong"]
    with connect(empty_database) as connection:
        tables = connection.execute("SELECT to_regclass('first')::text, to_regclass('second')::text").fetchone()
    assert tables == ("first", None)


def test_processes_that_start_at_once_take_turns(empty_database: str, package: Callable[..., str]) -> None:
    name = package(**{f"_{number:04}_table": f"CREATE TABLE t{number} (a int);" for number in range(1, 9)})
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: upgrade(empty_database, package=name), range(6)))
    assert sorted(migration for part in done for migration in part) == [f"{number:04}_table" for number in range(1, 9)]


def test_a_file_edited_after_it_was_applied_is_refused(empty_database: str, package: Callable[..., str]) -> None:
    name = package(_0001_first="CREATE TABLE first (a text);")
    upgrade(empty_database, package=name)
    package(_0001_first="CREATE TABLE first (a text, b text);")
    with pytest.raises(MigrationFailed, match="0001_first was edited after it had been applied"):
        upgrade(empty_database, package=name)


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"first": "SELECT 1"}, "first.sql should be named NNNN_name.sql"),
        ({"_0001_a": "SELECT 1", "_0001_b": "SELECT 1"}, "several migrations are numbered 0001"),
    ],
)
def test_names_that_leave_the_order_open_are_refused(
    empty_database: str, package: Callable[..., str], files: dict[str, str], fault: str
) -> None:
    with pytest.raises(MigrationFailed, match=fault):
        upgrade(empty_database, package=package(**files))


def test_kvitts_own_migrations_bring_an_empty_database_up(empty_database: str) -> None:
    wanted = pending(empty_database)
    assert upgrade(empty_database) == wanted
    assert pending(empty_database) == []


def test_every_test_gets_the_migrated_database_to_itself(database: str) -> None:
    assert pending(database) == []
    with connect(database) as connection:
        connection.execute("CREATE TABLE only_here (a int)")


def test_what_another_test_did_is_not_seen(database: str) -> None:
    with connect(database) as connection:
        assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
