"""Rows that a transaction writes: frozen values that name the statement which writes many of them at once."""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import psycopg
from msgspec import Struct


class Row(Struct, frozen=True):
    """A row to be written by `statement`, whose columns are its fields in their order."""

    statement: ClassVar[str]


def columns(rows: Sequence[Struct]) -> list[list[Any]]:
    """The rows turned into one list per column, as `unnest` takes them."""
    return [list(column) for column in zip(*map(msgspec.structs.astuple, rows), strict=True)]


def write(cursor: psycopg.Cursor[Any], rows: Sequence[Row]) -> None:
    """Writes rows of one kind in one statement; does nothing without rows."""
    if rows:
        cursor.execute(rows[0].statement, columns(rows))
