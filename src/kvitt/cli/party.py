"""`kvitt party`: the local directory of parties, for an installation without PartyManagement."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kvitt.cli.shell import console, example, located, opened

if TYPE_CHECKING:
    from kvitt.config import Settings
    from kvitt.hub.operate import Operator


@click.group(epilog=example("kvitt party load examples/parties.toml", "kvitt party list", "kvitt party show party-1"))
def party() -> None:
    """Load and show parties: their shops, contracts, payout tools and fee terms. Payouts ask them unless [payouts] parties_url is set."""


@party.command("load", epilog=example("kvitt party load examples/parties.toml --dry-run", "kvitt party load examples/parties.toml"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--by", metavar="NAME", help="Who loads it.")
@click.option("--reason", metavar="TEXT", help="Why.")
@click.option("--approved-by", metavar="NAME", help="Another person who approves it.")
@located
def load_file(settings: "Settings", *, file: Path, dry_run: bool, by: str | None, reason: str | None, approved_by: str | None) -> None:
    """Load a file of parties; accounts that it does not name are made in the ledger, once.

    All of the file is checked before any of it is used. Loading the same file again changes nothing. It decides where fees go: on a
    database that is named, --by, --reason and --approved-by say who answers for it, and what changed is in the operators' audit chain.
    """
    from kvitt.app import database, utc_now
    from kvitt.errors import BadDirectory
    from kvitt.hub.payouts.directory import load_directory
    from kvitt.hub.payouts.directory_file import read_directory
    from kvitt.store.database import connect

    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        raise BadDirectory([f"{file} is not UTF-8"]) from None
    found = read_directory(text)
    operator = None if dry_run else _operator(settings, by, reason, approved_by)
    with database(settings, own=False, upgrade_it=settings.database_url is None) as conninfo, connect(conninfo) as connection:
        own_ledger, alone = not settings.payouts.ledger_url, settings.database_url is None
        loaded = load_directory(connection, utc_now, found, dry_run=dry_run, own_ledger=own_ledger, operator=operator, alone=alone)
    would = "would be " if dry_run else ""
    for party_id, revision in loaded.changed.items():
        click.echo(f"{party_id}: {would}revision {revision}")
    for party_id in loaded.unchanged:
        click.echo(f"{party_id}: as before")
    for currency in loaded.house:
        click.echo(f"the house's accounts in {currency}: {would or 'were '}set")
    if loaded.accounts:
        click.echo(f"{len(loaded.accounts)} accounts that the file does not name {would or 'were '}made in the ledger")


def _operator(settings: "Settings", by: str | None, reason: str | None, approved_by: str | None) -> "Operator":
    """Who answers for it. Whoever has the data directory of an embedded database is alone with it, and may leave all of it out."""
    from kvitt.hub.operate import Operator

    if settings.database_url is None:
        alone = "owner of the data directory" if by is None else by
        return Operator(alone, "none was given" if reason is None else reason, approved_by)
    if by is None or reason is None:
        raise click.UsageError("say who loads it and why: --by NAME --reason TEXT")
    return Operator(by, reason, approved_by)


@party.command("show", epilog=example("kvitt party show party-1"))
@click.argument("party_id")
@located
def show(settings: "Settings", *, party_id: str) -> None:
    """Print a party as it is stored, as JSON."""
    import msgspec

    from kvitt.hub.payouts.directory import known
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo) as connection:
        found = known(connection, party_id)
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))


@party.command("list", epilog=example("kvitt party list"))
@located
def list_parties(settings: "Settings") -> None:
    """List the parties with their shops."""
    from rich import box
    from rich.table import Table

    from kvitt.hub.payouts.directory import all_known
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo) as connection:
        found = all_known(connection)
    if not found:
        click.echo("no parties are loaded; kvitt party load FILE")
        return
    table = Table("party", "revision", "shop", "contract", "currency", "settlement account", "state", box=box.SIMPLE_HEAD)
    for each in found:
        for shop in each.entry.shops:
            state = "blocked" if each.entry.blocked or shop.blocked else "suspended" if each.entry.suspended or shop.suspended else ""
            table.add_row(each.entry.id, str(each.revision), shop.id, shop.contract, shop.currency, str(shop.accounts.settlement), state)
    console().print(table)
