"""Orders as a list, and one order as a page."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import to_builtins

from kvitt.cli.listing import Column, Kind, described, table, terminal_width
from kvitt.hub.order_page import OrderShown

_HELD_FOR: Final = Column(
    "held_for",
    kind=Kind.TEXT,
    of=lambda order: to_builtins(order.held_for),
    show=lambda order: "; ".join(reason.text for reason in order.held_for),
)
ORDERS: Final = (
    Column("order_id", "order"),
    Column("state"),
    Column("case_id", "case"),
    Column("area"),
    Column("scheme"),
    Column("made_at", "made"),
    Column("message_no", "message"),
    Column("rail_says", "the rail says"),
    _HELD_FOR,
)
_LINES: Final = (
    Column("line_id", "line"),
    Column("class_code", "class"),
    Column("start", "from"),
    Column("end", "to"),
    Column("amount_kroner", "kroner", Kind.NUMBER, of=lambda line: line.amount),
    Column("decided_rate_kroner", "of", Kind.NUMBER, of=lambda line: line.decided_rate),
    Column("ceased_from", "ceases from"),
    Column("payment_id", "payment"),
    Column("refers_to", "after"),
    Column("decision_id", "decision"),
)
_RECEIPTS: Final = (
    Column("receipt_no", "receipt"),
    Column("received_at", "came"),
    Column("severity"),
    Column("outcome", "what"),
    Column("note", "why", Kind.TEXT),
)
_ALARMS: Final = (Column("alarm_no", "alarm"), Column("sent_at", "sent"), Column("raised_at", "raised"), Column("cleared_at", "cleared"))
_CONTRADICTIONS: Final = (
    Column("contradiction_no", "no"),
    Column("found_at", "found"),
    Column("ours"),
    Column("rails", "rail's"),
    Column("receipt_no", "receipt"),
    Column("resolution", show=lambda found: found.resolution or "open"),
    Column("resolved_at", "resolved"),
    Column("resolved_by", "by"),
    Column("approved_by"),
    Column("reason", kind=Kind.TEXT),
)
_NOTED: Final = (Column("seq", "entry"), Column("at", "time (UTC)"), Column("what"))
_ACTS: Final = (Column("at", "time (UTC)"), Column("what"), Column("by"), Column("approved_by"), Column("reason", kind=Kind.TEXT))


def _dicts(columns: Sequence[Column], rows: Sequence[object]) -> list[dict[str, object]]:
    return [{column.name: column.value(row) for column in columns} for row in rows]


def _where(order: OrderShown) -> str:
    if order.source is None:
        return str(order.message_no)
    return f"{order.message_no} from {order.source} {order.partition}:{order.position}, key {order.key}"


def _state(order: OrderShown) -> str:
    return f"{order.state}{', by hand' if order.decided_by_hand else ''}{', a copy may be at the rail' if order.was_unknown else ''}"


SHOWN: Final = (
    Column("order_id", "order"),
    Column("scheme", kind=Kind.HIDDEN),
    Column("case_id", "case", show=lambda order: f"{order.scheme} {order.case_id}"),
    Column("area"),
    Column("number", show=lambda order: f"{order.number} of the case{', its first' if order.is_first_order else ''}"),
    Column("is_first_order", kind=Kind.HIDDEN),
    Column("message_no", "message", Kind.TEXT, show=_where),
    Column("source", kind=Kind.HIDDEN),
    Column("partition", kind=Kind.HIDDEN),
    Column("position", kind=Kind.HIDDEN),
    Column("key", kind=Kind.HIDDEN),
    Column("state", show=_state),
    Column("decided_by_hand", kind=Kind.HIDDEN),
    Column("rail_says", "the rail says"),
    Column("was_unknown", kind=Kind.HIDDEN),
    Column("resends", "sent once more", show=lambda order: f"{order.resends} times" if order.resends else ""),
    _HELD_FOR,
    Column("made_at", "made"),
    Column("sending_at", "sending"),
    Column("sent_at", "sent"),
    Column("settled_at", "settled"),
    Column("receipt_no", "settled by receipt"),
    Column("correlation_time"),
    Column("message", kind=Kind.HIDDEN, of=lambda order: order.message.decode(errors="backslashreplace")),
    Column("lines", kind=Kind.HIDDEN, of=lambda order: _dicts(_LINES, order.lines)),
    Column("receipts", kind=Kind.HIDDEN, of=lambda order: _dicts(_RECEIPTS, order.receipts)),
    Column("alarms", kind=Kind.HIDDEN, of=lambda order: _dicts(_ALARMS, order.alarms)),
    Column("contradictions", kind=Kind.HIDDEN, of=lambda order: _dicts(_CONTRADICTIONS, order.contradictions)),
    Column("noted", kind=Kind.HIDDEN, of=lambda order: _dicts(_NOTED, order.noted)),
    Column("acts", kind=Kind.HIDDEN, of=lambda order: _dicts(_ACTS, order.acts)),
)


def page(order: OrderShown) -> Iterator[str]:
    """The parts of the page, top to bottom. It names no person that is paid; --json and --message have the whole order."""
    width = terminal_width()
    yield from described(SHOWN, order, width)
    yield from _part("lines", _LINES, order.lines, width)
    yield from _part("receipts", _RECEIPTS, order.receipts, width)
    yield from _part("alarms", _ALARMS, order.alarms, width)
    yield from _part("contradictions", _CONTRADICTIONS, order.contradictions, width)
    yield from _part("what people did", _ACTS, order.acts, width)
    yield from _part("audit chain of the case", _NOTED, order.noted, width)


def _part(title: str, columns: Sequence[Column], rows: Sequence[Any], width: int | None) -> Iterator[str]:
    if rows:
        yield f"\n{title}"
        yield from table(columns, rows, width)
