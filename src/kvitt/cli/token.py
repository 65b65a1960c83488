"""`kvitt token`: a token for the REST door, where no issuer is set."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from kvitt.cli.arguments import Whole
from kvitt.cli.shell import example, located

if TYPE_CHECKING:
    from kvitt.config import Settings

_CAN = ("payouts:read", "payouts:write", "ledger:read", "ledger:write")


@click.command(
    epilog=example(
        "kvitt token --for shop-admin --can payouts:read --can payouts:write",
        'curl -H "Authorization: Bearer $(kvitt token --for me --can ledger:read)" localhost:8080/accounts',
    )
)
@click.option(
    "--for", "application", required=True, metavar="NAME", help="Who will use it; keys of repeated requests are kept apart by it."
)
@click.option("--can", "permissions", multiple=True, type=click.Choice(_CAN), help="What it lets one do; may be given more than once.")
@click.option("--minutes", default=60, show_default=True, type=Whole(1, 1440), help="How long it is valid.")
@located
def token(settings: "Settings", *, application: str, permissions: tuple[str, ...], minutes: int) -> None:
    """Print a token, signed with the key of the data directory, which is made when there is none.

    Whoever can read that key can make tokens; with [rest] issuer set, these tokens let nobody in.
    """
    from kvitt.doors.rest.local_issuer import LocalIssuer
    from kvitt.doors.rest.tokens import Permission

    if settings.rest.issuer:
        raise click.UsageError(f"tokens come from {settings.rest.issuer}, as [rest] issuer says")
    issuer = LocalIssuer(settings.data)
    click.echo(issuer.token(application, [Permission(each) for each in permissions], settings.rest.audience, timedelta(minutes=minutes)))
