"""Finds for messages of a case in a replay what is not accepted yet: how far decisions have come, and what open orders are to pay."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from kvitt.disbursement.decisions import DecisionState, ReceivedDecision
from kvitt.disbursement.states import OPEN_ORDER, OrderState
from kvitt.disbursement.values import PaymentId

if TYPE_CHECKING:
    from kvitt.disbursement.check.replay import Replay


def look_at_decisions(replay: "Replay") -> None:
    """Has the case's chain say how far each decision has come by now."""
    replay.case.received = {key: replace(each, state=_state(replay, each)) for key, each in replay.case.received.items()}


def look_at_pending(replay: "Replay") -> None:
    """Has the case know which payments its open orders are to make true."""
    orders = (each.made.order_id for each in replay.orders.values() if each.state in OPEN_ORDER) if replay.case.open_orders else ()
    replay.case.pending = frozenset(PaymentId(each.made.payment_id) for order_id in orders for each in replay.by_order.get(order_id, ()))


def _state(replay: "Replay", decision: ReceivedDecision) -> DecisionState:
    if decision.message_no not in replay.message_replays:
        return decision.state  # It was taken over with its case, and nothing changes it any more.
    states = {replay.orders[order_id].state for order_id in replay.message_replays[decision.message_no].order_ids}
    if not states:
        return DecisionState.WITHOUT_PAYMENT
    if states & OPEN_ORDER:
        return DecisionState.OPEN
    return DecisionState.ACCEPTED if OrderState.ACCEPTED in states else DecisionState.REJECTED
