"""`kvitt ledger`: accounts, their histories, and plans."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from kvitt.cli.shell import console, example, located, opened

if TYPE_CHECKING:
    from kvitt.config import Settings
    from kvitt.hub.ledger.calls import State
    from kvitt.hub.ledger.read import Entry, Plan

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="JSON, one object per line.")


@click.group(
    epilog=example(
        "kvitt ledger account create --currency RUB --description 'shop-1 settlement' --key shop-1/settlement",
        "kvitt ledger account show 1",
        "kvitt ledger history 1",
        "kvitt ledger plan payout_p-1",
    )
)
def ledger() -> None:
    """Look at the double-entry ledger, and make accounts. Amounts are whole minor units; money moves by payouts and over the doors."""


@ledger.group()
def account() -> None:
    """Make accounts and look at them."""


@account.command(
    "create", epilog=example("kvitt ledger account create --currency RUB", "kvitt ledger account create --currency NOK --key shop-1")
)
@click.option("--currency", required=True, metavar="CODE", help="1 to 4 characters, as on the postings.")
@click.option("--description", metavar="TEXT", help="At most 4096 characters.")
@click.option("--key", metavar="TEXT", help="The same key gives the same account again, however often it is asked for.")
@_AS_JSON
@located
def create(settings: "Settings", *, currency: str, description: str | None, key: str | None, as_json: bool) -> None:
    """Make an account and print its id."""
    from kvitt.app import database, utc_now
    from kvitt.hub.ledger.calls import Account, NewAccount
    from kvitt.hub.ledger.post import Post
    from kvitt.rules.ledger import InvalidRequest
    from kvitt.store.database import connect

    with database(settings, own=False, upgrade_it=settings.database_url is None) as conninfo, connect(conninfo) as connection:
        (made,) = Post(connection, utc_now)([NewAccount(currency, description, None, key)])
    if isinstance(made, InvalidRequest):
        raise click.UsageError(made.error)
    if not isinstance(made, Account):
        raise made if isinstance(made, Exception) else TypeError(type(made).__name__)
    _print_json([{"account_id": made.account_id}]) if as_json else click.echo(made.account_id)


@account.command("show", epilog=example("kvitt ledger account show 1", "kvitt ledger account show 1 --at 2026-11-20T00:00:00Z"))
@click.argument("account_id", type=int)
@click.option("--at", metavar="INSTANT", help="What it had just before a moment: its totals then.")
@_AS_JSON
@located
def show(settings: "Settings", *, account_id: int, at: str | None, as_json: bool) -> None:
    """Print an account: its own amount, and what it has at least and at most when open plans end either way."""
    from msgspec.structs import replace

    from kvitt.app import utc_now
    from kvitt.hub.ledger.read import Ledger
    from kvitt.store.database import connect

    moment = _moment(at) if at else None
    with opened(settings) as conninfo, connect(conninfo) as connection:
        found = Ledger(connection).account(account_id)
        if moment:
            found = replace(found, totals=Ledger(connection).totals_before(account_id, moment, utc_now()))
    _print_accounts([found], as_json=as_json)


@account.command("list", epilog=example("kvitt ledger account list", "kvitt ledger account list --after 1000 --limit 100"))
@click.option("--after", default=0, show_default=True, help="Those with a greater id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@_AS_JSON
@located
def list_accounts(settings: "Settings", *, after: int, limit: int, as_json: bool) -> None:
    """List accounts by id."""
    from kvitt.hub.ledger.read import Ledger
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo) as connection:
        _print_accounts(Ledger(connection).accounts(after, limit), as_json=as_json)


@ledger.command(
    epilog=example("kvitt ledger history 1", "kvitt ledger history 1 --after 5000 --limit 100", "kvitt ledger history 1 --all --json")
)
@click.argument("account_id", type=int)
@click.option("--after", default=0, show_default=True, help="Those behind this number.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@click.option("--all", "whole", is_flag=True, help="The whole statement, streamed.")
@_AS_JSON
@located
def history(settings: "Settings", *, account_id: int, after: int, limit: int, whole: bool, as_json: bool) -> None:
    """Print what happened to an account, oldest first, with the totals after each step."""
    from kvitt.hub.ledger.read import Ledger
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo) as connection:
        ledger = Ledger(connection)
        ledger.account(account_id)
        entries = ledger.statement(account_id, after) if whole else ledger.history(account_id, after, limit)
        if as_json:
            _print_json(_entry(each) for each in entries)
        else:
            _print_entries(entries)


@ledger.command(epilog=example("kvitt ledger plan payout_p-1", "kvitt ledger plan payout_p-1 --json"))
@click.argument("plan_id")
@_AS_JSON
@located
def plan(settings: "Settings", *, plan_id: str, as_json: bool) -> None:
    """Print a plan: whether it is held, committed or rolled back, and its postings as they were held."""
    from kvitt.hub.ledger.read import Ledger
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo) as connection:
        found = Ledger(connection).plan(plan_id)
    if as_json:
        _print_json([found])
    else:
        _print_plan(found)


def _moment(text: str) -> datetime:
    from kvitt.wire.instants import parse_instant

    try:
        return parse_instant(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None


def _print_json(values: Iterable[Any]) -> None:
    import msgspec

    for each in values:
        click.echo(msgspec.json.encode(each).decode())


def _print_accounts(found: "Iterable[State]", *, as_json: bool) -> None:
    from rich import box
    from rich.table import Table

    if as_json:
        _print_json(
            {
                "account_id": each.account.account_id,
                "currency": each.account.currency,
                "description": each.account.description,
                "created_at": each.account.created_at,
                "own": each.totals.own,
                "least": each.totals.least,
                "most": each.totals.most,
            }
            for each in found
        )
        return
    table = Table("account", "currency", "own", "least", "most", "created", "description", box=box.SIMPLE_HEAD)
    for each in found:
        made = each.account
        table.add_row(
            str(made.account_id), made.currency, *map(str, each.totals), f"{made.created_at:%Y-%m-%d %H:%M:%S}", made.description or ""
        )
    console().print(table)


def _entry(entry: "Entry") -> dict[str, Any]:
    own, least, most = entry.totals
    told = {"number": entry.number, "at": entry.at, "plan_id": entry.plan_id, "operation": entry.operation, "batch_id": entry.batch_id}
    return told | {"own": own, "least": least, "most": most}


def _print_entries(entries: "Iterable[Entry]") -> None:
    click.echo(f"{'no':>6}  {'at':<19}  {'operation':<9}  {'batch':>6}  {'own':>16}  {'least':>16}  {'most':>16}  plan")
    for each in entries:
        batch = "" if each.batch_id is None else each.batch_id
        totals = "  ".join(f"{amount:>16}" for amount in each.totals)
        click.echo(f"{each.number:>6}  {each.at:%Y-%m-%d %H:%M:%S}  {each.operation:<9}  {batch:>6}  {totals}  {each.plan_id}")


def _print_plan(found: "Plan") -> None:
    from rich import box
    from rich.table import Table

    click.echo(
        f"plan {found.plan_id} is {found.state}; held {found.held_at:%Y-%m-%d %H:%M:%S}, changed {found.changed_at:%Y-%m-%d %H:%M:%S}"
    )
    table = Table("batch", "from", "to", "amount", "currency", "description", box=box.SIMPLE_HEAD)
    for batch in found.batches:
        for posting in batch.postings:
            source, target, amount, currency, description = posting
            table.add_row(str(batch.batch_id), str(source), str(target), str(amount), currency, description)
    console().print(table)
