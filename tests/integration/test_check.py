"""`kvitt check` promises: what the hub itself has done is clean, whatever its history; what anybody changed afterwards is found."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, Report, check
from kvitt.disbursement.history import history
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.kernel.audit import AuditRow, link
from kvitt.kernel.fetch import fetch
from kvitt.kernel.operators import Operator
from support.case_histories import AAP_PAYMENT, EXISTS_ALREADY, OTHER_PAYMENT, CaseStage, aap, answered, dp, ts

JUNE = [("2026-06-01", "2026-06-12", 500)]
LONGER = [("2026-06-01", "2026-06-12", 500), ("2026-06-15", "2026-06-26", 700)]
CHANGED = [("2026-06-01", "2026-06-05", 500), ("2026-06-08", "2026-06-12", 650)]
ENTRIES = "SELECT chain, seq, at, what, message_no, order_id::text, receipt_no, digest, note, hash FROM audit WHERE chain = 1 ORDER BY seq"
AREAS = ("TILSYN_BARN_AAP", "LÆREMIDLER_AAP")


@pytest.fixture
def hub(database: str) -> Iterator[CaseStage]:
    hub = CaseStage(database)
    yield hub
    hub.close()


def found(report: Report) -> list[str]:
    """The differences as text, so that a red test says what is wrong."""
    return [f"{each.kind.value}: {each.subject} {each.text}" for each in report.differences]


def assert_clean(database: str) -> Report:
    report = check(database, PORTS)
    assert found(report) == []
    assert report.clean
    return report


def order_ids(database: str, case_id: str) -> list[str]:
    return [order.order_id for order in history(database, PORTS, Scheme.AAP, case_id).orders]


def test_an_empty_store_is_clean(database: str) -> None:
    assert assert_clean(database).counts.cases == 0


def test_a_case_that_grows_changes_and_ceases_is_clean(hub: CaseStage, database: str) -> None:
    for spans in (JUNE, LONGER, CHANGED, JUNE, []):
        hub.take(Scheme.AAP, aap("A1", spans))
        assert_clean(database)
        hub.accept()
        assert_clean(database)
    hub.take(Scheme.AAP, aap("A1", LONGER))
    hub.accept()
    counts = assert_clean(database).counts
    assert (counts.cases, counts.messages, counts.orders, counts.receipts) == (1, 6, 6, 6)
    assert counts.lines >= counts.orders
    assert counts.payments == counts.orders
    assert counts.audit_entries == 12


def test_every_step_on_the_way_is_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.DAGPENGER, dp("D1", [500] * 28))
    claimed = hub.send()
    assert_clean(database)
    hub.answer(answered(claimed[0]))
    assert_clean(database)


def test_messages_that_wait_behind_an_open_order_are_clean(hub: CaseStage, database: str) -> None:
    taken = hub.take(Scheme.AAP, aap("A1", JUNE), aap("A1", LONGER), aap("A1", LONGER), aap("A1", JUNE, dryrun=True), aap("A1", []))
    assert taken == [Outcome.DERIVED, Outcome.QUEUED, Outcome.QUEUED, Outcome.ANSWERED, Outcome.QUEUED]
    assert_clean(database)
    hub.accept()
    report = assert_clean(database)
    assert report.counts.orders == 3


def test_a_dry_run_that_was_queued_as_of_old_is_simulated_when_its_turn_comes(
    hub: CaseStage, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvitt.disbursement.handle.open_order_failure", lambda *_: None)
    taken = hub.take(Scheme.AAP, aap("A1", JUNE), aap("A1", LONGER, dryrun=True), aap("A1", LONGER))
    assert taken == [Outcome.DERIVED, Outcome.QUEUED, Outcome.QUEUED]
    monkeypatch.undo()
    assert_clean(database)
    hub.accept()
    report = assert_clean(database)
    assert (report.counts.orders, report.counts.simulations) == (2, 1)


def test_chains_that_say_waiting_of_what_is_queued_stay_as_they_were_written(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE), aap("A1", LONGER))
    chain: list[AuditRow] = []
    for entry in fetch(hub.connection, AuditRow, ENTRIES):
        then = replace(entry, what="waiting") if entry.what == "queued" else entry
        chain.append(link(chain[-1].hash if chain else b"", then))
        hub.connection.execute("UPDATE audit SET what = %s, hash = %s WHERE chain = 1 AND seq = %s", (then.what, chain[-1].hash, then.seq))
    hub.connection.execute("UPDATE cases SET last_event_hash = %s", [chain[-1].hash])
    assert [entry.what for entry in chain] == ["ordered", "waiting"]
    assert_clean(database)


def test_rejections_warnings_and_repeats_are_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE), aap("A2", JUNE, payment=OTHER_PAYMENT))
    one, two = hub.send()
    rejected, warned = answered(one, "08", "Oppdraget finnes fra før"), answered(two, "04", "Merknad")
    assert hub.answer(rejected, warned) == [ReceiptOutcome.REJECTED, ReceiptOutcome.ACCEPTED]
    assert hub.answer(answered(two)) == [ReceiptOutcome.REPEAT]
    hub.take(Scheme.AAP, aap("A1", LONGER), aap("A2", LONGER, payment=OTHER_PAYMENT))
    hub.accept()
    assert_clean(database)


def test_a_receipt_without_severity_leaves_the_order_unknown_and_is_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    (xml,) = hub.send()
    assert hub.answer(answered(xml, "")) == [ReceiptOutcome.UNCLEAR]
    assert_clean(database)
    assert hub.answer(answered(xml, "08", EXISTS_ALREADY)) == [ReceiptOutcome.ACCEPTED]
    assert_clean(database)


def test_a_receipt_that_overtakes_the_sender_is_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    orders = hub.sender.claim(10)
    hub.answer(answered(orders[0].message))
    assert hub.sender.sent([(orders[0].order_id, orders[0].message_no)]) == 0
    assert_clean(database)


def test_two_areas_of_one_message_acknowledged_at_once_are_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.TILLEGGSSTONADER, ts("T1", AREAS))
    hub.accept()
    assert assert_clean(database).counts.orders == len(AREAS)


def test_two_areas_of_one_message_acknowledged_one_after_the_other_are_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.TILLEGGSSTONADER, ts("T1", AREAS))
    for xml in hub.send():
        hub.answer(answered(xml))
        assert_clean(database)


@pytest.mark.parametrize("severities", [("08", "00"), ("00", "08"), ("04", "00"), ("08", "04"), ("", "00")])
def test_a_message_is_answered_when_its_last_order_is_whatever_the_first_one_was(
    hub: CaseStage, database: str, severities: tuple[str, str]
) -> None:
    hub.take(Scheme.TILLEGGSSTONADER, ts("T1", AREAS))
    one, two = hub.send()
    hub.answer(answered(one, severities[0], "Merknad"))
    assert_clean(database)
    hub.answer(answered(two, severities[1]))
    assert_clean(database)


def test_a_rejection_after_an_unclear_receipt_is_published_as_a_thing_of_its_own(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    (xml,) = hub.send()
    hub.connection.execute("UPDATE orders SET state = 'unknown'")
    assert hub.answer(answered(xml, "08", "Oppdraget finnes fra før")) == [ReceiptOutcome.UNCLEAR]
    assert hub.answer(answered(xml, "08", "Noe annet")) == [ReceiptOutcome.REJECTED]
    assert_clean(database)


def test_an_unclear_receipt_that_overtakes_the_sender_leaves_the_order_unknown(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    (order,) = hub.sender.claim(10)
    assert hub.answer(answered(order.message, "")) == [ReceiptOutcome.UNCLEAR]
    hub.sender.sent([(order.order_id, order.message_no)])
    assert_clean(database)


def test_dry_runs_are_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE, dryrun=True), aap("A1", JUNE), aap("A2", [], payment=OTHER_PAYMENT, dryrun=True))
    hub.accept()
    hub.take(Scheme.AAP, aap("A1", JUNE, dryrun=True), aap("A1", LONGER, dryrun=True))
    assert_clean(database)


def test_refused_messages_are_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", [("2026-06-12", "2026-06-01", 500)]), aap("A1", JUNE, ident="nobody"), aap("A" * 31, JUNE), b"{")
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.accept()
    hub.take(Scheme.AAP, aap("A1", LONGER, ident="10987654321"))
    assert_clean(database)


@pytest.mark.parametrize("severity", ["00", "08"])
def test_a_payment_that_another_case_has_or_had_is_refused_and_clean(hub: CaseStage, database: str, severity: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    assert hub.take(Scheme.AAP, aap("A2", JUNE)) == [Outcome.ANSWERED]
    (xml,) = hub.send()
    hub.answer(answered(xml, severity, "Avvist"))
    assert_clean(database)


def test_receipts_of_nothing_are_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    (xml,) = hub.send()
    assert hub.answer(xml.replace(b"A1", b"A9"), b"what?") == [ReceiptOutcome.UNMATCHED, ReceiptOutcome.UNREADABLE]
    assert assert_clean(database).counts.receipts == 2


def test_what_operators_do_with_orders_is_clean(hub: CaseStage, database: str) -> None:
    operate, operator = Operate(hub.connection, hub.clock, PORTS), Operator("Kari", "sent twice", "Ola")
    hub.take(Scheme.AAP, aap("A1", JUNE), aap("A1", LONGER))
    operate.withdraw(order_ids(database, "A1")[-1], operator)
    assert_clean(database)
    hub.accept()
    hub.take(Scheme.AAP, aap("A1", LONGER, also=[OTHER_PAYMENT]))
    assert hub.send() == []
    assert_clean(database)
    operate.release(order_ids(database, "A1")[-1], operator)
    assert_clean(database)
    hub.send()
    operate.decide(order_ids(database, "A1")[-1], accepted=True, operator=operator)
    operate.stop(["*"], operator)
    assert_clean(database)


def test_an_unknown_order_that_an_operator_sends_again_is_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    (xml,) = hub.send()
    assert hub.answer(answered(xml, "")) == [ReceiptOutcome.UNCLEAR]
    Operate(hub.connection, hub.clock, PORTS).resend(order_ids(database, "A1")[0], Operator("Kari", "never arrived", "Ola"))
    assert_clean(database)
    assert hub.send() == [xml]
    assert_clean(database)
    hub.answer(answered(xml))
    assert_clean(database)


def test_one_area_of_a_message_withdrawn_after_the_other_is_accepted_is_clean(hub: CaseStage, database: str) -> None:
    hub.take(Scheme.TILLEGGSSTONADER, ts("T1", AREAS))
    (order,) = hub.sender.claim(1)
    hub.sender.sent([(order.order_id, order.message_no)])
    hub.answer(answered(order.message))
    (rest,) = {each.order_id for each in history(database, PORTS, Scheme.TILLEGGSSTONADER, "T1").orders} - {order.order_id}
    Operate(hub.connection, hub.clock, PORTS).withdraw(rest, Operator("Kari", "sent twice", "Ola"))
    assert_clean(database)


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


@pytest.mark.parametrize("what", TAMPERED)
def test_it_finds_a_change_of(hub: CaseStage, database: str, what: str) -> None:
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.accept()
    hub.take(Scheme.AAP, aap("A1", CHANGED), aap("A1", LONGER), aap("A2", JUNE, ident="nobody", payment=OTHER_PAYMENT))
    hub.accept()
    hub.take(Scheme.AAP, aap("A1", JUNE))
    hub.send()
    assert_clean(database)
    kind, statement = TAMPERED[what]
    hub.connection.execute(statement)
    report = check(database, PORTS)
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
