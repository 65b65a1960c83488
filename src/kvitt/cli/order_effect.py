"""Shows what resolving a contradiction does to an order and its case: what is paid then, what is taken back, and what is derived anew."""

from collections.abc import Iterator
from typing import Final

from kvitt.cli.calendar import draw, schedule_of
from kvitt.cli.listing import Column, Fit, table, terminal_width
from kvitt.cli.text import shown
from kvitt.disbursement.resolve import Effect

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
