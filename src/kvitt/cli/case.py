"""`kvitt case`: everything about one case."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Final

import click
import msgspec

from kvitt.cli.calendar import draw
from kvitt.cli.ids import SchemeName, case_of
from kvitt.cli.listing import Column, Fit, folded, prose, table, terminal_width
from kvitt.cli.shell import connected, example, located, opened, print_page
from kvitt.cli.text import kroner, moment, shown, shown_json
from kvitt.cli.wiring import wiring
from kvitt.disbursement.case_facts import DeferredOfCase, OrderOfCase, PaymentOfCase, PublishedAnswer
from kvitt.disbursement.history import CaseHistory, Happening, HistoryEntry, history
from kvitt.disbursement.schedule import PaymentSchedule, expand
from kvitt.disbursement.values import Scheme
from kvitt.formats.counts import counted
from kvitt.settings import Settings


@click.command(epilog=example("kvitt case dp AZ111", "kvitt case tilleggsstønader 300000123 --json"))
@click.argument("scheme", type=SchemeName())
@click.argument("case_id", metavar="CASE_ID")
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON document.")
@located
def case(settings: Settings, *, scheme: Scheme, case_id: str, as_json: bool) -> None:
    """Show what happened to a case in order of time, what is accepted day by day, and what waits.

    SCHEME is dp, aap, ts, tp, historisk, valp or syk, or the name on the wire. A CASE_ID that ends with ... is the beginning of one.
    """

    with opened(settings) as conninfo:
        with connected(conninfo, application="kvitt case") as connection:
            named = case_of(connection, scheme, case_id)
        found = history(conninfo, wiring().ports, scheme, named)
    if as_json:
        click.echo(shown_json(as_document(found)))
        return

    print_page(case_lines(found))


_KRONER = {"amount": "amount_kroner", "decided_rate": "decided_rate_kroner"}


def as_document(found: CaseHistory) -> str:
    """The history as indented JSON; the documents of payments and messages stand in it as they were, not as values of ours."""
    return msgspec.json.format(msgspec.json.encode(_plain(msgspec.to_builtins(found, builtin_types=(bytes,)))), indent=2).decode()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict):
        return {_KRONER.get(name, name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


_PublishedAt = dict[tuple[datetime, int | None, str], PublishedAnswer]
_LEAST_ROOM: Final = 40
_ORDERS: Final = (
    Column("order_id", "order"),
    Column("number", "no"),
    Column("area"),
    Column("state"),
    Column("made_at", "made"),
    Column("settled_at", "settled"),
    Column("held_for", kind=Fit.TEXT, show=lambda order: "; ".join(reason.text for reason in order.held_for)),
)


def case_lines(found: CaseHistory) -> Iterator[str]:
    """The parts of the page, top to bottom. It names no person that is paid; `--json` has the whole messages."""
    areas = f", known to the rail in {', '.join(found.areas)}" if found.areas else ", not known to the rail"
    yield from prose(f"{found.scheme.value} case {found.case_id}{areas}")
    had = ((len(found.messages), "message"), (len(found.orders), "order"), (len(found.receipts), "receipt"))
    yield f"{', '.join(counted(*each) for each in had)}; {counted(found.open_orders, 'order')} open"
    for each in found.contradictions:
        if each.resolved_at is None:
            yield from prose(
                f"contradicted: order {each.order_id} is {each.ours}, and receipt {each.receipt_no} of the rail says {each.rails};"
            )
            yield from prose(
                "nothing of the case is derived or sent until two people adopt that or keep what stands (kvitt order adopt, keep)"
            )
    if found.deferred:
        yield from prose("locked by somebody else: what follows waits until it is free (docs/operations.md#rows-that-somebody-has-locked)")
        for kept in found.deferred:
            yield from prose(f"  {_kept(kept)}, since {moment(kept.came_at)}")
    if found.orders:
        yield ""
        yield from table(_ORDERS, found.orders, terminal_width())
    yield ""
    yield from _timeline(found)
    accepted, pending = schedule_of(found.accepted), schedule_of(found.pending)
    yield from draw(accepted.days, "accepted, day by day", accepted.beyond)
    if found.pending:
        yield from draw(pending.days, "pending, until the receipt of its order", pending.beyond)
    for message in found.queued:
        yield from prose(f"waits: message {message.message_no} under key {message.key}, since {moment(message.received_at)}")


def _kept(deferred: DeferredOfCase) -> str:
    if deferred.source is None:
        return f"receipt {deferred.message_id}"
    return f"message {deferred.source}/{deferred.partition}/{deferred.position} under key {deferred.key}"


def schedule_of(payments: Sequence[PaymentOfCase]) -> PaymentSchedule:
    """Returns what versions of payments pay, day by day."""
    return expand([*chain.from_iterable(each.owed for each in payments)])


def _timeline(found: CaseHistory) -> Iterator[str]:
    orders = {each.order_id: each for each in found.orders}
    places = {line.line_id: (order.number, line.position) for order in found.orders for line in order.lines if line.ceased_from is None}
    published: _PublishedAt = {(each.made_at, each.message_no, each.answer.status.value): each for each in found.published}
    yield f"{'time (UTC)':<23}  {'what':<12}  about"
    yield "─" * 72
    for event in found.events:
        # The audit chain has the same once more, for proof and not for reading.
        if event.what is Happening.NOTED:
            continue
        yield from _row(f"{event.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], event.what.value, _about(event, published))
        if event.what is Happening.ORDERED and event.order_id:
            for line in _lines(orders[event.order_id], places):
                yield from _row("", "", line)


def _row(time: str, what: str, about: str) -> Iterator[str]:
    indent = f"{'':<23}  {'':<12}  "
    width = terminal_width()
    for number, part in enumerate(folded(shown(about), max(width - len(indent), _LEAST_ROOM)) if width else [shown(about)]):
        yield f"{indent}{part}".rstrip() if number else f"{time:<23}  {what:<12}  {part}"


def _about(event: HistoryEntry, published: _PublishedAt) -> str:
    if event.what is not Happening.PUBLISHED:
        return event.text
    status = event.text.removeprefix("published ")
    about = f"{status} to message {event.message_no}"
    found = published.get((event.at, event.message_no, status))
    error = found.answer.error if found else None
    return f"{about}: [{error.status}] {error.text}" if error else about


def _lines(order: OrderOfCase, places: dict[str, tuple[int, int]]) -> Iterator[str]:
    """Lines by their places, which a person can follow; `kvitt order show` has their ids."""
    for line in order.lines:
        ceases = f", ceases from {line.ceased_from}" if line.ceased_from else ""
        follows = _named(places.get(line.refers_to), order.number) if line.refers_to else ""
        days = f"from {line.start_on} to {line.end_on}"
        yield f"line {line.position}  {line.class_code} {kroner(line.amount)} {days}{ceases}{follows}"


def _named(place: tuple[int, int] | None, number: int) -> str:
    if place is None:
        return ", after a line of before"
    return f", after line {place[1]}" + ("" if place[0] == number else f" of order {place[0]}")
