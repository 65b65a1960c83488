"""`kvitt receipt`: answers of the rail that changed nothing, for a person to look at."""

import sys
from typing import Final

import click

from kvitt.cli.arguments import NUMBER
from kvitt.cli.listing import READ_AHEAD, Column, Fit, json_option, limit_option, print_json, print_list
from kvitt.cli.operator import approved, is_left_to_another, operating
from kvitt.cli.shell import example, located
from kvitt.cli.text import shown_lines
from kvitt.disbursement.closing_acts import NumberNamed
from kvitt.disbursement.operate import OddReceipt
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings


@click.group(
    epilog=example("kvitt receipt list", "kvitt receipt show 17", 'kvitt receipt close 17 --by ola --reason "of no order of ours"')
)
def receipt() -> None:
    """Look at, and close, receipts that could not be read or matched, that were unclear, or that contradict an earlier one."""


@receipt.command("list", epilog=example("kvitt receipt list", "kvitt receipt list --all --limit 500"))
@click.option("--all", "everything", is_flag=True, help="Those that were dealt with, too.")
@limit_option
@json_option
@located
def list_receipts(settings: Settings, *, everything: bool, limit: int, as_json: bool) -> None:
    """List the receipts that a person should look at, newest first."""
    with operating(settings) as operate:
        receipts = operate.odd_receipts(limit + READ_AHEAD, everything=everything)
    nothing = "there has been no such receipt" if everything else "no receipt waits for a person"
    print_list(_RECEIPTS, receipts, limit=limit, as_json=as_json, nothing=nothing)


@receipt.command(epilog=example("kvitt receipt show 17", "kvitt receipt show 17 > receipt.xml", "kvitt receipt show 17 --json"))
@click.argument("number", type=NUMBER)
@json_option
@located
def show(settings: Settings, *, number: int, as_json: bool) -> None:
    """Print receipt NUMBER as it came. On a terminal, what could move its cursor is shown as an escape; into a pipe go the bytes."""
    with operating(settings) as operate:
        body = operate.receipt_body(number)
    if as_json:
        print_json(_BODY, [(number, body)])
    elif sys.stdout.isatty():
        click.echo(shown_lines(body))
    else:
        sys.stdout.buffer.write(body)


@receipt.command(epilog=example('kvitt receipt close 17 --by ola --reason "cut off in transit, the rail sent it again"'))
@click.argument("number", type=NUMBER)
@approved
@located
def close(settings: Settings, *, number: int, by: str, reason: str, approved_by: str | None) -> None:
    """Say that receipt NUMBER, which settled nothing, has been dealt with. It changes no order: see `kvitt order decide`."""

    operator = Operator(by, reason, approved_by)
    with operating(settings) as operate:
        if is_left_to_another(settings, operate.connection, "receipt close", NumberNamed(number), operator):
            return
        operate.close_receipt(number, operator)
    click.echo(f"receipt {number} is closed")


def _state(receipt: OddReceipt) -> str:
    return "open" if receipt.is_open else f"closed by {receipt.closed_by}" if receipt.closed_by else "settled"


_RECEIPTS: Final = (
    Column("receipt_no", "no"),
    Column("received_at", "came"),
    Column("outcome", "what"),
    Column("severity"),
    Column("code"),
    Column("order_id", "order"),
    Column("is_open", "state", show=_state),
    Column("closed_at", kind=Fit.HIDDEN),
    Column("closed_by", kind=Fit.HIDDEN),
    Column("closed_because", kind=Fit.HIDDEN),
    Column("size_bytes", "bytes", Fit.NUMBER, of=lambda receipt: receipt.size),
    Column("note", "why", Fit.TEXT),
)
_BODY: Final = (
    Column("receipt_no", of=lambda each: each[0]),
    Column("body", of=lambda each: each[1].decode(errors="backslashreplace")),
)
