"""A column of a batch reaches the server as the values that it holds, packed or by the driver."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace

from kvitt.disbursement.states import OrderState
from kvitt.kernel.database import connect
from kvitt.kernel.rows import PackedArray, Row, packed, write_all

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


class Left(Row, frozen=True):
    """A row that another may refer to."""

    statement = "INSERT INTO left_rows SELECT * FROM unnest(%b::bigint[], %b::text[]);"
    joins = True
    number: int
    said: str


class Right(Row, frozen=True):
    """A row that refers to another."""

    statement = "-- With a comment.\nINSERT INTO right_rows SELECT * FROM unnest(%b::bigint[]);\n"
    joins = True
    number: int


class Seen(Row, frozen=True):
    """A row that says what it finds when it is written."""

    statement = "INSERT INTO seen SELECT n, (SELECT count(*) FROM left_rows) FROM unnest(%b::bigint[]) AS w (n);"
    number: int


@pytest.mark.parametrize("kinds", [1, 2])
def test_kinds_that_join_are_written_at_once_and_the_others_see_them(database: str, kinds: int) -> None:
    rows: list[list[Row]] = [[], [Right(1), Right(2)], [Seen(5)], [Left(1, "a"), Left(2, "b"), Left(3, "c")]]
    with connect(database) as connection, connection.cursor() as cursor:
        connection.execute("CREATE TABLE left_rows (number bigint PRIMARY KEY, said text NOT NULL)")
        connection.execute("CREATE TABLE right_rows (number bigint PRIMARY KEY REFERENCES left_rows)")
        connection.execute("CREATE TABLE seen (number bigint, found bigint)")
        write_all(cursor, rows if kinds == 2 else rows[2:])
        found = [connection.execute(f"TABLE {table}".encode()).fetchall() for table in ("left_rows", "right_rows", "seen")]
    assert found == [[(1, "a"), (2, "b"), (3, "c")], [(1,), (2,)] if kinds == 2 else [], [(5, 3)]]


class Sparse(Row, frozen=True):
    """A row of which any column may be NULL."""

    statement = (
        "INSERT INTO sparse SELECT * FROM unnest(%b::bigint[], %b::integer[], %b::smallint[], %b::text[], %b::bytea[], %b::boolean[], "
        "%b::date[], %b::timestamptz[], %b::uuid[]);"
    )
    joins = True
    a: int | None = None
    b: int | None = None
    c: int | None = None
    d: str | None = None
    e: bytes | None = None
    f: bool | None = None
    g: date | None = None
    h: datetime | None = None
    i: str | None = None


FULL = Sparse(1, 2, 3, "x", b"y", True, date(2026, 7, 1), MOMENT, "26c8ad95-1731-e800-abd5-ba92ec6aad86")


def test_the_server_knows_a_statement_again_whatever_is_null(database: str) -> None:
    fields = [replace(Sparse(), **{name: getattr(FULL, name)}) for name in Sparse.__struct_fields__]
    batches: list[list[Row]] = [[Sparse()], [FULL], [FULL, Sparse()], *([each] for each in fields)]
    with connect(database) as connection, connection.cursor() as cursor:
        connection.execute(
            "CREATE TABLE sparse (a bigint, b integer, c smallint, d text, e bytea, f boolean, g date, h timestamptz, i uuid)"
        )
        for _ in range(6):
            for batch in batches:
                write_all(cursor, [batch])
        prepared = connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%INTO sparse%'").fetchall()
        found = connection.execute("SELECT count(*), count(a), count(c), count(g), count(i) FROM sparse").fetchall()
    assert prepared == [(1,)]
    assert found == [(6 * (len(batches) + 1), *[6 * 3] * 4)]
