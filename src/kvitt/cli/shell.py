"""Shares with all commands: where the data is, how errors are shown, and how a hub is found or started for the while.

Exit status: 0 done, 1 done with a bad result (refused, differences), 2 could not be done.
"""

import functools
import importlib
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, NoReturn, ParamSpec, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from kvitt.cli.arguments import Named, refuse_unusable
from kvitt.cli.text import shown, shown_lines
from kvitt.cli.who import named
from kvitt.cli.wiring import wiring
from kvitt.errors import KvittError, NoDataDirectory, NothingRuns, ResultUnknown, RowsLocked

if TYPE_CHECKING:
    import psycopg

    from kvitt.kernel.database import Connection
    from kvitt.settings import Settings

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
_RELATION = re.compile(r'"([^"]+)"')
COULD_NOT, BAD_RESULT, TERMINATED = 2, 1, 143
_SHOWN_BY = {
    "account": "kvitt ledger account show {}",
    "dead letter": "kvitt dead show {}",
    "order": "kvitt order show {}",
    "payout": "kvitt payout show {}",
    "plan": "kvitt ledger plan {}",
    "the directory of parties": "kvitt party list",
    "the imported cases": "kvitt check",
    "the record": "kvitt topic",
    "the stop": "kvitt sending list",
    "topic": "kvitt kafka lag",
}
"""Which command shows what became of something, by what is said of it when that is not known."""


class Lazy(NamedTuple):
    """A command that is loaded when it is run: where it is, as module:name, and the first sentence of its help."""

    place: str
    help: str


class Commands(click.Group):
    """Commands that are loaded when they are run, and end with one line, not with a traceback, when something with a name goes wrong."""

    def __init__(self, name: str, table: Mapping[str, Lazy], **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """Their names."""
        return sorted(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as click has it
        """The command; None when there is none of that name."""
        if cmd_name not in self._table:
            return None
        module, _, name = self._table[cmd_name].place.partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as click has it
        """The list of them in the help, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._table[name].help) for name in sorted(self._table)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Returns what the word may become, likewise."""
        names = [CompletionItem(name, help=self._table[name].help) for name in sorted(self._table) if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except ResultUnknown as error:
            look = _SHOWN_BY.get(error.kind)
            _fail(f"{error}{f' ({look.format(error.identity)})' if look else ''}", error.code, error.doc)
        except KvittError as error:
            _fail(str(error), error.code, error.doc)
        except click.UsageError as error:
            said = error.format_message()
            if (harmless := shown_lines(said)) == said:
                raise
            raise click.UsageError(harmless, error.ctx) from None
        except Exception as error:
            _explain(error)
            raise


def _explain(error: Exception) -> None:
    """Ends the command when it is known what the error means: a file that can not be used, a value that can not be stored, no database."""
    if isinstance(error, OSError) and error.filename is not None and not isinstance(error, BrokenPipeError):
        raise click.UsageError(f"{shown(error.filename)} can not be used: {error.strerror}") from error
    # Imported by whoever raised it; who never touched a database need not wait for the import.
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(error, psycopg.DataError):
        raise click.UsageError(f"a value is not one that the database can hold: {shown(_first_line(error))}") from error
    if psycopg is not None and isinstance(error, psycopg.errors.LockNotAvailable):
        _fail(_locked(error), RowsLocked.code, RowsLocked.doc)
    if psycopg is not None and isinstance(error, psycopg.OperationalError):
        _fail_to_reach(error)


def _locked(error: "psycopg.errors.LockNotAvailable") -> str:
    """Returns what is locked, as far as the server says, and where it stands how to find out who holds it."""
    found = _RELATION.search(error.diag.context or "")
    what = f"a row of the table {found[1]}" if found else "what this needs"
    return f"somebody else has locked {what}; nothing was done. Who it is: docs/operations.md#rows-that-somebody-has-locked"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _fail_to_reach(error: Exception) -> NoReturn:
    _fail(f"the database can not be reached: {_first_line(error)}", "database_unreachable", "errors#database-unreachable")


def _fail(said: str, code: str, doc: str) -> NoReturn:
    page, _, anchor = doc.partition("#")
    click.echo(f"kvitt: {shown(' '.join(said.split()))} ({code}, see docs/{page}.md#{anchor})", err=True)
    sys.exit(COULD_NOT)


def example(*lines: str) -> str:
    """An epilog that shows commands as they are typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def located(command: Callable[Concatenate["Settings", Arguments], Result], *, quiet: bool = True) -> Callable[..., Result]:
    """Gives a command its --data and --database, as settings in front of its own arguments; sets up the log and a clean SIGTERM.

    A `quiet` command logs errors only, for a person to read; one that stays logs more, as JSON unless it has a terminal.
    """

    @click.option("--config", type=Named(dir_okay=False, path_type=Path), metavar="FILE", help="Settings. [kvitt.toml or KVITT_CONFIG]")
    @click.option("--data", type=Named(file_okay=False, path_type=Path), metavar="DIR", help="Data directory. [.kvitt or KVITT_DATA]")
    @click.option("--database", metavar="URL", help="Use this PostgreSQL, not an embedded one. [KVITT_DATABASE_URL]")
    @click.option(
        "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What is logged to standard error. [KVITT_LOG_LEVEL]"
    )
    @functools.wraps(command)
    def wrapped(*args: Any, config: Path | None, data: Path | None, database: str | None, log_level: str | None, **options: Any) -> Result:
        from kvitt import logs
        from kvitt.config import load_settings

        refuse_unusable(click.get_current_context())
        settings = load_settings(config, data=data, database_url=database)
        if settings.database_url:
            _refuse_wrong_url(settings.database_url)
        level = log_level or settings.log_level or ("error" if quiet else "info")
        form = settings.log_form or ("console" if quiet or sys.stderr.isatty() else "json")
        logs.set_up(settings.data, level=level, form=logs.LogForm(form))
        signal.signal(signal.SIGTERM, _terminated)
        return command(settings, *args, **(named(settings, options) if "by" in options else options))

    return wrapped


def _refuse_wrong_url(url: str) -> None:
    """Ends the command when this can not name a database; later the same class of error would be a fault of our own."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(url)
    except ProgrammingError as error:
        _fail_to_reach(error)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """Ends by an exception, so that everything that was started is stopped on the way out."""
    sys.exit(TERMINATED)


@contextmanager
def opened(settings: "Settings", *, must_run: bool = False) -> Iterator[str]:
    """Conninfo of the database that is there: a given one, a running kvitt's, or the data directory's, started for the while.

    Raises NoDataDirectory when there never was one; NothingRuns when `must_run` and none is running; NotUpgraded when a given one is
    not of this version, since looking changes no schema.
    """
    from kvitt.kernel.postgres import running_server

    if settings.database_url is None and running_server(settings.data) is None:
        if must_run:
            raise NothingRuns(f"nothing runs in {settings.data}; start it with `kvitt up`, or name a --database")
        if not (settings.data / "postgres").exists():
            raise NoDataDirectory(f"{settings.data} holds no data of kvitt; name the directory with --data")
    with wiring().database(settings, own=False, upgrade_it=False) as conninfo:
        yield conninfo


def connected(conninfo: str, application: str = "kvitt") -> "Connection":
    """The connection of a command, to be used as a context: it waits for what somebody else has locked for a few seconds, not for ever."""
    from kvitt.kernel.database import PATIENCE_MS, connect

    return connect(conninfo, application=application, lock_timeout_ms=PATIENCE_MS)


@contextmanager
def working(settings: "Settings") -> Iterator[str]:
    """Conninfo of a database with a hub at work on it: whoever is, else all roles in this process for the while."""
    from kvitt.kernel.fetch import fetch_value
    from kvitt.kernel.queries import load

    with wiring().database(settings, own=False) as conninfo:
        with connected(conninfo) as connection:
            somebody = fetch_value(connection, load("cli", "kvitt.cli").somebody_works)
        if somebody:
            yield conninfo
            return
        with wiring().hub(conninfo, settings):
            yield conninfo


def print_page(*parts: str | Iterable[str]) -> None:
    """Prints a page part by part, each a line or lines; its lines are never broken, only its tables fit the width."""
    for part in parts:
        for line in [part] if isinstance(part, str) else part:
            click.echo(line)
