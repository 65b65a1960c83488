"""A column of a batch reaches the server as the values that it holds, packed or by the driver."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from kvitt.disbursement.states import OrderState
from kvitt.kernel.database import connect
from kvitt.kernel.rows import PackedArray, packed

MOMENT = datetime(2026, 7, 1, 8, 0, 0, 123456, tzinfo=UTC)
COLUMNS: list[tuple[str, list[Any]]] = [
    ("text", ["a", "", "æøå \U0001f600", "line\nline", None]),
    ("bytea", [b"", b"\0\1\xff", b"x" * 70_000, None]),
    ("bigint", [0, -1, 2**63 - 1, -(2**63), None]),
    ("integer", [0, -1, 2**31 - 1, None]),
    ("smallint", [4, 0, None]),
    ("boolean", [True, False, None]),
    ("date", [date(2000, 1, 1), date(1, 1, 1), date(9999, 12, 31), None]),
    ("timestamptz", [MOMENT, MOMENT, datetime(1970, 1, 1, tzinfo=UTC), datetime(2261, 1, 1, tzinfo=UTC), None]),
    ("timestamptz", [MOMENT.astimezone(timezone(timedelta(hours=2)))]),
]


@pytest.mark.parametrize(("kind", "column"), COLUMNS)
@pytest.mark.parametrize("nulls", [True, False])
def test_packed_values_are_what_the_server_reads(database: str, kind: str, column: list[Any], nulls: bool) -> None:
    values = column if nulls else [each for each in column if each is not None]
    array = packed(values)
    assert isinstance(array, PackedArray)
    with connect(database) as connection:
        rows = connection.execute(f"SELECT * FROM unnest(%b::{kind}[])".encode(), [array], binary=True).fetchall()
    assert [value for (value,) in rows] == values


@pytest.mark.parametrize(("kind", "column"), [("text", [None, None]), ("text", [OrderState.READY, "x"]), ("bigint", [])])
def test_what_is_of_no_one_plain_kind_is_left_to_the_driver(database: str, kind: str, column: list[Any]) -> None:
    assert packed(column) == column
    with connect(database) as connection:
        rows = connection.execute(f"SELECT * FROM unnest(%b::{kind}[])".encode(), [packed(column)], binary=True).fetchall()
    assert [value for (value,) in rows] == column


def test_arrays_of_several_kinds_share_a_statement(database: str) -> None:
    columns = [packed(["26c8ad95-1731-e800-abd5-ba92ec6aad86"]), packed([7]), packed([b"x"]), packed([date(2026, 7, 1)])]
    with connect(database) as connection:
        found = connection.execute(
            "SELECT u::text, n, b, d FROM unnest(%b::uuid[], %b::smallint[], %b::bytea[], %b::date[]) AS w (u, n, b, d)",
            columns,
            binary=True,
        ).fetchall()
    assert found == [("26c8ad95-1731-e800-abd5-ba92ec6aad86", 7, b"x", date(2026, 7, 1))]
