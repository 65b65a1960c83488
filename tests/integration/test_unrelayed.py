"""What waits to be relayed is rows of numbers: what is left of them when some of their records are out, and what that costs."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from kvitt.kernel.database import connect
from kvitt.kernel.queries import load

Connection = psycopg.Connection[Any]
FORGET = load("outbox", "kvitt.kernel").forget_relayed
WRITE = (
    "INSERT INTO outbox (topic, key, headers, event_id, made_at)"
    " SELECT 'topic', 'key', '[]', gen_random_uuid(), now() FROM generate_series(1, %s)"
)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as made:
        yield made


def write(connection: Connection, *statements: int) -> list[int]:
    """Writes so many records with each statement; returns the numbers of all."""
    connection.cursor().executemany(WRITE, [(records,) for records in statements])
    return [number for (number,) in connection.execute("SELECT outbox_no FROM outbox ORDER BY outbox_no")]


def rows_of(connection: Connection) -> list[list[int]]:
    return [numbers for (numbers,) in connection.execute("SELECT numbers FROM unrelayed ORDER BY first_no")]


def passed_on(node: dict[str, Any]) -> int:
    """How many rows all parts of a plan have handed to one another."""
    return int(node["Actual Rows"] * node["Actual Loops"]) + sum(passed_on(part) for part in node.get("Plans", ()))


def test_what_is_not_out_yet_stays_in_its_row(connection: Connection) -> None:
    first, second, third, fourth, fifth, sixth = write(connection, 3, 2, 1)
    connection.execute(FORGET, {"numbers": [first, third, fourth, fifth], "last": fifth})
    assert rows_of(connection) == [[second], [sixth]]
    connection.execute(FORGET, {"numbers": [second, sixth], "last": sixth})
    assert rows_of(connection) == []


def test_a_batch_of_many_rows_is_not_gone_through_for_each_of_them(connection: Connection) -> None:
    numbers = write(connection, *[1] * 1000)
    with connection.transaction(force_rollback=True):
        row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {FORGET}".encode(), {"numbers": numbers, "last": numbers[-1]}).fetchone()
    assert row is not None
    assert passed_on(row[0][0]["Plan"]) < 20 * len(numbers)
