"""An order for the eye, before a person acts on it: how it is checked before it leaves, and what resolving its contradiction does."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import to_builtins

from kvitt.cli.calendar import draw, schedule_of
from kvitt.cli.listing import Column, Fit, described, table, terminal_width
from kvitt.cli.text import shown
from kvitt.disbursement.order_page import CheckShown
from kvitt.disbursement.resolve import Effect

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
