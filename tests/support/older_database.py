"""A database as an older version left it: made from one of today, whose rows go back into the older schema."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from kvitt.kernel.database import connect
from kvitt.kernel.migrate import VERSIONS, upgrade

Connection = psycopg.Connection[tuple[object, ...]]
_COLUMNS = """
SELECT table_name, column_name, data_type FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT IN ('migrations', 'early_moments', 'leases', 'lease_owners')
ORDER BY table_name, ordinal_position
"""


def number_of(migration: str) -> str:
    """The number of a migration by its name."""
    (path,) = VERSIONS.glob(f"v*_{migration}.sql")
    return path.name[1:5]


def make_older(conninfo: str, *, before: str, folder: Path) -> None:
    """Brings an empty database to the schema that stood before a migration."""
    for path in VERSIONS.glob("v*.sql"):
        if path.name[1:5] < number_of(before):
            shutil.copy(path, folder)
    upgrade(conninfo, versions=folder)


def columns_of(connection: Connection) -> dict[str, dict[str, str]]:
    """The columns of every table of the hub, with their types."""
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(_COLUMNS.encode()):
        columns.setdefault(str(table), {})[str(column)] = str(kind)
    return columns


NAMES_OF_TODAY = {
    ("orders", "xml"): "message",
    ("orders", "stamp"): "correlation_time",
    ("orders", "lines_digest"): "correlation_key",
    ("orders", "first"): "is_first_order",
    ("orders", "doubtful"): "was_unknown",
    ("orders", "told_under"): "published_under",
    ("messages", "told_at"): "published_at",
    ("receipts", "grade"): "severity",
    ("cases", "waiting"): "queued",
    ("cases", "audit_hash"): "last_event_hash",
    ("operators", "audit_hash"): "last_event_hash",
    ("payments", "listed"): "position_in_case",
    ("needs", "person"): "subject",
    ("needs", "payment_id"): "name",
}
"""What columns of an older schema are called by now."""
TABLES_OF_TODAY = {"needs": "idempotency_records", "telling": "publishing", "log_records": "log_entries"}
"""What tables of an older schema are called by now."""
WORDS_OF_THEN = {("messages", "state"): sql.SQL("replace(state, 'queued', 'waiting')")}
"""How values of today are said in an older schema."""
TYPES_OF_THEN = {("needs", "payment_id"): "text"}
"""What is of another type by now, and has the same values."""


def put_back(today: str, older: str, changes: Sequence[Callable[[Connection, Connection], None]]) -> None:
    """Copies all rows of the hub into the older schema, as far as it has their columns; then makes the changes, in order. Each gets
    connections to both.
    """
    with connect(today) as source, connect(older) as target:
        there = columns_of(source)
        for table, columns in columns_of(target).items():
            table_now = TABLES_OF_TODAY.get(table, table)
            now = {each: NAMES_OF_TODAY.get((table, each), each) for each in columns}
            kept = [each for each, kind in columns.items() if there[table_now].get(now[each]) == TYPES_OF_THEN.get((table, each), kind)]
            named = {
                "table": sql.Identifier(table),
                "table_now": sql.Identifier(table_now),
                "names": sql.SQL(", ").join(sql.Identifier(each) for each in kept),
                "values": sql.SQL(", ").join(WORDS_OF_THEN.get((table, each), sql.Identifier(now[each])) for each in kept),
            }
            target.execute(sql.SQL("DELETE FROM {table}").format(**named))
            with (
                source.cursor().copy(sql.SQL("COPY (SELECT {values} FROM {table_now}) TO STDOUT").format(**named)) as rows,
                target.cursor().copy(sql.SQL("COPY {table} ({names}) FROM STDIN").format(**named)) as taken,
            ):
                for part in rows:
                    taken.write(part)
        for change in changes:
            change(source, target)


def contents(conninfo: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the hub, column by column in the order of their names, those of the migrations' own tables left out."""
    with connect(conninfo) as connection:
        found = {}
        for table, columns in columns_of(connection).items():
            if table == "unrelayed":
                # How many numbers stand in a row is a matter of who wrote them together.
                found[table] = connection.execute("SELECT outbox_no FROM unpublished ORDER BY outbox_no").fetchall()
            elif table != "backfills":
                names = sql.SQL(", ").join(sql.Identifier(each) for each in sorted(columns))
                query = sql.SQL("SELECT {names} FROM {table}").format(table=sql.Identifier(table), names=names)
                found[table] = sorted(connection.execute(query).fetchall(), key=repr)
        return found
