"""`kvitt receipt`: answers of the rail that changed nothing, for a person to look at."""

import sys
from typing import TYPE_CHECKING, Final

import click

from kvitt.cli.arguments import NUMBER
from kvitt.cli.listing import LOOK_FURTHER, Column, Kind, json_option, limit_option, print_json, print_list
from kvitt.cli.order import operating
from kvitt.cli.shell import example, located
from kvitt.cli.text import shown_lines

if TYPE_CHECKING:
    from kvitt.config import Settings


@click.group(epilog=example("kvitt receipt list", "kvitt receipt show 17"))
def receipt() -> None:
    """Look at receipts that could not be read or matched, that were unclear, or that contradict an earlier one."""


@receipt.command("list", epilog=example("kvitt receipt list", "kvitt receipt list --limit 500"))
@limit_option
@json_option
@located
def list_receipts(settings: "Settings", *, limit: int, as_json: bool) -> None:
    """List the receipts that a person should look at, newest first."""
    with operating(settings) as operate:
        receipts = operate.odd_receipts(limit + LOOK_FURTHER)
    print_list(_RECEIPTS, receipts, limit=limit, as_json=as_json, nothing="no receipt waits for a person")


@receipt.command(epilog=example("kvitt receipt show 17", "kvitt receipt show 17 > receipt.xml", "kvitt receipt show 17 --json"))
@click.argument("number", type=NUMBER)
@json_option
@located
def show(settings: "Settings", *, number: int, as_json: bool) -> None:
    """Print receipt NUMBER as it came. On a terminal, what could move its cursor is shown as an escape; into a pipe go the bytes."""
    with operating(settings) as operate:
        body = operate.receipt_body(number)
    if as_json:
        print_json(_BODY, [(number, body)])
    elif sys.stdout.isatty():
        click.echo(shown_lines(body))
    else:
        sys.stdout.buffer.write(body)


_RECEIPTS: Final = (
    Column("receipt_no", "no"),
    Column("received_at", "came"),
    Column("outcome", "what"),
    Column("grade", "severity"),
    Column("order_id", "order"),
    Column("size_bytes", "bytes", Kind.NUMBER, of=lambda receipt: receipt.size),
    Column("note", "why", Kind.TEXT),
)
_BODY: Final = (
    Column("receipt_no", of=lambda row: row[0]),
    Column("body", of=lambda row: row[1].decode(errors="backslashreplace")),
)
