"""`kvitt party`: the local directory of parties, for an installation without PartyManagement."""

from pathlib import Path
from typing import Final

import click
import msgspec

from kvitt.cli.arguments import content_of, existing_file
from kvitt.cli.listing import Column, json_option, limit_option, print_list
from kvitt.cli.operator import approver_option, ask, ask_option, is_asked_for
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import shown, shown_json
from kvitt.cli.who import by_option
from kvitt.cli.wiring import wiring
from kvitt.errors import BadDirectory
from kvitt.kernel.clock import utc_now
from kvitt.kernel.operators import Operator
from kvitt.payouts.approvable import PartiesLoaded
from kvitt.payouts.directory import all_known, known, load_directory
from kvitt.payouts.directory_file import PartyEntry, ShopEntry, read_directory
from kvitt.settings import Settings


@click.group(epilog=example("kvitt party load examples/parties.toml", "kvitt party list", "kvitt party show party-1"))
def party() -> None:
    """Load and show parties: their shops, contracts, payout tools and fee terms. Payouts ask them unless [payouts] parties_url is set."""


@party.command("load", epilog=example("kvitt party load examples/parties.toml --dry-run", "kvitt party load examples/parties.toml"))
@click.argument("file", type=existing_file())
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@by_option("Who loads it.")
@click.option("--reason", metavar="TEXT", help="Why.")
@approver_option
@ask_option
@located
def load_file(settings: Settings, *, file: Path, dry_run: bool, by: str | None, reason: str | None, approved_by: str | None) -> None:
    """Load a file of parties; accounts that it does not name are made in the ledger, once.

    All of the file is checked before any of it is used. Loading the same file again changes nothing. It decides where fees go: on a
    database that is named, --by, --reason and --approved-by say who answers for it, and what changed is in the operators' audit chain.
    """

    try:
        text = content_of(file, "FILE").decode()
    except UnicodeDecodeError:
        raise BadDirectory([f"{file} is not UTF-8"]) from None
    found = read_directory(text)
    operator = None if dry_run else _operator(settings, by, reason, approved_by)
    with (
        wiring().database(settings, own=False, upgrade_it=settings.database_url is None) as conninfo,
        connected(conninfo, "kvitt party") as connection,
    ):
        if operator and is_asked_for():
            ask(settings, connection, "party load", PartiesLoaded(text), operator)
            return
        own_ledger, alone = not settings.payouts.ledger_url, settings.database_url is None
        loaded = load_directory(connection, utc_now, found, dry_run=dry_run, own_ledger=own_ledger, operator=operator, alone=alone)
    would = "would be " if dry_run else ""
    for party_id, revision in loaded.changed.items():
        click.echo(f"{shown(party_id)}: {would}revision {revision}")
    for party_id in loaded.unchanged:
        click.echo(f"{shown(party_id)}: as before")
    for currency in loaded.house:
        click.echo(f"the house's accounts in {currency}: {would or 'were '}set")
    if loaded.accounts:
        click.echo(f"{len(loaded.accounts)} accounts that the file does not name {would or 'were '}made in the ledger")


def _operator(settings: Settings, by: str | None, reason: str | None, approved_by: str | None) -> Operator:
    """Who answers for it. Whoever has the data directory of an embedded database is alone with it, and may leave all of it out."""

    if settings.database_url is None:
        alone = "owner of the data directory" if by is None else by
        return Operator(alone, "none was given" if reason is None else reason, approved_by)
    if by is None or reason is None:
        raise click.UsageError("say who loads it and why: --by NAME --reason TEXT")
    return Operator(by, reason, approved_by)


@party.command("show", epilog=example("kvitt party show party-1"))
@click.argument("party_id", metavar="PARTY")
@click.option("--json", "one_line", is_flag=True, help="On one line.")
@located
def show(settings: Settings, *, party_id: str, one_line: bool) -> None:
    """Print a PARTY as it is stored, as JSON."""

    with opened(settings) as conninfo, connected(conninfo) as connection:
        found = msgspec.json.encode(known(connection, party_id))
    click.echo(shown_json((found if one_line else msgspec.json.format(found, indent=2)).decode()))


@party.command("list", epilog=example("kvitt party list", "kvitt party list --json"))
@limit_option
@json_option
@located
def list_parties(settings: Settings, *, limit: int, as_json: bool) -> None:
    """List the shops of the parties."""

    with opened(settings) as conninfo, connected(conninfo) as connection:
        found = [(each, shop) for each in all_known(connection) for shop in each.entry.shops]
    print_list(_SHOPS, found, limit=limit, as_json=as_json, nothing="no parties are loaded; kvitt party load FILE")


def _state(entry: PartyEntry, shop: ShopEntry) -> str:
    return "blocked" if entry.blocked or shop.blocked else "suspended" if entry.suspended or shop.suspended else ""


_SHOPS: Final = (
    Column("party_id", "party", of=lambda each: each[0].entry.id),
    Column("shop_id", "shop", of=lambda each: each[1].id),
    Column("revision", of=lambda each: each[0].revision),
    Column("contract_id", "contract", of=lambda each: each[1].contract),
    Column("currency", of=lambda each: each[1].currency),
    Column("settlement_account_id", "settlement account", of=lambda each: each[1].accounts.settlement),
    Column("state", of=lambda each: _state(each[0].entry, each[1])),
)
