"""What a message would do, as a page: the lines that would be ordered and the schedule that would then hold."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from kvitt.cli.calendar import Due, draw, due_days
from kvitt.cli.shell import print_page
from kvitt.hub.preview import Preview
from kvitt.rules.catalogue import RAIL_RATE
from kvitt.rules.values import Order, Payment


def dues_of(payments: Sequence[Payment]) -> list[Due]:
    """What these payments pay, day by day."""
    return list(_dues(payments))


def _dues(payments: Sequence[Payment]) -> Iterator[Due]:
    for payment in payments:
        for period in payment.wanted:
            for day in due_days(RAIL_RATE[payment.rate_type], period.start, period.end):
                yield Due(day, period.amount, payment.benefit)


def print_preview(found: Preview) -> None:
    """Prints what a message would lead to."""
    if found.refusal:
        print_page(f"would be answered FEILET [{found.refusal.status}] {found.refusal.text}")
        return
    if found.contradicted:
        print_page(
            "a receipt contradicts what stands of the case: the message would wait until two people have resolved it; kvitt order list"
        )
    elif found.waits:
        print_page("the case has an order without a receipt: the message would wait, and be compared with what is accepted by then")
    if not found.orders:
        print_page("would be answered OK: nothing differs from what is accepted, nothing would be ordered")
    for order in found.orders:
        print_page(_lines(order))
    print_page(draw(dues_of(found.after), f"case {found.case_id} would then be paid"))
    print_page("nothing was stored, nothing was sent")


def _lines(order: Order) -> Table:
    kind = "first order" if order.first else "change"
    title = f"would order, area {order.area}, order {order.number} of the case ({kind})"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for name in ("line", "payment", "class", "from", "to"):
        table.add_column(name, no_wrap=True)
    table.add_column("amount", justify="right")
    for name in ("rate", "ceases from", "refers to"):
        table.add_column(name)
    for line in order.lines:
        table.add_row(
            line.line_id[:8],
            line.payment_id[:8],
            line.class_code,
            str(line.start),
            str(line.end),
            str(line.amount),
            RAIL_RATE[line.rate_type],
            str(line.ceased_from or ""),
            (line.refers_to or "")[:8],
        )
    return table
