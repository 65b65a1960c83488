"""The columns of lists of orders, and the page of one: what is known of it, how it is checked before it leaves, what resolving it does."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import to_builtins

from kvitt.cli.calendar import draw, schedule_of
from kvitt.cli.listing import Column, Fit, described, table, terminal_width
from kvitt.cli.text import shown
from kvitt.disbursement.order_page import CheckShown, OrderShown
from kvitt.disbursement.resolve import Effect

_HELD_FOR: Final = Column(
    "held_for",
    kind=Fit.TEXT,
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
CHECK: Final = (
    Column("mode", "policy"),
    Column("most_recovered_kroner", "may recover", of=lambda check: check.most_recovered),
    Column("finding", show=lambda check: check.finding or "waits for the rail"),
    Column("waits_for", "because", Fit.TEXT, of=lambda check: check.waits_for or check.note),
    Column("refusal", "refused", Fit.TEXT),
    Column("times_asked", "asked", show=lambda check: f"{check.times_asked} times"),
    Column("due_at", "asked again"),
    Column("ended_at", "ended"),
    Column("leaves_before", "leaves before"),
    Column("request_no", "simulation"),
    Column("recovered_kroner", "recovers", of=lambda check: check.recovered),
    Column("differences", kind=Fit.HIDDEN, of=lambda check: to_builtins(check.differences)),
    Column("picture", kind=Fit.HIDDEN, of=lambda check: to_builtins(check.picture)),
)
_PICTURE: Final = (
    Column("class_code", "class"),
    Column("first_day", "from"),
    Column("last_day", "to"),
    Column("stands_kroner", "stands", Fit.NUMBER),
    Column("expected_kroner", "decided", Fit.NUMBER),
    Column("simulated_kroner", "the rail pays", Fit.NUMBER),
    Column("recovered_kroner", "recovers", Fit.NUMBER),
)
_DERIVED: Final = (Column("order_id", "order"), Column("area"), Column("message_no", "message"), Column("lines", kind=Fit.NUMBER))
EFFECT: Final = (
    Column("order_id"),
    Column("scheme"),
    Column("case_id"),
    Column("state"),
    Column("payments"),
    Column("taken_back"),
    Column("derived", of=lambda effect: [{column.name: column.value(each) for column in _DERIVED} for each in effect.derived]),
    Column("left_open"),
)
_LINES: Final = (
    Column("line_id", "line"),
    Column("class_code", "class"),
    Column("start", "from", of=lambda line: line.start_on),
    Column("end", "to", of=lambda line: line.end_on),
    Column("amount_kroner", "kroner", Fit.NUMBER, of=lambda line: line.amount),
    Column("decided_rate_kroner", "of", Fit.NUMBER, of=lambda line: line.decided_rate),
    Column("ceased_from", "ceases from"),
    Column("payment_id", "payment"),
    Column("refers_to", "after"),
    Column("decision_id", "decision"),
)
_RECEIPTS: Final = (
    Column("receipt_no", "receipt"),
    Column("received_at", "came"),
    Column("severity"),
    Column("code"),
    Column("outcome", "what"),
    Column("note", "why", Fit.TEXT),
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
    Column("reason", kind=Fit.TEXT),
)
_CANCELLATIONS: Final = (
    Column("number", "no"),
    Column("asked_at", "asked"),
    Column("sent_at", "sent"),
    Column("state"),
    Column("answered_at", "answered"),
    Column("receipt_no", "receipt"),
    Column("reason", kind=Fit.TEXT),
    Column("cancellation_id", kind=Fit.HIDDEN),
    Column("message", kind=Fit.HIDDEN, of=lambda each: each.message.decode(errors="backslashreplace")),
)
_NOTED: Final = (Column("seq", "entry"), Column("at", "time (UTC)"), Column("what"))
_ACTS: Final = (Column("at", "time (UTC)"), Column("what"), Column("by"), Column("approved_by"), Column("reason", kind=Fit.TEXT))


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
    Column("scheme", kind=Fit.HIDDEN),
    Column("case_id", "case", show=lambda order: f"{order.scheme} {order.case_id}"),
    Column("area"),
    Column("number", show=lambda order: f"{order.number} of the case{', its first' if order.is_first_order else ''}"),
    Column("is_first_order", kind=Fit.HIDDEN),
    Column("message_no", "message", Fit.TEXT, show=_where),
    Column("source", kind=Fit.HIDDEN),
    Column("partition", kind=Fit.HIDDEN),
    Column("position", kind=Fit.HIDDEN),
    Column("key", kind=Fit.HIDDEN),
    Column("state", show=_state),
    Column("decided_by_hand", kind=Fit.HIDDEN),
    Column("rail_says", "the rail says"),
    Column("was_unknown", kind=Fit.HIDDEN),
    Column("resends", "sent once more", show=lambda order: f"{order.resends} times" if order.resends else ""),
    _HELD_FOR,
    Column("made_at", "made"),
    Column("sending_at", "sending"),
    Column("sent_at", "sent"),
    Column("settled_at", "settled"),
    Column("receipt_no", "settled by receipt"),
    Column("correlation_time"),
    Column("key_day", "under the key of"),
    Column("message", kind=Fit.HIDDEN, of=lambda order: order.message.decode(errors="backslashreplace")),
    Column("lines", kind=Fit.HIDDEN, of=lambda order: _dicts(_LINES, order.lines)),
    Column("receipts", kind=Fit.HIDDEN, of=lambda order: _dicts(_RECEIPTS, order.receipts)),
    Column("alarms", kind=Fit.HIDDEN, of=lambda order: _dicts(_ALARMS, order.alarms)),
    Column("contradictions", kind=Fit.HIDDEN, of=lambda order: _dicts(_CONTRADICTIONS, order.contradictions)),
    Column("cancellations", kind=Fit.HIDDEN, of=lambda order: _dicts(_CANCELLATIONS, order.cancellations)),
    Column("checks", kind=Fit.HIDDEN, of=lambda order: _dicts(CHECK, order.checks)),
    Column("noted", kind=Fit.HIDDEN, of=lambda order: _dicts(_NOTED, order.noted)),
    Column("acts", kind=Fit.HIDDEN, of=lambda order: _dicts(_ACTS, order.acts)),
)


def order_lines(order: OrderShown) -> Iterator[str]:
    """The parts of the page, top to bottom. It names no person that is paid; --json and --message have the whole order."""
    width = terminal_width()
    yield from described(SHOWN, order, width)
    yield from _part("lines", _LINES, order.lines, width)
    yield from _part("receipts", _RECEIPTS, order.receipts, width)
    yield from _part("alarms", _ALARMS, order.alarms, width)
    yield from _part("contradictions", _CONTRADICTIONS, order.contradictions, width)
    yield from _part("asked to be cancelled", _CANCELLATIONS, order.cancellations, width)
    yield from check_lines(order.checks, width)
    yield from _part("what people did", _ACTS, order.acts, width)
    yield from _part("audit chain of the case", _NOTED, order.noted, width)


def _part(title: str, columns: Sequence[Column], rows: Sequence[Any], width: int | None) -> Iterator[str]:
    if rows:
        yield f"\n{title}"
        yield from table(columns, rows, width)


def check_lines(checks: Sequence[CheckShown], width: int | None) -> Iterator[str]:
    """The part of an order's page about its check, if there is one."""
    for check in checks:
        yield "\nsimulated before it leaves"
        yield from described(CHECK, check, width)
        if check.picture:
            yield "\nwhat was decided, and what the rail would do"
            yield from table(_PICTURE, check.picture, width)


def effect_lines(effect: Effect, *, dry_run: bool) -> Iterator[str]:
    """The parts of the page, top to bottom."""
    would = "would be " if dry_run else "is "
    yield shown(f"order {effect.order_id} of {effect.scheme.value} case {effect.case_id} {would}{effect.state.value}")
    for payment_id in effect.payments:
        yield f"  payment {payment_id} {would}{'accepted' if effect.state.value == 'accepted' else 'dropped, and holds as it did before'}"
    for order_id in effect.taken_back:
        yield f"order {order_id}, which has not left, {would}taken back, and its message derived again"
    if effect.derived:
        yield f"{'would be' if dry_run else 'are'} derived now:"
        yield from table(_DERIVED, effect.derived, terminal_width())
    if effect.left_open:
        yield f"the case goes on to wait: {effect.left_open} more of its orders are contradicted"
    paid, then = schedule_of(effect.paid), schedule_of(effect.then_paid)
    yield from draw(paid.days, f"case {shown(effect.case_id)}: accepted by this", paid.beyond)
    if effect.derived:
        yield from draw(then.days, "once the rail has accepted what is derived", then.beyond)
    if dry_run:
        yield "nothing was stored, nothing was sent"
