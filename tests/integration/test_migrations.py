"""Migrations: numbered files are applied once, in order, whole or not at all, whoever else starts at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from kvitt.errors import MigrationFailed
from kvitt.kernel import migrate
from kvitt.kernel.database import connect
from kvitt.kernel.migrate import pending, upgrade

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
def versions(tmp_path: Path) -> Callable[..., Path]:
    """Writes migrations with these texts, numbered in the order given; returns their folder, whose path holds a percent sign."""

    def write(*texts: str) -> Path:
        folder = tmp_path / "100%"
        folder.mkdir(exist_ok=True)
        for index, text in enumerate(texts, 1):
            (folder / f"v{index:04}_m.sql").write_text(text)
        return folder

    return write


def test_pending_migrations_are_applied_in_order_and_once(empty_database: str, versions: Callable[..., Path]) -> None:
    folder = versions("CREATE TABLE first (a text);", WITH_A_FUNCTION)
    assert pending(empty_database, versions=folder) == ["0001_m", "0002_m"]
    assert upgrade(empty_database, versions=folder) == ["0001_m", "0002_m"]
    assert pending(empty_database, versions=folder) == []
    assert upgrade(empty_database, versions=folder) == []
    with connect(empty_database) as connection, pytest.raises(psycopg.errors.RaiseException, match="no; never"):
        connection.execute("INSERT INTO first VALUES ('x1;')")


def test_a_refused_migration_leaves_nothing_and_those_before_it_stand(empty_database: str, versions: Callable[..., Path]) -> None:
    folder = versions("CREATE TABLE first (a text);", "CREATE TABLE second (a text); SELECT 1/0;")
    with pytest.raises(MigrationFailed, match="division by zero"):
        upgrade(empty_database, versions=folder)
    assert pending(empty_database, versions=folder) == ["0002_m"]
    with connect(empty_database) as connection:
        tables = connection.execute("SELECT to_regclass('first')::text, to_regclass('second')::text").fetchone()
    assert tables == ("first", None)


def test_a_migration_does_not_wait_for_ever_for_a_table_that_somebody_has_locked(
    empty_database: str, versions: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "PATIENCE_MS", 100)
    upgrade(empty_database, versions=versions("CREATE TABLE a (n int);"))
    folder = versions("CREATE TABLE a (n int);", "CREATE TABLE b (n int); ALTER TABLE a ADD m int;")
    with psycopg.connect(empty_database) as stranger:
        stranger.execute("SELECT 1 FROM a")
        with pytest.raises(MigrationFailed, match="somebody else has locked a table that a migration changes"):
            upgrade(empty_database, versions=folder)
    assert pending(empty_database, versions=folder) == ["0002_m"]
    assert upgrade(empty_database, versions=folder) == ["0002_m"]


@pytest.mark.parametrize("name", ["v0002_again.sql", "v0004_behind_a_gap.sql"])
def test_two_migrations_of_one_number_and_a_gap_are_refused(empty_database: str, versions: Callable[..., Path], name: str) -> None:
    folder = versions("CREATE TABLE a (n int);", "CREATE TABLE b (n int);")
    (folder / name).write_text("CREATE TABLE c (n int);")
    for refused in (pending, upgrade):
        with pytest.raises(AssertionError, match="numbered one by one"):
            refused(empty_database, versions=folder)


def test_processes_that_start_at_once_take_turns(empty_database: str, versions: Callable[..., Path]) -> None:
    folder = versions(*(f"CREATE TABLE t{number} (a int);" for number in range(1, 5)))
    with ThreadPoolExecutor(4) as together:
        done = list(together.map(lambda _: upgrade(empty_database, versions=folder), range(4)))
    assert sorted(name for part in done for name in part) == [f"{number:04}_m" for number in range(1, 5)]


def test_a_migration_says_first_what_it_does() -> None:
    files = sorted(path for path in migrate.VERSIONS.iterdir() if path.is_file())
    assert [path.name for path in files if not (path.suffix == ".sql" and path.read_text("utf-8").startswith("-- "))] == []


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
