"""Tables of an older system's PostgreSQL, read in one read-only snapshot, row by row through cursors of the server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import psycopg

from kvitt.errors import SourceUnreadable
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.fetch import fetch_value, named

_SPAN: Final = 500
_THERE: Final = "SELECT to_regclass(%s) IS NOT NULL"


class SourceRow(NamedTuple):
    """A row as JSON, with the id of its case, by which rows are sorted."""

    case_id: str
    body: str


class SourceTables:
    """The tables of one database as they stood when this was opened; for one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._walks = 0

    def has(self, table: str) -> bool:
        """Whether there is a table of this name on the search path. Raises SourceUnreadable."""
        with _readable():
            return bool(fetch_value(self._connection, _THERE, (table,)))

    def rows(self, statement: str) -> Iterator[SourceRow]:
        """The rows of a statement, some hundred in memory at a time. Raises SourceUnreadable."""
        self._walks += 1
        with _readable(), self._connection.cursor(f"walk_{self._walks}", row_factory=named(SourceRow)) as walk:
            walk.itersize = _SPAN
            yield from walk.execute(statement)


@contextmanager
def source_tables(conninfo: str) -> Iterator[SourceTables]:
    """Opens a database to be read and in no way changed. Raises SourceUnreadable where it can not be opened."""
    with _readable():
        connection = connect(conninfo, application="kvitt import", paused_ms=0)
    with connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            yield SourceTables(connection)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
            # Not in the driver's words, which repeat what they do not understand.
            raise SourceUnreadable("this is no address of a PostgreSQL: postgresql://user@host/name") from None
        said = (error.diag.message_primary or str(error)).strip().partition("\n")[0]
        raise SourceUnreadable(f"the tables of the older system can not be read: {said}") from None
