"""Brings a database to the newest schema with Alembic; the migrations are numbered SQL files in `kernel/migrations/versions`.

A migration and the mark that it was applied commit together, so a killed process leaves neither half behind (design §1).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from kvitt.errors import MigrationFailed
from kvitt.kernel.backfill import Filled, fill_in, unfilled
from kvitt.kernel.database import PATIENCE_MS, connect
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.queries import load

_SQL = load("migrate", "kvitt.kernel")
_MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS = _MIGRATIONS / "versions"


def pending(conninfo: str, *, versions: Path = VERSIONS) -> list[str]:
    """Names of the migrations that are not applied yet, and of what is to be filled in behind those that are, in order; changes nothing."""
    with connect(conninfo, application="kvitt migrate") as connection:
        return [*_pending(connection, versions), *unfilled(connection)]


def upgrade(conninfo: str, *, versions: Path = VERSIONS, progress: Callable[[Filled], None] = lambda _: None) -> list[str]:
    """Applies what is pending, fills in what is to be filled in behind it, and returns the names of the migrations applied by this call.

    When several processes start at once, they take turns. `progress` hears of each batch that was filled in.
    Raises MigrationFailed when PostgreSQL refuses a migration, or somebody else has locked what it changes: those before it stand, of
    the refused one nothing remains. Whoever waits for the lock of a table stops all that come after: so it is not waited for without end.
    """
    with connect(conninfo, application="kvitt migrate") as connection:
        connection.execute(_SQL.take_turn)
        names = _pending(connection, versions)
        if names:
            _run(conninfo, versions)
        if unfilled(connection):
            _fill_in(conninfo, versions, progress)
        return names


def _fill_in(conninfo: str, versions: Path, progress: Callable[[Filled], None]) -> None:
    with connect(conninfo, application="kvitt migrate", lock_timeout_ms=PATIENCE_MS) as connection:
        try:
            for filled in fill_in(connection, versions):
                progress(filled)
        except psycopg.Error as error:
            raise _failed(error) from error


def _failed(error: Exception) -> MigrationFailed:
    if isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable):
        return MigrationFailed("somebody else has locked a table that a migration changes; see who (docs/operations.md), and try again")
    return MigrationFailed(str(error))


def _connection(conninfo: str) -> psycopg.Connection[Any]:
    return connect(conninfo, application="kvitt migrate", autocommit=False, paused_ms=0, lock_timeout_ms=PATIENCE_MS)


def _pending(connection: psycopg.Connection[Any], versions: Path) -> list[str]:
    """Known from the file names alone, so that a start with nothing to do need not load the migration tool."""
    names = sorted(path.stem.removeprefix("v") for path in versions.glob("v*.py"))
    if fetch_value(connection, _SQL.find_table) is None:
        return names
    applied = fetch_value(connection, _SQL.applied)
    return [name for name in names if applied is None or name[:4] > applied]


def _run(conninfo: str, versions: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, exc, pool

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    engine = create_engine("postgresql+psycopg://", creator=lambda: _connection(conninfo), poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (psycopg.Error, exc.DBAPIError) as error:
        raise _failed(error) from error
