"""`kvitt ledger transfer`: two people move money from one account to another, or look at what that would come to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from kvitt.cli.approve import ask as ask_for
from kvitt.cli.approve import ask_option
from kvitt.cli.arguments import NUMBER, Whole
from kvitt.cli.listing import Column, Kind, json_option, print_json, print_table
from kvitt.cli.money import minor
from kvitt.cli.order import operator_of
from kvitt.cli.shell import connected, example, located
from kvitt.money import Minor

if TYPE_CHECKING:
    from kvitt.config import Settings
    from kvitt.hub.ledger.transfer import Transferred

_AS_SHOWN = 'kvitt ledger transfer sales-27 --from 11 --to 1 --amount 1000000 --currency RUB --description "sales of 27 November"'


class _Line(Struct, frozen=True):
    """An account before and after, in whole minor units."""

    account_id: int
    currency: str
    posted_before: int
    posted_after: int
    available_min_before: int
    available_min_after: int
    changed: bool
    dry_run: bool


def _money(name: str, title: str) -> Column:
    return Column(
        f"{name}_minor", title, Kind.NUMBER, of=lambda row: getattr(row, name), show=lambda row: minor(getattr(row, name), row.currency)
    )


_LINES: Sequence[Column] = (
    Column("account_id", "account"),
    Column("currency"),
    _money("posted_before", "posted before"),
    _money("posted_after", "posted after"),
    _money("available_min_before", "available min before"),
    _money("available_min_after", "available min after"),
    Column("changed", kind=Kind.HIDDEN),
    Column("dry_run", kind=Kind.HIDDEN),
)


@click.command(
    epilog=example(
        f"{_AS_SHOWN} --dry-run", f'{_AS_SHOWN} \\\n      --by kari --approved-by ola --reason "the acquirer\'s file of 27 November"'
    )
)
@click.argument("plan_id", metavar="PLAN")
@click.option("--from", "source", required=True, type=NUMBER, metavar="ACCOUNT", help="The account that pays; it may go below zero.")
@click.option("--to", "target", required=True, type=NUMBER, metavar="ACCOUNT", help="The account that gets it.")
@click.option("--amount", required=True, type=Whole(1, 2**63 - 1), metavar="MINOR", help="In whole minor units: 1000000 are 10,000.00 RUB.")
@click.option("--currency", required=True, metavar="CODE", help="The currency of both accounts.")
@click.option("--description", required=True, metavar="TEXT", help="What it is, as the posting says it.")
@click.option("--by", metavar="NAME", help="Who does it.")
@click.option("--approved-by", metavar="NAME", help="The second person who approves it.")
@click.option("--reason", metavar="TEXT", help="Why; it stands in the audit chain.")
@ask_option
@click.option("--dry-run", is_flag=True, help="Show what both accounts would have; do nothing.")
@json_option
@located
def transfer(
    settings: "Settings",
    *,
    plan_id: str,
    source: int,
    target: int,
    amount: int,
    currency: str,
    description: str,
    by: str | None,
    approved_by: str | None,
    reason: str | None,
    dry_run: bool,
    as_json: bool,
    ask: bool,
) -> None:
    """Move an amount from one account to another, under the name PLAN: the same transfer again moves nothing."""
    from kvitt.app import database, utc_now
    from kvitt.hub.ledger import transfer as ledger

    operator = None if dry_run else operator_of(by, reason, approved_by)
    wanted = ledger.Transfer(plan_id, source, target, Minor(amount), currency, description)
    with (
        database(settings, own=False, upgrade_it=settings.database_url is None) as conninfo,
        connected(conninfo, "kvitt transfer") as connection,
    ):
        if ask and operator:
            ask_for(settings, connection, "ledger transfer", wanted, operator)
            return
        done = ledger.transfer(connection, utc_now, wanted, operator)
    lines = _lines(done, dry_run=dry_run)
    if as_json:
        print_json(_LINES, lines)
        return
    print_table(_LINES, lines)
    if dry_run:
        click.echo("nothing was done" if done.changed else "it was done before under this name; nothing would move")
    else:
        click.echo(f"{minor(amount, currency)} {currency} moved" if done.changed else "it was done before under this name; nothing moved")


def _lines(done: "Transferred", *, dry_run: bool) -> list[_Line]:
    return [
        _Line(
            before.account.account_id,
            before.account.currency,
            before.totals.posted,
            after.totals.posted,
            before.totals.available_min,
            after.totals.available_min,
            done.changed,
            dry_run,
        )
        for before, after in zip(done.before, done.after, strict=True)
    ]
