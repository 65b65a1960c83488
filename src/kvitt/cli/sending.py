"""`kvitt sending`: the stop switch, per rail, scheme or area."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from kvitt.cli.ids import SchemeName
from kvitt.cli.listing import MOST, Column, Fit, json_option, print_list
from kvitt.cli.operator import approved, is_left_to_another, operating
from kvitt.cli.shell import BAD_RESULT, example, located
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.operate import EVERYWHERE, areas_of
from kvitt.disbursement.sending_acts import SendingPlace
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings

Command = TypeVar("Command", bound=Callable[..., object])
_STOPS: Final = (
    Column("rail"),
    Column("area"),
    Column("stopped_by", "by"),
    Column("stopped_at", "since"),
    Column("reason", "why", Fit.TEXT),
)


def _somewhere(command: Command) -> Command:
    command = click.option("--area", "areas", multiple=True, metavar="AREA", help="An area of the rail, such as TILLSTDR.")(command)
    command = click.option("--scheme", "schemes", multiple=True, type=SchemeName(), help="All areas of a scheme, such as ts.")(command)
    command = click.option("--rail", "rail", metavar="RAIL", help="One rail, such as oppdrag; all of it unless areas are named.")(command)
    return click.option("--all", "everywhere", is_flag=True, help="Everything, whatever its rail.")(command)


def _where(*, areas: Sequence[str], schemes: Sequence[Scheme], rail: str | None, everywhere: bool) -> SendingPlace:
    """The place that is meant. Raises UsageError for an area that there is not."""

    if unknown := [area for area in areas if area not in AREAS]:
        raise click.UsageError(f"no area is called {', '.join(unknown)}; there are {', '.join(AREAS)}")
    named = [*areas, *(area for scheme in schemes for area in areas_of(scheme)), *([EVERYWHERE] if everywhere else [])]
    if not named and not rail:
        raise click.UsageError("say where: --area, --scheme, --rail or --all")
    return SendingPlace(rail or EVERYWHERE, tuple(named) or (EVERYWHERE,))


@click.group(epilog=example('kvitt sending stop --scheme ts --by kari --reason "rates are wrong"', "kvitt sending list"))
def sending() -> None:
    """Stop and resume sending to the rail. Messages are taken in all the while; their orders stay ready.

    Where the area of a scheme's decisions over REST is stopped by name, these are refused with 503 meanwhile.
    """


@sending.command(epilog=example('kvitt sending stop --all --by kari --reason "the rail is being moved"'))
@approved
@_somewhere
@located
def stop(settings: Settings, /, *, by: str, reason: str, approved_by: str | None, **place: Any) -> None:
    """Send nothing more to these areas until resumed."""

    where, operator = _where(**place), Operator(by, reason, approved_by)
    with operating(settings) as operate:
        if is_left_to_another(settings, operate.connection, "sending stop", where, operator):
            return
        operate.stop(where.areas, operator, where.rail)
    click.echo(f"stopped: {', '.join(where.areas)}")


@sending.command(epilog=example('kvitt sending resume --all --by kari --approved-by ola --reason "the rail is back"'))
@approved
@_somewhere
@located
def resume(settings: Settings, /, *, by: str, reason: str, approved_by: str | None, **place: Any) -> None:
    """Let sending go on."""

    where, operator = _where(**place), Operator(by, reason, approved_by)
    with operating(settings) as operate:
        if is_left_to_another(settings, operate.connection, "sending resume", where, operator):
            return
        resumed = operate.resume(where.areas, operator, where.rail)
    if not resumed:
        click.echo("nothing was stopped there", err=True)
        sys.exit(BAD_RESULT)
    click.echo(f"resumed: {', '.join(resumed)}")


@sending.command("list", epilog=example("kvitt sending list", "kvitt sending list --json"))
@json_option
@located
def list_stops(settings: Settings, *, as_json: bool) -> None:
    """List what is stopped, by whom, since when, and why."""
    with operating(settings) as operate:
        stops = operate.stopped()
    print_list(_STOPS, stops, limit=MOST, as_json=as_json, nothing="nothing is stopped")
