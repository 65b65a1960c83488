"""Receipts settle orders once and for good, in whatever order, number and shape they come (design §6, helved §4.5)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from kvitt.disbursement.answers import Status
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.kernel.queue import Outgoing
from kvitt.rails.oppdrag.emulator import (
    Chance,
    Faults,
    set_faults,
    spans,
)
from kvitt.rails.oppdrag.rail import LINE_EXISTS, ORDER_EXISTS
from support.hub_messages import aap, dp, payment_uid, ts, ts_payment
from support.hub_stage import REPLIES, Stage, again, receipt_with, staged
from support.patience import until

DP, AAP, TS = Scheme.DAGPENGER, Scheme.AAP, Scheme.TILLEGGSSTONADER


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


def ordered(stage: Stage, key: str = "k", case: str = "S") -> RawReceipt:
    """One accepted order at the rail, its receipt not settled yet."""
    stage.hand_in(DP, (key, dp(case)))
    (receipt,) = stage.exchange()
    return receipt


def test_an_accepted_order_is_answered_in_three_steps(stage: Stage) -> None:
    assert stage.settle([ordered(stage)]) == [ReceiptOutcome.ACCEPTED]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_the_same_receipt_handed_out_again_changes_nothing(stage: Stage) -> None:
    receipt = ordered(stage)
    assert stage.settle([receipt, receipt]) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.REPEAT]
    assert stage.settle([receipt]) == [ReceiptOutcome.REPEAT]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK"]
    assert stage.one("SELECT count(*) FROM receipts") == 1


def test_a_doubled_receipt_is_kept_as_a_repeat(stage: Stage) -> None:
    receipt = ordered(stage)
    assert stage.settle([receipt, *again([receipt])]) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.REPEAT]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_a_receipt_that_another_receiver_stores_meanwhile_is_a_repeat(stage: Stage) -> None:
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
    with ThreadPoolExecutor(1) as pool:
        with connect(stage.conninfo) as other, other.transaction():
            other.execute(
                "INSERT INTO receipts (rail, message_id, digest, body, received_at, outcome)"
                " VALUES ('oppdrag', 'id', sha256('?'), '?', now(), 'unreadable')"
            )
            settled = pool.submit(stage.settle, [RawReceipt("id", b"?"), RawReceipt("another", b"?")])
            until(lambda: other.execute(waits).fetchone() == (True,))
        assert settled.result() == [ReceiptOutcome.REPEAT, ReceiptOutcome.UNREADABLE]
    assert stage.one("SELECT count(*) FROM receipts") == 2


AFTER_AN_ACCEPTANCE = [
    ("08", ReceiptOutcome.CONTRADICTS),
    ("12", ReceiptOutcome.CONTRADICTS),
    ("04", ReceiptOutcome.REPEAT),
    ("99", ReceiptOutcome.REPEAT),
    ("", ReceiptOutcome.REPEAT),
]


@pytest.mark.parametrize(("severity", "ruled"), AFTER_AN_ACCEPTANCE)
def test_whatever_comes_after_an_acceptance_changes_nothing_by_itself(stage: Stage, severity: str, ruled: ReceiptOutcome) -> None:
    receipt = ordered(stage)
    stage.settle([receipt])
    assert stage.settle([receipt_with(receipt, severity, "for sent")]) == [ruled]
    assert stage.order_states("S") == ["accepted"]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK"]


@pytest.mark.parametrize(
    ("severity", "ruled"), [("00", ReceiptOutcome.CONTRADICTS), ("04", ReceiptOutcome.CONTRADICTS), ("12", ReceiptOutcome.REPEAT)]
)
def test_whatever_comes_after_a_rejection_changes_nothing(stage: Stage, severity: str, ruled: ReceiptOutcome) -> None:
    receipt = ordered(stage)
    stage.settle([receipt_with(receipt, "08", "avvist")])
    assert stage.settle([receipt_with(receipt, severity)]) == [ruled]
    assert stage.order_states("S") == ["rejected"]
    assert stage.one("SELECT state FROM payments") == "dropped"
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "FEILET"]


@pytest.mark.parametrize("together", [True, False])
def test_of_an_acceptance_and_a_later_rejection_the_first_counts(stage: Stage, together: bool) -> None:
    receipt = ordered(stage)
    both = [receipt, receipt_with(receipt, "08", ORDER_EXISTS)]
    outcomes = stage.settle(both) if together else [*stage.settle(both[:1]), *stage.settle(both[1:])]
    assert outcomes == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.REPEAT]
    assert stage.final("k").status is Status.OK


class Case(NamedTuple):
    """A receipt's severity and words, and the answer that they give."""

    severity: str
    words: str
    status: Status
    code: int | None
    said: str


CASES = [
    Case("00", "", Status.OK, None, ""),
    Case("00 ", "", Status.OK, None, ""),
    Case("04", "Skatteopplysninger ikke funnet", Status.OK, 200, "Skatteopplysninger ikke funnet"),
    Case("08", "Overlappende avvent-perioder", Status.FAILED, 400, "Overlappende avvent-perioder"),
    Case("08", ORDER_EXISTS, Status.FAILED, 409, "Utbetalingen finnes allerede"),
    Case("08", "OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før", Status.FAILED, 404, "Utbetalingen finnes ikke"),
    Case("12", "Teknisk feil", Status.FAILED, 500, "Teknisk feil"),
    Case("08", "", Status.FAILED, 400, "Oppdragssystemet (OS) oppga ingen årsak"),
    Case("08   ", "blanke", Status.FAILED, 400, "blanke"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.severity!r} {case.words}")
def test_a_receipt_answers_as_the_contract_says(stage: Stage, case: Case) -> None:
    stage.settle([receipt_with(ordered(stage), case.severity, case.words)])
    answer = stage.final("k")
    assert answer.status is case.status
    assert (answer.error.status if answer.error else None, answer.error.text if answer.error else "") == (case.code, case.said)
    assert answer.error is None or answer.error.system == "OSUR"
    assert answer.details is not None


@pytest.mark.parametrize("severity", ["", "99", "0", "OK"])
def test_an_unknown_severity_leaves_the_order_unknown_until_a_clear_receipt(stage: Stage, severity: str) -> None:
    receipt = ordered(stage)
    assert stage.settle([receipt_with(receipt, severity, "uklart")]) == [ReceiptOutcome.UNCLEAR]
    assert stage.order_states("S") == ["unknown"]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "FEILET"]
    assert stage.settle([receipt]) == [ReceiptOutcome.ACCEPTED]
    assert stage.order_states("S") == ["accepted"]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "FEILET", "OK"]


def test_an_unclear_and_a_clear_receipt_in_one_batch_settle_the_order(stage: Stage) -> None:
    receipt = ordered(stage)
    assert stage.settle([receipt_with(receipt, "99"), receipt]) == [ReceiptOutcome.UNCLEAR, ReceiptOutcome.ACCEPTED]
    assert stage.order_states("S") == ["accepted"]
    assert stage.said("k")[-1] == "OK"


def test_a_line_of_ours_that_exists_was_accepted_before(stage: Stage) -> None:
    receipt = receipt_with(ordered(stage), "08", LINE_EXISTS)
    assert stage.settle([receipt]) == [ReceiptOutcome.ACCEPTED]
    assert stage.final("k").status is Status.OK
    assert stage.final("k").error is None
    assert stage.order_states("S") == ["accepted"]


def with_unknown_order(stage: Stage) -> RawReceipt:
    """An order that a sender put, and died before it noted so; the next sender has taken over."""
    stage.hand_in(DP, ("k", dp("S")))
    orders = stage.sender.dequeue(10)
    stage.connection.execute("UPDATE orders SET state = 'unknown'")
    stage.requests.put([Outgoing(order.order_id, order.message, REPLIES) for order in orders])
    (receipt,) = stage.rail()
    return receipt


def test_that_an_order_exists_proves_nothing_while_a_copy_may_be_on_its_way(stage: Stage) -> None:
    receipt = with_unknown_order(stage)
    assert stage.settle([receipt_with(receipt, "08", ORDER_EXISTS)]) == [ReceiptOutcome.UNCLEAR]
    assert stage.order_states("S") == ["unknown"]
    assert stage.said("k") == ["MOTTATT"]
    assert stage.settle([receipt]) == [ReceiptOutcome.ACCEPTED]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_a_receipt_that_overtakes_the_note_that_it_was_sent_tells_both(stage: Stage) -> None:
    stage.hand_in(DP, ("k", dp("S")))
    orders = stage.sender.dequeue(10)
    stage.requests.put([Outgoing(order.order_id, order.message, REPLIES) for order in orders])
    stage.settle(stage.rail())
    assert stage.sender.sent([(order.order_id, order.message_no) for order in orders]) == 0
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_a_receipt_for_an_order_that_never_left_is_kept_unmatched(stage: Stage) -> None:
    receipt = ordered(stage)
    stage.connection.execute("UPDATE orders SET state = 'ready', sent_at = NULL")
    assert stage.settle([receipt]) == [ReceiptOutcome.UNMATCHED]
    assert stage.order_states("S") == ["ready"]


def test_receipts_settle_their_own_orders_in_any_order(stage: Stage) -> None:
    stage.hand_in(DP, *((f"k{n}", dp(f"S{n}")) for n in range(5)))
    receipts = stage.exchange()
    rejected = receipt_with(receipts[3], "08", "avvist")
    assert set(stage.settle([receipts[4], receipts[0], rejected, receipts[2], receipts[1]])) == {
        ReceiptOutcome.ACCEPTED,
        ReceiptOutcome.REJECTED,
    }
    assert [stage.final(f"k{n}").status.value for n in range(5)] == ["OK", "OK", "OK", "FEILET", "OK"]


def test_of_two_orders_with_the_same_lines_each_gets_its_own_receipt(stage: Stage) -> None:
    uid = payment_uid("S")
    stage.hand_in(TS, ("k1", ts("S", ts_payment(uid, spans=[(1, 12)]))))
    stage.finish()
    stage.hand_in(TS, ("k2", ts("S", ts_payment(uid, spans=[(1, 5)]))))
    (first,) = stage.exchange()
    stage.settle([receipt_with(first, "08", "avvist")])
    stage.hand_in(TS, ("k3", ts("S", ts_payment(uid, spans=[(1, 5)]))))
    receipts = stage.exchange()
    assert stage.settle([*again([first]), *receipts]) == [ReceiptOutcome.CONTRADICTS, ReceiptOutcome.ACCEPTED]
    assert stage.order_states("S") == ["accepted", "rejected", "accepted"]


TWO_AREAS = (ts_payment(payment_uid("S", 1), benefit="TILSYN_BARN_AAP"), ts_payment(payment_uid("S", 2), benefit="BOUTGIFTER_AAP"))


def two_orders(stage: Stage) -> list[RawReceipt]:
    """The receipts of a message with orders in two areas; first that of TILLSTPB."""
    stage.hand_in(TS, ("k", ts("S", *TWO_AREAS)))
    return sorted(stage.exchange(), key=lambda receipt: b"TILLSTPB" not in receipt.body)


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("severities", "final"),
    [
        (("00", "00"), ("OK", None)),
        (("04", "00"), ("OK", 200)),
        (("00", "08"), ("FEILET", 400)),
        (("08", "12"), ("FEILET", None)),
        (("04", "08"), ("FEILET", 400)),
    ],
)
def test_a_message_in_two_areas_is_answered_once_by_the_worse_receipt(
    stage: Stage, severities: tuple[str, str], final: tuple[str, int | None], together: bool, turned: bool
) -> None:
    receipts = [receipt_with(each, severity, "sagt") for each, severity in zip(two_orders(stage), severities, strict=True)]
    receipts = receipts[::-1] if turned else receipts
    if together:
        stage.settle(receipts)
    else:
        stage.settle(receipts[:1])
        assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG"]
        stage.settle(receipts[1:])
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", final[0]]
    error = stage.final("k").error
    assert final[1] is None or (error is not None and error.status == final[1])
    assert stage.rows("SELECT state, answered_at IS NOT NULL FROM messages") == [("answered", True)]


def test_what_was_accepted_of_a_message_that_failed_in_part_is_the_truth(stage: Stage) -> None:
    stage.settle([receipt_with(receipt, "00" if b"TILLSTPB" in receipt.body else "08", "nei") for receipt in two_orders(stage)])
    assert stage.rows("SELECT area, state FROM payments ORDER BY area") == [("TILLSTBO", "dropped"), ("TILLSTPB", "accepted")]
    stage.hand_in(TS, ("again", ts("S", *TWO_AREAS)))
    assert stage.rows("SELECT area, is_first_order FROM orders WHERE number > 2") == [("TILLSTBO", True)]
    assert stage.one("SELECT count(*) FROM order_lines AS l JOIN orders AS o USING (order_id) WHERE o.number > 2") == 1


def test_a_message_in_two_areas_is_with_the_rail_when_both_orders_are(stage: Stage) -> None:
    stage.hand_in(TS, ("k", ts("S", *TWO_AREAS)))
    (one,) = stage.sender.dequeue(1)
    stage.sender.sent([(one.order_id, one.message_no)])
    assert stage.said("k") == ["MOTTATT"]
    (other,) = stage.sender.dequeue(1)
    stage.sender.sent([(other.order_id, other.message_no)])
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG"]


def test_a_rejected_first_order_leaves_the_case_new_to_the_rail(stage: Stage) -> None:
    set_faults(stage.connection, Faults(refuse=Chance(next=1)))
    stage.hand_in(AAP, ("k1", aap("S")))
    assert stage.finish() == [ReceiptOutcome.REJECTED]
    stage.hand_in(AAP, ("k2", aap("S")))
    assert stage.finish() == [ReceiptOutcome.ACCEPTED]
    assert stage.rows("SELECT is_first_order, state FROM orders ORDER BY number") == [(True, "rejected"), (True, "accepted")]
    (span,) = spans(stage.connection, "AAP", "S")
    assert (str(span.start), str(span.end), span.amount) == ("2026-06-01", "2026-06-12", 500)
