"""A receipt that contradicts what stands makes its case wait; two people adopt the rail's word or keep what stands, never "send again"."""

from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.events import CORRECTED
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.preview import preview
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.errors import NeedsSecondPerson, NotInThatState, OrderNotFound
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.rail import LINE_EXISTS, ORDER_EXISTS
from support.contradiction_stage import BOTH, Contradicted, as_accepted, as_rejected, contradicted
from support.hub_messages import aap, dp, payment_uid, ts, ts_payment
from support.hub_stage import receipt_with

DP, AAP, TS = Scheme.DAGPENGER, Scheme.AAP, Scheme.TILLEGGSSTONADER


@pytest.fixture
def stage(database: str) -> Iterator[Contradicted]:
    with contradicted(database) as made:
        yield made


def rejected_by_hand(stage: Contradicted, case: str = "A") -> str:
    """The rail has accepted an order that an operator has rejected; its receipt comes now. Gives the order."""
    (receipt,) = stage.exchange()
    order_id = stage.orders(case)[-1]
    stage.operate.decide(order_id, accepted=False, operator=BOTH)
    assert stage.settle([receipt]) == [ReceiptOutcome.CONTRADICTS]
    return order_id


def test_the_rail_pays_once_when_it_accepts_what_an_operator_rejected(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 553)))
    order_id = rejected_by_hand(stage)
    assert stage.said("k1")[-1] == "FEILET"
    # The sender sends again, as the refusal asks of it: nothing of it is derived, nothing can leave.
    stage.hand_in(DP, ("k2", dp("A", 553)))
    assert (stage.said("k2"), stage.put()) == (["MOTTATT"], 0)
    stage.assert_clean()
    effect = stage.resolve.adopt(order_id, BOTH)
    assert (effect.state, effect.left_open, len(effect.payments)) == (OrderState.ACCEPTED, 0, 1)
    assert stage.statuses_with_reasons("k1")[-1] == ("OK", CORRECTED)
    assert stage.said("k2") == ["MOTTATT", "OK"]
    assert stage.put() == 0
    assert stage.accepted("A") == stage.at_the_rail("A", "DP")
    assert set(stage.at_the_rail("A", "DP").values()) == {553}
    stage.assert_clean()


def test_a_change_that_waited_is_derived_against_what_was_adopted(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 553)))
    order_id = rejected_by_hand(stage)
    stage.hand_in(DP, ("k2", dp("A", 600)))
    (derived,) = stage.resolve.adopt(order_id, BOTH).derived
    assert derived.lines == 1
    assert stage.finish() == [ReceiptOutcome.ACCEPTED]
    assert stage.accepted("A") == stage.at_the_rail("A", "DP")
    assert set(stage.at_the_rail("A", "DP").values()) == {600}
    stage.assert_clean()


def test_the_first_order_of_a_case_can_be_adopted_and_the_case_goes_on(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A")))
    order_id = rejected_by_hand(stage)
    assert stage.one("SELECT areas FROM cases") == []
    stage.resolve.adopt(order_id, BOTH)
    assert stage.one("SELECT areas FROM cases") == ["DP"]
    stage.hand_in(DP, ("k2", dp("A", days=(1, 2, 3, 4))))
    assert stage.finish() == [ReceiptOutcome.ACCEPTED]
    assert stage.said("k2")[-1] == "OK"
    stage.assert_clean()


def test_an_order_that_waits_to_be_sent_is_held_and_derived_anew(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    stage.finish()
    stage.hand_in(DP, ("k2", dp("A", 553)))
    (receipt,) = stage.exchange()
    second = stage.orders("A")[-1]
    stage.operate.decide(second, accepted=False, operator=BOTH)
    stage.hand_in(DP, ("k3", dp("A", 600)))
    third = stage.orders("A")[-1]
    assert third != second
    stage.settle([receipt])
    (held,) = stage.operate.orders([OrderState.READY], held_only=True)
    assert (held.order_id, [reason.kind for reason in held.held_for]) == (third, [HoldKind.CONTRADICTION])
    assert stage.put() == 0
    with pytest.raises(NotInThatState, match="can not be released: what the rail says of another order"):
        stage.operate.release(third, BOTH)
    stage.assert_clean()
    effect = stage.resolve.adopt(second, BOTH)
    assert effect.taken_back == (third,)
    assert stage.order_states("A") == ["accepted", "accepted", "withdrawn", "ready"]
    stage.assert_clean()
    assert stage.finish() == [ReceiptOutcome.ACCEPTED]
    assert stage.said("k3") == ["MOTTATT", "MOTTATT", "HOS_OPPDRAG", "OK"]
    assert stage.accepted("A") == stage.at_the_rail("A", "DP")
    assert set(stage.at_the_rail("A", "DP").values()) == {600}
    stage.assert_clean()


def test_what_is_released_by_hand_leaves_the_contradiction_to_hold(stage: Contradicted) -> None:
    first, second = ts_payment(payment_uid("A", 1)), ts_payment(payment_uid("A", 2))
    stage.hand_in(TS, ("k1", ts("A", first)))
    (receipt,) = stage.exchange()
    stage.settle([receipt])
    stage.hand_in(TS, ("k2", ts("A", first, second)))
    stage.settle([as_rejected(receipt)])
    held = stage.orders("A")[-1]
    assert [reason.kind for reason in stage.operate.release(held, BOTH)] == [HoldKind.CONTRADICTION]
    assert stage.put() == 0
    stage.assert_clean()
    stage.resolve.keep(stage.orders("A")[0], BOTH)
    assert stage.put() == 1
    stage.assert_clean()


def test_keeping_what_stands_lets_the_case_go_on_as_it_was(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    (receipt,) = stage.exchange()
    order_id = stage.orders("A")[-1]
    stage.operate.decide(order_id, accepted=False, operator=BOTH)
    stage.hand_in(DP, ("k2", dp("A", 600)))
    stage.settle([receipt])
    effect = stage.resolve.keep(order_id, BOTH)
    assert (effect.state, effect.payments, effect.taken_back) == (OrderState.REJECTED, (), ())
    assert stage.order_states("A") == ["rejected", "ready"]
    # The rail has accepted the first order, whatever we keep: the second would pay its days once more.
    assert stage.put() == 0
    stage.operate.release(stage.orders("A")[1], BOTH)
    assert stage.put() == 1
    stage.assert_clean()
    # The same word once more has been heard; it opens nothing.
    assert stage.settle([receipt_with(receipt, "00", message_id="another")]) == [ReceiptOutcome.REPEAT]
    with pytest.raises(NotInThatState, match="kept by Kari Nordmann"):
        stage.resolve.adopt(order_id, BOTH)


def test_a_rejection_after_the_acceptance_can_be_adopted(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    stage.finish()
    stage.hand_in(DP, ("k2", dp("A", 600)))
    (receipt,) = stage.exchange()
    stage.settle([receipt])
    assert stage.settle([as_rejected(receipt)]) == [ReceiptOutcome.CONTRADICTS]
    stage.hand_in(DP, ("k3", dp("A", 700)))
    assert stage.put() == 0
    effect = stage.resolve.adopt(stage.orders("A")[1], BOTH)
    assert effect.state is OrderState.REJECTED
    assert set(stage.accepted("A").values()) == {500}
    final = stage.answers("k2")[-1]
    assert (final.status.value, final.error and final.error.text) == ("FEILET", "Ugyldig")
    (derived,) = effect.derived
    # It stands on the line of the first order again: what the second made is nothing to refer to.
    refers_to = stage.one("SELECT refers_to FROM order_lines WHERE order_id = %s AND position = 0", derived.order_id)
    assert refers_to == stage.one(
        "SELECT line_id FROM order_lines WHERE order_id = %s ORDER BY position DESC LIMIT 1", stage.orders("A")[0]
    )
    stage.assert_clean()


def test_a_first_order_that_was_rejected_after_all_leaves_nothing_behind(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    (receipt,) = stage.exchange()
    stage.settle([receipt])
    stage.settle([as_rejected(receipt)])
    stage.resolve.adopt(stage.orders("A")[0], BOTH)
    assert stage.rows("SELECT areas, person FROM cases") == [([], None)]
    assert stage.accepted("A") == {}
    payments = stage.rows("SELECT value, payment_id FROM outbox WHERE topic = 'helved.utbetalinger.v1' ORDER BY outbox_no")
    assert [payment_id is None for _, payment_id in payments] == [False, True]
    stage.assert_clean()
    stage.hand_in(DP, ("k2", dp("A", 500)))
    assert stage.one("SELECT is_first_order FROM orders ORDER BY number DESC LIMIT 1") is True
    stage.assert_clean()


def test_the_rail_may_change_its_mind_more_than_once(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    (receipt,) = stage.exchange()
    order_id = stage.orders("A")[0]
    stage.settle([receipt])
    for turn in range(3):
        again = as_rejected(receipt) if turn % 2 == 0 else as_accepted(receipt)
        assert stage.settle([receipt_with(again, "08" if turn % 2 == 0 else "00", "x", message_id=f"turn {turn}")]) == [
            ReceiptOutcome.CONTRADICTS
        ]
        stage.assert_clean()
        stage.resolve.adopt(order_id, BOTH)
        stage.assert_clean()
    assert stage.order_states("A") == ["rejected"]


def test_that_a_line_exists_contradicts_what_was_rejected_by_hand_and_not_what_was_accepted(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A")), ("k2", dp("B")))
    first, second = stage.exchange()
    stage.operate.decide(stage.orders("A")[0], accepted=False, operator=BOTH)
    stage.settle([second])
    assert stage.settle([receipt_with(first, "08", LINE_EXISTS), receipt_with(second, "08", LINE_EXISTS)]) == [
        ReceiptOutcome.CONTRADICTS,
        ReceiptOutcome.REPEAT,
    ]
    stage.resolve.adopt(stage.orders("A")[0], BOTH)
    assert stage.statuses_with_reasons("k1")[-1] == ("OK", CORRECTED)
    stage.assert_clean()


def test_that_an_order_exists_contradicts_what_was_accepted_by_hand_unless_copies_are_under_way(stage: Contradicted) -> None:
    stage.hand_in(AAP, ("k1", aap("A")), ("k2", aap("B")))
    first, copied = stage.exchange()
    (order_id,), (resent,) = stage.orders("A"), stage.orders("B")
    stage.operate.resend(resent, BOTH)
    stage.put()
    for each in (order_id, resent):
        stage.operate.decide(each, accepted=True, operator=BOTH)
    assert stage.settle([receipt_with(copied, "08", ORDER_EXISTS)]) == [ReceiptOutcome.REPEAT]
    assert stage.settle([receipt_with(first, "08", ORDER_EXISTS)]) == [ReceiptOutcome.CONTRADICTS]
    assert stage.resolve.adopt(order_id, BOTH).state is OrderState.REJECTED
    assert stage.accepted("A") == {}
    stage.assert_clean()


def test_what_an_operator_took_back_and_the_rail_accepts_contradicts(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 553)))
    order_id = stage.orders("A")[0]
    xml = stage.one("SELECT message FROM orders")
    stage.operate.withdraw(order_id, BOTH)
    # A queue that said it had not got the order had got it after all.
    from kvitt.kernel.queue import Outgoing
    from support.hub_stage import REPLIES

    assert isinstance(xml, bytes)
    stage.requests.put([Outgoing(order_id, xml, REPLIES)])
    assert stage.settle(stage.rail()) == [ReceiptOutcome.CONTRADICTS]
    stage.assert_clean()
    stage.resolve.adopt(order_id, BOTH)
    assert stage.accepted("A") == stage.at_the_rail("A", "DP")
    assert stage.said("k1") == ["MOTTATT", "FEILET", "HOS_OPPDRAG", "OK"]
    stage.assert_clean()


def test_a_case_with_an_order_on_its_way_is_not_turned_round(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    (receipt,) = stage.exchange()
    first = stage.orders("A")[0]
    stage.operate.decide(first, accepted=False, operator=BOTH)
    stage.hand_in(DP, ("k2", dp("A", 500)))
    stage.operate.release(stage.orders("A")[1], BOTH)
    stage.put()
    stage.settle([receipt])
    with pytest.raises(NotInThatState, match=f"order {stage.orders('A')[1]} of the case is sent"):
        stage.resolve.adopt(first, BOTH)
    assert stage.open_contradictions() == 1
    stage.assert_clean()


def test_an_order_that_later_accepted_orders_stand_on_is_not_turned_round(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    (receipt,) = stage.exchange()
    stage.settle([receipt])
    stage.hand_in(DP, ("k2", dp("A", 600)))
    stage.finish()
    first, second = stage.orders("A")
    stage.settle([as_rejected(receipt)])
    with pytest.raises(NotInThatState, match=second):
        stage.resolve.adopt(first, BOTH)
    stage.resolve.keep(first, BOTH)
    stage.assert_clean()


def test_an_order_is_not_adopted_whose_payments_a_later_order_pays_already(stage: Contradicted) -> None:
    stage.hand_in(AAP, ("k1", aap("A", 500)))
    stage.finish()
    stage.hand_in(AAP, ("k2", aap("A", 600)))
    (receipt,) = stage.exchange()
    second = stage.orders("A")[-1]
    stage.operate.decide(second, accepted=False, operator=BOTH)
    stage.hand_in(AAP, ("k3", aap("A", 700)))
    stage.finish()
    stage.settle([receipt])
    with pytest.raises(NotInThatState, match=stage.orders("A")[-1]):
        stage.resolve.adopt(second, BOTH)
    assert stage.open_contradictions() == 1
    stage.assert_clean()


def test_a_message_of_which_one_order_has_left_is_not_derived_again_by_halves(stage: Contradicted) -> None:
    areas = (ts_payment(payment_uid("A", 1)), ts_payment(payment_uid("A", 2), benefit="LÆREMIDLER_AAP"))
    stage.hand_in(TS, ("k1", ts("A", *areas)))
    (order, *_) = stage.sender.dequeue(1)
    from kvitt.kernel.queue import Outgoing
    from support.hub_stage import REPLIES

    stage.requests.put([Outgoing(order.order_id, order.message, REPLIES)])
    stage.sender.sent([(order.order_id, order.message_no)])
    (receipt,) = stage.rail()
    stage.operate.decide(order.order_id, accepted=False, operator=BOTH)
    stage.settle([receipt])
    rest = stage.orders("A")[1]
    with pytest.raises(NotInThatState, match=rest):
        stage.resolve.adopt(order.order_id, BOTH)
    stage.operate.withdraw(rest, BOTH)
    stage.assert_clean()
    stage.resolve.adopt(order.order_id, BOTH)
    assert stage.order_states("A") == ["accepted", "withdrawn"]
    stage.assert_clean()


def test_a_dry_run_shows_the_effect_and_changes_nothing(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    order_id = rejected_by_hand(stage)
    stage.hand_in(DP, ("k2", dp("A", 600)))
    before = stage.rows("SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM audit), (SELECT count(*) FROM orders)")
    alone = Operator("Kari Nordmann", "to see what would be")
    would = stage.resolve.adopt(order_id, alone, dry_run=True)
    assert [period.amount for payment in would.paid for period in payment.wanted] == [500]
    assert [period.amount for payment in would.then_paid for period in payment.wanted] == [600]
    assert stage.rows("SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM audit), (SELECT count(*) FROM orders)") == before
    assert stage.open_contradictions() == 1
    did = stage.resolve.adopt(order_id, BOTH)
    assert (did.paid, [each.order_id for each in did.derived]) == (would.paid, [each.order_id for each in would.derived])


def test_both_acts_need_two_people_and_something_that_contradicts(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)), ("k2", dp("B", 500)))
    order_id = rejected_by_hand_of_two(stage)
    for act in (stage.resolve.adopt, stage.resolve.keep):
        with pytest.raises(NeedsSecondPerson):
            act(order_id, Operator("Kari Nordmann", "alone with it"))
        with pytest.raises(NotInThatState, match="no receipt contradicts"):
            act(stage.orders("B")[0], BOTH)
        with pytest.raises(OrderNotFound):
            act("00000000-0000-0000-0000-000000000000", BOTH)
    stage.assert_clean()


def rejected_by_hand_of_two(stage: Contradicted) -> str:
    receipts = stage.exchange()
    order_id = stage.orders("A")[0]
    stage.operate.decide(order_id, accepted=False, operator=BOTH)
    assert sorted(stage.settle(receipts)) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.CONTRADICTS]
    return order_id


def test_a_preview_says_that_the_case_is_contradicted(stage: Contradicted) -> None:
    import json

    stage.hand_in(DP, ("k1", dp("A", 500)))
    rejected_by_hand(stage)
    shown = preview(stage.connection, PORTS, DP, b"k", json.dumps(dp("A", 600)).encode(), now=stage.clock())
    assert (shown.contradicted, shown.waits) == (True, True)


def test_each_act_stands_in_both_audit_chains(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    order_id = rejected_by_hand(stage)
    stage.resolve.adopt(order_id, BOTH)
    chains = stage.rows("SELECT chain = 0, what FROM audit WHERE what IN ('contradicted', 'adopted', 'adopt') ORDER BY chain, seq")
    assert chains == [(True, "adopt"), (False, "contradicted"), (False, "adopted")]
    stage.connection.execute("UPDATE contradictions SET reason = 'another'")
    from kvitt.disbursement.check.check import check

    assert [str(kind) for kind in check(stage.conninfo, PORTS).by_kind] == ["contradiction"]


@pytest.mark.parametrize(
    ("tamper", "kinds"),
    [
        ("UPDATE orders SET state = 'accepted'", {"order"}),
        ("DELETE FROM contradictions", {"contradiction", "view"}),
        ("UPDATE cases SET contradictions = 0", {"case", "view"}),
        ("UPDATE receipts SET outcome = 'repeat' WHERE outcome = 'contradicts'", {"receipt"}),
    ],
)
def test_check_finds_what_nobody_adopted(stage: Contradicted, tamper: str, kinds: set[str]) -> None:
    from kvitt.disbursement.check.check import check

    stage.hand_in(DP, ("k1", dp("A", 500)))
    rejected_by_hand(stage)
    stage.connection.execute(tamper.encode())
    assert {str(kind) for kind in check(stage.conninfo, PORTS).by_kind} == kinds
