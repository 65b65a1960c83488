"""`kvitt up`: everything in one process, until it is told to stop."""

import functools
import signal
import threading
from typing import TYPE_CHECKING

import click

from kvitt.cli.shell import example, located, roles_of

if TYPE_CHECKING:
    from kvitt.config import Settings


@click.command(epilog=example("kvitt up", "kvitt up --data /srv/kvitt", "kvitt up --database postgresql://kvitt@db/kvitt --no-emulator"))
@click.option("--no-emulator", is_flag=True, help="Leave the payment rail to others.")
@functools.partial(located, quiet=False)
def up(settings: "Settings", *, no_emulator: bool) -> None:
    """Run the hub: intake, sender, receiver, relay and the rail emulator, until Ctrl-C or SIGTERM."""
    from msgspec.structs import replace

    from kvitt.app import Hub, database, operations

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if no_emulator:
        settings = replace(settings, emulator=False)
    with database(settings, own=True) as conninfo:
        hub = Hub(conninfo, settings, roles_of(settings))
        with operations(hub, settings) as shown:
            hub.start()
            try:
                _tell_where(settings, conninfo, shown.url)
                if hub.doors:
                    click.echo(f"  payouts     Thrift {hub.doors.thrift.url}, REST {hub.doors.rest.url} (kvitt token makes tokens)")
                while not stop.wait(1.0):
                    pass
                click.echo("stopping …", err=True)
            finally:
                shown.stopping()
                hub.stop()
    click.echo("kvitt has stopped; everything that was taken in is kept", err=True)


def _tell_where(settings: "Settings", conninfo: str, pages: str) -> None:
    where = "the given database" if settings.database_url else str(settings.data)
    option = "--database URL" if settings.database_url else f"--data {settings.data}"
    click.echo(f"kvitt is up on {where} ({', '.join(roles_of(settings))})")
    if not settings.database_url:
        click.echo(f"  database    {conninfo}")
    click.echo(f"  submit      kvitt submit FILE --scheme dp {option}")
    click.echo(f"  statuses    kvitt topic helved.status.v1 --follow {option}")
    click.echo(f"  one case    kvitt case dp CASE_ID {option}")
    click.echo(f"  health      {pages}/isready, metrics {pages}/metrics")
    click.echo("  stop        Ctrl-C or SIGTERM")
