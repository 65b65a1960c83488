"""What is published, to the byte: records of the log and orders with their receipts, and that `kvitt check` finds changes in them."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree
from psycopg.errors import CheckViolation

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.check import Kind, check
from kvitt.disbursement.values import Scheme
from kvitt.formats import topics
from kvitt.kernel.database import connect
from kvitt.kernel.leases import Lease
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.rail import LEAVES
from kvitt.testing import TestServer
from kvitt.transports.log.embedded_log import LogRelay, NewRecord, append, make_topics
from support.case_histories import CaseStage, aap, answered, ts
from support.topics import TOPICS

JUNE = [("2026-06-01", "2026-06-12", 500)]


@pytest.fixture
def hub(database: str) -> Iterator[CaseStage]:
    hub = CaseStage(database)
    yield hub
    hub.close()


def assert_clean(database: str) -> None:
    assert [repr(each) for each in check(database, PORTS).differences] == []


def relay(hub: CaseStage) -> int:
    """Tells the embedded log what waits in the outbox; returns how many records that were."""
    make_topics(hub.connection, TOPICS)
    row: Any = hub.connection.execute(
        load("leases", "kvitt.kernel").acquire_lease, {"lease": "relay", "owner": "tests", "seconds": 3600}
    ).fetchone()
    return LogRelay(hub.connection, hub.clock, Lease("relay", row[1])).step()


# The log as it was when records were copied: with bytes, and places noted in the outbox.
AS_COPIED = (
    """UPDATE outbox AS o SET relayed_at = p.relayed_at, partition = p.partition, position = p.position FROM outbox_places AS p
       WHERE p.outbox_no = o.outbox_no""",
    """UPDATE log_entries AS e SET key = r.key, value = r.value, headers = r.headers, outbox_no = NULL FROM log_records AS r
       WHERE r.log_no = e.log_no""",
)
# What was changed in the log; each is one difference.
LOG_TAMPERED = {
    "value": "UPDATE log_entries SET value = 'x' WHERE log_no = 2",
    "key": "UPDATE log_entries SET key = 'x' WHERE log_no = 2",
    "headers": "UPDATE log_entries SET headers = '[]' WHERE log_no = 2",
    "event": """UPDATE log_entries SET headers = replace(convert_from(headers, 'UTF8'), '"event-id","', '"event-id","0')::bytea
        WHERE log_no = 2""",
    "headers, one too many": """UPDATE log_entries SET headers = (rtrim(convert_from(headers, 'UTF8'), ']') || '],["a","b"]]')::bytea
        WHERE log_no = 2""",
    "headers, without those of every record": "UPDATE log_entries AS r SET headers = o.headers FROM outbox AS o"
    " WHERE log_no = 2 AND (o.topic, o.partition, o.position) = (r.topic, r.partition, r.position)",
    "records, one told again": "INSERT INTO log_entries (topic, partition, position, at, key, value, headers)"
    " SELECT topic, partition, position + 100, at, key, value, headers FROM log_records WHERE log_no = 2",
    "records, one of a stranger": "INSERT INTO log_entries (topic, partition, position, at) VALUES ('helved.status.v1', 0, 100, now())",
}
PLACES_TAMPERED = {
    "topic": "UPDATE log_entries SET topic = 'helved.other.v1' WHERE outbox_no = 2",
    "record that was never published": "INSERT INTO log_entries (topic, partition, position, at, outbox_no)"
    " VALUES ('helved.other.v1', 0, 100, now(), 1000)",
    "record that is gone": "DELETE FROM log_entries WHERE outbox_no = 2",
    "record that waits again": "INSERT INTO unrelayed (first_no, numbers) VALUES (2, '{2}')",
}


@pytest.fixture(scope="module")
def clean(kvitt_server: TestServer) -> Iterator[str]:
    """A database whose log is as it was published, to be copied."""
    with kvitt_server.database() as conninfo:
        hub = CaseStage(conninfo)
        hub.take(Scheme.AAP, aap("A1", JUNE))
        hub.accept()
        assert relay(hub) > 2
        hub.close()
        assert_clean(conninfo)
        yield conninfo


@pytest.fixture(scope="module")
def copied(kvitt_server: TestServer, clean: str) -> Iterator[str]:
    """The same, with copies in the log."""
    with kvitt_server.copy(clean) as conninfo:
        with connect(conninfo) as connection:
            for statement in AS_COPIED:
                assert connection.execute(statement.encode()).rowcount > 2
        assert_clean(conninfo)
        yield conninfo


@pytest.mark.parametrize("what", LOG_TAMPERED)
def test_it_finds_a_log_of_copies_with_another(kvitt_server: TestServer, copied: str, what: str) -> None:
    assert found_in(kvitt_server, copied, LOG_TAMPERED[what]) == {Kind.LOG: 1}


@pytest.mark.parametrize("what", PLACES_TAMPERED)
def test_it_finds_a_log_with_a(kvitt_server: TestServer, clean: str, what: str) -> None:
    assert found_in(kvitt_server, clean, PLACES_TAMPERED[what]) == {Kind.LOG: 1}


def found_in(kvitt_server: TestServer, conninfo: str, change: str) -> Mapping[Kind, int]:
    """What is found in a copy with one row changed."""
    with kvitt_server.copy(conninfo) as changed:
        with connect(changed) as connection:
            assert connection.execute(change.encode()).rowcount == 1
        return check(changed, PORTS).by_kind


def test_a_record_of_the_outbox_has_its_bytes_once(kvitt_server: TestServer, clean: str) -> None:
    with kvitt_server.copy(clean) as conninfo, connect(conninfo) as connection, pytest.raises(CheckViolation):
        connection.execute("UPDATE log_entries SET value = 'x' WHERE outbox_no = 2")


def test_a_log_that_has_let_records_go_and_holds_those_of_senders_is_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.accept()
    relay(hub)
    append(hub.connection, [NewRecord(helved_topics.primary_input(Scheme.AAP), b"k", b"not taken yet")], hub.clock())
    for statement in (*AS_COPIED, "DELETE FROM log_entries WHERE log_no < 4"):
        hub.connection.execute(statement.encode())
    assert_clean(database)


def test_every_published_record_names_its_event_and_its_times_behind_what_it_carries(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.connection.execute("UPDATE outbox SET headers = '[]' WHERE outbox_no = 1")
    relay(hub)
    query = """SELECT r.headers, o.headers, o.event_id::text, o.made_at, r.at FROM outbox AS o JOIN log_records AS r
        ON r.outbox_no = o.outbox_no"""
    rows = hub.connection.execute(query).fetchall()
    assert len(rows) > 2
    for published, carried, event, made_at, told_at in rows:
        made, now = (str((moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)) for moment in (made_at, told_at))
        behind = (("event-id", event), ("x-ts", made), ("x-st", made), ("x-sy", now))
        assert topics.decode_headers(published) == (*topics.decode_headers(carried), *behind)


def test_an_order_with_a_receipt_that_says_all_it_can_is_published_so_and_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    (xml,) = hub.send()
    said = "".join(f"<{name}>{name} &lt; æ  </{name}>" for name in LEAVES if name != "alvorlighetsgrad")
    hub.answer(answered(xml).replace(b"<beskrMelding></beskrMelding>", said.encode()))
    assert_clean(database)
    row = hub.connection.execute("SELECT value FROM outbox WHERE topic = %s AND value IS NOT NULL", (helved_topics.ORDERS,)).fetchone()
    assert row is not None
    published = etree.fromstring(row[0]).find("mmel")
    assert published is not None
    assert [(each.tag, each.text) for each in published] == [
        (name, "00" if name == "alvorlighetsgrad" else f"{name} < æ") for name in LEAVES
    ]


AREAS = ("TILSYN_BARN_AAP", "LÆREMIDLER_AAP")
AS_TOLD_BEFORE = (
    "UPDATE publishing SET since = (SELECT max(outbox_no) + 1 FROM outbox)",
    "UPDATE outbox AS o SET key = m.key FROM messages AS m WHERE m.message_no = o.message_no AND o.topic = 'helved.oppdrag.v1'",
    "UPDATE orders SET published_under = NULL",
    # Receipts of rejected orders named no payments, and lists were told only when they had changed.
    """UPDATE outbox SET headers = convert_to(regexp_replace(convert_from(headers, 'UTF8'), ',\\["uids","[^"]*"\\]', ''), 'UTF8')
       WHERE topic = 'helved.oppdrag.v1' AND value LIKE '%<mmel>%08%'""",
    """DELETE FROM outbox WHERE topic = 'helved.saker.v1' AND message_no IN (SELECT message_no FROM payments AS p JOIN orders AS o
       USING (order_id) WHERE p.action = 'UPDATE' AND o.case_no IN (SELECT case_no FROM cases WHERE scheme = 'AAP'))""",
    # Lines did not name their areas and what became of them, and failures did not name the areas.
    *(
        f"UPDATE {table} SET {column} = convert_to(regexp_replace(regexp_replace(convert_from({column}, 'UTF8'),"
        """',"ytelse":"TILLST[A-Z]*"|,"status":"[A-Z]*"', '', 'g'), ' [(]utført: [^)]*[)]', '', 'g'), 'UTF8') """
        f"WHERE {where}"
        for table, column, where in (("outbox", "value", "topic = 'helved.status.v1'"), ("messages", "answer", "answer IS NOT NULL"))
    ),
)


def test_what_was_published_in_an_earlier_form_is_clean_and_goes_on_so(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.accept()
    hub.take(Scheme.AAP, aap("A1", [("2026-06-01", "2026-06-12", 600)]))
    hub.accept()
    hub.take(Scheme.TILLEGGSSTONADER, ts("T1", AREAS))
    one, two = hub.send()
    hub.answer(answered(one), answered(two, "08", "Nei"))
    hub.take(
        Scheme.TILLEGGSSTONADER,
        ts("T2", AREAS, utbetalinger=[{**each, "id": str(uuid4())} for each in json.loads(ts("T2", AREAS))["utbetalinger"]]),
    )
    under_way = hub.send()
    for statement in AS_TOLD_BEFORE:
        assert hub.connection.execute(statement.encode()).rowcount > 0, statement
    assert_clean(database)
    for xml, severity in zip(under_way, ("08", "00"), strict=True):
        hub.answer(answered(xml, severity, "Nei"))
        assert_clean(database)
    keys = "SELECT count(DISTINCT key) FROM outbox WHERE topic = 'helved.oppdrag.v1' AND message_no = 4"
    assert hub.connection.execute(keys).fetchone() == (1,), "an order that is under way is told to its end where it began"
    hub.take(Scheme.TILLEGGSSTONADER, ts("T1", AREAS, amount=2000))
    hub.accept()
    assert_clean(database)
    hub.connection.execute("UPDATE outbox SET key = 'x' WHERE outbox_no = (SELECT max(outbox_no) FROM outbox)")
    assert not check(database, PORTS).clean
