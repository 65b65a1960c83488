"""`kvitt alarm`: orders that wait too long or that the rail contradicts, receipts of no order, silent rails, late areas."""

from typing import Final

import click

from kvitt.cli.listing import READ_AHEAD, Column, json_option, limit_option, print_list
from kvitt.cli.shell import connected, example, located, opened
from kvitt.ops import alarms
from kvitt.settings import Settings

_ALARMS: Final = (
    Column("order_id", "order"),
    Column("kind", "about"),
    Column("rail"),
    Column("state"),
    Column("case_id", "case"),
    Column("area"),
    Column("sent_at", "sent"),
    Column("raised_at", "raised"),
    Column("cleared_at", "cleared"),
    Column("scheme"),
    Column("alarm_no", "no"),
)


@click.group(epilog=example("kvitt alarm list", "kvitt alarm list --cleared"))
def alarm() -> None:
    """Look at alarms: orders without receipt, contradicted by the rail, over a limit, receipts of no order, silent rails, late areas.

    A rail is silent when it answers no simulation in its opening hours, an area is late when it is not reconciled in time.

    The first are raised while kvitt runs and cleared when the order is settled; contradictions, and orders over a limit, stand until
    two people have resolved them, receipts until they are closed; a rail's alarm is cleared when it answers, an area's when nothing of it
    is left to report.
    """


@alarm.command("list", epilog=example("kvitt alarm list", "kvitt alarm list --cleared --limit 500"))
@click.option("--cleared", is_flag=True, help="Those that are over as well.")
@limit_option
@json_option
@located
def list_alarms(settings: Settings, *, cleared: bool, limit: int, as_json: bool) -> None:
    """List the standing alarms, newest first."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt operator") as connection:
        found = alarms.list_alarms(connection, cleared=cleared, limit=limit + READ_AHEAD)
    nothing = "there has been no alarm" if cleared else "no alarm stands"
    print_list(_ALARMS, found, limit=limit, as_json=as_json, nothing=nothing)
