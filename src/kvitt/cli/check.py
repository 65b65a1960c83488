"""`kvitt check`: proves that what is stored follows from what came in, and that the rail will pay it."""

import sys
from typing import TYPE_CHECKING

import click

from kvitt.cli.shell import BAD_RESULT, example, located, opened, print_page

if TYPE_CHECKING:
    from kvitt.config import Settings

_SHOWN = 20


@click.command(epilog=example("kvitt check", "kvitt check --database postgresql://kvitt@db/kvitt"))
@located
def check(settings: "Settings") -> None:
    """Derive everything again from the messages and receipts that came in, and compare. Exit status 1 when anything differs."""

    from kvitt.cli.check_page import check_with_progress, compare_with_rail, page

    with opened(settings) as conninfo:
        report = check_with_progress(conninfo, visible=sys.stderr.isatty())
        compared = compare_with_rail(conninfo)
    print_page(page(report, compared, _SHOWN))
    if not report.clean or compared.count:
        sys.exit(BAD_RESULT)
