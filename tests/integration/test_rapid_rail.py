"""Forwarded orders and a rail that is away, silent or unclear: nobody hears what is not so, an operator can end it (design §6, §12)."""

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.sender import Sender
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.kernel.operators import Operator
from kvitt.kernel.queue import Outgoing, Queue
from kvitt.rails.oppdrag.rail import LINE_EXISTS
from kvitt.transports.queue.table_queue import TableQueue
from support.hub_stage import REPLIES, again, receipt_with
from support.rapid_messages import CASE_ID, line, need
from support.rapid_stage import Rapid, following_need, in_short, other_case

BOTH = Operator("kari", "avklart med banken", "ola")


class Broker:
    """A broker that is not there as long as it is `down`."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo, self.down = conninfo, True

    def open(self) -> Queue:
        if self.down:
            raise ConnectionError("down")
        return TableQueue(self._conninfo, "oppdrag.request")


def test_while_the_broker_is_down_nobody_hears_feil_and_then_the_order_goes(rapid: Rapid) -> None:
    """FEIL published about what is sent later all the same would make its sender ask again."""
    rapid.ask(need())
    rapid.published()
    rapid.connection.execute("UPDATE leases SET until = '-infinity' WHERE lease = 'sender'")
    broker, keeper = Broker(rapid.conninfo), LeaseKeeper(rapid.conninfo, seconds=600.0)
    sender = Sender(rapid.conninfo, keeper, broker.open, rapid.clock, PORTS, wake_up=WakeUp(), reply_to=REPLIES)
    for _ in range(3):
        with pytest.raises(ConnectionError), sender.steps():
            raise AssertionError("there is no queue to step on")
    rapid.ask(need())
    assert (rapid.order_states(CASE_ID), rapid.heard()) == (["ready"], ["MOTTATT"])
    broker.down = False
    with sender.steps() as step:
        assert step() == 1
    keeper.close()
    assert (rapid.order_states(CASE_ID), rapid.heard()) == (["sent"], ["queued OVERFØRT", "OVERFØRT"])


@pytest.mark.parametrize(("accepted", "status"), [(True, "AKSEPTERT"), (False, "AVVIST")])
def test_an_operator_settles_a_forwarded_order_that_the_rail_never_answered(rapid: Rapid, accepted: bool, status: str) -> None:
    rapid.ask(need())
    rapid.exchange()
    rapid.published()
    order_id = str(rapid.one("SELECT order_id::text FROM orders"))
    Operate(rapid.connection, rapid.clock, PORTS).decide(order_id, accepted=accepted, operator=BOTH)
    assert rapid.order_states(CASE_ID) == ["accepted" if accepted else "rejected"]
    raw, said, answer = [message for _, message in rapid.published()]
    assert [in_short(each) for each in (raw, said, answer)] == ["raw receipt", f"rail {status}", status]
    assert raw["originalXml"].index("<mmel>") < raw["originalXml"].index("<oppdrag-110>")
    assert "avklart med banken" in answer["@løsning"]["Utbetaling"]["beskrivelse"]


def test_that_a_senders_line_exists_rejects_the_order(rapid: Rapid) -> None:
    """Of our own ids it would say that the order is there already; a sender's may be there from another order."""
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    rapid.published()
    rapid.settle([receipt_with(receipt, "08", LINE_EXISTS)])
    assert (rapid.heard(), rapid.order_states(CASE_ID)) == (["raw receipt", "rail AVVIST", "AVVIST"], ["rejected"])


def test_that_a_senders_line_exists_leaves_an_unknown_order_open(rapid: Rapid) -> None:
    rapid.ask(need())
    (order,) = rapid.sender.dequeue(1)
    rapid.requests.put([Outgoing(order.order_id, order.message, REPLIES, order.priority)])
    assert rapid.new_sender().mark_unknown() == [order.order_id]
    (receipt,) = rapid.rail()
    rapid.settle([receipt_with(receipt, "08", LINE_EXISTS)])
    assert rapid.order_states(CASE_ID) == ["unknown"]
    rapid.ask(need(linjer=[line(sats=1500)]))
    assert "annet innhold" in rapid.solution()["beskrivelse"]
    rapid.settle(again([receipt]))
    assert (rapid.heard()[-1], rapid.order_states(CASE_ID)) == ("AKSEPTERT", ["accepted"])


def test_needs_that_waited_and_begin_together_have_keys_of_their_own(rapid: Rapid) -> None:
    """Message numbers a thousand apart would give one key at one instant; their receipts are then taken one by one."""
    rapid.ask(*(other_case(number) for number in range(5)))
    for number in range(5):
        rapid.ask(following_need(number))
        rapid.connection.execute("SELECT nextval('message_numbers') FROM generate_series(1, 999)")
    rapid.finish()
    keys = [key for (key,) in rapid.rows("SELECT reconciliation_key FROM orders WHERE state = 'accepted'")]
    assert (len(keys), len(set(keys))) == (10, 10)
