"""`kvitt simulation`: what the rail was asked for, by whom, and what it said; and to ask it once more."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import click

from kvitt.cli.arguments import NUMBER, SECONDS
from kvitt.cli.ids import SchemeName, case_of
from kvitt.cli.listing import READ_AHEAD, json_option, limit_option, print_json, print_list, prose
from kvitt.cli.operator import approved, is_left_to_another
from kvitt.cli.shell import BAD_RESULT, connected, example, located, opened, print_page, working
from kvitt.cli.simulation_page import REQUESTS, SIMULATED, outcome_lines, simulation_lines
from kvitt.cli.wiring import wiring
from kvitt.disbursement.case import CaseKey
from kvitt.disbursement.closing_acts import NumberNamed
from kvitt.disbursement.simulation import SimulationFailure, SimulationOutcome
from kvitt.disbursement.simulation_requests import RequestWithQuestions, SimulationState, ask_again, by_call, listing, read, request, wait
from kvitt.disbursement.values import Order, Scheme
from kvitt.errors import NotFound
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings

_STATES: Final = [state.value for state in SimulationState]


@click.group(
    epilog=example(
        "kvitt simulation list --state failed",
        "kvitt simulation list --scheme dp --case AZ111",
        "kvitt simulation show 17",
        'kvitt simulation again 17 --by kari --reason "the rail is open again"',
    )
)
def simulation() -> None:
    """Look at simulations: dry runs, calls over REST, orders that are checked before they leave; and ask the rail once more."""


@simulation.command(
    "list",
    epilog=example("kvitt simulation list", "kvitt simulation list --state closed", "kvitt simulation list --scheme dp --case AZ1..."),
)
@click.option("--state", type=click.Choice(_STATES), help="Those in this state.")
@click.option("--scheme", type=SchemeName(), help="The scheme of the case.")
@click.option("--case", "case_id", metavar="CASE_ID", help="Those of this case; ... at the end: of the one case that begins so.")
@click.option(
    "--message", "message_no", type=NUMBER, metavar="NUMBER", help="Those that this message asked for, or whose orders were checked."
)
@limit_option
@json_option
@located
def list_simulations(
    settings: Settings, *, state: str | None, scheme: Scheme | None, case_id: str | None, message_no: int | None, limit: int, as_json: bool
) -> None:
    """List what the rail was asked for, newest first."""
    if (scheme is None) != (case_id is None):
        raise click.UsageError("a case is named by both: --scheme SCHEME --case CASE_ID")
    with opened(settings) as conninfo, connected(conninfo, application="kvitt simulation") as connection:
        key = (scheme, case_of(connection, scheme, case_id)) if scheme and case_id else None
        wanted = SimulationState(state) if state else None
        found = listing(connection, state=wanted, key=key, message_no=message_no, limit=limit + READ_AHEAD)
    print_list(REQUESTS, found, limit=limit, as_json=as_json, nothing="nothing of the kind was asked for")


@simulation.command(
    epilog=example("kvitt simulation show 17", "kvitt simulation show 17 --json", "kvitt simulation show 17 --answer > answer.xml")
)
@click.argument("number", type=NUMBER)
@click.option("--question", "only", flag_value="question", help="Only the bytes that the rail is asked.")
@click.option("--answer", "only", flag_value="answer", help="Only the bytes that it answered.")
@json_option
@located
def show(settings: Settings, *, number: int, only: str | None, as_json: bool) -> None:
    """Show simulation NUMBER: who asked for it and when, and what the rail says will be paid and recovered, by month and by day."""
    with opened(settings) as conninfo, connected(conninfo, application="kvitt simulation") as connection:
        found = _stored(connection, number)
    if only:
        for each in found.questions:
            sys.stdout.buffer.write((each.question if only == "question" else each.answer) or b"")
    else:
        _print(found, as_json=as_json)


@simulation.command(epilog=example('kvitt simulation again 17 --by kari --reason "the rail is open again"'))
@click.argument("number", type=NUMBER)
@approved
@click.option("--wait", "seconds", default=150.0, type=SECONDS, show_default=True, metavar="SECONDS", help="How long to wait for the rail.")
@json_option
@located
def again(settings: Settings, *, number: int, by: str, reason: str, approved_by: str | None, seconds: float, as_json: bool) -> None:
    """Ask the rail once more what simulation NUMBER asked, and show its answer. Exit status 1 where there is none.

    It is a simulation of its own: whoever asked for the first one hears nothing of it. When no kvitt runs on the data directory, one is
    started for the while.
    """
    operator = Operator(by, reason, approved_by)
    with opened(settings) as conninfo, connected(conninfo, application="kvitt simulation") as connection:
        if is_left_to_another(settings, connection, "simulation again", NumberNamed(number), operator):
            return
    with working(settings) as conninfo, connected(conninfo, application="kvitt simulation") as connection:
        made = ask_again(connection, number, operator, utc_now())
        click.echo(f"simulation {made} is asked for", err=as_json)
        found = awaited(connection, made, seconds)
    _print(found, as_json=as_json)
    if not has_succeeded(found):
        sys.exit(BAD_RESULT)


def awaited(connection: Connection, number: int, seconds: float) -> RequestWithQuestions:
    """A simulation at its end, or as it stands after so many seconds."""
    found = wait(connection, number, seconds)
    assert found is not None, "it was made a moment ago"
    return found


def simulate_orders(connection: Connection, key: CaseKey, contract: str, orders: Sequence[Order], seconds: float) -> bool:
    """Asks the rail what these orders would lead to, and prints its answer; returns whether it has said what would be paid."""
    asked = by_call(contract, "kvitt submit", utc_now() + timedelta(seconds=seconds))
    made = request(connection, wiring().ports.rails, key, asked, orders, now=utc_now())
    if isinstance(made, SimulationFailure):
        print_page(prose(f"it can not be simulated ({made.reason.value}): {made.text}"))
        return False
    found = awaited(connection, made, seconds)
    click.echo(f"simulation {made}: what the rail says")
    print_page(outcome_lines(found, _outcome(found)))
    return has_succeeded(found)


def _outcome(found: RequestWithQuestions) -> SimulationOutcome | None:
    rail = wiring().ports.rails.simulating(found.request.scheme)
    assert rail is not None, "it was asked"
    return found.outcome(rail)


def has_succeeded(found: RequestWithQuestions) -> bool:
    """Whether the rail has said what would be paid."""
    outcome = _outcome(found)
    return outcome is not None and not isinstance(outcome, SimulationFailure)


def _stored(connection: Connection, number: int) -> RequestWithQuestions:
    found = read(connection, number)
    if found is None:
        raise NotFound(f"no simulation has the number {number}")
    return found


def _print(found: RequestWithQuestions, *, as_json: bool) -> None:
    if as_json:
        print_json(SIMULATED, [(found, _outcome(found))])
    else:
        print_page(simulation_lines(found, _outcome(found)))
