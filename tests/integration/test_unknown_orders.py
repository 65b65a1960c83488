"""An order that was once unknown stays one that may be at the rail: nothing that is done with it later may pay it twice (design §6)."""

from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.errors import NotInThatState
from kvitt.kernel.operators import Operator
from kvitt.kernel.queue import Outgoing
from kvitt.rails.oppdrag.rail import LINE_EXISTS
from support.hub_messages import dp
from support.hub_stage import REPLIES, Stage, receipt_with, staged
from support.rapid_messages import CASE_ID, need
from support.rapid_stage import Rapid

GUARD = Operator("vakt", "prøvd", approved_by="sjef")


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        yield stage
        assert [repr(difference) for difference in check(database, PORTS).differences] == []


def resent(stage: Stage) -> str:
    """Lets the one unknown order be sent again; returns its id."""
    operate = Operate(stage.connection, stage.clock, PORTS)
    (order,) = operate.orders([OrderState.UNKNOWN])
    operate.resend(order.order_id, GUARD)
    return order.order_id


def test_a_receipt_that_comes_while_the_order_is_ready_again_settles_it(rapid: Rapid) -> None:
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    rapid.settle([receipt_with(receipt, "99")])
    resent(rapid)
    assert rapid.settle([receipt]) == [ReceiptOutcome.ACCEPTED]
    assert rapid.heard()[-1] == "AKSEPTERT"
    assert rapid.put() == 0


def test_a_second_copy_that_the_rail_refuses_is_no_refusal_of_the_need(rapid: Rapid) -> None:
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    rapid.settle([receipt_with(receipt, "99")])
    resent(rapid)
    assert rapid.put() == 1
    rapid.published()
    assert rapid.settle([receipt_with(receipt, "08", LINE_EXISTS)]) == [ReceiptOutcome.UNCLEAR]
    assert (rapid.heard(), rapid.order_states(CASE_ID)) == (["raw receipt"], ["unknown"])
    rapid.ask(need(saksbehandler="En annen"))
    assert (rapid.solution()["status"], rapid.order_states(CASE_ID)) == ("FEIL", ["unknown"])
    assert rapid.settle([receipt]) == [ReceiptOutcome.ACCEPTED]
    assert rapid.heard()[-1] == "AKSEPTERT"


def test_an_unclear_receipt_of_an_unknown_order_is_reported(rapid: Rapid) -> None:
    rapid.ask(need())
    orders = rapid.sender.dequeue(10)
    rapid.new_sender().mark_unknown()
    rapid.published()
    rapid.requests.put([Outgoing(order.order_id, order.message, REPLIES, order.priority) for order in orders])
    (receipt,) = rapid.rail()
    rapid.settle([receipt_with(receipt, "77", "hm")])
    assert rapid.heard() == ["raw receipt", "queued OVERFØRT", "OVERFØRT", "rail FEIL", "FEIL"]
    assert rapid.sender.unknown(10) == []
    rapid.settle([receipt])
    assert rapid.heard()[-1] == "AKSEPTERT"


def test_what_may_be_at_the_rail_is_not_taken_back(stage: Stage) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    (receipt,) = stage.exchange()
    stage.settle([receipt_with(receipt, "99")])
    order_id = resent(stage)
    with pytest.raises(NotInThatState):
        Operate(stage.connection, stage.clock, PORTS).withdraw(order_id, GUARD)
    assert stage.settle([receipt]) == [ReceiptOutcome.ACCEPTED]
    assert stage.order_states("S") == ["accepted"]
