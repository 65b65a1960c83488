"""Brings a database to the newest schema by the numbered SQL files in a package's `migrations/` folder.

A migration and the row that says it was applied commit together, so a killed process leaves neither half behind (design §1).
Files are named `NNNN_name.sql` and run inside a transaction: they hold no BEGIN or COMMIT.
"""

import re
from hashlib import sha256
from importlib.resources import files

import psycopg
from msgspec import Struct

from kvitt.errors import MigrationFailed
from kvitt.store.database import connect
from kvitt.store.queries import load

FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")


class Migration(Struct, frozen=True):
    """One numbered file; `digest` is the SHA-256 of its text, in hex."""

    name: str
    text: str
    digest: str


def pending(conninfo: str, *, package: str = "kvitt.store") -> list[str]:
    """Names of the migrations that are not applied yet, in the order in which they will be; changes nothing."""
    with connect(conninfo, application="kvitt migrate") as connection:
        applied = _applied(connection, package)
    return [migration.name for migration in _migrations(package) if migration.name not in applied]


def upgrade(conninfo: str, *, package: str = "kvitt.store") -> list[str]:
    """Apply what is pending and return the names applied by this call; when several processes start at once, they take turns.

    Raises MigrationFailed when PostgreSQL refuses a migration (those before it stand, of the refused one nothing remains),
    or when a file was edited after it had been applied.
    """
    done = list[str]()
    with connect(conninfo, application="kvitt migrate") as connection:
        for migration in _migrations(package):
            try:
                if _apply(connection, package, migration):
                    done.append(migration.name)
            except psycopg.Error as error:
                raise MigrationFailed(f"{package} {migration.name}: {error}") from error
    return done


def _apply(connection: psycopg.Connection[tuple[object, ...]], package: str, migration: Migration) -> bool:
    """Apply one migration unless it stands already; whether it was applied now. Holds the migration lock until the commit."""
    queries = load("migrate")
    with connection.transaction():
        connection.execute(queries.take_turn)
        connection.execute(queries.create_table)
        digest = _applied(connection, package).get(migration.name)
        if digest not in (None, migration.digest):
            raise MigrationFailed(f"{package} {migration.name} was edited after it had been applied; put the change in a new migration")
        if digest:
            return False
        connection.execute(migration.text)
        connection.execute(queries.mark_applied, (package, migration.name, migration.digest))
        return True


def _applied(connection: psycopg.Connection[tuple[object, ...]], package: str) -> dict[str, str]:
    """Digest by name of what is applied; empty in a database that has never been migrated."""
    queries = load("migrate")
    if connection.execute(queries.find_table).fetchone() == (None,):
        return {}
    return {str(name): str(digest) for name, digest in connection.execute(queries.list_applied, (package,))}


def _migrations(package: str) -> list[Migration]:
    """The package's migrations in order; raise MigrationFailed for a `.sql` file of another form of name, or a number used twice."""
    found = sorted(
        (entry for entry in (files(package) / "migrations").iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name
    )
    if ill_named := [entry.name for entry in found if not FILE_NAME.fullmatch(entry.name)]:
        raise MigrationFailed(f"{package}: {', '.join(ill_named)} should be named NNNN_name.sql")
    numbers = [entry.name[:4] for entry in found]
    if doubles := {number for number in numbers if numbers.count(number) > 1}:
        raise MigrationFailed(f"{package}: several migrations are numbered {', '.join(sorted(doubles))}")
    texts = [(entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8")) for entry in found]
    return [Migration(name, text, sha256(text.encode()).hexdigest()) for name, text in texts]
