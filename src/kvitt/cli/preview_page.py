"""What a message would do, as a page: the lines that would be ordered and the schedule that would then hold."""

from collections.abc import Iterator, Sequence
from typing import Final

from kvitt.cli.calendar import draw
from kvitt.cli.listing import Column, Kind, table, terminal_width
from kvitt.cli.shell import print_page
from kvitt.cli.text import shown
from kvitt.hub.preview import Preview
from kvitt.rules.catalogue import RAIL_RATE
from kvitt.rules.schedule import Owed, Schedule, expand
from kvitt.rules.values import Order, Payment


def schedule_of(payments: Sequence[Payment]) -> Schedule:
    """What these payments pay, day by day."""
    return expand(
        [Owed(each.start, each.end, each.amount, payment.rate_type, payment.benefit) for payment in payments for each in payment.wanted]
    )


def print_preview(found: Preview) -> None:
    """Prints what a message would lead to."""
    if found.contradicted:
        print_page(
            "a receipt contradicts what stands of the case: the message would wait until two people have resolved it; kvitt order list"
        )
    elif found.waits:
        print_page("the case has an order without a receipt: the message would wait, and be compared with what is accepted by then")
    if found.refusal:
        because = f" ({found.reason})" if found.reason else ""
        print_page(shown(f"would be answered FEILET [{found.refusal.status}] {found.refusal.text}{because}"))
        return
    if not found.orders:
        print_page("would be answered OK: nothing differs from what is accepted, nothing would be ordered")
    for order, reasons in zip(found.orders, found.held, strict=True):
        print_page(_lines(order))
        for reason in reasons:
            print_page(shown(f"would be held until two people have looked at it: {reason.text} ({reason.kind.value})"))
    then = schedule_of(found.after)
    print_page(draw(then.days, f"case {found.case_id} would then be paid", then.beyond))
    print_page("nothing was stored, nothing was sent")


def _lines(order: Order) -> Iterator[str]:
    kind = "first order" if order.is_first_order else "change"
    yield f"would order, area {order.area}, order {order.number} of the case ({kind})"
    yield from table(_LINES, order.lines, terminal_width())


_LINES: Final = (
    Column("line_id", "line"),
    Column("class_code", "class"),
    Column("start", "from"),
    Column("end", "to"),
    Column("amount_kroner", "kroner", Kind.NUMBER, of=lambda line: line.amount),
    Column("rate", of=lambda line: RAIL_RATE[line.rate_type]),
    Column("ceased_from", "ceases from"),
    Column("payment_id", "payment"),
    Column("refers_to", "after"),
)
