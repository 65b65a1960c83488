"""Where rows are numbered as they are stored, the numbers are the order in which they were handed in, whatever way the server
joins; and no statement leaves an order that somebody reads to chance."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from uuid import UUID, uuid5

import psycopg
import pytest

import kvitt
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.rows import DeadLetterRow
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch_values
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.outbox import OutboxRow
from kvitt.kernel.queries import load
from kvitt.kernel.rows import write
from kvitt.transports.log.embedded_log import LogRelay, NewRecord, append, make_topics

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ROWS = 2000
EVENTS = UUID("6f0c3f0e-7d0b-5b6e-9a53-6a1a1d0d8f11")
ONLY_HASH_JOINS = (
    "SET enable_nestloop = off; SET enable_mergejoin = off; SET enable_indexscan = off; SET enable_bitmapscan = off; SET work_mem = '64kB'"
)
TOLD_LONG_AGO = """
    INSERT INTO outbox (topic, key, value, headers, event_id, made_at, relayed_at)
    SELECT 'status', 'key', 'x', '[]', gen_random_uuid(), now(), now() FROM generate_series(1, 20000) AS n"""
HOUSE = Path(kvitt.__file__).parent


@pytest.fixture(scope="module")
def statements() -> Sequence[tuple[str, str, str]]:
    """All named statements: package, file, name."""
    packages = ["kvitt." + ".".join(each.parent.relative_to(HOUSE).parts) for each in sorted(HOUSE.rglob("sql")) if each.is_dir()]
    named = [(package, path.name.removesuffix(".sql")) for package in packages for path in (files(package) / "sql").iterdir()]
    found = [(package, file, name) for package, file in sorted(named) for name in dir(load(file, package=package))]
    assert len(found) > 600
    return found


def outbox_rows() -> Iterator[OutboxRow]:
    for number in range(ROWS):
        event = str(uuid5(EVENTS, str(number)))
        yield OutboxRow(helved_topics.STATUSES, f"key-{number % 7}".encode(), f"{number}".encode(), b"[]", event, None, None, NOW)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with connect(database) as connection:
        yield connection


def numbered(connection: psycopg.Connection[tuple[object, ...]], query: str) -> list[int]:
    return [int(bytes(value)) for (value,) in connection.execute(query.encode()) if isinstance(value, bytes)]


def test_log_numbers_are_the_order_of_writing_however_the_server_joins(
    database: str, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    make_topics(connection, [helved_topics.STATUSES])
    with connection.transaction(), connection.cursor() as cursor:
        write(cursor, list(outbox_rows()))
    connection.execute(TOLD_LONG_AGO)
    # A table of hashes that does not fit the memory is worked through in parts, and rows come part by part.
    connection.execute("ANALYZE outbox")
    connection.execute(ONLY_HASH_JOINS)
    with closing(LeaseKeeper(database, seconds=600.0)) as keeper:
        held = keeper.acquire(connection, "relay")
        assert held
        relay = LogRelay(connection, lambda: NOW, held.lease, max_batch=ROWS)
        assert relay.step() == ROWS
    assert numbered(connection, "SELECT value FROM log_records ORDER BY log_no") == list(range(ROWS))


def test_log_numbers_of_appended_records_are_the_order_of_appending(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    make_topics(connection, [helved_topics.STATUSES])
    append(
        connection, [NewRecord(helved_topics.STATUSES, f"key-{number % 7}".encode(), f"{number}".encode()) for number in range(ROWS)], NOW
    )
    assert numbered(connection, "SELECT value FROM log_records ORDER BY log_no") == list(range(ROWS))


def test_the_outbox_and_the_dead_letters_are_numbered_as_they_were_handed_in(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    dead = [DeadLetterRow("topic", 0, number, None, f"{number}".encode(), None, "broken", None, NOW) for number in range(ROWS)]
    with connection.transaction(), connection.cursor() as cursor:
        write(cursor, list(outbox_rows()))
        write(cursor, dead)
    assert numbered(connection, "SELECT value FROM outbox ORDER BY outbox_no") == list(range(ROWS))
    assert numbered(connection, "SELECT body FROM dead_letters ORDER BY dead_no") == list(range(ROWS))


def test_receipts_are_numbered_as_they_came(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    columns = [[f"id-{number}" for number in range(ROWS)], [b"x"] * ROWS, [0] * ROWS]
    numbers = fetch_values(connection, load("orders", "kvitt.disbursement").number_receipts, columns)
    assert numbers == list(range(1, ROWS + 1))


def numbered_tables(connection: psycopg.Connection[tuple[object, ...]]) -> set[str]:
    """The tables that number their rows themselves, those made for a session included."""
    rows = connection.execute(
        "SELECT CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END "
        "FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE a.attidentity <> ''"
    )
    temporary = re.findall(r"CREATE TEMP TABLE (\w+) \([^;]*IDENTITY", load("importing", "kvitt.contracts.helved").make_room)
    return {str(name) for (name,) in rows} | set(temporary)


def test_whatever_is_stored_in_a_table_that_numbers_its_rows_is_sorted_first(
    connection: psycopg.Connection[tuple[object, ...]], statements: Sequence[tuple[str, str, str]]
) -> None:
    tables = numbered_tables(connection)
    assert {"outbox", "receipts", "dead_letters", "log_entries", "queue.message", "rail.entry", "ledger.accounts", "import_lists"} <= tables
    unsorted = []
    looked_at = 0
    for package, file, name in statements:
        for stored in uncommented(package, file, name).split("INSERT INTO ")[1:]:
            source = re.split(r"ON CONFLICT|RETURNING", stored)[0]
            if re.split(r"[\s(]", stored)[0] in tables and "SELECT" in source:
                looked_at += 1
                # One row, of what the statement is given, has no order.
                is_one = re.search(r"\)\s+SELECT %\(", source)
                unsorted += [] if is_one or "ORDER BY" in source else [f"{file}.{name}"]
    assert looked_at >= len(tables) - 1
    assert unsorted == []


def uncommented(package: str, file: str, name: str) -> str:
    return re.sub(r"--.*", "", str(getattr(load(file, package=package), name)))


HAS_A_REASON = re.compile(r"LIMIT|DISTINCT ON|FOR UPDATE|OFFSET 0|_agg\(|ARRAY\(|OVER \(|PARTITION|row_number|INSERT INTO|WITHIN GROUP")


def test_no_statement_sorts_inside_and_hopes_that_it_stays_so_outside(statements: Sequence[tuple[str, str, str]]) -> None:
    """A sorted subquery promises nothing about the rows of the whole; it may sort to cut off, to choose, to lock or gather, no more."""
    assert {each: hopeful for each in statements if (hopeful := sorted_in_vain(uncommented(*each)))} == {}


def sorted_in_vain(text: str) -> list[str]:
    """The subqueries that are sorted for no reason, of a statement that is not sorted itself."""
    inner, hopeful = re.compile(r"\(([^()]*)\)"), []
    while found := inner.search(text):
        if "ORDER BY" in found[1] and not HAS_A_REASON.search(text[max(0, found.start() - 12) : found.end()]):
            hopeful.append(found[1])
        text = text[: found.start()] + "<" + re.sub(r"ORDER BY", "SORTED", found[1]) + ">" + text[found.end() :]
    return [] if "ORDER BY" in text else hopeful


def test_a_subquery_that_is_sorted_in_vain_is_seen() -> None:
    assert sorted_in_vain("SELECT * FROM (SELECT a FROM b ORDER BY a) AS c") == ["SELECT a FROM b ORDER BY a"]
    assert sorted_in_vain("SELECT * FROM (SELECT a FROM b ORDER BY a LIMIT 1) AS c") == []
