"""Brings a database to the newest schema with Alembic; the migrations are numbered SQL files in `kernel/migrations/versions`.

The number of a file is its place: a new one takes the next, and says first what it does. A migration and the mark that it was applied
commit together, so a killed process leaves neither half behind (design §1).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import psycopg

from kvitt.errors import MigrationFailed
from kvitt.kernel.backfill import Filled, fill_in, plan, unfilled
from kvitt.kernel.database import PATIENCE_MS, connect
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.queries import load

if TYPE_CHECKING:
    from alembic.script.revision import RevisionMap

_SQL = load("migrate", "kvitt.kernel")
VERSIONS = Path(__file__).parent / "migrations/versions"


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
            _fill_in(conninfo, progress)
        return names


def _fill_in(conninfo: str, progress: Callable[[Filled], None]) -> None:
    from kvitt.kernel.migrations.backfills import BACKFILLS

    with connect(conninfo, application="kvitt migrate", lock_timeout_ms=PATIENCE_MS) as connection:
        try:
            for filled in fill_in(connection, BACKFILLS):
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
    names = list(_files(versions))
    if fetch_value(connection, _SQL.find_table) is None:
        return names
    applied = fetch_value(connection, _SQL.applied)
    return [name for name in names if applied is None or name[:4] > applied]


def _files(versions: Path) -> dict[str, Path]:
    files = {path.stem.removeprefix("v"): path for path in sorted(versions.glob("v*.sql"))}
    assert [name[:4] for name in files] == [f"{number:04}" for number in range(1, len(files) + 1)], "migrations are numbered one by one"
    return files


def _run(conninfo: str, versions: Path) -> None:
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import Script
    from sqlalchemy import create_engine, exc, pool

    revisions = _revisions(versions)

    def steps(applied: tuple[str, ...], _context: MigrationContext) -> list[RevisionStep]:
        newest_first = list(revisions.iterate_revisions("head", applied, implicit_base=True))
        return [RevisionStep(revisions, each, is_upgrade=True) for each in reversed(newest_first) if isinstance(each, Script)]

    engine = create_engine("postgresql+psycopg://", creator=lambda: _connection(conninfo), poolclass=pool.NullPool)
    options = {"version_table": "migrations", "transaction_per_migration": True, "fn": steps}
    try:
        with engine.connect() as connection:
            MigrationContext.configure(connection, opts=options).run_migrations(driver=connection.connection.driver_connection)
    except (psycopg.Error, exc.DBAPIError) as error:
        raise _failed(error) from error


def _revisions(versions: Path) -> "RevisionMap":
    """Alembic's revisions, made of the file names: each follows the one before it by number."""
    from alembic.script import Script
    from alembic.script.revision import RevisionMap

    scripts, before = [], None
    for name, path in _files(versions).items():
        module = ModuleType(name)
        vars(module).update(down_revision=before, upgrade=partial(_apply, name, path))
        before = name[:4]
        scripts.append(Script(module, before, path))
    return RevisionMap(lambda: scripts)


def _apply(name: str, path: Path, driver: psycopg.Connection[Any]) -> None:
    """Runs a migration's file as it stands, and plans its back-fills.

    On the driver's own connection: a text without parameters may hold percent signs and many statements.
    """
    from kvitt.kernel.migrations.backfills import BACKFILLS

    driver.execute(path.read_bytes())
    plan(driver, name, BACKFILLS.get(name, ()))
