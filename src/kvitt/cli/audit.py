"""`kvitt audit`: who did what, when and why; and the proof that nobody has changed what stands there."""

import sys
from collections.abc import Sequence
from datetime import datetime

import click
from msgspec import json
from msgspec.structs import replace

from kvitt.cli.arguments import Moment
from kvitt.cli.ids import SchemeName, case_of, order_of, payout_of, plan_of
from kvitt.cli.listing import READ_AHEAD, Column, Fit, json_option, limit_option, print_described, print_json, print_list
from kvitt.cli.shell import BAD_RESULT, connected, example, located, opened
from kvitt.cli.text import shown, shown_json
from kvitt.disbursement import verify as verifying
from kvitt.disbursement.acts import Acts, Wanted
from kvitt.disbursement.values import Scheme
from kvitt.disbursement.verify import Group
from kvitt.kernel.database import Connection
from kvitt.settings import Settings

ACTS: Sequence[Column] = (
    Column("at", "time (UTC)"),
    Column("act"),
    Column("by"),
    Column("approved_by"),
    Column("reason", kind=Fit.TEXT),
    Column("subject", "about"),
    Column("entry"),
    Column("channel", kind=Fit.HIDDEN),
    Column("address", kind=Fit.HIDDEN),
    Column("trace", kind=Fit.HIDDEN),
)


_SHOWN: Sequence[Column] = (
    *(Column(each.name, each.title, Fit.TEXT if each.kind is Fit.TEXT else Fit.WORD) for each in ACTS),
    Column("digest"),
    Column("hash"),
)
_case = click.option("--case", "case", nargs=2, type=(SchemeName(), str), metavar="SCHEME CASE_ID", help="About this case and its orders.")
_payout = click.option("--payout", "payout", metavar="PAYOUT", help="About this payout.")


@click.group(
    epilog=example(
        "kvitt audit list",
        "kvitt audit list --case dp AZ111",
        "kvitt audit list --person kari --since 2026-11-01",
        "kvitt audit show operators:12",
        "kvitt audit verify",
    )
)
def audit() -> None:
    """See who did what, when and why, and verify that nothing of it was changed."""


@audit.command(
    "list",
    epilog=example(
        "kvitt audit list", "kvitt audit list --order 5f2c0d3a", "kvitt audit list --payout p-1 --json", "kvitt audit list --person ola"
    ),
)
@_case
@click.option("--order", "order", metavar="ORDER", help="About this order.")
@_payout
@click.option("--plan", "plan", metavar="PLAN", help="The steps of this plan of the ledger.")
@click.option("--person", metavar="NAME", help="By people and callers whose name holds this, in whatever case; who approved counts.")
@click.option("--since", type=Moment(), metavar="MOMENT", help="From this moment or day on (UTC).")
@click.option("--until", type=Moment(), metavar="MOMENT", help="Before this moment or day (UTC).")
@limit_option
@json_option
@located
def list_acts(
    settings: Settings,
    *,
    case: tuple[Scheme, str] | None,
    order: str | None,
    payout: str | None,
    plan: str | None,
    person: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List acts, newest first: of operators, and of callers of the APIs; of a case also what kvitt itself noted of it."""

    if sum(each is not None for each in (case, order, payout, plan)) > 1:
        raise click.UsageError("name one of --case, --order, --payout and --plan")
    with opened(settings) as conninfo, connected(conninfo, application="kvitt audit") as connection:
        wanted = _wanted(connection, case=case, order=order, payout=payout, plan=plan, person=person, since=since, until=until)
        found = Acts(connection).listed(wanted, limit + READ_AHEAD)
    print_list(ACTS, found, limit=limit, as_json=as_json, nothing="there are no such acts")


def _wanted(
    connection: Connection,
    *,
    case: tuple[Scheme, str] | None,
    order: str | None,
    payout: str | None,
    plan: str | None,
    person: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Wanted:

    wanted = Wanted(
        case=None if case is None else (case[0], case_of(connection, *case)),
        order_id=None if order is None else order_of(connection, order),
        payout_id=None if payout is None else payout_of(connection, payout),
        plan_id=None if plan is None else plan_of(connection, plan),
        person=person,
    )
    return replace(wanted, **{name: at for name, at in (("since", since), ("until", until)) if at is not None})


@audit.command(epilog=example("kvitt audit show operators:12", "kvitt audit show payout:p-1:2 --json"))
@click.argument("entry", metavar="ENTRY")
@json_option
@located
def show(settings: Settings, *, entry: str, as_json: bool) -> None:
    """Show the act ENTRY whole, by the name that `list` gives it, with its place in the chain of hashes."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt audit") as connection:
        found = Acts(connection).show(entry)
    if as_json:
        print_json(_SHOWN, [found])
    else:
        print_described(_SHOWN, found)


@audit.command(epilog=example("kvitt audit verify", "kvitt audit verify --operators", "kvitt audit verify --case dp AZ111"))
@_case
@_payout
@click.option("--operators", is_flag=True, help="Only what operators did.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object.")
@located
def verify(settings: Settings, *, case: tuple[Scheme, str] | None, payout: str | None, operators: bool, as_json: bool) -> None:
    """Verify the chains of hashes, all or one; exit status 1 when something was changed, added or taken out.

    Of one chain the last hash is printed: written down elsewhere, it proves later that the chain has not been made anew.
    """

    if sum((case is not None, payout is not None, operators)) > 1:
        raise click.UsageError("name one of --case, --payout and --operators")
    with opened(settings) as conninfo:
        with connected(conninfo, application="kvitt audit") as connection:
            chain = _chain(connection, case, payout, operators=operators)
        found = verifying.verify(conninfo, chain)
    if as_json:
        click.echo(shown_json(json.encode(found).decode()))
    else:
        for each in found.breaks:
            click.echo(shown(each))
        counted = f"{_counted(found.chains, 'chain', 'chains')}, {_counted(found.entries, 'entry', 'entries')}"
        click.echo(f"{counted}: {'BROKEN' if found.breaks else 'nothing was changed'}")
        if found.last_hash:
            click.echo(f"last hash {found.last_hash}")
    if found.breaks:
        sys.exit(BAD_RESULT)


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _chain(
    connection: Connection, case: tuple[Scheme, str] | None, payout: str | None, *, operators: bool
) -> Group | tuple[Scheme, str] | str:

    if case is not None:
        return case[0], case_of(connection, *case)
    if payout is not None:
        return payout_of(connection, payout)
    return Group.OPERATORS if operators else Group.ALL
