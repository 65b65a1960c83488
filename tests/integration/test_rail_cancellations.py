"""What every rail that can be asked to cancel an order promises, and the core with it (docs/rail-port.md)."""

import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from msgspec.structs import replace

from kvitt.disbursement.cancel.request import CancellationRequest
from kvitt.disbursement.check import check
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.values import Order
from kvitt.errors import NeedsSecondPerson, NotInThatState, OrderNotFound
from kvitt.kernel.fault_points import OF_CANCELLATIONS
from kvitt.kernel.operators import Operator
from support.broken_queues import Dying, Forgetful, Losing, LosingAndForgetful, Put
from support.cancel_process import send_requests
from support.doomed_process import ended
from support.rail_kits import OppdragKit, ToyKit
from support.rail_site import REQUESTS, TWO, Site
from support.tried import tried
from support.wire_values import orders

CANCELLING = {"toy": ToyKit}
"""The kits of the rails that cancel; each keeps the promises of this file."""


AGAIN = Operator("Kari Nordmann", "the payee has another account", "Ola Hansen")


@pytest.fixture(params=CANCELLING.values(), ids=CANCELLING)
def site(request: pytest.FixtureRequest, database: str) -> Iterator[Site]:
    made = Site(database, request.param(database, REQUESTS))
    try:
        yield made
        made.assert_clean()
    finally:
        made.close()


def sent(site: Site, *cases: str) -> list[str]:
    """Orders that have left."""
    site.ask(*(cases or ("A",)))
    site.send()
    return site.orders()


def accepted(site: Site) -> str:
    """An order that the rail has taken."""
    (order_id,) = sent(site)
    site.receive()
    assert site.states() == ["accepted"]
    return order_id


def on_queue(site: Site) -> list[tuple[object, ...]]:
    """The messages that wait for the rail."""
    return site.connection.execute("SELECT body FROM queue.message WHERE queue = %s AND body IS NOT NULL", (REQUESTS,)).fetchall()


def test_each_rail_that_says_it_cancels_is_tried_here() -> None:
    assert {rail.name for rail in ToyKit.rails() if rail.capabilities.cancels} == CANCELLING.keys() == ToyKit.rails().cancelling.keys()


@tried(50)
@given(orders)
@pytest.mark.parametrize("rail", CANCELLING)
def test_a_request_is_made_by_what_it_says_and_by_nothing_else(rail: str, order: Order) -> None:
    encoding = ToyKit.rails().cancelling[rail]
    request = CancellationRequest(order.order_id, 1, encoding.encode(order).message, "sent twice", order.made_at)
    same = CancellationRequest(order.order_id, 1, encoding.encode(order).message, "sent twice", order.made_at)
    assert (encoding.encode_cancellation(request), request.cancellation_id) == (encoding.encode_cancellation(same), same.cancellation_id)
    later = replace(request, asked_at=order.made_at + timedelta(hours=1), reason="an other reason")
    assert later.cancellation_id == request.cancellation_id != replace(request, number=2).cancellation_id


def test_an_accepted_order_that_is_cancelled_stays_and_waits_for_a_person(site: Site) -> None:
    order_id = accepted(site)
    site.cancel(order_id)
    assert site.requests() == [(1, "ready")]
    site.send_requests()
    assert site.requests() == [(1, "sent")]
    site.receive()
    assert (site.requests(), site.states(), site.outcomes()) == ([(1, "agreed")], ["accepted"], ["accepted", "cancelled"])
    assert [(each.outcome, each.order_id) for each in site.operate.odd_receipts()] == [("cancelled", order_id)]
    assert site.said("A") == ["MOTTATT", "HOS_OPPDRAG", "OK"]
    row = site.connection.execute("SELECT answered_at IS NOT NULL, receipt_no FROM kvitt_views.cancellations").fetchone()
    assert row == (True, site.operate.odd_receipts()[0].receipt_no)


def test_an_order_that_is_cancelled_before_it_is_accepted_is_rejected(site: Site) -> None:
    (order_id,) = sent(site)
    site.cancel(order_id)
    site.send_requests()
    taken, cancelled = site.answers()
    assert site.settle([cancelled]) == [ReceiptOutcome.REJECTED]
    assert (site.requests(), site.states(), site.said("A")[-1]) == ([(1, "agreed")], ["rejected"], "FEILET")
    assert site.settle([taken]) == [ReceiptOutcome.CONTRADICTS], "the answers have overtaken each other: two people look"


def test_what_the_rail_refuses_to_cancel_is_noted_and_nothing_changes(site: Site) -> None:
    order_id = accepted(site)
    site.kit.keeps(order_id)  # type: ignore[union-attr]
    site.cancel(order_id)
    site.send_requests()
    site.receive()
    assert (site.requests(), site.states(), site.outcomes()) == ([(1, "refused")], ["accepted"], ["accepted", "noted"])
    assert (site.operate.odd_receipts(), site.said("A")[-1]) == ([], "OK")
    site.clock.advance(hours=1)
    site.cancel(order_id, AGAIN)
    assert site.requests() == [(1, "refused"), (2, "ready")], "it may be asked anew"


def test_an_answer_is_kept_once_and_ends_a_request_once(site: Site) -> None:
    order_id = accepted(site)
    site.cancel(order_id)
    site.send_requests()
    (answer,) = site.answers()
    assert site.settle([answer, answer]) == [ReceiptOutcome.CANCELLED, ReceiptOutcome.REPEAT]
    assert site.settle([RawReceipt("come again", answer.body)]) == [ReceiptOutcome.CANCELLED], "kept, and it ends nothing more"
    assert (site.requests(), site.states()) == ([(1, "agreed")], ["accepted"])


def test_a_rail_that_cancels_of_its_own_accord_answers_no_request(site: Site) -> None:
    order_id = accepted(site)
    (answer,) = site.connection.execute("SELECT body FROM receipts").fetchall()
    said = site.kit.with_severity(bytes(answer[0]), site.kit.cancelled, "by our own wish")  # type: ignore[union-attr]
    assert site.settle([RawReceipt("unasked", said)]) == [ReceiptOutcome.CANCELLED]
    assert (site.requests(), site.states()) == ([], ["accepted"])
    with pytest.raises(NotInThatState, match="is cancelled at the rail already"):
        site.cancel(order_id)


def test_a_request_leaves_behind_its_order(site: Site) -> None:
    site.ask("A")
    with pytest.raises(Dying):
        site.send(Losing)
    (order_id,) = site.orders()
    site.cancel(order_id)
    site.send_requests()
    assert (site.states(), site.requests()) == (["sending"], [(1, "ready")])
    site.send()
    site.send_requests()
    assert (site.states(), site.requests()) == (["sent"], [(1, "sent")])


def test_a_request_whose_connection_broke_is_put_again_as_it_was(site: Site) -> None:
    order_id = accepted(site)
    site.cancel(order_id)
    message = site.connection.execute("SELECT message FROM cancellations").fetchone()
    for queue in (Losing, Put):
        with pytest.raises(Dying):
            site.send_requests(queue)
        assert site.requests() == [(1, "sending")]
    site.send_requests()
    assert site.requests() == [(1, "sent")]
    assert on_queue(site) == [message], "once, byte for byte"
    site.receive()


def test_a_request_that_may_be_lost_waits_for_a_person_who_has_it_put_once_more(site: Site) -> None:
    order_id = accepted(site)
    site.cancel(order_id)
    with pytest.raises(Dying):
        site.send_requests(LosingAndForgetful)
    site.send_requests(Forgetful)
    assert site.requests() == [(1, "unknown")]
    waits = "SELECT what, order_id::text, ends_by FROM kvitt_views.{}"
    for view in ("attention", "stuck", "case_attention"):
        found = site.connection.execute(waits.format(view)).fetchall()  # type: ignore[arg-type]
        assert found == [("cancellation unknown", order_id, "kvitt order cancel")], view
    site.assert_clean()
    site.cancel(order_id, AGAIN)
    site.send_requests(Forgetful)
    assert site.requests() == [(1, "sent")]
    site.receive()
    assert (site.requests(), site.outcomes()) == ([(1, "agreed")], ["accepted", "cancelled"])


def test_an_answer_may_be_faster_than_the_sender(site: Site) -> None:
    order_id = accepted(site)
    site.cancel(order_id)
    with pytest.raises(Dying):
        site.send_requests(Put)
    site.receive()
    assert site.requests() == [(1, "agreed")]
    site.send_requests()
    assert site.requests() == [(1, "agreed")]


def test_what_is_asked_to_be_cancelled_is_not_sent_once_more_unless_the_rail_refuses(site: Site) -> None:
    (order_id,) = sent(site)
    site.cancel(order_id)
    with pytest.raises(NotInThatState, match="the rail is asked to cancel order"):
        site.operate.resend(order_id, TWO)
    site.send_requests()
    _, cancelled = site.answers()
    kept = site.kit.with_severity(cancelled.body, site.kit.kept, "not now")
    assert site.settle([RawReceipt("kept", kept)]) == [ReceiptOutcome.NOTED]
    site.operate.resend(order_id, TWO)
    assert site.states() == ["ready"]


def test_two_people_ask_and_only_for_what_the_rail_may_have(site: Site) -> None:
    site.ask("A")
    (order_id,) = site.orders()
    with pytest.raises(NeedsSecondPerson):
        site.cancel(order_id, Operator("kari", "sent twice"))
    with pytest.raises(OrderNotFound):
        site.cancel("00000000-0000-0000-0000-000000000000")
    with pytest.raises(NotInThatState, match="has never left: `kvitt order withdraw` takes it back"):
        site.cancel(order_id)
    site.send()
    site.operate.resend(order_id, TWO)
    with pytest.raises(NotInThatState, match="about to be sent once more"):
        site.cancel(order_id)
    site.send()
    site.cancel(order_id)
    with pytest.raises(NotInThatState, match=r"was asked to be cancelled at .* and that request is about to leave"):
        site.cancel(order_id)
    site.send_requests()
    answers = site.answers()
    site.settle(answers[:1])
    site.settle(answers[-1:])
    with pytest.raises(NotInThatState, match="is cancelled at the rail already"):
        site.cancel(order_id)


def test_what_is_rejected_has_nothing_to_cancel(site: Site) -> None:
    (order_id,) = sent(site)
    (answer,) = site.answers()
    site.settle([RawReceipt("no", site.kit.with_severity(answer.body, site.kit.rejected, "Nei"))])
    with pytest.raises(NotInThatState, match="is rejected: the rail pays nothing of it"):
        site.cancel(order_id)


def test_a_rail_that_does_not_cancel_is_not_asked(database: str) -> None:
    made = Site(database, OppdragKit(database, REQUESTS))
    order_id = accepted(made)
    with pytest.raises(NotInThatState, match=f"order {order_id} is accepted, and oppdrag can not be asked to cancel an order"):
        made.cancel(order_id)
    made.close()


@pytest.mark.parametrize("place", [*OF_CANCELLATIONS, "send.after_put"])
def test_a_process_that_dies_anywhere_leaves_a_request_once(database: str, place: str) -> None:
    made = Site(database, ToyKit(database, REQUESTS))
    made.cancel(accepted(made))
    assert ended(send_requests, database, die_at=place) == -signal.SIGKILL
    made.connection.execute("UPDATE leases SET until = '-infinity' WHERE lease LIKE 'canceller:%'")
    made.send_requests()
    assert on_queue(made) == made.connection.execute("SELECT message FROM cancellations").fetchall()
    made.receive()
    assert (made.requests(), made.outcomes()) == ([(1, "agreed")], ["accepted", "cancelled"])
    made.assert_clean()
    made.close()


FALSIFIED = {
    "other bytes": ("UPDATE cancellations SET message = message || ' '", "is not what its order and its reason give"),
    "another reason": ("UPDATE cancellations SET reason = 'because'", "is not what its order and its reason give"),
    "another id": ("UPDATE cancellations SET cancellation_id = gen_random_uuid()", "is not what its order and its reason give"),
    "another rail": ("UPDATE cancellations SET rail = 'oppdrag'", "went to oppdrag, and its order to toy"),
    "another answer": ("UPDATE cancellations SET state = 'refused'", "which receipt 2 does not say"),
    "another receipt": ("UPDATE cancellations SET receipt_no = 1", "which receipt 1 does not say"),
    "nobody asked": ("UPDATE audit SET what = 'other' WHERE what = 'cancel'", "is not asked to be cancelled as the operators' chain says"),
    "put once more of nobody's will": ("UPDATE cancellations SET resends = 1", "were not put once more as the operators' chain says"),
    "put once more by people, and never": (
        "UPDATE audit SET what = 'cancel again' WHERE what = 'cancel'",
        "were not put once more as the operators' chain says",
    ),
    "nobody stored": ("DELETE FROM cancellations", "is not asked to be cancelled as the operators' chain says"),
}


@pytest.mark.parametrize("falsified", FALSIFIED)
def test_the_check_finds_a_request_that_is_not_as_it_was_asked_for(database: str, falsified: str) -> None:
    made = Site(database, ToyKit(database, REQUESTS))
    made.cancel(accepted(made))
    made.send_requests()
    made.receive()
    made.assert_clean()
    statement, text = FALSIFIED[falsified]
    made.connection.execute(statement.encode())
    assert text in " ".join(each.text for each in check(made.conninfo, made.kit.ports).differences)
    made.close()
