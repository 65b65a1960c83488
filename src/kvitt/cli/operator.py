"""Who does it, why, and who approves it: the options of every act, and the acts themselves on the database that is there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import click
from msgspec import Struct

from kvitt.cli.shell import connected, opened
from kvitt.cli.text import moment, shown_lines
from kvitt.cli.who import by_option, known_person
from kvitt.cli.wiring import wiring
from kvitt.disbursement.operate import Operate
from kvitt.kernel.approvals import need_second_person
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings

Command = TypeVar("Command", bound=Callable[..., object])
_ASK: Final = "kvitt.ask"


@contextmanager
def operating(settings: Settings) -> Iterator[Operate]:
    """The operator's actions on the database that is there."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt operator") as connection:
        yield Operate(connection, utc_now, wiring().acting(settings))


def reasoned(command: Command) -> Command:
    """Every act names who does it and why."""
    command = click.option("--reason", required=True, metavar="TEXT", help="Why; it stands in the audit chain.")(command)
    return by_option(needed=True)(command)


def approved(command: Command) -> Command:
    """Acts for two people name a second one, or ask for one to confirm them; which may be done by one is a setting."""
    return ask_option(approver_option(reasoned(command)))


def acting(command: Command) -> Command:
    """The same for an act that can be looked at first: that needs neither."""
    command = ask_option(approver_option(command))
    return by_option()(click.option("--reason", metavar="TEXT", help="Why; it stands in the audit chain.")(command))


def approver_option(command: Command) -> Command:
    """Names a second person on the spot."""
    said = "The second person who approves it. Only where people are made up."
    return click.option("--approved-by", metavar="NAME", help=said)(command)


def ask_option(command: Command) -> Command:
    """Acts for two people can be asked for by one, and confirmed later by another."""
    help_text = "Ask for it: another person confirms it with kvitt approve yes."
    return click.option("--ask", is_flag=True, expose_value=False, callback=_keep_ask, help=help_text)(command)


def _keep_ask(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta[_ASK] = value


def is_asked_for() -> bool:
    """Whether the running act is asked for, and not to be done now."""
    return bool(click.get_current_context().meta.get(_ASK))


def ask(settings: Settings, connection: Connection, act: str, arguments: Struct, operator: Operator) -> None:
    """Asks for an act, and says what it would do and who has to confirm it. Raises click.UsageError, and what its preview raises."""
    if operator.approved_by is not None:
        raise click.UsageError("--ask leaves it to another person to confirm: leave --approved-by out")
    approval = wiring().approvals(connection, settings).ask(act, arguments, operator, known_person())
    click.echo(shown_lines(approval.effect))
    click.echo(f"approval {approval.approval_no} is asked for, and lapses at {moment(approval.lapses_at)} UTC")
    by = "" if known_person() else " --by NAME"
    click.echo(f"another person confirms it: kvitt approve yes {approval.approval_no}{by}")


def is_left_to_another(settings: Settings, connection: Connection, act: str, arguments: Struct, operator: Operator) -> bool:
    """Asks for an act that is asked for, and says whether it is.

    Raises as `ask`, and NeedsSecondPerson where it is not asked for, and two people do it.
    """
    if is_asked_for():
        ask(settings, connection, act, arguments, operator)
        return True
    need_second_person(act, operator, settings.approvals.alone)
    return False


def operator_of(by: str | None, reason: str | None, approved_by: str | None) -> Operator:
    """Who acts, where options that a dry run does not need were left to be asked for. Raises click.UsageError, BadOperator."""

    if by is None:
        raise click.UsageError("name who does it and why: --by NAME --reason TEXT (or look first: --dry-run)")
    if reason is None:
        raise click.UsageError("say why: --reason TEXT (or look first: --dry-run)")
    return Operator(by, reason, approved_by)
