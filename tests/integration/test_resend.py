"""An order that operators have sent once more reaches the rail, as often as they decide it, and is paid once (design §6)."""

from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, check
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.sender import Sender
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.values import Scheme
from kvitt.errors import NotInThatState
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.kernel.operators import Operator
from kvitt.kernel.queue import NotPut, Outgoing
from kvitt.rails.oppdrag.emulator import (
    Chance,
    Faults,
    all_spans,
    received,
    set_faults,
)
from kvitt.rails.oppdrag.rail import LINE_EXISTS, ORDER_EXISTS
from kvitt.transports.queue.table_queue import TableQueue
from support.hub_messages import dp
from support.hub_stage import REPLIES, Stage, receipt_with, staged
from support.rapid_messages import CASE_ID, need
from support.rapid_stage import rapid_on

GUARD = Operator("vakt", "ingen kvittering", approved_by="sjef")
JUNE = "2025-06-02"


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        yield stage
        assert [repr(difference) for difference in check(database, PORTS).differences] == []


def resend(stage: Stage) -> None:
    """Has the newest order sent once more."""
    order_id = stage.one("SELECT order_id::text FROM orders ORDER BY message_no DESC LIMIT 1")
    Operate(stage.connection, stage.clock, PORTS).resend(str(order_id), GUARD)


def swallowed(stage: Stage) -> None:
    """The next receipt never comes, though its order takes effect."""
    set_faults(stage.connection, Faults(swallow=Chance(next=1)))


def names(stage: Stage) -> list[str]:
    """What the rail's queue has had, in order."""
    return [str(name) for (name,) in stage.rows("SELECT message_id FROM queue.message WHERE queue = 'oppdrag.request' ORDER BY sequence")]


def state(stage: Stage) -> tuple[object, ...]:
    return stage.rows("SELECT state, was_unknown, resends FROM orders ORDER BY message_no DESC LIMIT 1")[0]


def days(stage: Stage) -> int:
    return len(list(all_spans(stage.connection)))


def second_order(stage: Stage) -> None:
    """An order of a case that the rail knows, sent, and its receipt lost."""
    stage.hand_in(Scheme.DAGPENGER, ("k1", dp("S")))
    stage.finish()
    stage.hand_in(Scheme.DAGPENGER, ("k2", dp("S", amount=700)))
    swallowed(stage)
    assert stage.exchange() == []


def test_a_late_order_is_sent_again_and_the_rails_refusal_of_its_lines_settles_it(stage: Stage) -> None:
    second_order(stage)
    resend(stage)
    assert state(stage) == ("ready", True, 1)
    (receipt,) = stage.exchange()
    assert LINE_EXISTS.encode() in receipt.body
    assert stage.settle([receipt]) == [ReceiptOutcome.ACCEPTED]
    assert (stage.said("k2"), state(stage)) == (["MOTTATT", "HOS_OPPDRAG", "OK"], ("accepted", True, 1))
    order_id = str(stage.one("SELECT order_id::text FROM orders WHERE number = 2"))
    assert names(stage)[1:] == [order_id, f"{order_id}/1"]


def test_an_order_that_never_came_to_the_rail_is_accepted_when_it_is_sent_again(stage: Stage) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    stage.put()
    (lost,) = stage.requests.receive(10, 0.0)
    stage.requests.acknowledge()
    assert lost.body
    resend(stage)
    assert stage.finish() == [ReceiptOutcome.ACCEPTED]
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_a_first_order_that_the_rail_has_stays_unknown_unpublished_and_can_be_sent_again(stage: Stage) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    swallowed(stage)
    assert stage.exchange() == []
    for count in (1, 2):
        resend(stage)
        (receipt,) = stage.exchange()
        assert ORDER_EXISTS.encode() in receipt.body
        assert stage.settle([receipt]) == [ReceiptOutcome.UNCLEAR]
        assert (stage.said("k"), state(stage)) == (["MOTTATT", "HOS_OPPDRAG"], ("unknown", True, count))
    assert len(list(received(stage.connection))) == 3
    Operate(stage.connection, stage.clock, PORTS).decide(str(stage.one("SELECT order_id::text FROM orders")), accepted=True, operator=GUARD)
    assert stage.said("k")[-1] == "OK"


def test_a_receipt_that_has_come_before_leaves_nothing_to_send_again(stage: Stage) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    stage.finish()
    with pytest.raises(NotInThatState):
        resend(stage)
    assert state(stage) == ("accepted", False, 0)


@pytest.mark.parametrize("when", ["ready again", "under way", "sent again", "after the copy's"])
def test_the_first_copys_receipt_counts_whenever_it_comes(stage: Stage, when: str) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k1", dp("S")))
    stage.finish()
    stage.hand_in(Scheme.DAGPENGER, ("k2", dp("S", amount=700)))
    (first,) = stage.exchange()
    resend(stage)
    if when == "ready again":
        assert stage.settle([first]) == [ReceiptOutcome.ACCEPTED]
        assert stage.put() == 0
    elif when == "under way":
        (order,) = stage.sender.dequeue(10)
        assert stage.settle([first]) == [ReceiptOutcome.ACCEPTED]
        stage.requests.put([Outgoing(order.order_id, order.message, REPLIES, order.priority, order.resend)])
        assert stage.sender.sent([(order.order_id, order.message_no)]) == 0
        assert stage.settle(stage.rail()) == [ReceiptOutcome.REPEAT]
    else:
        (copys,) = stage.exchange()
        receipts = [first, copys] if when == "sent again" else [copys, first]
        assert stage.settle(receipts) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.REPEAT]
    assert stage.said("k2") == ["MOTTATT", "HOS_OPPDRAG", "OK"]
    assert days(stage) == 1


def test_a_refusal_of_the_first_copy_that_comes_while_it_is_ready_again_ends_it_unsent(stage: Stage) -> None:
    set_faults(stage.connection, Faults(refuse=Chance(next=1)))
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    (refused,) = stage.exchange()
    resend(stage)
    assert stage.settle([refused]) == [ReceiptOutcome.REJECTED]
    assert (stage.put(), stage.said("k")[-1]) == (0, "FEILET")


def test_a_forwarded_order_sent_again_stays_unknown_until_its_own_receipt_comes(database: str) -> None:
    with rapid_on(database) as rapid:
        rapid.ask(need())
        (first,) = rapid.exchange()
        resend(rapid)
        (copys,) = rapid.exchange()
        assert rapid.settle([copys]) == [ReceiptOutcome.UNCLEAR]
        assert rapid.order_states(CASE_ID) == ["unknown"]
        assert rapid.settle([first]) == [ReceiptOutcome.ACCEPTED]
        assert rapid.heard()[-1] == "AKSEPTERT"
        assert check(database, PORTS).differences == ()


class Breaking:
    """The table queue with a producer whose puts break off: before anything is stored, or after."""

    def __init__(self, conninfo: str, fates: list[str]) -> None:
        self._queue, self.fates = TableQueue(conninfo, "oppdrag.request"), fates
        self.drops_repeats, self.connect, self.was_put, self.close = True, self._queue.connect, self._queue.was_put, self._queue.close
        self.receive, self.acknowledge, self.release = self._queue.receive, self._queue.acknowledge, self._queue.release

    def put(self, messages: list[Outgoing]) -> None:
        fate = self.fates.pop(0) if self.fates else "well"
        if fate == "not put":
            raise NotPut("ended before the commit")
        if fate != "lost":
            self._queue.put(messages)
        if fate != "well":
            raise ConnectionError("ended in the commit")


@pytest.mark.parametrize("fate", ["not put", "lost", "put"])
def test_a_resend_whose_put_breaks_off_is_put_once_by_the_sender_itself(stage: Stage, fate: str) -> None:
    second_order(stage)
    resend(stage)
    queue, keeper = Breaking(stage.conninfo, [fate]), LeaseKeeper(stage.conninfo, seconds=600.0)
    stage.connection.execute("UPDATE leases SET until = '-infinity' WHERE lease = 'sender'")
    sender = Sender(stage.conninfo, keeper, lambda: queue, stage.clock, PORTS, wake_up=WakeUp(), reply_to=REPLIES)
    for _ in range(2):
        try:
            with sender.steps() as step:
                while step():
                    continue
        except ConnectionError:
            continue
    keeper.close()
    order_id = str(stage.one("SELECT order_id::text FROM orders WHERE number = 2"))
    assert (names(stage)[1:], state(stage)) == ([order_id, f"{order_id}/1"], ("sent", True, 1))
    assert stage.settle(stage.rail()) == [ReceiptOutcome.ACCEPTED]


def test_it_is_found_when_an_order_was_sent_again_and_nobody_has_noted_it(database: str) -> None:
    with staged(database) as stage:
        stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
        stage.put()
        stage.connection.execute("UPDATE orders SET resends = 1")
        assert check(database, PORTS).by_kind == {Kind.ORDER: 1}


def test_an_order_put_anew_at_the_rail_is_answered_anew(stage: Stage) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    (receipt,) = stage.exchange()
    stage.requests.receive(10, 0.0)
    stage.connection.execute("DELETE FROM queue.message WHERE queue = 'oppdrag.request'")
    xml = stage.bytes("SELECT message FROM orders")[0]
    stage.requests.put([Outgoing(str(stage.one("SELECT order_id::text FROM orders")), xml, REPLIES)])
    (anew,) = stage.rail()
    assert anew == RawReceipt(f"{receipt.message_id}/1", receipt.body)
    assert stage.settle([anew, receipt]) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.REPEAT]


def test_a_message_that_comes_back_after_its_dead_letter_was_taken_is_a_dead_letter_again(database: str) -> None:
    queue, dead = TableQueue(database, "q", 0), TableQueue(database, "q.dlq")
    for _ in range(2):
        queue.put([Outgoing("a", b"poison")])
        assert len(queue.receive(1, 0.0)) == 1
        queue.release()
        (buried,) = dead.receive(5, 0.0)
        assert (buried.message_id, buried.body) == ("a", b"poison")
        dead.acknowledge()
        with staged(database) as stage:
            stage.connection.execute("DELETE FROM queue.message WHERE queue = 'q'")
    queue.close()
    dead.close()


def test_a_resent_orders_late_receipt_of_an_unheard_of_severity_is_reported(stage: Stage) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    (first,) = stage.exchange()
    resend(stage)
    stage.put()
    assert stage.settle([receipt_with(first, "77")]) == [ReceiptOutcome.UNCLEAR]
    assert (stage.said("k")[-1], state(stage)) == ("FEILET", ("unknown", True, 1))
    assert stage.settle([first]) == [ReceiptOutcome.ACCEPTED]
    assert stage.said("k")[-1] == "OK"
