"""Finds what the case of a replay knows when a message of it is handled: what the rail has, and may have, by which orders were held or let
go (design §8); how far its decisions have come; and what its open orders are to pay.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kvitt.disbursement import payment_document
from kvitt.disbursement.check.made import MadeOrder
from kvitt.disbursement.decisions import DecisionState, ReceivedDecision
from kvitt.disbursement.derive.micro_chained import AtRail
from kvitt.disbursement.rows import LineRow
from kvitt.disbursement.states import OPEN_ORDER, OrderState
from kvitt.disbursement.values import LineAtRail, PaymentId

if TYPE_CHECKING:
    from kvitt.disbursement.check.replay import Replay

_Lines = Mapping[str, Sequence[LineRow]]


def look_at_rail(replay: "Replay") -> None:
    """Gives the case of a replay what it was loaded with: forwarded lines, or what the rail may have besides the accepted payments."""
    case = replay.case
    unknown = [each for each in replay.orders.values() if _may_be_there(replay, each)]
    if replay.forwards:
        accepted = (each for each in replay.orders.values() if each.state is OrderState.ACCEPTED)
        lines = _by_order(replay)
        case.forwarded = [
            line for each in sorted([*accepted, *unknown], key=lambda each: each.made.number) for line in _forwarded(each, lines)
        ]
    else:
        case.at_rail = [version for each in unknown for version in _wanted(replay, each, _by_order(replay))]


def _may_be_there(replay: "Replay", order: MadeOrder) -> bool:
    """Whether an order counts as rejected, or as taken back, by a word or an answer that may not be the rail's last."""
    if order.state not in (OrderState.REJECTED, OrderState.WITHDRAWN):
        return False
    stored = replay.stored.orders.get(order.made.order_id)
    return order.by_hand or (stored is not None and stored.resends > 0)


def _by_order(replay: "Replay") -> _Lines:
    return {order_id: list(lines) for order_id, lines in groupby(replay.lines, key=lambda line: line.order_id)}


def forwarded_lines(replay: "Replay", order: MadeOrder) -> list[LineAtRail]:
    """The lines of an order as they are asked for."""
    return [replace(line, certain=True) for line in _forwarded(order, _by_order(replay))]


def _forwarded(order: MadeOrder, lines: _Lines) -> Iterator[LineAtRail]:
    for line in lines.get(order.made.order_id, ()):
        about = line.line_id, line.refers_to, line.class_code, line.start_on, line.end_on, line.amount, line.ceased_from
        yield LineAtRail(*about, certain=order.state is OrderState.ACCEPTED)


def _wanted(replay: "Replay", order: MadeOrder, lines: _Lines) -> Iterator[AtRail]:
    for version in replay.by_order.get(order.made.order_id, ()):
        first = next(line for line in lines[order.made.order_id] if line.payment_id == version.made.payment_id)
        continues = first.refers_to is not None or first.ceased_from is not None
        yield AtRail(order.made.number, payment_document.decode(version.made.document), continues)


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
