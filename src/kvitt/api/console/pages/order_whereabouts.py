"""Where an order is that nobody knows of: how it was put, four causes with what kvitt knows of each, and what stands in receipts near it.

The rail is asked before anything is sent once more; what it says is left as a note.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.pages.case_notes import notes_of
from kvitt.api.console.pages.orders import OrderText, order_of, version_of
from kvitt.api.console.showing import moment_in_words
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load
from kvitt.kernel.queue import queue_id

_SQL: Final = load("order_whereabouts", "kvitt.api.console.pages")
_ORDERS: Final = load("orders", "kvitt.api.console.pages")
_NEAR: Final = 5
_LOOKED_THROUGH: Final = 500
_MOST: Final = 20


class OrderSending(NamedTuple):
    """How an order was put: by which attempt, when it began and when it was done."""

    sender: str | None
    sending_at: datetime | None
    sent_at: datetime | None
    resends: int
    key_day: date | None
    was_unknown: bool


class QueuedCopy(NamedTuple):
    """A copy of the order in a queue that is a table."""

    queue: str
    message_id: str
    put_at: datetime
    consumed_at: datetime | None
    deliveries: int
    is_dead: bool


class OrderNear(NamedTuple):
    """An order to the same area that was made just before or after."""

    order_id: UUID
    state: str
    sent_at: datetime | None
    settled_at: datetime | None
    receipt_no: int | None
    sum_kroner: Kroner


class ReceiptOfNone(NamedTuple):
    """A receipt that waits for a person: of no order here, unreadable, or unclear."""

    receipt_no: int
    received_at: datetime
    outcome: str
    severity: str | None
    code: str | None
    note: str | None


class LossCause(Struct, frozen=True):
    """A cause, what kvitt knows of it, and what a person looks at. `is_out`: it is not that."""

    name: str
    known: str
    look: str
    is_out: bool = False


def read(visit: Visit) -> Values:
    """All that is known of where an order is. Raises OrderNotFound."""
    order = order_of(visit)
    visit.look_at_case(f"order {order.order_id}, for where it is", order.case_no)
    connection = visit.connection
    asked = {"order_id": order.order_id, "rail": order.rail, "area": order.area, "message_no": order.message_no, "limit": _MOST}
    asked |= {"near": _NEAR, "looked_through": _LOOKED_THROUGH}
    sending = fetch_one(connection, OrderSending, _SQL.sending, asked)
    assert sending, "an order that is there has a row of how it was sent"
    ids = [queue_id(str(order.order_id), each) for each in range(sending.resends + 1)]
    queues = [each for (each,) in fetch(connection, QueueNamed, _SQL.queues)]
    copies = fetch(connection, QueuedCopy, _SQL.copies, {"queues": queues, "message_ids": ids})
    near = fetch(connection, OrderNear, _SQL.near, asked)
    strays = fetch(connection, ReceiptOfNone, _SQL.strays, asked)
    return {
        "order": order,
        "sending": sending,
        "copies": copies,
        "causes": causes(copies, near, strays, has_table=bool(queues)),
        "near": near,
        "strays": strays,
        "ids": ids,
        "text": fetch_one(connection, OrderText, _ORDERS.order_text, asked),
        "notes": notes_of(visit, order.case_no, order.order_id),
    }


class QueueNamed(NamedTuple):
    """The name of a queue that is a table."""

    queue: str


def causes(
    copies: Sequence[QueuedCopy], near: Sequence[OrderNear], strays: Sequence[ReceiptOfNone], *, has_table: bool
) -> Sequence[LossCause]:
    """The four causes for which no receipt has settled an order, with what is known of each."""
    put, dead = ([each for each in copies if each.is_dead is side] for side in (False, True))
    return (
        _never_put(put, has_table=has_table),
        _backed_out(dead, has_table=has_table),
        _lost(near, was_taken=any(each.consumed_at for each in put)),
        LossCause(
            "The receipt went to another queue, or could not be read as one of this order",
            f"receipts that wait and settle no order here: {len(strays)}",
            "Look whether one of those below speaks of this order; ask whoever sees the queues whether one lies on another reply queue.",
        ),
    )


def _never_put(put: Sequence[QueuedCopy], *, has_table: bool) -> LossCause:
    name = "It was never put on the queue"
    if put:
        return LossCause(name, f"the queue has had it since {moment_in_words(put[0].put_at)}", "", is_out=True)
    if has_table:
        return LossCause(
            name, "no queue here has ever had it", "The sender puts it by itself when it starts; if it does not, send it once more."
        )
    return LossCause(name, "the queue is a broker's: kvitt can not look into it", "Ask whoever sees the queue for the message ids below.")


def _backed_out(dead: Sequence[QueuedCopy], *, has_table: bool) -> LossCause:
    name = "It lies on the back-out queue"
    if dead:
        return LossCause(
            name, f"it does: on {dead[0].queue}, after {dead[0].deliveries} deliveries", "Have it put back from there; do not send a copy."
        )
    if has_table:
        return LossCause(name, "no back-out queue here has it", "", is_out=True)
    return LossCause(
        name,
        "the queue is a broker's: kvitt can not look into it",
        "Look for the message ids below on the queue whose name ends with .dlq.",
    )


def _lost(near: Sequence[OrderNear], *, was_taken: bool) -> LossCause:
    answered = sum(each.receipt_no is not None for each in near)
    known = f"of the {len(near)} orders to this area made just before and after, the rail has answered {answered}"
    taken = "; the rail's side has taken this one from the queue" if was_taken else ""
    return LossCause(
        "The receipt was lost", known + taken, "Ask the rail whether it has the order: by the case id and the line ids, for the day below."
    )


def version(visit: Visit) -> str:
    """That of the order, of the notes beside it, and of the receipts that wait."""
    others = fetch_value(visit.connection, _SQL.whereabouts_version, {"order_id": visit.path["order_id"]})
    return f"{version_of(visit, visit.path['order_id'])}-{others or 'none'}"


_PATH: Final = "/orders/{order_id:uuid}/whereabouts"
PAGES: Final = (
    ConsolePage(_PATH, "Where is the order?", "order_whereabouts.html", read, live="orders receipts notes approvals", version=version),
)
