"""Replays contradictions of a case: a receipt that said otherwise, what two people made of it, what was derived again (design §12)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kvitt.disbursement.check.made import MadeContradiction, MadeOrder, MessageReplay, Version
from kvitt.disbursement.check.report import Kind
from kvitt.disbursement.events import AreaOutcome, Corrected, PaymentVersion, Settled
from kvitt.disbursement.rail import Observation, ReceiptOutcome
from kvitt.disbursement.receipts import decide, said_of
from kvitt.disbursement.states import (
    OPEN_ORDER,
    MessageState,
    OrderState,
    PaymentState,
    What,
)
from kvitt.disbursement.values import Area, PaymentId
from kvitt.kernel.audit import AuditRow, digest

if TYPE_CHECKING:
    from kvitt.disbursement.check.replay import Replay


def _named(replay: "Replay", entry: AuditRow) -> tuple[MadeOrder, Observation] | None:
    """The order and the receipt that an entry names, if it is an entry about them."""
    order, receipt = replay.orders.get(entry.order_id or ""), replay.receipts.get(entry.receipt_no or 0)
    if order is None or receipt is None:
        replay.differs(Kind.ENTRY, entry.seq, f"names order {entry.order_id} and receipt {entry.receipt_no}, which the case does not have")
        return None
    if (said_of(order.made.message, receipt), order.made.message_no) != (entry.digest, entry.message_no):
        replay.differs(Kind.ENTRY, entry.seq, "is not what the stored order and receipt give")
    return order, receipt


def said_before(replay: "Replay", order: MadeOrder, receipt_no: int) -> tuple[Observation, ...]:
    """Finds what was said of an order before a receipt, where its rail decides by that."""
    if not replay.rail.capabilities.answers_parts:
        return ()
    of_order = (number for number, stored in sorted(replay.stored.receipts.items()) if stored.order_id == order.made.order_id)
    return tuple(replay.receipts[number] for number in of_order if number < receipt_no and number in replay.receipts)


def _contradicted(replay: "Replay", entry: AuditRow) -> None:
    """An entry about a receipt that said otherwise than what stood."""
    named = _named(replay, entry)
    if named is None:
        return
    order, receipt = named
    stood = replace(order.as_candidate, decided_by_hand=order.by_hand, said=said_before(replay, order, entry.receipt_no or 0))
    possible = {decide(replay.rail, receipt, replace(stood, was_unknown=was_unknown)) for was_unknown in (False, True)}
    if ReceiptOutcome.CONTRADICTS not in possible or order.contradiction is not None:
        replay.differs(Kind.RECEIPT, entry.receipt_no, "was ruled to contradict what stood, which its words do not say")
    rails = OrderState.REJECTED if order.state is OrderState.ACCEPTED else OrderState.ACCEPTED
    order.contradiction = MadeContradiction(order, entry, rails)
    replay.contradictions.append(order.contradiction)
    replay.case.contradictions += 1
    for each in replay.orders.values():
        each.in_contradiction = each.in_contradiction or each.state in OPEN_ORDER


def _resolved(replay: "Replay", entry: AuditRow) -> None:
    """An entry about what two people made of a contradiction."""
    named = _named(replay, entry)
    if named is None:
        return
    order, receipt = named
    opened = order.contradiction
    if opened is None or opened.receipt_no != entry.receipt_no or order.state is not opened.ours:
        replay.differs(Kind.ENTRY, entry.seq, f"resolves what does not contradict order {order.made.order_id}")
        return
    opened.resolution, order.contradiction = entry, None
    if entry.what == What.KEPT:
        order.by_hand = True
    else:
        _adopted(replay, entry, order, receipt, opened.rails)
    replay.case.contradictions -= 1
    if not replay.case.contradictions:
        for each in replay.orders.values():
            each.in_contradiction = False


def _adopted(replay: "Replay", entry: AuditRow, order: MadeOrder, receipt: Observation, rails: OrderState) -> None:
    order.state, order.settled_by, order.by_hand = rails, entry, False
    again = f"\0{entry.receipt_no}"
    versions = replay.as_ordered(order.made)
    fallen: list[tuple[str, PaymentVersion | None]] = []
    if rails is OrderState.ACCEPTED:
        replay.accept(order.made, entry, again=again)
    else:
        fallen = _fall(replay, entry, order, again)
    replayed = replay.message_replays[order.made.message_no]
    if not replayed.trusted:
        return
    body = replay.stored.receipts[entry.receipt_no or 0].body
    settled = Settled(order.as_candidate, receipt, entry.receipt_no or 0, ReceiptOutcome(rails.value), body)
    replay.publish(replayed, Corrected(settled, versions, fallen, _outcomes(replay, replayed)), entry.at)
    replay.note_answer(replayed)


def _outcomes(replay: "Replay", replayed: MessageReplay) -> list[AreaOutcome]:
    outcomes = []
    for order in (replay.orders[order_id] for order_id in replayed.order_ids):
        number = order.settled_by.receipt_no if order.settled_by else None
        receipt = replay.receipts.get(number or 0) if order.state is not OrderState.WITHDRAWN else None
        outcomes.append(AreaOutcome(Area(order.made.area), order.state is OrderState.ACCEPTED, receipt))
    return outcomes


def _fall(replay: "Replay", entry: AuditRow, order: MadeOrder, again: str) -> list[tuple[str, PaymentVersion | None]]:
    """The versions of an order are true no more; those that hold in their place hold again."""
    made, case = order.made, replay.case
    fell = sorted(replay.by_order.get(made.order_id, ()), key=lambda each: each.made.position)
    fallen: list[tuple[str, PaymentVersion | None]] = []
    for version in fell:
        version.state, version.superseded = PaymentState.DROPPED, False
        before = _newest(replay, version.made.payment_id)
        fallen.append((version.made.payment_id, before.as_made if before else None))
        replay.hold(version.made.payment_id, before)
        if before is None:
            case.payments.pop(PaymentId(version.made.payment_id), None)
    accepted = [each.made for each in replay.orders.values() if each.state is OrderState.ACCEPTED]
    in_area = not made.is_first_order or any(each.area == made.area for each in accepted)
    taken_over = any(version == 0 for _, version in replay.versions)
    case.unknown_to_rail(Area(made.area), in_area=in_area, at_all=bool(accepted) or taken_over)
    replay.settle_in(made, fell, entry, again=again)
    return fallen


def _newest(replay: "Replay", payment_id: str) -> Version | None:
    accepted = [each for (name, _), each in replay.versions.items() if name == payment_id and each.state is PaymentState.ACCEPTED]
    return max(accepted, key=lambda each: each.made.version, default=None)


def _requeued(replay: "Replay", entry: AuditRow) -> None:
    """An entry about a message whose orders had not left, and were taken back so that it is derived again."""
    replayed = replay.message_replays.get(entry.message_no or 0)
    orders = [replay.orders[order_id] for order_id in replayed.order_ids] if replayed else []
    if replayed is None or not orders or any(each.state is not OrderState.READY for each in orders) or not replay.case.contradictions:
        replay.differs(Kind.ENTRY, entry.seq, f"takes message {entry.message_no} back, which has no orders to take back")
        return
    if digest(*(each.made.message for each in orders)) != entry.digest:
        replay.differs(Kind.ENTRY, entry.seq, "is not what taking back the orders of the message makes")
    for order in orders:
        order.state, order.settled_by, order.taken_back = OrderState.WITHDRAWN, entry, True
        replay.drop(order.made)
    replay.case.open_orders -= len(orders)
    replay.case.queued += 1
    replay.last_handled = min(replay.last_handled, replayed.stored.message_no - 1)
    replayed.state, replayed.derived_at = MessageState.QUEUED, None
    replayed.open_orders.clear()
    replayed.order_ids.clear()
    replay.note_answer(replayed)


CONTRADICTING: Final[Mapping[str, Callable[["Replay", AuditRow], None]]] = {
    What.CONTRADICTED: _contradicted,
    What.ADOPTED: _resolved,
    What.KEPT: _resolved,
    What.REQUEUED: _requeued,
}
"""What each of these entries does to a replay."""
