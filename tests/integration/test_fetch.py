"""Rows are read by name: the order of a statement's columns does not matter, and a column that no field has is an error."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import pytest
from msgspec import Struct

from kvitt.kernel.database import connect
from kvitt.kernel.fetch import Part, fetch, fetch_one, fetch_value, fetch_values


class Pair(NamedTuple):
    left: int
    right: str


class Both(Struct, frozen=True):
    left: int
    right: str


@pytest.mark.parametrize("kind", [Pair, Both])
@pytest.mark.parametrize("columns", ["1 AS left, 'a' AS right", "'a' AS right, 1 AS left"])
def test_columns_become_the_fields_of_their_names_in_whatever_order(server: str, kind: type[Pair | Both], columns: str) -> None:
    with connect(server) as connection:
        assert fetch(connection, kind, f"SELECT {columns}") == [kind(left=1, right="a")]
        assert fetch_one(connection, kind, f"SELECT {columns}") == kind(left=1, right="a")
        assert fetch_one(connection, kind, f"SELECT {columns} WHERE %b", [False]) is None


@pytest.mark.parametrize("columns", ["1 AS left", "1 AS left, 'a' AS wrong", "1 AS left, 'a' AS right, 2 AS more"])
def test_other_columns_than_the_fields_are_an_error(server: str, columns: str) -> None:
    with connect(server) as connection, pytest.raises(TypeError, match="has the fields left, right"):
        fetch(connection, Pair, f"SELECT {columns}")


class Inner(Struct, frozen=True):
    right: str
    day: int


class Outer(NamedTuple):
    left: int
    inner: Inner


QUERY = "SELECT '7' AS day, 1 AS left, 'a' AS right"


def test_a_field_may_be_made_of_its_column_or_of_the_columns_of_its_own_fields(server: str) -> None:
    with connect(server) as connection, connection.cursor() as cursor:
        assert fetch(connection, Pair, "SELECT '1' AS left, 'a' AS right", left=int) == [Pair(1, "a")]
        assert fetch(cursor, Outer, QUERY, inner=Part(Inner, day=int)) == [Outer(1, Inner("a", 7))]
        assert fetch(cursor, Outer, "SELECT 7 AS day, 1 AS left, 'a' AS right", inner=Inner) == [Outer(1, Inner("a", 7))]
        with pytest.raises(TypeError, match="has the fields left, right, day"):
            fetch(cursor, Outer, "SELECT 1 AS left, 'a' AS right", inner=Inner)


def test_values_of_one_column_are_read_as_such(server: str) -> None:
    with connect(server) as connection:
        assert fetch_values(connection, "SELECT n FROM generate_series(1, %b::integer) AS n ORDER BY n", [3]) == [1, 2, 3]
        assert fetch_value(connection, "SELECT 1 WHERE false") is None


ARRAYS: dict[str, list[object]] = {
    "text": ["a", None, "æ", ""],
    "bytea": [b"\0x", b"", None],
    "integer": [-1, 2**31 - 1, None],
    "bigint": [2**62, -1],
    "smallint": [1, None],
    "boolean": [True, None, False],
    "date": [date(2026, 1, 2), None],
    "timestamptz": [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)],
    "uuid": [UUID(int=1), None],
    "numeric": [Decimal("1.5")],
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_lists_arrive_as_the_arrays_that_a_statement_says(server: str, kind: str) -> None:
    for given in (ARRAYS[kind], [None], []):
        with connect(server) as connection:
            assert fetch_values(connection, f"SELECT unnest(%b::{kind}[])", [given]) == given
            assert fetch_value(connection, f"SELECT %(given)b::{kind}[]", {"given": given}) == given
