"""Was anybody paid twice: lines of one person for the same class and days, side by side, with both orders' receipts and acts.

Found from the lines themselves, so they are there after the order was released as well; what they are is a person's to say.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from markupsafe import Markup
from msgspec import Struct

from kvitt.api.console import showing
from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.api.console.pages.orders import HeldReason, OrderWithState, ReceiptInList, order_of, version
from kvitt.api.console.rendering import plain
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("order_twins", "kvitt.api.console.pages")
_ORDERS: Final = load("orders", "kvitt.api.console.pages")
_MOST_LINES: Final = 200
_MOST_CASES: Final = 50
_MOST_PAIRS: Final = 50


class TwinPlaces(NamedTuple):
    """Two lines by their orders and places."""

    position: int
    other_order_id: UUID
    other_position: int


class TwinLine(NamedTuple):
    """A line with its order."""

    order_id: UUID
    position: int
    number: int
    case_no: int
    scheme: str
    case_id: str
    area: str
    state: str
    made_at: datetime
    message_no: int
    payment_id: UUID
    line_id: str
    decision_id: str
    class_code: str
    start_on: date
    end_on: date
    amount_kroner: Kroner
    rate_type: str | None
    caseworker: str | None
    approver: str | None
    is_in_force: bool


class ComparedField(Struct, frozen=True):
    """A field of two lines, as it is shown of each."""

    name: str
    one: Markup | str
    other: Markup | str
    differs: bool


class TwinPair(Struct, frozen=True):
    """Two lines that pay the same class on the same days, from the first to the last of these."""

    one: TwinLine
    other: TwinLine
    fields: Sequence[ComparedField]

    @property
    def first(self) -> date:
        """The first day that both pay."""
        return max(self.one.start_on, self.other.start_on)

    @property
    def last(self) -> date:
        """The last day that both pay."""
        return min(self.one.end_on, self.other.end_on)


class ReceiptOfTwin(NamedTuple):
    """A receipt with the order that it is about."""

    order_id: UUID
    receipt: ReceiptInList


class ActOnTwin(NamedTuple):
    """An act on one of the orders."""

    seq: int
    at: datetime
    what: str
    subject: str
    done_by: str | None
    approved_by: str | None
    reason: str | None


class ReleasedOrder(NamedTuple):
    """An order that people have released, and who did."""

    seq: int
    at: datetime
    done_by: str | None
    approved_by: str | None
    reason: str | None
    order_id: UUID
    case_no: int
    scheme: str
    case_id: str
    area: str
    state: str
    is_held: bool
    sum_kroner: Kroner


_SHOWN: Final[Sequence[tuple[str, Callable[[TwinLine], Markup | str]]]] = (
    ("Order", lambda each: plain(each.order_id)),
    ("Case", lambda each: Markup("{} {}").format(each.scheme, plain(each.case_id))),
    ("Area", lambda each: each.area),
    ("Payment", lambda each: plain(each.payment_id)),
    ("Decision", lambda each: plain(each.decision_id)),
    ("Class code", lambda each: each.class_code),
    ("From", lambda each: showing.day(each.start_on)),
    ("To", lambda each: showing.day(each.end_on)),
    ("Amount", lambda each: showing.kroner(each.amount_kroner)),
    ("Per", lambda each: each.rate_type or ""),
    ("Caseworker", lambda each: each.caseworker or ""),
    ("Approver", lambda each: each.approver or ""),
    ("Order made", lambda each: showing.moment(each.made_at)),
    ("Message", lambda each: str(each.message_no)),
    ("In force now", lambda each: "yes" if each.is_in_force else "no"),
)


def read(visit: Visit) -> Values:
    """An order beside whatever pays the same days. Raises OrderNotFound."""
    order = order_of(visit)
    visit.look_at_case(f"order {order.order_id}, for what is paid twice", order.case_no)
    pairs = _pairs(visit, order)
    ids = [*{order.order_id, *(each.other.order_id for each in pairs)}]
    about = {"order_ids": ids, "subjects": [str(each) for each in ids], "limit": _MOST_LINES, "order_id": order.order_id}
    return {
        "order": order,
        "pairs": pairs,
        "reasons": fetch(visit.connection, HeldReason, _ORDERS.reasons, about),
        "receipts": fetch(visit.connection, ReceiptOfTwin, _SQL.receipts_of_orders, about, receipt=ReceiptInList),
        "acts": fetch(visit.connection, ActOnTwin, _SQL.acts_on_orders, about),
        "most": _MOST_PAIRS,
    }


def read_released(visit: Visit) -> Values:
    """A page of the orders that were released, newest first."""
    after = place_in(visit.query.get(AFTER), int)
    rows = fetch(visit.connection, ReleasedOrder, _SQL.released, {"before": after[0] if after else None, "limit": visit.page_rows + 1})
    return {"released": listed(rows, lambda each: (each.seq,), after, visit.page_rows)}


def _pairs(visit: Visit, order: OrderWithState) -> Sequence[TwinPair]:
    asked = {"case_no": order.case_no, "order_id": order.order_id, "lines": _MOST_LINES, "cases": _MOST_CASES, "limit": _MOST_PAIRS}
    places = fetch(visit.connection, TwinPlaces, _SQL.twins, asked)
    ends = [(order.order_id, each.position) for each in places] + [(each.other_order_id, each.other_position) for each in places]
    named = {"order_ids": [each for each, _ in ends], "positions": [each for _, each in ends]}
    lines = {(each.order_id, each.position): each for each in fetch(visit.connection, TwinLine, _SQL.lines_named, named)}
    return [_pair(lines[order.order_id, each.position], lines[each.other_order_id, each.other_position]) for each in places]


def _pair(one: TwinLine, other: TwinLine) -> TwinPair:
    return TwinPair(one, other, [ComparedField(name, shown(one), shown(other), shown(one) != shown(other)) for name, shown in _SHOWN])


PAGES: Final = (
    ConsolePage("/orders/released", "Released orders", "released.html", read_released, live="orders audit"),
    ConsolePage("/orders/{order_id:uuid}/twins", "Paid twice?", "order_twins.html", read, live="orders receipts", version=version),
)
