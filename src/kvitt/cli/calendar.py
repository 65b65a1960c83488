"""A schedule drawn for the eye: a week to a row, what is due on each day, weeks that look alike folded into one row."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Final

import click

from kvitt.cli.listing import Column, Fit, cell_width, table, terminal_width
from kvitt.cli.shell import print_page
from kvitt.cli.text import kroner, shown
from kvitt.disbursement.preview import Preview
from kvitt.disbursement.schedule import (
    Beyond,
    Due,
    Owed,
    PaymentSchedule,
    expand,
)
from kvitt.disbursement.values import Order, Payment
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.order_xml import RATE_CODES

_DAYS_OF_WEEK: Final = 7
_FOLD_FROM: Final = 3
_LEAST_CELL: Final = 4
_STYLES: Final = ("green", "cyan", "magenta", "yellow", "blue")
_NAMES: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")

_Cell = tuple[Kroner, str]
_Week = tuple[_Cell, ...]
_NOTHING: Final[_Cell] = (Kroner(0), "")


def draw(dues: Sequence[Due], title: str = "", beyond: Beyond | None = None) -> Iterator[str]:
    """The calendar of these days; each name has a colour, amounts of one day are added up. Empty weeks between others are folded too.

    Where a week has not room on a line, its days stand below each other. `beyond` is what was not expanded; the page says so.
    """
    if title:
        yield f"\n{shown(title)} (kroner)"
    if not dues:
        yield "nothing is due"
    else:
        styles = {name: _STYLES[place % len(_STYLES)] for place, name in enumerate(sorted({due.name for due in dues}))}
        yield from _rows(list(_weeks(dues, styles)))
        if len(styles) > 1:
            yield "  ".join(click.style(shown(name), fg=style) for name, style in styles.items())
    if beyond is not None:
        yield f"… until {beyond.until}, not drawn after {beyond.after}"


def _weeks(dues: Sequence[Due], styles: dict[str, str]) -> Iterable[tuple[int, _Week]]:
    """Each week from the first to the last, by the ordinal of its Monday."""
    by_day: dict[int, _Cell] = {}
    for due in dues:
        day = due.day.toordinal()
        by_day[day] = (Kroner(by_day.get(day, _NOTHING)[0] + due.amount), styles[due.name])
    first = min(by_day) - date.fromordinal(min(by_day)).weekday()
    for monday in range(first, max(by_day) + 1, _DAYS_OF_WEEK):
        yield monday, tuple(by_day.get(day, _NOTHING) for day in range(monday, monday + _DAYS_OF_WEEK))


def _rows(weeks: Sequence[tuple[int, _Week]]) -> Iterator[str]:
    room = max([_LEAST_CELL, *(cell_width(kroner(amount)) for _, cells in weeks for amount, _ in cells)])
    folded = [(cells, [monday for monday, _ in group]) for cells, group in groupby(weeks, key=lambda week: week[1])]
    width = terminal_width()
    if width is not None and len("2025-06-02") + _DAYS_OF_WEEK * (room + 2) + len("  × 1234 weeks") > width:
        yield from _as_list(weeks)
        return
    yield "week of     " + "  ".join(name.rjust(room) for name in _NAMES)
    for cells, mondays in folded:
        drawn = "  ".join(_drawn(cell, room) for cell in cells)
        if len(mondays) < _FOLD_FROM:
            for monday in mondays:
                yield f"{date.fromordinal(monday)}  {drawn}"
        else:
            yield f"{date.fromordinal(mondays[0])}  {drawn}  × {len(mondays)} weeks"


def _as_list(weeks: Sequence[tuple[int, _Week]]) -> Iterator[str]:
    """Days below each other, those that follow each other with the same amount on one line."""
    days = [(monday + place, cell) for monday, cells in weeks for place, cell in enumerate(cells) if cell[0]]
    for _, group in groupby(enumerate(days), key=lambda each: (each[1][0] - each[0], each[1][1])):
        run = [day for _, day in group]
        (first, cell), last = run[0], run[-1][0]
        amount = _drawn(cell, 0)
        yield (
            f"{date.fromordinal(first)}  {amount}"
            if first == last
            else f"{date.fromordinal(first)} to {date.fromordinal(last)}  {amount} a day"
        )


def _drawn(cell: _Cell, room: int) -> str:
    amount, style = cell
    text = (kroner(amount) if amount else "·").rjust(room)
    return click.style(text, fg=style) if style else text


def schedule_of(payments: Sequence[Payment]) -> PaymentSchedule:
    """Returns what these payments pay, day by day."""
    return expand(
        [Owed(each.start, each.end, each.amount, payment.rate_of(each), payment.benefit) for payment in payments for each in payment.wanted]
    )


def print_preview(found: Preview, last: str = "nothing was stored, nothing was sent") -> None:
    """Prints what a message would lead to; `last` ends the page of one that would be ordered."""
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
    print_page(last)


def _lines(order: Order) -> Iterator[str]:
    kind = "first order" if order.is_first_order else "change"
    yield f"would order, area {order.area}, order {order.number} of the case ({kind})"
    yield from table(_LINES, order.lines, terminal_width())


_LINES: Final = (
    Column("line_id", "line"),
    Column("class_code", "class"),
    Column("start", "from"),
    Column("end", "to"),
    Column("amount_kroner", "kroner", Fit.NUMBER, of=lambda line: line.amount),
    Column("rate", of=lambda line: RATE_CODES[line.rate_type]),
    Column("ceased_from", "ceases from"),
    Column("payment_id", "payment"),
    Column("refers_to", "after"),
)
