"""One case as a page: what happened, line by line in order of time, then what is paid day by day, then what is pending or waits."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich import box
from rich.console import RenderableType
from rich.table import Table

from kvitt.cli.calendar import Due, draw
from kvitt.hub.history import CaseHistory, Event, Happening, OrderOfCase, PaymentOfCase, Told

_ToldAt = dict[tuple[datetime, int | None, str], Told]


def page(found: CaseHistory) -> Iterator[RenderableType]:
    """The parts of the page, top to bottom. It names no person; `--json` has the whole messages."""
    areas = f", known to the rail in {', '.join(found.areas)}" if found.areas else ", not known to the rail"
    yield f"{found.scheme.value} case {found.case_id}{areas}"
    yield f"{len(found.messages)} messages, {len(found.orders)} orders, {len(found.receipts)} receipts; {found.open_orders} orders open"
    yield _course(found)
    yield draw(dues_of(found.accepted), "accepted, day by day")
    if found.pending:
        yield draw(dues_of(found.pending), "pending, until the receipt of its order")
    for message in found.waiting:
        yield f"waits: message {message.message_no} under key {message.key}, since {message.received_at:%Y-%m-%d %H:%M:%S}"


def dues_of(payments: Sequence[PaymentOfCase]) -> list[Due]:
    """What versions of payments pay, day by day."""
    return [Due(day.day, day.amount, each.document.benefit) for each in payments for day in each.schedule_days]


def _course(found: CaseHistory) -> Table:
    orders = {each.order_id: each for each in found.orders}
    told: _ToldAt = {(each.made_at, each.message_no, each.answer.status.value): each for each in found.told}
    table = Table("time (UTC)", "what", "about", box=box.SIMPLE_HEAD, pad_edge=False)
    for event in found.events:
        # The audit chain tells the same once more, for proof and not for reading.
        if event.what is not Happening.NOTED:
            table.add_row(f"{event.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], event.what.value, _about(event, told))
            if event.what is Happening.ORDERED and event.order_id:
                for line in _lines(orders[event.order_id]):
                    table.add_row("", "", line)
    return table


def _about(event: Event, told: _ToldAt) -> str:
    if event.what is not Happening.TOLD:
        return event.text
    status = event.text.removeprefix("told ")
    about = f"{status} to message {event.message_no}"
    found = told.get((event.at, event.message_no, status))
    error = found.answer.error if found else None
    return f"{about}: [{error.status}] {error.text}" if error else about


def _lines(order: OrderOfCase) -> Iterator[str]:
    for line in order.lines:
        ceases = f", ceases from {line.ceased_from}" if line.ceased_from else ""
        follows = f", after {line.refers_to[:8]}" if line.refers_to else ""
        yield f"  line {line.line_id[:8]}  {line.class_code} {line.amount} from {line.start_on} to {line.end_on}{ceases}{follows}"
