"""`kvitt reconcile consistency`: which lines in force on a day were reported to the rail, and to report them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from kvitt.cli.arguments import NUMBER
from kvitt.cli.listing import READ_AHEAD, Column, Fit, json_option, limit_option, print_described, print_json, print_list
from kvitt.cli.operator import approved, is_left_to_another, operator_of, reasoned
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import moment, shown
from kvitt.cli.who import by_option
from kvitt.cli.wiring import wiring
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.reconcile.acts import RunNamed
from kvitt.disbursement.reconcile.consistency import Consistency, LinesRun, lines_runs, remarks_of
from kvitt.disbursement.reconcile.runs import Cause, Trigger
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings

_DAY: Final = click.DateTime(["%Y-%m-%d"])
_AREA: Final = click.Choice([*AREAS])
RUNS: Final = (
    Column("run_no", "no"),
    Column("area"),
    Column("day"),
    Column("state", of=lambda run: run.state.value),
    Column("cases", kind=Fit.NUMBER),
    Column("lines", kind=Fit.NUMBER),
    Column("kroner", "check sum", kind=Fit.NUMBER),
    Column("messages", kind=Fit.NUMBER),
    Column("trigger", of=lambda run: run.trigger.value),
    Column("made_by", "by"),
    Column("made_at", "made"),
    Column("good_at", "good", show=lambda run: moment(run.good_at)),
    Column("replaced_by", "replaced by"),
    Column("reason", "why", Fit.TEXT),
    Column("at", "orders up to", kind=Fit.HIDDEN),
    Column("run_id", kind=Fit.HIDDEN),
    Column("rail", kind=Fit.HIDDEN),
    Column("form", kind=Fit.HIDDEN),
)


@click.group(
    epilog=example(
        'kvitt reconcile consistency run --area DP --by kari --reason "the plan of May"',
        "kvitt reconcile consistency run --area DP --dry-run",
        "kvitt reconcile consistency list",
        "kvitt reconcile show 18",
    )
)
def consistency() -> None:
    """Report all lines that are in force on a day to the rail, which compares them with its own.

    A run is made part by part, and leaves when all of it is made; when it broke off, the same command goes on with it, or it is dropped.
    """


@consistency.command(
    epilog=example(
        'kvitt reconcile consistency run --area DP --by kari --reason "the plan of May"',
        "kvitt reconcile consistency run --area DP --day 2026-05-01 --dry-run",
    )
)
@click.option("--area", required=True, type=_AREA, help="Whose lines.")
@click.option("--day", type=_DAY, help="On which day they are in force, or behind it; today if not said.")
@click.option("--dry-run", is_flag=True, help="Only print the messages.")
@by_option()
@click.option("--reason", metavar="TEXT", help="Why; it stands in the audit chain.")
@json_option
@located
def run(settings: Settings, *, area: str, day: Any, dry_run: bool, by: str | None, reason: str | None, as_json: bool) -> None:
    """Report the lines of an area that are in force on a day or behind it, by the orders that the rail has accepted."""
    operator, wanted = None if dry_run else operator_of(by, reason, None), day.date() if day else None
    with _working(settings) as (connection, consistency):
        if operator is None:
            for body in consistency.preview(area, day=wanted):
                sys.stdout.buffer.write(body)
            return
        made = consistency.make(area, Cause(Trigger.OPERATOR, operator=operator), day=wanted, made=_progress)
        print_lines_run(connection, made, as_json=as_json)


@consistency.command("list", epilog=example("kvitt reconcile consistency list", "kvitt reconcile consistency list --area DP"))
@click.option("--area", type=_AREA, help="Those of this area.")
@limit_option
@json_option
@located
def list_lines_runs(settings: Settings, *, area: str | None, limit: int, as_json: bool) -> None:
    """List runs over lines in force, newest first."""
    with opened(settings) as conninfo, connected(conninfo, application="kvitt reconcile") as connection:
        found = lines_runs(connection, area=area, limit=limit + READ_AHEAD)
    print_list(RUNS, found, limit=limit, as_json=as_json, nothing="no lines were reported")


@consistency.command(epilog=example('kvitt reconcile consistency again 18 --by kari --reason "the rail lost the run"'))
@click.argument("number", type=NUMBER)
@reasoned
@json_option
@located
def again(settings: Settings, *, number: int, by: str, reason: str, as_json: bool) -> None:
    """Report the lines in force on the day of run NUMBER once more, in its place, under an id of its own."""
    operator = Operator(by, reason)
    with _working(settings) as (connection, consistency):
        print_lines_run(connection, consistency.again(number, operator, made=_progress), as_json=as_json)


@consistency.command(
    epilog=example('kvitt reconcile consistency drop 18 --by kari --approved-by ola --reason "its caller never sent the end"')
)
@click.argument("number", type=NUMBER)
@approved
@json_option
@located
def drop(settings: Settings, *, number: int, by: str, reason: str, approved_by: str | None, as_json: bool) -> None:
    """Give up run NUMBER, which is not made whole: nothing of it leaves.

    Of one whose lines a caller names, batches that come afterwards are refused; the caller begins anew under another transaction.
    """
    operator = Operator(by, reason, approved_by)
    with _working(settings) as (connection, consistency):
        if is_left_to_another(settings, connection, "reconcile drop", RunNamed(number), operator):
            return
        print_lines_run(connection, consistency.drop(number, operator), as_json=as_json)


@contextmanager
def _working(settings: Settings) -> Iterator[tuple[Connection, Consistency]]:
    with opened(settings) as conninfo, connected(conninfo, application="kvitt reconcile") as connection:
        yield connection, Consistency(connection, wiring().ports, utc_now)


def _progress(run: LinesRun) -> None:
    click.echo(f"{run.area}: {run.cases} cases with {run.lines} lines are made", err=True)


def print_lines_run(connection: Connection, run: LinesRun, *, as_json: bool) -> None:
    """Shows a run: its totals, and the cases of which the rail may have other lines in force."""
    if as_json:
        print_json(RUNS, [run])
        return
    print_described(RUNS, run)
    for each in remarks_of(connection, run.run_no):
        click.echo(f"{each.scheme} {shown(each.case_id)}: {_REMARKS[each.remark]}")


_REMARKS: Final = {
    "open order": "an order was on its way; what was accepted before it is reported",
    "contradicted": "the rail says otherwise than what holds here",
    "taken over": "lines of the hub before this one are not known here, and are not reported",
}
