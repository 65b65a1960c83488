"""`kvitt up` and `kvitt run`: the hub as a process that stays, all of it or chosen roles, until it is asked to stop."""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

import click
import structlog
from msgspec.structs import replace
from psycopg import OperationalError

from kvitt.app.parts import database
from kvitt.app.roles import ROLES, roles_of, spread, workers_of
from kvitt.app.work_order import STOP_SECONDS
from kvitt.cli.shell import BAD_RESULT, example, located
from kvitt.kernel.clock import utc_now
from kvitt.kernel.state_log import StateLog
from kvitt.settings import Settings, shown

if TYPE_CHECKING:
    from kvitt.app.hub import HubProcess
    from kvitt.app.workers import Crew, Workers
    from kvitt.ops.server import OpsServer

USUAL = "intake,relay,sender,receiver,simulator,reconciler,scheduler"
_LOOK_SECONDS = 1.0
Made = TypeVar("Made")


@click.command(epilog=example("kvitt up", "kvitt up --data /srv/kvitt", "kvitt up --database postgresql://kvitt@db/kvitt --no-emulator"))
@click.option("--no-emulator", is_flag=True, help="Leave the payment rail to others.")
@functools.partial(located, quiet=False)
def up(settings: Settings, *, no_emulator: bool) -> None:
    """Run the hub: intake, sender, receiver, relay and the rail emulator, until Ctrl-C or SIGTERM."""

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if no_emulator:
        settings = replace(settings, emulator=False)
    roles = roles_of(settings)
    with crew_for(settings, roles) as crew, database(settings, own=True) as conninfo:
        hub = hub_of(conninfo, settings, roles, crew)
        with operations(hub, settings) as shown:
            hub.start()
            try:
                # Who reads the addresses calls at once.
                for listening in [each.listening for each in (hub.apis, hub.console) if each]:
                    while not listening.wait(_LOOK_SECONDS) and not stop.is_set():
                        pass
                _print_where(settings, hub, shown.url)
                if hub.apis:
                    at = hub.apis.addresses
                    click.echo(f"  payouts     Thrift {at.thrift.url}, REST {at.rest.url} (kvitt token makes tokens)")
                while not stop.wait(_LOOK_SECONDS):
                    pass
                click.echo("stopping …", err=True)
            finally:
                shown.stopping()
                hub.stop()
    click.echo("kvitt has stopped; everything that was taken in is kept", err=True)


def _print_where(settings: Settings, hub: "HubProcess | Workers", pages: str) -> None:
    where = "the given database" if settings.database_url else str(settings.data)
    option = "--database URL" if settings.database_url else f"--data {settings.data}"
    click.echo(f"kvitt is up on {where} ({', '.join(roles_of(settings))})")
    if not settings.database_url:
        click.echo(f"  database    {hub.conninfo}")
    click.echo(f"  submit      kvitt submit FILE --scheme dp {option}")
    click.echo(f"  statuses    kvitt topic helved.status.v1 --follow {option}")
    click.echo(f"  one case    kvitt case dp CASE_ID {option}")
    if hub.console:
        click.echo(f"  console     {hub.console.url}")
    if hub.simulation:
        click.echo(f"  simulation  {hub.simulation.url}, played by the rail emulator")
    click.echo(f"  health      {pages}/isready, metrics {pages}/metrics")
    click.echo("  stop        Ctrl-C or SIGTERM")


@click.command(
    epilog=example(
        "kvitt run --config /etc/kvitt/kvitt.toml",
        "kvitt run --roles intake,relay",
        "kvitt run --roles rapid,relay,sender,receiver",
        "kvitt run --show-config",
    )
)
@click.option(
    "--roles",
    default=USUAL,
    show_default=True,
    metavar="ROLE,…",
    help="intake, rapid, relay, sender, receiver, simulator, scheduler, payouts, ledger, simulations, reconciliations, decisions, "
    "console, emulator.",
)
@click.option("--show-config", is_flag=True, help="Print the settings in force, without secrets, and end.")
@functools.partial(located, quiet=False)
def run(settings: Settings, *, roles: str, show_config: bool) -> None:
    """Run chosen roles of the hub until SIGTERM or Ctrl-C; as many processes as wanted share the work.

    The database must be of this version (kvitt db upgrade). A stop takes at most 30 seconds: what was handed in is finished, the
    consumer group left, leases given up. Exit status 1 when something hung and was left to the others.
    """
    if show_config:
        _show(settings)
        return
    wanted = _roles(roles)
    if "rapid" in wanted and settings.kafka is None and settings.database_url:
        raise click.UsageError("the role rapid reads a topic: say [kafka] bootstrap, or leave out --database for the embedded log")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as opened:
        crew = opened.enter_context(crew_for(settings, wanted))
        with_migrations = settings.database_url is None
        conninfo = _retried(
            stop, settings.start_seconds, lambda: opened.enter_context(database(settings, own=False, upgrade_it=with_migrations))
        )
        hub = conninfo and _retried(stop, settings.start_seconds, lambda: _hub(conninfo, settings, wanted, crew))
        if not hub:
            return
        with operations(hub, settings) as shown:
            hub.start()
            click.echo(f"kvitt runs {', '.join(wanted)}; health {shown.url}/isready", err=True)
            while not stop.wait(_LOOK_SECONDS):
                pass
            shown.stopping()
            _stop(hub)


def _retried(stop: threading.Event, seconds: float, attempt: Callable[[], Made]) -> Made | None:
    """Returns what the attempt returns, tried again for so long while a server does not answer: all may have been started at once.

    None when asked to stop meanwhile. Raises what the last attempt raised.
    """

    states, deadline = StateLog(structlog.get_logger(__name__)), time.monotonic() + seconds
    while not stop.is_set():
        try:
            made = attempt()
        except Exception as error:
            if not _is_away(error) or time.monotonic() > deadline:
                _raise_for_brokers(error)
                raise
            name, reason = type(error).__name__, " ".join(str(error).split())[:200]
            states.enters("server", (name, reason), "warning", "waits for a server", error=name, reason=reason)
        else:
            states.leaves("server", "the server answers")
            return made
        stop.wait(1.0)
    return None


@contextmanager
def crew_for(settings: Settings, roles: Sequence[str]) -> Iterator["Crew | None"]:
    """The processes that will play these roles, while the block runs; None where this one plays them all."""
    count = len(spread(roles, workers_of(settings, roles)))
    if count == 1:
        yield None
        return
    # Imported here, as all that is of one kind of hub only: it takes a while to load.
    from kvitt.app.workers import Crew

    crew = Crew(count)
    try:
        yield crew
    finally:
        crew.close()


def hub_of(conninfo: str, settings: Settings, roles: Sequence[str], crew: "Crew | None") -> "HubProcess | Workers":
    """The hub, not started."""
    if crew is None:
        from kvitt.app.hub import HubProcess

        return HubProcess(conninfo, settings, roles)
    from kvitt.app.workers import Workers

    return Workers(conninfo, settings, roles, crew)


@contextmanager
def operations(hub: "HubProcess | Workers", settings: Settings) -> Iterator["OpsServer"]:
    """Health, metrics and alarms of this hub, for as long as the block runs. Raises PortTaken."""
    from kvitt.ops.certificates import certificate_files
    from kvitt.ops.server import OpsServer

    log_topics = list(hub.ports.contracts.inputs()) if hub.log.read_lag is None else ()
    server = OpsServer(
        hub.conninfo,
        settings.ops,
        utc_now,
        hub.board.states,
        broker_lag=hub.log.read_lag,
        log_topics=log_topics,
        counted=hub.board.counted,
        workers=hub.pids,
        certificates=certificate_files(settings),
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _hub(conninfo: str, settings: Settings, roles: Sequence[str], crew: "Crew | None") -> "HubProcess | Workers":
    """The hub, not started. Raises OtherLog, TopicsDiffer, NotBegun, RecordsGone, and what clients raise when a server does not answer."""
    hub = hub_of(conninfo, settings, roles, crew)
    hub.log.require_start_offset()
    return hub


def _is_away(error: Exception) -> bool:

    # Kafka's client is not loaded where it is not used, so its error is known by name. A setting that it refuses mends nothing by waiting.
    brokers = type(error).__name__ == "KafkaException" and error.args[0].name() != "_INVALID_ARG"
    return brokers or isinstance(error, OperationalError | TimeoutError)


def _raise_for_brokers(error: Exception) -> None:
    """Ends the command with the reason when it was the brokers that could not be reached."""
    if type(error).__name__ == "KafkaException":
        raise click.ClickException(f"the Kafka brokers can not be reached: {error.args[0].str()}") from error
    if isinstance(error, TimeoutError):
        raise click.ClickException("the Kafka brokers do not answer in time") from error


def _roles(named: str) -> list[str]:
    wanted = list(dict.fromkeys(role.strip() for role in named.split(",") if role.strip()))
    if unknown := [role for role in wanted if role not in ROLES]:
        raise click.UsageError(f"no role is called {unknown[0]}; there are {', '.join(ROLES)}")
    if not wanted:
        raise click.UsageError(f"name at least one role of {', '.join(ROLES)}")
    return wanted


def _stop(hub: "HubProcess | Workers") -> None:
    hanging = hub.stop(STOP_SECONDS)
    if hanging:
        click.echo(f"kvitt: {', '.join(hanging)} did not end within {STOP_SECONDS:.0f} s; nothing is lost, others take over", err=True)
        sys.stderr.flush()
        # Threads that hang would keep the interpreter from ending.
        os._exit(BAD_RESULT)
    click.echo("kvitt has stopped; everything that was taken in is kept", err=True)


def _show(settings: Settings) -> None:

    for name, value in shown(settings).items():
        if not isinstance(value, dict):
            click.echo(f"{name} = {_toml(value)}")
    for name, section in shown(settings).items():
        if isinstance(section, dict):
            click.echo(f"\n[{name}]")
            for key, value in section.items():
                click.echo(f"{key} = {_toml(value)}")


def _toml(value: object) -> str:
    if value is None:
        return '""  # not set'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{name}" = "{each}"' for name, each in value.items()) + " }"
    return str(value) if isinstance(value, int | float) else f'"{value}"'
