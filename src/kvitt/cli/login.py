"""`kvitt login`, `kvitt logout`, `kvitt whoami`: as whom somebody acts by commands, where people are not made up."""

import click

from kvitt.api.people.claims import ConsolePerson
from kvitt.api.people.device_login import begin, token_of
from kvitt.api.people.identity import person_of_token
from kvitt.cli.shell import example, located
from kvitt.cli.text import shown
from kvitt.cli.who import forget_token, keep_token, logged_in, refuse_token_file, require_issuer, token_option
from kvitt.console_settings import are_people_made_up
from kvitt.kernel.clock import utc_now
from kvitt.settings import Settings


@click.command(epilog=example("kvitt login", "kvitt login --config /etc/kvitt/kvitt.toml"))
@located
def login(settings: Settings) -> None:
    """Log in at the issuer: it is said where to type which code, in any browser on any machine.

    Who acts by commands on a database that others use as well is who is logged in. It is kept for the user of this machine alone, and
    lasts an hour at most.
    """
    require_issuer(settings)
    code = begin(settings.console)
    click.echo(shown(f"open {code.verification_uri} and type {code.user_code}"))
    token = token_of(settings.console, code)
    who = person_of_token(settings.console, token, utc_now())
    keep_token(settings.console, token)
    click.echo(_said_of(who))


@click.command(epilog=example("kvitt logout"))
@located
def logout(settings: Settings) -> None:
    """Be logged in no more on this machine."""
    click.echo("logged out" if forget_token(settings.console) else "nobody was logged in")


@click.command(epilog=example("kvitt whoami", "kvitt whoami --token-file token.txt"))
@token_option
@located
def whoami(settings: Settings) -> None:
    """Say as whom commands act, and what this person may do."""
    if are_people_made_up(settings.console, settings.database_url):
        refuse_token_file()
        click.echo("people are made up here: names are typed, and who acts is who is typed (--by)")
    else:
        click.echo(_said_of(logged_in(settings)))


def _said_of(who: ConsolePerson) -> str:
    return shown(f"{who.name} ({who.person}) of {who.issuer} may {', '.join(sorted(role.value for role in who.roles))}")
