"""`kvitt job`: what is done at set times, when it was done last, and doing it now."""

from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any, Final

import click

from kvitt.cli.listing import Column, Fit, json_option, print_json, print_table
from kvitt.cli.operator import reasoned
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import moment, shown
from kvitt.cli.wiring import wiring
from kvitt.errors import NeedsSecondPerson
from kvitt.kernel.clock import utc_now
from kvitt.kernel.jobs import Job, Scheduler, list_jobs
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings


def _state(row: Any) -> str:
    return f"{row.state} ({row.tries} times)" if row.tries else str(row.state)


_JOBS: Final = (
    Column("name", "job"),
    Column("timetable", "is due"),
    Column("catch_up", kind=Fit.HIDDEN),
    Column("state", show=_state),
    Column("next_due", "next"),
    Column("last_due", "last for", show=lambda row: moment(row.last_due)),
    Column("last_run", "last at", show=lambda row: moment(row.last_run)),
    Column("tries", kind=Fit.HIDDEN),
    Column("outcome", "came of it", Fit.TEXT),
)


@click.group(epilog=example("kvitt job list", 'kvitt job run alarms --by kari --reason "the rail is open again"'))
def job() -> None:
    """Look at scheduled jobs, which the role `scheduler` runs, and run one now."""


@job.command("list", epilog=example("kvitt job list", "kvitt job list --json"))
@json_option
@located
def list_scheduled(settings: Settings, *, as_json: bool) -> None:
    """List all jobs: when each is due, when it was run last and for which due time, and what came of it."""
    with opened(settings) as conninfo, connected(conninfo, application="kvitt job") as connection:
        found = list_jobs(connection)
    if as_json:
        print_json(_JOBS, found)
    elif found:
        print_table(_JOBS, found)
    else:
        click.echo("no scheduler has run here yet")


@job.command(epilog=example('kvitt job run alarms --by kari --reason "the rail is open again"'))
@click.argument("name", metavar="JOB")
@reasoned
@located
def run(settings: Settings, *, name: str, by: str, reason: str) -> None:
    """Run a JOB now, out of turn; when it is due next stays as it is.

    One that reports to a rail is left to kvitt reconcile run, unless one person may do that.
    """
    operator, jobs = Operator(by, reason), wiring().jobs(settings)
    _refuse_act_of_two(jobs, name, settings.approvals.alone)
    with (
        opened(settings) as conninfo,
        connected(conninfo, application="kvitt job") as connection,
        closing(LeaseKeeper(conninfo, seconds=settings.lease_seconds)) as keeper,
    ):
        outcome = Scheduler(conninfo, keeper, jobs, utc_now, WakeUp()).run_now(connection, name, operator)
    click.echo(shown(f"job {name}: {outcome}"))


def _refuse_act_of_two(jobs: Sequence[Job], name: str, alone: Collection[str]) -> None:
    for each in jobs:
        if each.name == name and each.act is not None and each.act not in alone:
            raise NeedsSecondPerson(f"job {name} is {each.act} out of turn, which takes two people: ask for it (kvitt {each.act} --ask)")
