"""Orders: a list whose filters stand in the address, and one order with its lines, receipts and bytes.

A filter looks through so many orders at a time, newest first: the page says how far back it has looked, and never counts them all.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, kept_of, listed, place_in, place_text, text_asked
from kvitt.api.console.pages.case_change import change_by_order
from kvitt.api.console.pages.health import Backlog, backlogs
from kvitt.errors import BadRequest, OrderNotFound
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("orders", "kvitt.api.console.pages")
STATES: Final = ("ready", "sending", "sent", "unknown", "accepted", "rejected", "withdrawn")
HELD: Final = ("yes", "twice")
_OPEN: Final = frozenset(STATES[:4])
_MAY_BE_THERE: Final = ("sending", "sent", "unknown", "accepted")
_LOOKED_THROUGH: Final = 2_000
_LAST: Final = (9_223_372_036_854_775_807, UUID(int=2**128 - 1))
_MOST_LINES: Final = 1_000


class OrderInList(NamedTuple):
    """An order in a list."""

    order_id: UUID
    message_no: int
    case_no: int
    scheme: str
    case_id: str
    area: str
    rail: str
    state: str
    is_held: bool
    made_at: datetime
    sent_at: datetime | None
    sum_kroner: Kroner


class OrderWithState(NamedTuple):
    """One order with all that is known of it."""

    order_id: UUID
    case_no: int
    scheme: str
    case_id: str
    number: int
    rail: str
    area: str
    state: str
    message_no: int
    is_first_order: bool
    day: date
    sum_kroner: Kroner
    lines: int
    is_held: bool
    made_at: datetime
    sending_at: datetime | None
    sent_at: datetime | None
    settled_at: datetime | None
    resends: int
    was_unknown: bool
    decided_by_hand: bool
    taken_back: bool
    receipt_no: int | None
    rail_says: str | None


class LineOnPage(NamedTuple):
    """A line of an order."""

    position: int
    line_id: str
    refers_to: str | None
    payment_id: UUID
    class_code: str
    start_on: date
    end_on: date
    amount_kroner: Kroner
    rate_type: str | None
    ceased_from: date | None
    decision_id: str
    caseworker: str | None
    approver: str | None


class ReceiptInList(NamedTuple):
    """A word of the rail about an order."""

    receipt_no: int
    received_at: datetime
    severity: str | None
    code: str | None
    note: str | None
    outcome: str


class CancellationInList(NamedTuple):
    """A request to the rail to cancel the order."""

    asked_at: datetime
    state: str
    sent_at: datetime | None
    answered_at: datetime | None
    receipt_no: int | None
    reason: str


class HeldReason(NamedTuple):
    """Why an order is held."""

    kind: str | None
    text: str | None


def read_all(visit: Visit) -> Values:
    """A page of orders, newest first, by the filters of the address. Raises BadRequest."""
    query = visit.query
    state, held, least = query.get("state"), query.get("held") in HELD, _number("least", query.get("least"))
    if state is not None and state not in STATES:
        raise BadRequest(("state", f"is one of {', '.join(STATES)}"))
    place = place_in(query.get(AFTER), int, UUID)
    area, scheme = text_asked(query, "area"), text_asked(query, "scheme")
    is_open = held or state in _OPEN
    filtered = least is not None or area is not None or scheme is not None or (state is not None and not is_open)
    asked = {
        "message_no": (place or _LAST)[0],
        "order_id": (place or _LAST)[1],
        "state": state or "ready" if is_open else state,
        "twice": query.get("held") == "twice",
        "least": least,
        "area": area,
        "scheme": scheme,
        "looked_through": _LOOKED_THROUGH if filtered else visit.page_rows + 1,
        "limit": visit.page_rows + 1,
    }
    listing = _SQL.open_orders if is_open else _SQL.orders
    found = fetch(visit.connection, OrderInList, _SQL.held_orders if held else listing, asked)
    page = listed(found, lambda each: (each.message_no, each.order_id), place, visit.page_rows)
    end = None if page.older or not filtered or held else _end_of_look(visit, asked, is_open=is_open)
    older = page.older or (place_text((end.message_no, end.order_id)) if end else None)
    shown = {"orders": page, "older": older, "end": end, "query": kept_of(query), "states": STATES, "looked_through": _LOOKED_THROUGH}
    return shown if visit.takes_out else {**shown, "open": _open(visit)}


def _end_of_look(visit: Visit, asked: Mapping[str, Any], *, is_open: bool) -> OrderInList | None:
    """The last order that was looked through, if there may be more behind it."""
    if not is_open:
        return fetch_one(visit.connection, OrderInList, _SQL.end_of_look, asked)
    everything = {**asked, "area": None, "scheme": None, "least": None, "limit": _LOOKED_THROUGH}
    looked = fetch(visit.connection, OrderInList, _SQL.open_orders, everything)
    return looked[-1] if len(looked) == _LOOKED_THROUGH else None


def _open(visit: Visit) -> Mapping[str, Backlog]:
    """How many orders are in each open state, counted up to a bound."""
    found = {each.what.removeprefix("orders "): each for each in backlogs(visit.connection)}
    return {state: found[state] for state in STATES if state in _OPEN and state in found}


def order_of(visit: Visit) -> OrderWithState:
    """The order that an address names. Raises OrderNotFound."""
    order = fetch_one(visit.connection, OrderWithState, _SQL.order, {"order_id": visit.path["order_id"]})
    if order is None:
        raise OrderNotFound(f"there is no order {visit.path['order_id']}")
    return order


class ExemptPairInList(NamedTuple):
    """Two cases that hold no orders of each other, and the order that two people released."""

    case_no: int
    scheme: str
    case_id: str
    other_case_no: int
    other_scheme: str
    other_case_id: str
    class_code: str
    order_id: UUID


def read_exempt(visit: Visit) -> Values:
    """A page of cases that rightly pay the same days, by the word of two people. Raises BadRequest."""
    after = place_in(visit.query.get(AFTER), int, int, str)
    case_no, other_case_no, class_code = after or (0, 0, "")
    asked = {"case_no": case_no, "other_case_no": other_case_no, "class_code": class_code, "limit": visit.page_rows + 1}
    found = fetch(visit.connection, ExemptPairInList, _SQL.exempt_pairs, asked)
    visit.look("cases that hold no orders of each other")
    return {"pairs": listed(found, lambda each: (each.case_no, each.other_case_no, each.class_code), after, visit.page_rows)}


def read_one(visit: Visit) -> Values:
    """One order. Raises OrderNotFound."""
    order = order_of(visit)
    asked = {"order_id": order.order_id, "limit": _MOST_LINES}
    visit.look_at_case(f"order {order.order_id}", order.case_no)
    return {
        "order": order,
        "change": change_by_order(visit, order.case_no, order.order_id, order.number),
        "exempts": fetch_value(visit.connection, _SQL.exempts, asked),
        "lines": fetch(visit.connection, LineOnPage, _SQL.lines, asked),
        "reasons": fetch(visit.connection, HeldReason, _SQL.reasons, asked),
        "receipts": fetch(visit.connection, ReceiptInList, _SQL.receipts, asked),
        "cancels": order.rail in visit.operations.cancelling and order.state in _MAY_BE_THERE,
        "cancellations": fetch(visit.connection, CancellationInList, _SQL.cancellations, asked),
        "text": fetch_one(visit.connection, OrderText, _SQL.order_text, asked),
    }


def version(visit: Visit) -> str:
    """That of the order that an address names."""
    return version_of(visit, visit.path["order_id"])


def version_of(visit: Visit, order_id: UUID) -> str:
    """That of an order: its state, its receipts, and how far the chain of its case goes."""
    found = fetch_one(visit.connection, _OrderVersion, _SQL.order_version, {"order_id": order_id})
    return "" if found is None else f"{found.state}-{found.is_held}-{found.receipt_no}-{found.seq}-{found.cancellation}"


class _OrderVersion(NamedTuple):
    state: str
    is_held: bool
    receipt_no: int | None
    seq: int | None
    cancellation: str | None


class OrderText(NamedTuple):
    """The bytes of an order."""

    message: bytes


def _number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 15):
        raise BadRequest((name, "is a whole number of kroner"))
    return int(text)


PAGES: Final = (
    ConsolePage("/orders", "Orders", "orders.html", read_all, nav="Orders", key="r", live="orders"),
    ConsolePage("/orders/exempt", "Cases that pay the same days", "exempt.html", read_exempt),
    ConsolePage("/orders/{order_id:uuid}", "Order", "order.html", read_one, live="orders receipts approvals", version=version),
)
