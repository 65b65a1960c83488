"""Who acts: whoever a token says, or, where people are made up, whoever is typed (design §11).

The token by which somebody is logged in on this machine is in their own directory of states, and for their eyes only.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_IMODE
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

import click

from kvitt.cli.arguments import content_of, existing_file
from kvitt.console_settings import ConsoleSettings, are_people_made_up
from kvitt.environment import TOKEN
from kvitt.errors import BadSettings, NeedsSecondPerson, NotLoggedIn, TypedName

if TYPE_CHECKING:
    from kvitt.api.people.claims import ConsolePerson
    from kvitt.kernel.operators import PersonAtIssuer
    from kvitt.settings import Settings

Command = TypeVar("Command", bound=Callable[..., object])
_PERSON, _TOKEN_FILE = "kvitt.person", "kvitt.token_file"
_LOG_IN: Final = f"log in with kvitt login, or have a token in {TOKEN} or a file (--token-file)"
_OTHERS: Final = 0o077


class ByOption(click.Option):
    """The name of who acts, which a token says where people are not made up. `needed`: the act is never without one.

    `approves`: it takes the role of who approves, and not of who asks.
    """

    def __init__(self, *declarations: Any, needed: bool = False, approves: bool = False, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.needed, self.approves = needed, approves


def by_option(said: str = "Who does it.", *, needed: bool = False, approves: bool = False) -> Callable[[Command], Command]:
    """Has a command be given the name of who acts, as `by`."""

    def decorated(command: Command) -> Command:
        by = click.option(
            "--by", cls=ByOption, metavar="NAME", needed=needed, approves=approves, help=f"{said} Only where people are made up."
        )
        return by(token_option(command))

    return decorated


def token_option(command: Command) -> Command:
    """Lets a command be given a token in a file."""
    return click.option(
        "--token-file",
        type=existing_file(or_dash=True),
        metavar="FILE",
        expose_value=False,
        callback=_keep_token_file,
        help=f"A token that says who acts (- = standard input). [{TOKEN}, else that of kvitt login]",
    )(command)


def named(settings: "Settings", options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of an act with who acts as `by`.

    Raises TypedName, NeedsSecondPerson, NotLoggedIn, NotAuthenticated, NotPermitted, BadSettings, IssuerUnreachable, click.UsageError.
    """
    context = click.get_current_context()
    (option,) = [each for each in context.command.params if isinstance(each, ByOption)]
    if are_people_made_up(settings.console, settings.database_url):
        refuse_token_file()
        if option.needed and options["by"] is None:
            raise click.MissingParameter(ctx=context, param=option)
        if options["by"] is not None and settings.database_url is not None:
            _refuse_beside_known_people(settings.database_url)
        return options
    if options["by"] is not None:
        raise TypedName(f"--by: names are not typed here, they come from tokens: leave it out, and {_LOG_IN}")
    if options.get("approved_by") is not None:
        raise NeedsSecondPerson("--approved-by: another person confirms it, logged in as themselves: ask for it (--ask)")
    if options.get("dry_run") and not option.needed:
        return options
    who = logged_in(settings)
    _need_role(who, option)
    context.meta[_PERSON] = who
    return {**options, "by": who.person}


def logged_in(settings: "Settings") -> "ConsolePerson":
    """The person whose token this command was given, or is kept on this machine.

    Raises NotLoggedIn, NotAuthenticated, BadSettings, IssuerUnreachable.
    """
    from kvitt.api.people.identity import person_of_token
    from kvitt.kernel.clock import utc_now

    require_issuer(settings)
    return person_of_token(settings.console, _token(settings), utc_now())


def known_person() -> "PersonAtIssuer | None":
    """The word of the issuer about who acts; None where names are typed."""
    from kvitt.kernel.operators import PersonAtIssuer

    who = person_acting()
    return PersonAtIssuer(who.issuer, who.name) if who else None


def person_acting() -> "ConsolePerson | None":
    """Whoever acts by a token; None where names are typed."""
    found: ConsolePerson | None = click.get_current_context().meta.get(_PERSON)
    return found


def refuse_token_file() -> None:
    """Ends the command where a token is given though nobody could say whose it is."""
    if click.get_current_context().meta.get(_TOKEN_FILE):
        raise click.UsageError("--token-file: people are made up here, and names are typed (--by)")


def require_issuer(settings: "Settings") -> None:
    """Raises BadSettings where nobody can say who somebody is."""
    if not settings.console.issuer:
        raise BadSettings("[console] issuer: on a database that is named, its tokens say who acts; see docs/console.md")


def _refuse_beside_known_people(conninfo: str) -> None:
    from psycopg.errors import UndefinedTable

    from kvitt.api.people.identity import refuse_made_up_people
    from kvitt.kernel.database import connect

    with connect(conninfo, application="kvitt") as connection:
        try:
            refuse_made_up_people(connection)
        except UndefinedTable:
            # Nobody has logged in on a database that is older than logins; the command itself says that it is not upgraded.
            return


def _need_role(who: "ConsolePerson", option: ByOption) -> None:
    from kvitt.api.people.claims import ConsoleRole
    from kvitt.api.people.identity import need_role

    need_role(who, ConsoleRole.APPROVE if option.approves else ConsoleRole.ACT)


def _keep_token_file(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    context.meta[_TOKEN_FILE] = value


def _token(settings: "Settings") -> str:
    file = click.get_current_context().meta.get(_TOKEN_FILE)
    given = content_of(file, "--token-file").decode("ascii", "replace") if file else os.environ.get(TOKEN)
    if token := kept_token(settings.console) if given is None else given.strip():
        return token
    raise NotLoggedIn(f"nobody is logged in: {_LOG_IN}")


def keep_token(given: ConsoleSettings, token: str) -> None:
    """Keeps a token in place of the one before."""
    file = _file_of(given)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{uuid4().hex}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as output:
        output.write(token)
    draft.replace(file)


def kept_token(given: ConsoleSettings) -> str | None:
    """The token that is kept; None where there is none. Raises NotLoggedIn where others may have read or written it."""
    file = _file_of(given)
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    if found.st_uid != os.geteuid() or S_IMODE(found.st_mode) & _OTHERS:
        raise NotLoggedIn(f"{file} is not yours alone: take it away, and log in again (kvitt login)")
    return file.read_text("ascii", "replace").strip()


def forget_token(given: ConsoleSettings) -> bool:
    """Takes the token away; returns whether there was one."""
    try:
        _file_of(given).unlink()
    except FileNotFoundError:
        return False
    return True


def _file_of(given: ConsoleSettings) -> Path:
    """One file for each issuer and client: whoever works at two installations is logged in at both."""
    states = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    of = hashlib.sha256(f"{given.issuer}\n{given.device_client_id or given.client_id}".encode()).hexdigest()[:16]
    return Path(states) / "kvitt" / f"token-{of}"
