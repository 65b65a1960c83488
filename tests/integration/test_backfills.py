"""What migrations leave to be filled in is filled in batch by batch, goes on where it was cut off, and ends as what is written today."""

from pathlib import Path

import psycopg
import pytest
from hypothesis import given

from kvitt.app.ports import PORTS
from kvitt.contracts.helved.outputs import encode_payment
from kvitt.disbursement import payment_document
from kvitt.disbursement.check import check
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.holding import decode_all
from kvitt.disbursement.values import Payment
from kvitt.kernel import backfill
from kvitt.kernel.backfill import Filled
from kvitt.kernel.database import connect
from kvitt.kernel.migrate import VERSIONS, pending, upgrade
from kvitt.kernel.migrations import own_payments
from kvitt.kernel.migrations.backfills import BACKFILLS
from support.lived import live
from support.older_database import Connection, contents, make_older, put_back
from support.wire_values import payments


class CutOff(Exception):
    """The process is killed after a batch."""


def to_worded_reasons(today: Connection, older: Connection) -> None:
    """What holds orders as it was kept once: in words only."""
    for order_id, held_for in today.execute("SELECT order_id, held_for::text FROM orders WHERE held_for <> '[]'").fetchall():
        words = [f"{each.kind.value}: {each.text}" for each in decode_all(str(held_for))]
        older.execute("UPDATE orders SET held_for = %s WHERE order_id = %s", (words, order_id))


def to_wire_documents(_today: Connection, connection: Connection) -> None:
    """Payments as they were kept once: in the form of the topics, their bytes by reference."""
    for ctid, document in connection.execute("SELECT ctid::text, document FROM payments").fetchall():
        assert isinstance(document, bytes)
        old = encode_payment(payment_document.decode(document))
        connection.execute("UPDATE payments SET document = %s WHERE ctid = %s::tid", (old, ctid))
    connection.execute("UPDATE outbox SET value = NULL WHERE payment_id IS NOT NULL")


def rows_of(conninfo: str, table: str) -> list[tuple[object, ...]]:
    """The rows of a table."""
    with connect(conninfo) as connection:
        return connection.execute(f"SELECT 1 FROM {table}".encode()).fetchall()


@pytest.fixture
def before(database: str, empty_database: str, tmp_path: Path) -> str:
    """A database of before payments had a form of their own, in which a hub has lived; `database` is the same as it is today."""
    live(database)
    with connect(database) as connection:
        # What is known of messages of today's edition alone is filled in for none of before.
        connection.execute("UPDATE messages SET edition = %s", [Edition.OPENED_FOR - 1])
        connection.execute("UPDATE cases SET opened_for = NULL")
    make_older(empty_database, before="own_payments", folder=tmp_path)
    put_back(database, empty_database, [to_wire_documents, to_worded_reasons])
    return empty_database


def test_what_is_filled_in_is_what_is_written_today(before: str, database: str) -> None:
    published: list[Filled] = []
    upgrade(before, progress=published.append)
    assert contents(before) == contents(database)
    report = check(before, PORTS)
    assert [f"{each.kind.value}: {each.subject} {each.text}" for each in report.differences] == []
    assert {each.name.partition("_")[2]: each.rows for each in published if each.done}.items() >= {
        ("own_payments bytes of the outbox", len(rows_of(before, "outbox WHERE payment_id IS NOT NULL"))),
        ("own_payments documents of payments", len(rows_of(before, "payments"))),
    }


def test_a_back_fill_that_is_cut_off_goes_on_from_its_last_batch_and_until_then_the_database_is_not_up_to_date(
    before: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "BATCH", 2)
    monkeypatch.setattr(own_payments, "BATCH", 2)
    published: list[Filled] = []

    def cut_off(filled: Filled) -> None:
        published.append(filled)
        raise CutOff

    runs = 0
    while pending(before):
        runs += 1
        with pytest.raises(CutOff):
            upgrade(before, progress=cut_off)
    assert runs == len(published) > len(rows_of(before, "payments")) / 2
    assert upgrade(before) == []
    assert contents(before) == contents(database)


def test_a_process_of_before_can_not_write_payments_of_before(before: str) -> None:
    upgrade(before)
    with connect(before) as connection:
        with pytest.raises(psycopg.errors.NotNullViolation, match="currency"):
            connection.execute("""INSERT INTO payments (case_no, payment_id, version, order_id, area, action, client_chose,
                                                        position_in_case, last_line, document, position, state)
                                  VALUES (1, gen_random_uuid(), 1, gen_random_uuid(), 'AAP', 'CREATE', true, 1, '', '', 0, 'pending')""")
        with pytest.raises(psycopg.errors.CheckViolation, match="outbox_payments_by_value"):
            connection.execute("UPDATE outbox SET value = NULL WHERE payment_id IS NOT NULL")


def test_what_is_filled_in_is_filled_in_behind_migrations_that_are_there() -> None:
    assert set(BACKFILLS) <= {path.stem.removeprefix("v") for path in VERSIONS.iterdir()}


@given(payments)
def test_a_document_is_filled_in_byte_for_byte_as_it_is_written(paid: Payment) -> None:
    made = own_payments.own_document(encode_payment(paid), paid.area, paid.action.value)
    assert made == payment_document.encode(paid)
    assert payment_document.decode(made) == paid
