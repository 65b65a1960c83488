"""`kvitt check` promises: what the hub itself has done is clean, whatever its history."""

import re

import pytest
from msgspec.structs import replace

from kvitt.app.ports import PORTS
from kvitt.disbursement.history import history
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.ports import SubjectCheck
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.kernel.audit import AuditRow, link
from kvitt.kernel.fetch import fetch
from kvitt.kernel.operators import Operator
from support.case_checks import AREAS, CHANGED, ENTRIES, JUNE, LONGER, assert_clean, order_ids
from support.case_histories import EXISTS_ALREADY, OTHER_PAYMENT, CaseStage, aap, answered, dp, ts


def test_an_empty_store_is_clean(database: str) -> None:
    assert assert_clean(database).counts.cases == 0


@pytest.mark.parametrize(
    ("subject", "tables"),
    [
        *zip(
            [each for each in PORTS.checks() if each.statements],
            [r"\breconciliation_\w+|\breconciled_\w+", r"\bledger\.\w+", r"\bpayouts\.\w+"],
            strict=True,
        )
    ],
    ids=["reconciliation", "ledger", "payouts"],
)
def test_a_subject_is_passed_by_only_while_all_its_tables_are_empty(subject: SubjectCheck, tables: str) -> None:
    read = {name for _, statement in subject.statements for name in re.findall(rf"(?:FROM|JOIN) ({tables})", statement)}
    assert len(read) > 1
    assert read <= set(re.findall(rf"FROM ({tables})", subject.anything))


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
    left = hub.send()
    assert_clean(database)
    hub.answer(answered(left[0]))
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
    orders = hub.sender.dequeue(10)
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
    (order,) = hub.sender.dequeue(10)
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
    (order,) = hub.sender.dequeue(1)
    hub.sender.sent([(order.order_id, order.message_no)])
    hub.answer(answered(order.message))
    (rest,) = {each.order_id for each in history(database, PORTS, Scheme.TILLEGGSSTONADER, "T1").orders} - {order.order_id}
    Operate(hub.connection, hub.clock, PORTS).withdraw(rest, Operator("Kari", "sent twice", "Ola"))
    assert_clean(database)
