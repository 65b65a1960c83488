"""The chain of decisions of a case in a replay: how far each received one has come, by the orders that were made again."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from kvitt.disbursement.decisions import DecisionState, ReceivedDecision
from kvitt.disbursement.states import OPEN_ORDER, OrderState

if TYPE_CHECKING:
    from kvitt.disbursement.check.replay import Replay


def look_at_decisions(replay: "Replay") -> None:
    """Has the case's chain say how far each decision has come by now."""
    replay.case.received = {key: replace(each, state=_state(replay, each)) for key, each in replay.case.received.items()}


def _state(replay: "Replay", decision: ReceivedDecision) -> DecisionState:
    states = {replay.orders[order_id].state for order_id in replay.message_replays[decision.message_no].order_ids}
    if not states:
        return DecisionState.WITHOUT_PAYMENT
    if states & OPEN_ORDER:
        return DecisionState.OPEN
    return DecisionState.ACCEPTED if OrderState.ACCEPTED in states else DecisionState.REJECTED
