"""Rows are read by name: the order of a statement's columns does not matter, and a column that no field has is an error."""

from typing import NamedTuple

import pytest
from msgspec import Struct

from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch, fetch_one


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
