"""`kvitt db`: the database's schema."""

from typing import TYPE_CHECKING

import click

from kvitt.cli.shell import example, located

if TYPE_CHECKING:
    from kvitt.config import Settings
    from kvitt.kernel.backfill import Filled

_TOLD_EACH = 100_000
"""Progress is told each time so many rows are filled in."""


@click.group(epilog=example("kvitt db upgrade --database postgresql://kvitt@db/kvitt"))
def db() -> None:
    """Look after the database."""


@db.command(epilog=example("kvitt db upgrade", "kvitt db upgrade --database postgresql://kvitt@db/kvitt"))
@located
def upgrade(settings: "Settings") -> None:
    """Bring the database to this version's schema; does nothing when it is there already."""
    from kvitt.kernel import migrate
    from kvitt.kernel.postgres import EmbeddedServer, running_server

    if conninfo := settings.database_url or running_server(settings.data):
        applied = migrate.upgrade(conninfo, progress=_tell)
    else:
        with EmbeddedServer(settings.data) as server:
            applied = migrate.upgrade(server.conninfo, progress=_tell)
    for name in applied:
        click.echo(f"applied {name}")
    click.echo("the database is up to date")


def _tell(filled: "Filled") -> None:
    if filled.done or filled.rows % _TOLD_EACH == 0:
        click.echo(f"filled in {filled.name}: {filled.rows} rows{', all' if filled.done else ''}")
