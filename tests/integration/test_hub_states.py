"""An order moves along the arcs of the design and no others, because the statements that move it say from where (design §6)."""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from kvitt.disbursement.states import (
    MESSAGE_ARCS,
    MESSAGE_TURNS,
    ORDER_ARCS,
    ORDER_TURNS,
    MessageState,
    OrderState,
)
from kvitt.disbursement.values import Scheme
from kvitt.kernel.queries import load
from support.hub_messages import dp
from support.hub_stage import Stage, receipt_with, staged

Arguments = Sequence[object] | Mapping[str, object]
ORDERS, WRITE, CONTRADICTIONS = (
    load("orders", "kvitt.disbursement"),
    load("write", "kvitt.disbursement"),
    load("contradictions", "kvitt.disbursement"),
)


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


def moves(stage: Stage, order_id: str) -> dict[str, tuple[str, Arguments]]:
    """Every statement that moves an order: name → statement and arguments."""
    now, ids = stage.clock(), [order_id]
    settle: dict[str, Arguments] = {state: [ids, [state], [1], [now], [False]] for state in ("accepted", "rejected", "unknown")}
    return {
        "dequeue_orders": (ORDERS.dequeue_orders, {"rail": "oppdrag", "sender": "other", "now": now, "day": now.date(), "limit": 9}),
        "mark_sent": (ORDERS.mark_sent, {"order_ids": ids, "sender": "me", "moments": [now]}),
        "mark_sent by another": (ORDERS.mark_sent, {"order_ids": ids, "sender": "other", "moments": [now]}),
        "orphans_to_unknown": (ORDERS.orphans_to_unknown, {"rail": "oppdrag", "sender": "other"}),
        "give_back": (ORDERS.give_back, [ids, "me"]),
        "give_back by another": (ORDERS.give_back, [ids, "other"]),
        "unknown_to_sending": (ORDERS.unknown_to_sending, {"order_ids": ids, "sender": "other", "now": now}),
        "sent_to_unknown": (ORDERS.sent_to_unknown, [ids]),
        **{f"settle {state}": (ORDERS.settle_orders, arguments) for state, arguments in settle.items()},
    }


REACHED = {
    ("dequeue_orders", "ready"): "sending",
    ("mark_sent", "sending"): "sent",
    ("mark_sent", "unknown"): "sent",
    ("mark_sent by another", "unknown"): "sent",
    ("orphans_to_unknown", "sending"): "unknown",
    ("give_back", "sending"): "ready",
    ("unknown_to_sending", "unknown"): "sending",
    ("sent_to_unknown", "sent"): "unknown",
    ("settle accepted", "sending"): "accepted",
    ("settle accepted", "sent"): "accepted",
    ("settle accepted", "unknown"): "accepted",
    ("settle rejected", "sending"): "rejected",
    ("settle rejected", "sent"): "rejected",
    ("settle rejected", "unknown"): "rejected",
    ("settle unknown", "sending"): "unknown",
    ("settle unknown", "sent"): "unknown",
}
"""What each statement does to an order of the sender `me`; from every other state it moves nothing."""


@pytest.mark.parametrize("start", [state.value for state in OrderState])
def test_each_statement_moves_an_order_along_its_arcs_only(stage: Stage, start: str) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    order_id = str(stage.one("SELECT order_id::text FROM orders"))
    for name, (statement, arguments) in moves(stage, order_id).items():
        stage.connection.execute("UPDATE orders SET state = %s, sender = 'me', sent_at = NULL, settled_at = NULL", (start,))
        moved = stage.connection.execute(statement, arguments, binary=True).fetchall()
        wanted = REACHED.get((name, start), start)
        assert (name, stage.one("SELECT state FROM orders")) == (name, wanted)
        # An unclear receipt of an order that nobody has seen leave is noted, though the order stays unknown.
        noted = (name, start) == ("settle unknown", "unknown")
        assert (name, len(moved)) == (name, int(wanted != start or noted))


def test_the_statements_and_the_table_of_arcs_agree() -> None:
    reached = {(OrderState(start), OrderState(end)) for (_, start), end in REACHED.items()}
    arcs = {(start, end) for start, ends in ORDER_ARCS.items() for end in ends}
    # Taking back and sending again are operators' acts, with statements of their own.
    # What is ready again after a doubt may be settled by its first copy's receipt.
    again = {(OrderState.READY, end) for end in (OrderState.UNKNOWN, OrderState.ACCEPTED, OrderState.REJECTED)}
    resends = {(OrderState.UNKNOWN, OrderState.READY), (OrderState.SENT, OrderState.READY)}
    assert arcs - reached == {(OrderState.READY, OrderState.WITHDRAWN), *resends, *again}
    assert reached <= arcs


@pytest.mark.parametrize("start", [state.value for state in OrderState])
@pytest.mark.parametrize("rails", ["accepted", "rejected"])
@pytest.mark.parametrize("opened", [True, False])
def test_an_order_is_turned_along_its_turns_only_where_a_contradiction_is_open(stage: Stage, start: str, rails: str, opened: bool) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    order_id = stage.one("UPDATE orders SET state = %s RETURNING order_id::text", start)
    legal = OrderState(rails) in ORDER_TURNS.get(OrderState(start), ())
    if legal:
        end = (None, None) if opened else ("kept", stage.clock())
        stage.connection.execute(
            "INSERT INTO contradictions (case_no, order_id, receipt_no, ours, rails, found_at, resolution, resolved_at)"
            " SELECT case_no, order_id, 1, %s, %s, %s, %s, %s FROM orders",
            (start, rails, stage.clock(), *end),
        )
    stage.connection.execute(CONTRADICTIONS.turn_order, {"order_id": order_id, "now": stage.clock()})
    assert stage.one("SELECT state FROM orders") == (rails if legal and opened else start)


@pytest.mark.parametrize("start", [state.value for state in MessageState])
def test_a_message_is_queued_again_only_while_its_orders_are_open(stage: Stage, start: str) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    number = stage.one("UPDATE messages SET state = %s RETURNING message_no", start)
    stage.connection.execute(CONTRADICTIONS.requeue, ([number],))
    assert stage.one("SELECT state FROM messages") == ("queued" if MESSAGE_TURNS.get(MessageState(start)) else start)


def test_an_order_that_has_left_is_not_taken_for_a_resend(stage: Stage) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    (receipt,) = stage.exchange()
    stage.settle([receipt_with(receipt, "99")])
    (order_id,) = stage.rows("SELECT order_id::text FROM orders")[0]
    assert stage.order_states("S") == ["unknown"]
    assert stage.sender.unknown(10) == []
    assert stage.sender.put_again([str(order_id)]) == []


@pytest.mark.parametrize("start", [state.value for state in MessageState])
@pytest.mark.parametrize("end", [state.value for state in MessageState])
def test_a_stored_message_moves_along_its_arcs_only(stage: Stage, start: str, end: str) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    number = stage.one("UPDATE messages SET state = %s RETURNING message_no", start)
    stage.connection.execute(WRITE.step_messages, [[number], [end], [None], [None], [None], [None]], binary=True)
    arc = MessageState(end) in MESSAGE_ARCS[MessageState(start)]
    # What came in is stored with what became of it, so `received` is only passed through, and `derived` may gain answers on the way.
    moves_on = (arc and start != "received") or start == end == "derived"
    assert stage.one("SELECT state FROM messages") == (end if moves_on else start)
