"""`kvitt demo`: the whole hub on made-up cases, and a proof that nothing was lost, doubled or paid wrongly."""

import sys
from typing import TYPE_CHECKING

import click

from kvitt.cli.arguments import ANY_NUMBER, Whole
from kvitt.cli.shell import BAD_RESULT, example, located

if TYPE_CHECKING:
    from kvitt.config import Settings


@click.command(epilog=example("kvitt demo", "kvitt demo --cases 200 --seed 7", "kvitt demo --json | tail -1"))
@click.option("--json", "as_json", is_flag=True, help="End with exactly one line of JSON.")
@click.option("--cases", default=2000, show_default=True, type=Whole(0, 1_000_000), help="How many cases to make up.")
@click.option("--seed", default=1, type=ANY_NUMBER, show_default=True, help="Another seed, other cases.")
@located
def demo(settings: "Settings", *, as_json: bool, cases: int, seed: int) -> None:
    """Run everything on the examples and on made-up cases, then prove the outcome. Exit status 1 when anything is wrong.

    When a kvitt owns the data directory already, the cases are fed to that one. May be run again and again on the same data.
    """
    from kvitt.cli.shell import working
    from kvitt.demo.run import run

    with working(settings) as conninfo:
        summary = run(conninfo, settings, cases=cases, seed=seed, quiet=as_json)
    if as_json:
        click.echo(summary.line())
    if not summary.clean:
        sys.exit(BAD_RESULT)
