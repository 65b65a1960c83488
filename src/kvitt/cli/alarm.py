"""`kvitt alarm`: orders that have waited too long for their receipt."""

from typing import TYPE_CHECKING

import click

from kvitt.cli.shell import console, example, located, opened

if TYPE_CHECKING:
    from kvitt.config import Settings


@click.group(epilog=example("kvitt alarm list", "kvitt alarm list --cleared"))
def alarm() -> None:
    """Look at alarms about orders without a receipt. They are raised while kvitt runs, and cleared when the order is settled."""


@alarm.command("list", epilog=example("kvitt alarm list", "kvitt alarm list --cleared --limit 500"))
@click.option("--cleared", is_flag=True, help="Those that are over as well, newest first.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@located
def list_alarms(settings: "Settings", *, cleared: bool, limit: int) -> None:
    """List the standing alarms, longest waiting first."""
    from rich import box
    from rich.table import Table

    from kvitt.ops import alarms
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo, application="kvitt operator") as connection:
        found = alarms.list_alarms(connection, cleared=cleared, limit=limit)
    if not found:
        click.echo("there has been no alarm" if cleared else "no alarm stands")
        return
    table = Table("no", "order", "area", "state", "sent", "raised", "cleared", box=box.SIMPLE_HEAD)
    for each in found:
        over = f"{each.cleared_at:%Y-%m-%d %H:%M:%S}" if each.cleared_at else ""
        moments = f"{each.sent_at:%Y-%m-%d %H:%M:%S}", f"{each.raised_at:%Y-%m-%d %H:%M:%S}", over
        table.add_row(str(each.alarm_no), each.order_id, each.area, each.state, *moments)
    console().print(table)
