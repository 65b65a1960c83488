"""`kvitt check`: proves that what is stored follows from what came in, and that the rail will pay it."""

import sys
from collections.abc import Iterator, Sequence
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from kvitt.cli.listing import Column, Fit, table
from kvitt.cli.shell import BAD_RESULT, connected, example, located, opened, print_page
from kvitt.cli.text import shown
from kvitt.cli.wiring import wiring
from kvitt.disbursement.check import Report
from kvitt.disbursement.check import check as check_all
from kvitt.disbursement.check.report import note_run
from kvitt.disbursement.limit_acts import LimitShown, limits_shown
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.comparison import Compared, compare
from kvitt.settings import Settings

_SHOWN = 20


@click.command(epilog=example("kvitt check", "kvitt check --database postgresql://kvitt@db/kvitt"))
@located
def check(settings: Settings) -> None:
    """Derive everything again from the messages and receipts that came in, and compare. Exit status 1 when anything differs.

    How it ended is noted, for the console's page of health.
    """

    began_at = utc_now()
    with opened(settings) as conninfo:
        report = check_with_progress(conninfo, visible=sys.stderr.isatty())
        compared = compare_with_rail(conninfo)
        with connected(conninfo, application="kvitt check") as connection:
            found = [*differences(report, compared, _SHOWN)]
            noted = note_run(connection, report, began_at, of_rail=compared.count, found=found)
            limits = limits_shown(connection, wiring().limits(settings), began_at)
    print_page(page(report, compared, _SHOWN), limit_lines(limits))
    if not noted:
        click.echo("this is noted nowhere: the database's user may only read", err=True)
    if not report.clean or compared.count:
        sys.exit(BAD_RESULT)


def check_with_progress(conninfo: str, *, visible: bool) -> Report:
    """Runs the check; a bar on standard error shows how many cases are done."""
    columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TextColumn("cases"))
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not visible) as bar:
        task = bar.add_task("checking", total=None)
        return check_all(conninfo, wiring().ports, progress=lambda done, total: bar.update(task, completed=done, total=total))


def compare_with_rail(conninfo: str) -> Compared:
    """Compares the accepted payments with what the rail's books will pay."""
    with connect(conninfo, application="kvitt check") as connection:
        return compare(connection, wiring().ports.contracts)


def page(report: Report, compared: Compared, shown_most: int) -> Iterator[str]:
    """The page: what was looked at, then the first `shown_most` differences of each kind of proof, then whether all is well."""
    counts = [(name.replace("_", " "), getattr(report.counts, name)) for name in report.counts.__struct_fields__]
    yield from table(_COUNTS, [*counts, ("payments compared with the rail", compared.payments)])
    for difference in differences(report, compared, shown_most):
        yield f"differs: {difference}"
    count = sum(report.by_kind.values()) + compared.count
    if compared.in_motion:
        yield f"left out: {compared.in_motion} cases with an order on its way"
    by_kind = ", ".join(f"{number} {kind.value}" for kind, number in report.by_kind.items())
    yield f"{count:,} differences" + (f" ({by_kind})" if by_kind else "") if count else "nothing differs"


def limit_lines(limits: Sequence[LimitShown]) -> Iterator[str]:
    """Which limits of sources hold, and whose they are."""
    for each in limits:
        yield shown(f"limit of {each.source}: {each.limit.words} (as set by {each.comes_from})")


def differences(report: Report, compared: Compared, most: int) -> Iterator[str]:
    """The first differences of each kind of proof, in words."""
    for each in report.differences[:most]:
        yield shown(f"{each.kind.value} {each.subject} of case number {each.case}: {each.text}")
    for difference in compared.differences[:most]:
        yield shown(f"payment {difference.payment_id} of case {difference.case_id} in {difference.area}: {difference.text}")


_COUNTS: Final = (Column("looked_at", of=lambda each: each[0]), Column("rows", kind=Fit.NUMBER, of=lambda each: each[1]))
