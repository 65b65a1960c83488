"""`kvitt receipt`: answers of the rail that changed nothing, for a person to look at."""

import sys
from typing import TYPE_CHECKING

import click

from kvitt.cli.order import operating
from kvitt.cli.shell import console, example, located

if TYPE_CHECKING:
    from kvitt.config import Settings


@click.group(epilog=example("kvitt receipt list", "kvitt receipt show 17"))
def receipt() -> None:
    """Look at receipts that could not be read or matched, that were unclear, or that contradict an earlier one."""


@receipt.command("list", epilog=example("kvitt receipt list", "kvitt receipt list --limit 500"))
@click.option("--limit", default=100, show_default=True, help="At most so many.")
@located
def list_receipts(settings: "Settings", *, limit: int) -> None:
    """List the receipts that a person should look at, newest first."""
    from rich import box
    from rich.table import Table

    with operating(settings) as operate:
        receipts = operate.odd_receipts(limit)
    if not receipts:
        click.echo("no receipt waits for a person")
        return
    table = Table("no", "came", "what", "severity", "order", "bytes", "why", box=box.SIMPLE_HEAD)
    for each in receipts:
        came = f"{each.received_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(each.receipt_no), came, each.outcome, each.grade or "", each.order_id or "", str(each.size), each.note)
    console().print(table)


@receipt.command(epilog=example("kvitt receipt show 17", "kvitt receipt show 17 > receipt.xml"))
@click.argument("number", type=int)
@located
def show(settings: "Settings", *, number: int) -> None:
    """Print receipt NUMBER as it came."""
    with operating(settings) as operate:
        body = operate.receipt_body(number)
    sys.stdout.buffer.write(body)
