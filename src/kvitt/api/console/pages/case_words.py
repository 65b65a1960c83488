"""How orders stand, in words: since when, what each waits for, and who can act; never paid where only an acceptance is known."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from kvitt.api.console.frame import Visit
from kvitt.api.console.pages.case_head import CaseOnPage
from kvitt.api.console.pages.open_orders import StoppedRail, stops
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("case_words", "kvitt.api.console.pages")
_MOST: Final = 200


class OrderStands(NamedTuple):
    """All that is known of how an order stands. `bank_says`: a word of the bank's behind the acceptance, if it has said one."""

    order_id: UUID
    number: int
    area: str
    rail: str
    state: str
    is_held: bool
    held_for: str | None
    made_at: datetime
    sending_at: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    decided_by_hand: bool
    rail_says: str | None
    receipt_no: int | None
    code: str | None
    note: str | None
    bank_says: str | None
    bank_said_at: datetime | None
    bank_receipt_no: int | None


class MessageInLine(NamedTuple):
    """A message in the waiting line of its case."""

    message_no: int
    received_at: datetime


class DeferredThing(NamedTuple):
    """A message or receipt that came while somebody else had locked the case."""

    what: str
    came_at: datetime


class StateInWords(Struct, frozen=True):
    """A state in words. `waits_for` and `who` are empty where nothing more is to come."""

    kind: str
    state: str
    text: str
    since: datetime | None
    waits_for: str = ""
    who: str = ""
    receipt_no: int | None = None


class WaitingLine(Struct, frozen=True):
    """The waiting line of a case: what it waits behind, and what waits, in the order in which it will be handled."""

    behind: Sequence[tuple[OrderStands, StateInWords]]
    queued: Sequence[MessageInLine]
    deferred: Sequence[DeferredThing]


_WAITS: Final[Mapping[str, tuple[str, str, str]]] = {
    "held": ("It has not left: {held}.", "being released or taken back", "two people release it, one takes it back"),
    "stopped": ("It has not left: sending is stopped by {stopper}: {why}.", "sending being resumed", "who may act, under Sending"),
    "ready": ("It has not left yet.", "the sender", ""),
    "sending": ("It is being put on the rail's queue.", "the queue's word", ""),
    "sent": ("The rail has it, and has not answered.", "the rail's receipt", "the rail"),
    "unknown": (
        "Sending broke off before it was known whether the rail has it.",
        "the rail's receipt, or what people find out",
        "ask the rail first; then two people settle it or send it once more",
    ),
}
_ENDED: Final[Mapping[str, str]] = {
    "accepted": "The rail pays it on its day; no word that it is on the account comes to kvitt.",
    "accepted by hand": "By the word of people, not by that of the rail.",
    "rejected": "{said}The sender mends it, and sends anew.",
    "rejected by hand": "By the word of people, not by that of the rail.",
    "withdrawn": "It was taken back before it left; the sender sends anew if it is still wanted.",
}
_BANK: Final[Mapping[str, str]] = {
    "settled": "It is paid: the bank has booked it.",
    "returned": "It came back: the bank has returned it after it was accepted.",
    "cancelled": "It was cancelled at the bank after it was accepted.",
}
_OPEN: Final = frozenset({"ready", "sending", "sent", "unknown"})


def words_about(order: OrderStands, stopped: Iterable[StoppedRail]) -> StateInWords:
    """How an order stands, in words."""
    if order.rail_says:
        text = f"It stands as {order.state}, and the rail says {order.rail_says}: nothing of the case goes on until that is settled."
        return StateInWords(
            "order", order.state, text, order.settled_at, "the contradiction being settled", "two people adopt or keep", order.receipt_no
        )
    if order.state in _OPEN:
        return _waits(order, stopped)
    if order.bank_says:
        return StateInWords("receipt", order.bank_says, _BANK[order.bank_says], order.bank_said_at, receipt_no=order.bank_receipt_no)
    return StateInWords("order", order.state, _ended(order), order.settled_at, receipt_no=order.receipt_no)


def _waits(order: OrderStands, stopped: Iterable[StoppedRail]) -> StateInWords:
    stop = next((each for each in stopped if each.rail in (order.rail, "*") and each.area in (order.area, "*")), None)
    is_ready = order.state == "ready"
    which = "held" if is_ready and order.is_held else "stopped" if is_ready and stop else order.state
    text, waits_for, who = _WAITS[which]
    said = text.format(held=order.held_for or "", stopper=stop.stopped_by if stop else "", why=stop.reason if stop else "")
    since = {"sent": order.sent_at, "sending": order.sending_at, "unknown": order.sent_at or order.sending_at}.get(order.state)
    return StateInWords("order", "held" if which == "held" else order.state, said, since or order.made_at, waits_for, who)


def _ended(order: OrderStands) -> str:
    if order.decided_by_hand:
        return _ENDED[f"{order.state} by hand"]
    said = " ".join(each for each in (order.code, order.note) if each)
    return _ENDED[order.state].format(said=f"It says: {said}. " if said else "")


def orders_in_words(visit: Visit, case_no: int, order_ids: Sequence[UUID]) -> dict[UUID, tuple[OrderStands, StateInWords]]:
    """The open orders of a case and those that are named, each in words."""
    asked = {"case_no": case_no, "order_ids": list(order_ids), "limit": _MOST}
    stopped = stops(visit.connection)
    return {each.order_id: (each, words_about(each, stopped)) for each in fetch(visit.connection, OrderStands, _SQL.orders_in_words, asked)}


def waiting_line(visit: Visit, case: CaseOnPage, orders: Iterable[tuple[OrderStands, StateInWords]]) -> WaitingLine:
    """All that waits of a case, and behind what."""
    asked = case.asked(_MOST)
    return WaitingLine(
        [each for each in orders if each[0].state in _OPEN or each[0].rail_says],
        fetch(visit.connection, MessageInLine, _SQL.queued, asked),
        fetch(visit.connection, DeferredThing, _SQL.deferred, asked),
    )
