"""`kvitt reconcile`: what was reported to the rail of which day, what would be reported now, and to report a missed or failed day."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import Any, Final

import click

from kvitt.cli.arguments import NUMBER
from kvitt.cli.consistency import consistency, print_lines_run
from kvitt.cli.listing import READ_AHEAD, Column, Fit, json_option, limit_option, print_described, print_json, print_list, print_table
from kvitt.cli.operator import acting, approved, is_left_to_another, operator_of
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import moment
from kvitt.cli.wiring import wiring
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.reconcile.acts import RangeReported, RunNamed, RunResolved
from kvitt.disbursement.reconcile.consistency import read_lines_run
from kvitt.disbursement.reconcile.reconcile import Reconcile, RunProgress
from kvitt.disbursement.reconcile.runs import (
    Cause,
    DayRange,
    Run,
    RunState,
    Trigger,
    bodies_of_run,
    changed_since,
    listing,
    message_states,
    read,
)
from kvitt.disbursement.reconcile.send import resolve as resolve_run
from kvitt.disbursement.reconciliation import ReconciliationKind
from kvitt.errors import NotInThatState
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings

_DAY: Final = click.DateTime(["%Y-%m-%d"])
_AREA: Final = click.Choice([*AREAS])
_IN_MEMORY: Final = 4 << 20
"""So many bytes of messages are kept in memory; more are on disk."""
_NOTHING_LEFT: Final = "all days up to yesterday are reconciled"
RUNS: Final = (
    Column("run_no", "no", of=lambda run: run.run_no or None),
    Column("area"),
    Column("what", of=lambda run: run.what.value),
    Column("first_day", "from"),
    Column("last_day", "to"),
    Column("state", of=lambda run: run.state.value),
    Column("orders", kind=Fit.NUMBER),
    Column("accepted", kind=Fit.NUMBER),
    Column("warned", kind=Fit.NUMBER),
    Column("rejected", kind=Fit.NUMBER),
    Column("missing", kind=Fit.NUMBER),
    Column("messages", kind=Fit.NUMBER),
    Column("trigger", of=lambda run: run.trigger.value),
    Column("made_by", "by"),
    Column("made_at", "made"),
    Column("good_at", "good", show=lambda run: moment(run.good_at)),
    Column("replaced_by", "replaced by"),
    Column("reason", "why", Fit.TEXT),
    Column("run_id", kind=Fit.HIDDEN),
    Column("rail", kind=Fit.HIDDEN),
    Column("form", kind=Fit.HIDDEN),
    Column("first_key", kind=Fit.HIDDEN),
    Column("last_key", kind=Fit.HIDDEN),
    Column("accepted_kroner", kind=Fit.HIDDEN),
    Column("warned_kroner", kind=Fit.HIDDEN),
    Column("rejected_kroner", kind=Fit.HIDDEN),
    Column("missing_kroner", kind=Fit.HIDDEN),
)


@click.group(
    epilog=example(
        "kvitt reconcile list --area DP",
        "kvitt reconcile due",
        "kvitt reconcile show 17",
        'kvitt reconcile run --area DP --by kari --approved-by ola --reason "the scheduler was down"',
        'kvitt reconcile again 17 --by kari --approved-by ola --reason "the rail lost the run"',
    )
)
def reconcile() -> None:
    """Look at what was reported to the rail, and report what was missed.

    Each working day, for each area, the orders that the rail should have are reported to it; it compares them with its own books. The
    sums are check sums over amounts of whatever kind, and not money.
    """


reconcile.add_command(consistency)


@reconcile.command(
    "list", epilog=example("kvitt reconcile list", "kvitt reconcile list --area DP --day 2026-11-27", "kvitt reconcile list --state made")
)
@click.option("--area", type=_AREA, help="Those of this area.")
@click.option("--kind", type=click.Choice([kind.value for kind in ReconciliationKind]), help="Those of this kind.")
@click.option("--state", type=click.Choice([state.value for state in RunState]), help="Those in this state.")
@click.option("--day", type=_DAY, help="Those about this day.")
@limit_option
@json_option
@located
def list_runs(settings: Settings, *, area: str | None, kind: str | None, state: str | None, day: Any, limit: int, as_json: bool) -> None:
    """List runs, newest first: of which days, with how many orders, and how far they have come."""
    with opened(settings) as conninfo, connected(conninfo, application="kvitt reconcile") as connection:
        found = listing(
            connection,
            area=area,
            kind=ReconciliationKind(kind) if kind else None,
            state=RunState(state) if state else None,
            day=day.date() if day else None,
            limit=limit + READ_AHEAD,
        )
    print_list(RUNS, found, limit=limit, as_json=as_json, nothing="nothing of the kind was reported")


@reconcile.command(epilog=example("kvitt reconcile show 17", "kvitt reconcile show 17 --messages"))
@click.argument("number", type=NUMBER)
@click.option("--messages", "only_messages", is_flag=True, help="Only the bytes of its messages, one after the other.")
@json_option
@located
def show(settings: Settings, *, number: int, only_messages: bool, as_json: bool) -> None:
    """Show run NUMBER: its totals, how far its messages have come, and what is otherwise by now than it was reported.

    Of a run about lines in force: the cases of which the rail may have others.
    """
    with opened(settings) as conninfo, connected(conninfo, application="kvitt reconcile") as connection:
        run = read(connection, number)
        if only_messages:
            for body in bodies_of_run(connection, number):
                sys.stdout.buffer.write(body + b"\n")
            return
        if run.what is ReconciliationKind.CONSISTENCY:
            print_lines_run(connection, read_lines_run(connection, number), as_json=as_json)
            return
        if as_json:
            print_json(RUNS, [run])
            return
        print_described(RUNS, run)
        for state, count in message_states(connection, number).items():
            click.echo(f"{count} messages are {state}")
        for changed in changed_since(connection, run, _warned_by(run)):
            click.echo(f"{changed.orders} orders were reported as {changed.bucket}, and are {changed.by_now} by now")


def _warned_by(run: Run) -> tuple[str, ...]:
    rail = wiring().ports.rails.reconciling(AREAS[run.area].scheme)
    return tuple(rail.warned_by) if rail else ()


@reconcile.command(epilog=example("kvitt reconcile due", "kvitt reconcile due --area DP"))
@click.option("--area", "areas", type=_AREA, multiple=True, help="Only this area.")
@json_option
@located
def due(settings: Settings, *, areas: tuple[str, ...], as_json: bool) -> None:
    """Show what would be reported now of each area; nothing is stored."""
    with _reconciling(settings) as (_, reconcile):
        wanted = dict.fromkeys(areas or reconcile.areas)
        found = [reconcile.preview(area, days) for area in wanted if (days := reconcile.next_range(area)) is not None]
    _print(found, as_json=as_json, nothing=_NOTHING_LEFT)


@reconcile.command(
    epilog=example(
        "kvitt reconcile run --area DP --dry-run",
        'kvitt reconcile run --by kari --approved-by ola --reason "the scheduler was down"',
        'kvitt reconcile run --area DP --day 2026-11-27 --by kari --approved-by ola --reason "asked for by the rail"',
    )
)
@click.option("--area", "areas", type=_AREA, multiple=True, help="Only this area; may be said more than once.")
@click.option("--day", type=_DAY, help="The last day that is reported; yesterday if not said.")
@click.option("--early", is_flag=True, help="Up to today, though that is not over; what leaves later leaves under tomorrow's key.")
@click.option("--from", "first", type=_DAY, help="The first day, where an area was never reconciled.")
@click.option("--dry-run", is_flag=True, help="Only show what would be reported, with the bytes of the messages.")
@acting
@json_option
@located
def run(
    settings: Settings,
    *,
    areas: tuple[str, ...],
    day: Any,
    first: Any,
    dry_run: bool,
    early: bool,
    by: str | None,
    reason: str | None,
    approved_by: str | None,
    as_json: bool,
) -> None:
    """Report what was not reported yet, of one area or of all, out of turn; also on a day on which the schedule does not."""
    if dry_run and early:
        raise click.UsageError("--dry-run shows days that are over; --early is for a run that is made")
    operator = None if dry_run else operator_of(by, reason, approved_by)
    with _reconciling(settings) as (connection, reconcile):
        ranges = [
            (area, days)
            for area in dict.fromkeys(areas) or _behind(reconcile, _date(first), _date(day))
            if (days := _range(reconcile, area, _date(first), _date(day), early=early))
        ]
        if operator is None:
            for area, days in ranges:
                _show_preview(reconcile, area, days, as_json=as_json)
            if not ranges:
                _print([], as_json=as_json, nothing=_NOTHING_LEFT)
            return
        asked = [RangeReported(area, days.first, days.last, early) for area, days in ranges]
        left = [is_left_to_another(settings, connection, "reconcile run", each, operator) for each in asked]
        if any(left):
            return
        cause = Cause(Trigger.OPERATOR, operator=operator)
        made = [reconcile.make(area, days, cause, progress=_progress(area), early=early) for area, days in ranges]
    _print(made, as_json=as_json, nothing=_NOTHING_LEFT)


@reconcile.command(epilog=example('kvitt reconcile again 17 --by kari --approved-by ola --reason "the rail lost the run"'))
@click.argument("number", type=NUMBER)
@approved
@json_option
@located
def again(settings: Settings, *, number: int, by: str, reason: str, approved_by: str | None, as_json: bool) -> None:
    """Report the range of run NUMBER once more, in its place, under an id of its own.

    Not a remedy for a difference that the rail has found: the figures of that day are handed over by people, and a run more makes it two
    differences. It is for a run that never arrived.
    """
    operator = Operator(by, reason, approved_by)
    with _reconciling(settings) as (connection, reconcile):
        if is_left_to_another(settings, connection, "reconcile again", RunNamed(number), operator):
            return
        made = reconcile.again(number, operator, progress=_progress(f"run {number}"))
    _print([made], as_json=as_json, nothing="")


@reconcile.command(
    epilog=example(
        'kvitt reconcile resolve 17 --was-put --by kari --approved-by ola --reason "the broker\'s log has it"',
        'kvitt reconcile resolve 17 --was-not-put --by kari --approved-by ola --reason "the queue is empty, and the rail has nothing"',
    )
)
@click.argument("number", type=NUMBER)
@click.option("--was-put/--was-not-put", "was_put", default=None, required=True, help="Whether the queue got them; else they are sent.")
@approved
@located
def resolve(settings: Settings, *, number: int, was_put: bool, by: str, reason: str, approved_by: str | None) -> None:
    """Say whether the messages of run NUMBER came to the queue of which that is unknown; what came not is sent, and the run goes on.

    Only on a queue that can not be asked itself. Look into it, and ask the rail's people, before.
    """
    operator = Operator(by, reason, approved_by)
    with opened(settings) as conninfo, connected(conninfo, application="kvitt reconcile") as connection:
        if is_left_to_another(settings, connection, "reconcile resolve", RunResolved(number, was_put), operator):
            return
        resolved = resolve_run(connection, utc_now, wiring().ports, number, was_put=was_put, operator=operator)
    click.echo(f"{resolved} messages of run {number} {'were put' if was_put else 'are sent again'}")


@contextmanager
def _reconciling(settings: Settings) -> Iterator[tuple[Connection, Reconcile]]:
    with opened(settings) as conninfo, connected(conninfo, application="kvitt reconcile") as connection:
        yield connection, Reconcile(connection, wiring().ports, utc_now, first_day=settings.reconciliation.first_day)


def _date(given: Any) -> date | None:
    return given.date() if given else None


def _range(reconcile: Reconcile, area: str, first: date | None, last: date | None, *, early: bool) -> DayRange | None:
    """Returns what is reported of an area; None where nothing is left. Raises NotInThatState for a last day before the first one."""
    days = reconcile.next_range(area, early=early)
    if first is None and (days is None or last is None):
        return days
    begins = first or (days.first if days else None)
    ends = last or (days.last if days else None)
    if begins is None or ends is None or ends < begins:
        raise NotInThatState(f"{area}: nothing is left to report up to {ends or 'yesterday'}")
    return DayRange(begins, ends)


def _behind(reconcile: Reconcile, first: date | None, last: date | None) -> list[str]:
    """The areas of which something is left up to a day; all where a first day is said, for that is about areas without a run.

    Raises NotInThatState where there is none.
    """
    if first is not None or last is None:
        return [*reconcile.areas]
    found: list[str] = [area for area in reconcile.areas if (days := reconcile.next_range(area)) and days.first <= last]
    if not found:
        raise NotInThatState(f"nothing is left to report up to {last}")
    return found


def _progress(what: str) -> RunProgress:
    def say(made: int) -> None:
        if made > 1:
            click.echo(f"{what}: {made} messages are made", err=True)

    return say


def _show_preview(reconcile: Reconcile, area: str, days: DayRange, *, as_json: bool) -> None:
    """Shows what would be made. Its messages wait in a file without a name: whoever reads slowly keeps no transaction open."""
    if as_json:
        print_json(RUNS, [reconcile.preview(area, days)])
        return
    with SpooledTemporaryFile(_IN_MEMORY) as bodies:
        print_described(RUNS, reconcile.preview(area, days, lambda body: bodies.write(body + b"\n")))
        bodies.seek(0)
        copyfileobj(bodies, sys.stdout.buffer)


def _print(found: list[Run], *, as_json: bool, nothing: str) -> None:
    show: Callable[[Any, Any], None] = print_json if as_json else print_table
    if found or as_json:
        show(RUNS, found)
    else:
        click.echo(nothing)
