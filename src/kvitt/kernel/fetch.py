"""Reads rows by name: each row becomes a value whose fields are the columns of the statement."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import psycopg
from psycopg.rows import RowMaker, no_result

Row = TypeVar("Row")
Arguments = Sequence[Any] | Mapping[str, Any]


def named(kind: type[Row]) -> Callable[[psycopg.Cursor[Any]], RowMaker[Row]]:
    """A row factory that makes values of `kind`, a struct or a named tuple with a field for each column, in whatever order.

    The columns are compared with the fields once per statement and not per row. Raises TypeError where they are not the same.
    """
    fields: tuple[str, ...] = getattr(kind, "__struct_fields__", None) or kind._fields  # type: ignore[attr-defined]

    def factory(cursor: psycopg.Cursor[Any]) -> RowMaker[Row]:
        if cursor.description is None:
            return no_result
        columns = [column.name for column in cursor.description]
        if sorted(columns) != sorted(fields):
            raise TypeError(f"{kind.__name__} has the fields {', '.join(fields)}, and the row the columns {', '.join(columns)}")
        if columns == [*fields]:
            return lambda values: kind(*values)
        ordered = itemgetter(*(columns.index(field) for field in fields))
        return lambda values: kind(*ordered(values))

    return factory


def fetch(connection: psycopg.Connection[Any], kind: type[Row], statement: str, arguments: Arguments = ()) -> list[Row]:
    """All rows of a statement as values of `kind`. Raises psycopg errors, and TypeError where columns and fields differ."""
    with connection.cursor(row_factory=named(kind)) as cursor:
        return cursor.execute(statement, arguments, binary=True).fetchall()


def fetch_one(connection: psycopg.Connection[Any], kind: type[Row], statement: str, arguments: Arguments = ()) -> Row | None:
    """The first row of a statement as a value of `kind`, or None. Raises as `fetch`."""
    with connection.cursor(row_factory=named(kind)) as cursor:
        return cursor.execute(statement, arguments, binary=True).fetchone()
