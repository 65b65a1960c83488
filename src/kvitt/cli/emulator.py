"""`kvitt emulator`: the payment rail as the emulator plays it."""

import signal
import sys
import threading
from collections import Counter, deque
from typing import Final

import click
from msgspec.structs import replace

from kvitt.cli.arguments import ANY_NUMBER, PROBABILITY, SECONDS, Whole
from kvitt.cli.calendar import draw
from kvitt.cli.listing import MOST, Column, Fit, json_option, print_json, print_list
from kvitt.cli.shell import connected, example, located, opened, print_page
from kvitt.config import Settings
from kvitt.disbursement.schedule import Beyond, Due
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.emulator import (
    Chance,
    Emulator,
    Faults,
    Received,
    days_of,
    duplicates,
    get_faults,
    set_faults,
    spans,
)
from kvitt.rails.oppdrag.emulator import received as all_received
from kvitt.transports.queue.table_queue import TableQueue

_CHANCES = ("swallow", "delay", "double", "reorder", "damage", "refuse", "warn")


@click.group(epilog=example("kvitt emulator faults --refuse 0.01", "kvitt emulator schedule DP AZ111", "kvitt emulator received"))
def emulator() -> None:
    """Run the rail emulator, make it fail, and look into its books."""


@emulator.command(
    epilog=example("kvitt up --no-emulator", "kvitt emulator run", "kvitt emulator run --database postgresql://kvitt@db/kvitt")
)
@click.option("--seed", default=0, type=ANY_NUMBER, show_default=True, help="Decides which orders a probable fault strikes.")
@located
def run(settings: Settings, *, seed: int) -> None:
    """Play the rail alone, beside a hub that runs with --no-emulator, until Ctrl-C or SIGTERM."""

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings, must_run=True) as conninfo:
        played = Emulator(conninfo, TableQueue(conninfo, settings.request_queue), lambda name: TableQueue(conninfo, name), seed)
        click.echo(f"the rail emulator takes orders from {settings.request_queue}")
        played.run(stop)
    click.echo("the rail emulator has stopped", err=True)


@emulator.command(
    epilog=example("kvitt emulator faults", "kvitt emulator faults --swallow 0.1 --refuse 0.01", "kvitt emulator faults --clear")
)
@click.option("--swallow", type=PROBABILITY, metavar="P", help="No receipt, though the order takes effect.")
@click.option("--delay", type=PROBABILITY, metavar="P", help="The receipt comes late.")
@click.option("--delay-seconds", type=SECONDS, metavar="S", help="How late.")
@click.option("--double", type=PROBABILITY, metavar="P", help="The receipt comes twice.")
@click.option("--reorder", type=PROBABILITY, metavar="P", help="Receipts change places.")
@click.option("--damage", type=PROBABILITY, metavar="P", help="The receipt comes in one of the damaged forms seen.")
@click.option("--refuse", type=PROBABILITY, metavar="P", help="The order is rejected.")
@click.option("--warn", type=PROBABILITY, metavar="P", help="The order is accepted with a note (04).")
@click.option("--closed/--open", default=None, help="The rail reads nothing.")
@click.option("--clear", is_flag=True, help="Switch all of them off first.")
@located
def faults(settings: Settings, /, *, clear: bool, closed: bool | None, delay_seconds: float | None, **chances: float | None) -> None:
    """Show what goes wrong at the rail, and with options change it. Each P is a probability from 0 to 1."""

    changes: dict[str, object] = {name: Chance(chance) for name, chance in chances.items() if chance is not None}
    changes.update({name: value for name, value in (("closed", closed), ("delay_seconds", delay_seconds)) if value is not None})
    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        if clear or changes:
            set_faults(connection, replace(Faults() if clear else get_faults(connection), **changes))
        _print_faults(get_faults(connection))


def _print_faults(switched: Faults) -> None:
    lines = []
    for name in _CHANCES:
        chance = getattr(switched, name)
        if chance.probability or chance.next:
            lines.append(f"{name} {chance.probability:g}" + (f", the next {chance.next} for certain" if chance.next else ""))
    if switched.delay.probability or switched.delay.next:
        lines.append(f"delay-seconds {switched.delay_seconds:g}")
    if switched.closed:
        lines.append("closed")
    click.echo("\n".join(lines) or "the rail has no faults")


@emulator.command(epilog=example("kvitt emulator schedule DP AZ111", "kvitt emulator schedule TILLSTPB 300000123 --json"))
@click.argument("area", metavar="AREA")
@click.argument("case_id", metavar="CASE")
@json_option
@located
def schedule(settings: Settings, *, area: str, case_id: str, as_json: bool) -> None:
    """Draw what the rail will pay for CASE in AREA, by its own books. With --json, the pieces of its chains that are in force."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        pieces = spans(connection, area.upper(), case_id)
    if as_json:
        print_json(_PIECES, pieces)
        return
    days, beyond = days_of(pieces)
    dues = [Due(day.date, Kroner(day.amount), day.class_code) for day in days]
    print_page(draw(dues, f"{area.upper()} {case_id} at the rail", Beyond(*beyond) if beyond else None))


@emulator.command(epilog=example("kvitt emulator received", "kvitt emulator received --last 5"))
@click.option("--last", type=Whole(1, MOST), default=20, show_default=True, help="The newest N orders.")
@json_option
@located
def received(settings: Settings, *, last: int, as_json: bool) -> None:
    """List the orders that the rail received, and what came more than once; exit status 1 when a line was accepted twice."""

    outcomes: Counter[str] = Counter()
    newest: deque[Received] = deque(maxlen=last)
    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        for each in all_received(connection):
            outcomes[each.outcome] += 1
            newest.append(each)
        doubled = duplicates(connection)
    print_list(_RECEIVED, list(newest), limit=last, as_json=as_json, nothing="the rail has received nothing")
    summary = f"{outcomes.total()} orders: " + (", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()) or "none")
    click.echo(summary, err=as_json)
    click.echo(
        f"accepted twice: {len(doubled.lines)} lines; one message id with other bytes: {len(doubled.conflicting_messages)}; "
        f"same bytes under several ids: {len(doubled.same_bytes)}",
        err=as_json,
    )
    if doubled.lines:
        sys.exit(1)


_RECEIVED: Final = (
    Column("received_at", "received"),
    Column("case_id", "case"),
    Column("area"),
    Column("outcome"),
    Column("repeats", show=lambda order: str(order.repeats or "")),
    Column("note", kind=Fit.TEXT),
)
_PIECES: Final = (
    Column("chain_first_line_id"),
    Column("line_id"),
    Column("chain_last_line_id"),
    Column("start"),
    Column("end"),
    Column("amount_kroner", of=lambda piece: piece.amount),
    Column("rate_code"),
    Column("class_code"),
    Column("decided_rate_kroner", of=lambda piece: piece.decided_rate),
)
