"""Who does it, why, and who approves it: the options of every act, and the acts themselves on the database that is there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from kvitt.cli.shell import connected, opened
from kvitt.cli.wiring import wiring
from kvitt.config import Settings
from kvitt.hub.operate import Operate
from kvitt.kernel.clock import utc_now
from kvitt.kernel.operators import Operator

Command = TypeVar("Command", bound=Callable[..., object])


@contextmanager
def operating(settings: Settings) -> Iterator[Operate]:
    """The operator's actions on the database that is there."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt operator") as connection:
        yield Operate(connection, utc_now, wiring().ports)


def reasoned(command: Command) -> Command:
    """Every act names who does it and why."""
    command = click.option("--reason", required=True, metavar="TEXT", help="Why; it stands in the audit chain.")(command)
    return click.option("--by", required=True, metavar="NAME", help="Who does it.")(command)


def approved(command: Command) -> Command:
    """Acts that move money name a second person."""
    return click.option("--approved-by", metavar="NAME", help="The second person who approves it.")(reasoned(command))


def operator_of(by: str | None, reason: str | None, approved_by: str | None) -> Operator:
    """Who acts, where options that a dry run does not need were left to be asked for. Raises click.UsageError, BadOperator."""

    if by is None or reason is None:
        raise click.UsageError("name who does it and why: --by NAME --reason TEXT (or look first: --dry-run)")
    return Operator(by, reason, approved_by)
