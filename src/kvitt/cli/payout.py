"""`kvitt payout`: make payouts, look at them, and what operators do with them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from kvitt.cli.order import approved, operator_of, reasoned
from kvitt.cli.shell import BAD_RESULT, example, located, opened, print_page

if TYPE_CHECKING:
    from kvitt.config import Settings
    from kvitt.hub.payouts.payouts import Payouts
    from kvitt.hub.payouts.preview import Preview
    from kvitt.hub.payouts.values import Payout

Command = TypeVar("Command", bound=Callable[..., object])
_CREATE = "kvitt payout create --party party-1 --shop shop-1 --amount 100000 --currency RUB"
_CONFIRM = 'kvitt payout confirm p-1 --by kari --approved-by ola --reason "the bank has paid"'
_CANCEL = 'kvitt payout cancel p-1 --details "account closed" --by kari --approved-by ola --reason "the bank sent it back"'
_PAID = 'kvitt payout paid p-1 --by kari --approved-by ola --reason "the bank has the order"'

_as_json = click.option("--json", "as_json", is_flag=True, help="The payout, as one JSON document.")
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would move and what the accounts would have; do nothing.")


def _acting(command: Command) -> Command:
    """Who does it, why, and who approves it; a dry run needs none of them."""
    command = click.option("--approved-by", metavar="NAME", help="The second person who approves it.")(command)
    command = click.option("--reason", metavar="TEXT", help="Why; it stands in the audit chain.")(command)
    return click.option("--by", metavar="NAME", help="Who does it.")(command)


@click.group(epilog=example(_CREATE, "kvitt payout show p-1", _CONFIRM, "kvitt payout list --status unpaid"))
def payout() -> None:
    """Make payouts to shops, confirm or cancel them, and look at them. Amounts are whole minor units."""


@contextmanager
def paying(settings: "Settings") -> Iterator["Payouts"]:
    """Payouts on the database that is there, with the parties and the ledger that are set."""
    from kvitt.app.payouts import payouts_of

    with opened(settings) as conninfo, payouts_of(conninfo, settings.payouts) as payouts:
        yield payouts


@payout.command(epilog=example(_CREATE, f"{_CREATE} --id p-1 --tool tool-2", f"{_CREATE} --dry-run"))
@click.option("--party", required=True, metavar="ID", help="The party that the shop is of.")
@click.option("--shop", required=True, metavar="ID", help="The shop that is paid out.")
@click.option("--amount", required=True, type=int, metavar="N", help="What leaves the shop's settlement account, before fees on top.")
@click.option("--currency", required=True, metavar="CODE", help="As on the shop's accounts.")
@click.option("--id", "payout_id", metavar="ID", help="The id of the payout, at most 57 characters; a random one otherwise.")
@click.option("--tool", metavar="ID", help="The payout tool; the shop's own otherwise.")
@_dry_run
@_as_json
@located
def create(
    settings: "Settings",
    *,
    party: str,
    shop: str,
    amount: int,
    currency: str,
    payout_id: str | None,
    tool: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a payout: its amount is held, and nothing has moved yet."""
    from kvitt.hub.payouts.values import Cash, NewPayout

    new = NewPayout(party, shop, Cash(amount, currency), payout_id, tool)
    with paying(settings) as payouts:
        if dry_run:
            _print_preview(payouts.preview_create(new), as_json=as_json)
        else:
            _print_done(payouts.create(new), as_json=as_json)


@payout.command(epilog=example("kvitt payout show p-1", "kvitt payout show p-1 --json"))
@click.argument("payout_id", metavar="PAYOUT")
@_as_json
@located
def show(settings: "Settings", *, payout_id: str, as_json: bool) -> None:
    """Print a PAYOUT with its cash flow, and what was told of it."""
    from kvitt.cli.payout_page import payout_page

    with paying(settings) as payouts:
        found, events = payouts.get(payout_id), payouts.events(payout_id)
    if as_json:
        _print_json(found)
    else:
        print_page(*payout_page(found, events))


@payout.command(epilog=example(_CONFIRM, "kvitt payout confirm p-1 --dry-run"))
@click.argument("payout_id", metavar="PAYOUT")
@_dry_run
@_as_json
@_acting
@located
def confirm(settings: "Settings", *, payout_id: str, by: str, reason: str, approved_by: str | None, dry_run: bool, as_json: bool) -> None:
    """Let the money of a PAYOUT move. Once it is confirmed, only a reversal brings it back."""
    operator = None if dry_run else operator_of(by, reason, approved_by)
    with paying(settings) as payouts:
        if operator is None:
            _print_preview(payouts.preview_confirm(payout_id), as_json=as_json)
            return
        payouts.confirm(payout_id, operator=operator)
        _print_done(payouts.get(payout_id), as_json=as_json)


@payout.command(epilog=example(_CANCEL, 'kvitt payout cancel p-1 --details "account closed" --dry-run'))
@click.argument("payout_id", metavar="PAYOUT")
@click.option("--details", required=True, metavar="TEXT", help="Why, as everyone hears it who hears of the payout.")
@_dry_run
@_as_json
@_acting
@located
def cancel(
    settings: "Settings",
    *,
    payout_id: str,
    details: str,
    by: str | None,
    reason: str | None,
    approved_by: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let go of what a PAYOUT holds; if its money has moved, move it back."""
    operator = None if dry_run else operator_of(by, reason, approved_by)
    with paying(settings) as payouts:
        if operator is None:
            _print_preview(payouts.preview_cancel(payout_id, details), as_json=as_json)
            return
        payouts.cancel(payout_id, details, operator=operator)
        _print_done(payouts.get(payout_id), as_json=as_json)


@payout.command(epilog=example(_PAID))
@click.argument("payout_id", metavar="PAYOUT")
@_as_json
@approved
@located
def paid(settings: "Settings", *, payout_id: str, by: str, reason: str, approved_by: str | None, as_json: bool) -> None:
    """Note that the bank has taken the order of a PAYOUT. Nothing moves yet."""
    with paying(settings) as payouts:
        payouts.paid(payout_id, by, reason, approved_by)
        _print_done(payouts.get(payout_id), as_json=as_json)


@payout.command(epilog=example('kvitt payout republish p-1 --by kari --reason "the consumer lost its topic"'))
@click.argument("payout_id", metavar="PAYOUT")
@reasoned
@located
def republish(settings: "Settings", *, payout_id: str, by: str, reason: str) -> None:
    """Tell all events of a PAYOUT again, byte for byte."""
    with paying(settings) as payouts:
        count = payouts.republish(payout_id, by, reason)
    click.echo(f"{count} events of payout {payout_id} will be told again")


@payout.command("list", epilog=example("kvitt payout list", "kvitt payout list --party party-1 --status unpaid --json"))
@click.option("--party", "party_id", metavar="ID", help="Of this party only.")
@click.option("--shop", "shop_id", metavar="ID", help="Of this shop only.")
@click.option("--status", type=click.Choice(["unpaid", "paid", "confirmed", "cancelled"]), help="In this state only.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one payout per line.")
@located
def list_payouts(settings: "Settings", *, party_id: str | None, shop_id: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List payouts, newest first."""
    from kvitt.cli.payout_page import list_page
    from kvitt.rules.payouts import PayoutStatus

    wanted = None if status is None else PayoutStatus(status)
    with paying(settings) as payouts:
        found = payouts.page(None, limit, party_id=party_id, shop_id=shop_id, status=wanted)
    if as_json:
        for each in found:
            _print_json(each)
    elif not found:
        click.echo("there are no such payouts")
    else:
        print_page(list_page(found))


def _print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.encode(value).decode())


def _print_done(done: "Payout", *, as_json: bool) -> None:
    if as_json:
        _print_json(done)
    else:
        click.echo(f"payout {done.payout_id} is {done.status.value}: {done.amount} {done.currency}, fee {done.fee}")


def _print_preview(preview: "Preview", *, as_json: bool) -> None:
    """What would be; the status of the command tells whether it would be refused."""
    from kvitt.cli.payout_page import preview_page

    if as_json:
        _print_json(preview)
    else:
        print_page(*preview_page(preview))
    if not preview.solvent:
        sys.exit(BAD_RESULT)
