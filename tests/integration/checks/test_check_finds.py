"""`kvitt check` promises: what anybody changed afterwards is found."""

from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, check
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.testing import TestServer
from support.case_checks import CHANGED, JUNE, LONGER, assert_clean, found
from support.case_histories import AAP_PAYMENT, OTHER_PAYMENT, CaseStage, aap, dp


def test_it_finds_a_held_order_that_nobody_released(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.accept()
    hub.take(Scheme.AAP, aap("A1", JUNE, also=[OTHER_PAYMENT]))
    hub.connection.execute("UPDATE orders SET held_for = '[]'")
    assert check(database, PORTS).by_kind == {Kind.ORDER: 1}


def test_it_finds_an_operator_s_note_that_was_changed(hub: CaseStage, database: str) -> None:
    Operate(hub.connection, hub.clock, PORTS).stop(["*"], Operator("Kari", "sent twice", "Ola"))
    assert_clean(database)
    hub.connection.execute("UPDATE audit SET note = replace(note, 'Kari', 'Nina') WHERE chain = 0")
    assert check(database, PORTS).by_kind == {Kind.CHAIN: 1, Kind.ENTRY: 1}


def test_progress_is_reported(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.DAGPENGER, *(dp(f"D{number}", [500]) for number in range(3)))
    published: list[tuple[int, int]] = []
    check(database, PORTS, progress=lambda done, total: published.append((done, total)))
    assert published == [(3, 3)]


# What was changed, and the kind of difference that must tell of it.
TAMPERED = {
    "a message's body": (Kind.MESSAGE, "UPDATE messages SET body = replace(convert_from(body, 'UTF8'), '500', '501')::bytea"),
    "a body with a digest to fit": (
        Kind.ENTRY,
        """UPDATE messages SET body = b.body, digest = sha256(b.body)
        FROM (SELECT message_no, replace(convert_from(body, 'UTF8'), '500', '501')::bytea AS body FROM messages) AS b
        WHERE messages.message_no = b.message_no""",
    ),
    "an answer": (Kind.MESSAGE, "UPDATE messages SET answer = '{\"status\":\"OK\"}' WHERE state = 'answered'"),
    "a message's state": (Kind.MESSAGE, "UPDATE messages SET state = 'queued' WHERE message_no = 1"),
    "a message's case": (Kind.ENTRY, "UPDATE messages SET case_no = NULL WHERE message_no = 1"),
    "a message's time": (Kind.MESSAGE, "UPDATE messages SET answered_at = answered_at + interval '1 second'"),
    "a message, stuck": (Kind.STUCK, "UPDATE messages SET state = 'derived', answered_at = NULL WHERE message_no = 1"),
    "a message, gone": (Kind.ORPHAN, "DELETE FROM messages WHERE message_no = 1"),
    "an order's bytes": (Kind.ORDER, "UPDATE orders SET message = replace(convert_from(message, 'UTF8'), '<sats>500', '<sats>900')::bytea"),
    "an order's number": (Kind.ORDER, "UPDATE orders SET number = number + 10"),
    "an order's state": (Kind.ORDER, "UPDATE orders SET state = 'rejected' WHERE state = 'accepted'"),
    "an order's receipt": (Kind.ORPHAN, "UPDATE orders SET receipt_no = 99 WHERE state = 'accepted'"),
    "an order withdrawn": (Kind.ORDER, "UPDATE orders SET state = 'withdrawn' WHERE state = 'sent'"),
    "an order, gone": (Kind.ORDER, "DELETE FROM orders"),
    "a line's amount": (Kind.LINE, "UPDATE order_lines SET amount = amount + 1"),
    "a line, gone": (Kind.LINE, "DELETE FROM order_lines WHERE position = 0"),
    "all lines, gone": (Kind.ORPHAN, "DELETE FROM order_lines"),
    "a line too many": (
        Kind.LINE,
        """INSERT INTO order_lines
        SELECT (jsonb_populate_record(l, '{"position": 99, "line_id": "x"}')).* FROM order_lines AS l WHERE ceased_from IS NULL LIMIT 1""",
    ),
    "a line made twice": (
        Kind.DOUBLE,
        """DROP INDEX order_lines_new; INSERT INTO order_lines
        SELECT (jsonb_populate_record(l, jsonb_build_object('order_id', gen_random_uuid()))).* FROM order_lines AS l LIMIT 1""",
    ),
    "a payment's bytes": (Kind.PAYMENT, "UPDATE payments SET document = replace(convert_from(document, 'UTF8'), '500', '900')::bytea"),
    "a payment's state": (Kind.PAYMENT, "UPDATE payments SET state = 'dropped' WHERE state = 'accepted'"),
    "a superseded payment": (
        Kind.PAYMENT,
        "DROP INDEX payments_current_once; UPDATE payments SET superseded = NOT superseded WHERE state = 'accepted'",
    ),
    "a payment's place in the list": (Kind.PAYMENT, "UPDATE payments SET position_in_case = position_in_case + 1"),
    "a payment, gone": (Kind.PAYMENT, "DELETE FROM payments WHERE version = 1"),
    "a payment of no order": (Kind.ORPHAN, "UPDATE payments SET order_id = gen_random_uuid()"),
    "a receipt's bytes": (Kind.RECEIPT, "UPDATE receipts SET body = body || ' '"),
    "a receipt's words": (
        Kind.ENTRY,
        """UPDATE receipts SET body = b.body, digest = sha256(b.body)
        FROM (SELECT receipt_no, replace(convert_from(body, 'UTF8'), 'grad>00<', 'grad>08<')::bytea AS body FROM receipts) AS b
        WHERE receipts.receipt_no = b.receipt_no""",
    ),
    "a receipt's outcome": (Kind.RECEIPT, "UPDATE receipts SET outcome = 'repeat' WHERE outcome = 'accepted'"),
    "a receipt's note": (Kind.RECEIPT, "UPDATE receipts SET note = 'x'"),
    "a receipt's order": (Kind.ORPHAN, "UPDATE receipts SET order_id = gen_random_uuid() WHERE outcome = 'accepted'"),
    "a receipt, gone": (Kind.ORPHAN, "DELETE FROM receipts WHERE outcome = 'accepted'"),
    "a status's words": (Kind.PUBLISHED, "UPDATE outbox SET value = '{}' WHERE topic = 'helved.status.v1'"),
    "a status's key": (Kind.PUBLISHED, "UPDATE outbox SET key = 'other' WHERE topic = 'helved.status.v1'"),
    "a status, gone": (
        Kind.PUBLISHED,
        "DELETE FROM outbox WHERE value::text LIKE '%%' AND convert_from(value, 'UTF8') LIKE '%HOS_OPPDRAG%'",
    ),
    "a status told again": (
        Kind.DOUBLE,
        """INSERT INTO outbox (topic, key, value, headers, event_id, message_no, made_at) SELECT topic, key, value, headers, event_id,
        message_no, made_at FROM outbox WHERE topic = 'helved.status.v1' LIMIT 1""",
    ),
    "a status too many": (
        Kind.PUBLISHED,
        """INSERT INTO outbox (topic, key, value, headers, event_id, message_no, made_at) SELECT topic, key, value, headers,
        gen_random_uuid(), message_no, made_at FROM outbox WHERE topic = 'helved.status.v1' LIMIT 1""",
    ),
    "a status of nothing": (Kind.ORPHAN, "UPDATE outbox SET message_no = NULL WHERE topic = 'helved.status.v1'"),
    "a case list": (Kind.PUBLISHED, "UPDATE outbox SET value = '[]' WHERE topic = 'helved.saker.v1'"),
    "a case list, gone": (Kind.PUBLISHED, "DELETE FROM outbox WHERE topic = 'helved.saker.v1'"),
    "a reference to bytes": (Kind.PUBLISHED, "UPDATE outbox SET version = version + 1 WHERE version IS NOT NULL"),
    "a case's person": (Kind.CASE, "UPDATE cases SET person = '10987654321'"),
    "a case's areas": (Kind.CASE, "UPDATE cases SET areas = areas || 'DP'::text"),
    "a case's open orders": (Kind.CASE, "UPDATE cases SET open_orders = open_orders + 1"),
    "a case's queued messages": (Kind.CASE, "UPDATE cases SET queued = queued + 1"),
    "how many line numbers a case has used up": (Kind.CASE, "UPDATE cases SET numbered = numbered + 1"),
    "a case's number of orders": (Kind.CASE, "UPDATE cases SET orders_made = orders_made + 1"),
    "a case's audit head": (Kind.CHAIN, "UPDATE cases SET last_event_hash = 'x'"),
    "a case, gone": (Kind.ORPHAN, "DELETE FROM cases"),
    "an audit entry's hash": (Kind.CHAIN, "UPDATE audit SET hash = 'x' WHERE seq = 2"),
    "an audit entry's digest": (Kind.CHAIN, "UPDATE audit SET digest = 'x' WHERE seq = 1"),
    "an audit entry's time": (Kind.CHAIN, "UPDATE audit SET at = at + interval '1 second' WHERE seq = 2"),
    "an audit entry, gone": (Kind.CHAIN, "DELETE FROM audit WHERE seq = 2"),
    "the last audit entry, gone": (Kind.CHAIN, "DELETE FROM audit USING cases WHERE chain = case_no AND seq = audit_seq"),
    "the operators' head": (Kind.CHAIN, "UPDATE operators SET audit_seq = 7"),
}


@pytest.fixture(scope="module")
def clean(kvitt_server: TestServer) -> Iterator[str]:
    """Conninfo of a database in which nothing was changed afterwards, to be copied."""
    with kvitt_server.database() as conninfo:
        hub = CaseStage(conninfo)
        hub.take(Scheme.AAP, aap("A1", JUNE))
        hub.accept()
        hub.take(Scheme.AAP, aap("A1", CHANGED), aap("A1", LONGER), aap("A2", JUNE, ident="nobody", payment=OTHER_PAYMENT))
        hub.accept()
        hub.take(Scheme.AAP, aap("A1", JUNE))
        hub.send()
        hub.close()
        assert_clean(conninfo)
        yield conninfo


@pytest.mark.parametrize("what", TAMPERED)
def test_it_finds_a_change_of(kvitt_server: TestServer, clean: str, what: str) -> None:
    kind, statement = TAMPERED[what]
    with kvitt_server.copy(clean) as changed:
        with connect(changed) as connection:
            connection.execute(statement)
        report = check(changed, PORTS)
    assert kind in report.by_kind, found(report)
    assert sum(report.by_kind.values()) == len(report.differences)


LOOSE = {
    "a refused message's body": (Kind.MESSAGE, "UPDATE messages SET body = '{}' WHERE case_no IS NULL"),
    "a refusal": (Kind.MESSAGE, "UPDATE messages SET answer = NULL WHERE case_no IS NULL"),
    "a refusal, untold": (Kind.PUBLISHED, "DELETE FROM outbox"),
    "a dead letter": (Kind.ORPHAN, "UPDATE dead_letters SET body = 'x'"),
    "an unmatched receipt's bytes": (Kind.RECEIPT, "UPDATE receipts SET body = 'x' WHERE outcome = 'unmatched'"),
    "an unmatched receipt's outcome": (Kind.RECEIPT, "UPDATE receipts SET outcome = 'accepted' WHERE outcome = 'unmatched'"),
    "an unreadable receipt's reason": (Kind.RECEIPT, "UPDATE receipts SET note = '' WHERE outcome = 'unreadable'"),
}


@pytest.mark.parametrize("what", LOOSE)
def test_it_finds_a_change_outside_of_cases_of(hub: CaseStage, database: str, what: str) -> None:
    hub.take(Scheme.AAP, b"{")
    hub.answer(b"<oppdrag><oppdrag-110/></oppdrag>", b"what?")
    assert_clean(database)
    kind, statement = LOOSE[what]
    hub.connection.execute(statement)
    assert kind in check(database, PORTS).by_kind


def test_all_differences_are_counted_and_none_holds_personal_data(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.connection.execute(
        "INSERT INTO receipts (message_id, digest, body, received_at, outcome) SELECT n::text, 'x', 'y', now(), 'accepted'"
        " FROM generate_series(1, 1200) AS n"
    )
    hub.connection.execute("UPDATE messages SET body = 'x'")
    report = check(database, PORTS)
    assert report.by_kind[Kind.RECEIPT] == 2400
    assert len(report.differences) == 1000
    assert not any("01020312345" in line or str(AAP_PAYMENT) in line for line in found(report))
