"""`kvitt db`, `kvitt token`, `kvitt completion`: what an installation needs now and then, its schema, its own tokens, its users' shells."""

from datetime import timedelta

import click
from click.shell_completion import get_completion_class

from kvitt.api.rest.callers import Permission
from kvitt.api.rest.local_issuer import Behind, LocalIssuer
from kvitt.cli.arguments import Whole
from kvitt.cli.ids import SchemeName
from kvitt.cli.shell import example, located
from kvitt.disbursement.values import Scheme
from kvitt.kernel import migrate
from kvitt.kernel.backfill import Filled
from kvitt.kernel.postgres import EmbeddedServer, running_server
from kvitt.settings import Settings

_PRINTED_EACH = 100_000
"""Progress is shown each time so many rows are filled in."""


@click.group(epilog=example("kvitt db upgrade --database postgresql://kvitt@db/kvitt"))
def db() -> None:
    """Look after the database."""


@db.command(epilog=example("kvitt db upgrade", "kvitt db upgrade --database postgresql://kvitt@db/kvitt"))
@located
def upgrade(settings: Settings) -> None:
    """Bring the database to this version's schema; does nothing when it is there already."""

    if conninfo := settings.database_url or running_server(settings.data):
        applied = migrate.upgrade(conninfo, progress=_print_progress)
    else:
        with EmbeddedServer(settings.data) as server:
            applied = migrate.upgrade(server.conninfo, progress=_print_progress)
    for name in applied:
        click.echo(f"applied {name}")
    click.echo("the database is up to date")


def _print_progress(filled: Filled) -> None:
    if filled.done or filled.rows % _PRINTED_EACH == 0:
        click.echo(f"filled in {filled.name}: {filled.rows} rows{', all' if filled.done else ''}")


_CAN = ("payouts:read", "payouts:write", "ledger:read", "ledger:write", "reconciliation:read", "reconciliation:write")


@click.command(
    epilog=example(
        "kvitt token --for shop-admin --can payouts:read --can payouts:write",
        'curl -H "Authorization: Bearer $(kvitt token --for me --can ledger:read)" localhost:8080/accounts',
        "kvitt token --for spleis --scheme sykepenger",
        "kvitt token --for dp-mellom --scheme dp --person Z990001 --approver dp   # an approver: opens cases, moves frames",
        "kvitt token --for dp-mellom --scheme dp --person Z990002 --group 0f2c6f0e   # a caseworker of a group",
        "kvitt token --for dp-mellom --scheme dp --machine   # the application itself: within the frame only",
    )
)
@click.option(
    "--for", "application", required=True, metavar="NAME", help="Who will use it; keys of repeated requests are kept apart by it."
)
@click.option("--can", "permissions", multiple=True, type=click.Choice(_CAN), help="What it lets one do; may be given more than once.")
@click.option("--scheme", "schemes", multiple=True, type=SchemeName(), help="A scheme that it lets one touch; may be given more than once.")
@click.option("--person", metavar="IDENT", help="The person behind the application (NAVident).")
@click.option("--approver", "approver_of", multiple=True, type=SchemeName(), help="A scheme of which the person is an approver.")
@click.option("--group", "groups", multiple=True, metavar="ID", help="A group of the person, as [decisions] names those of approvers.")
@click.option("--machine", is_flag=True, help="The application calls for itself (access_as_application).")
@click.option("--minutes", default=60, show_default=True, type=Whole(1, 1440), help="How long it is valid.")
@located
def token(
    settings: Settings,
    *,
    application: str,
    permissions: tuple[str, ...],
    schemes: tuple[Scheme, ...],
    person: str | None,
    approver_of: tuple[Scheme, ...],
    groups: tuple[str, ...],
    machine: bool,
    minutes: int,
) -> None:
    """Print a token, signed with the key of the data directory, which is made when there is none.

    Whoever can read that key can make tokens; with [rest] issuer set, these tokens let nobody in.
    """

    if settings.rest.issuer:
        raise click.UsageError(f"tokens come from {settings.rest.issuer}, as [rest] issuer says")
    if machine and person is not None:
        raise click.UsageError("--person, --machine: nobody is both; a token that says so lets nobody in")
    if person is None and (approver_of or groups):
        raise click.UsageError("--person: only a person is an approver, or of a group")
    issuer = LocalIssuer(settings.data)
    allowed, lasts = [Permission(each) for each in permissions], timedelta(minutes=minutes)
    behind = Behind(person, groups, approver_of, machine)
    click.echo(issuer.token(application, allowed, settings.rest.audience, lasts, schemes, behind=behind))


_VARIABLE = "_KVITT_COMPLETE"


@click.command(
    epilog=example(
        "kvitt completion bash > ~/.local/share/bash-completion/completions/kvitt",
        'kvitt completion zsh > "${fpath[1]}/_kvitt"',
        "kvitt completion fish > ~/.config/fish/completions/kvitt.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script by which a shell completes kvitt's commands and options."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows every shell of the choice"
    click.echo(kind(ctx.find_root().command, {}, "kvitt", _VARIABLE).source())
