"""`kvitt approve`: acts that one person has asked for, looked at and confirmed, or refused, by another one."""

from typing import Any, Final

import click

from kvitt.api.people.approving import StepUp
from kvitt.api.people.claims import ConsoleRole
from kvitt.api.people.identity import need_role
from kvitt.cli.arguments import NUMBER
from kvitt.cli.listing import READ_AHEAD, Column, Fit, json_option, limit_option, print_described, print_json, print_list
from kvitt.cli.shell import BAD_RESULT, connected, example, located, opened
from kvitt.cli.text import moment, shown, shown_lines
from kvitt.cli.who import by_option, known_person, person_acting
from kvitt.cli.wiring import wiring
from kvitt.errors import KvittError
from kvitt.kernel.approvals import Approval, ApprovalState
from kvitt.kernel.clock import utc_now
from kvitt.settings import Settings


def _state(approval: Any) -> str:
    return f"{approval.state}" if approval.decided_by is None else f"{approval.state} by {approval.decided_by}"


def _who(approval: Any) -> str:
    return f"{approval.asked_by}" if approval.asked_name is None else f"{approval.asked_name} ({approval.asked_by})"


_ABOUT: Final = (
    Column("approval_no", "no"),
    Column("asked_at", "asked"),
    Column("act"),
    Column("subject", "about"),
    Column("asked_by", "by", show=_who),
    Column("reason", "why", Fit.TEXT),
    Column("lapses_at", "lapses"),
    Column("state", show=_state),
)
_DECIDED: Final = (
    Column("decided_at", "decided", show=lambda each: moment(each.decided_at)),
    Column("decided_by", kind=Fit.HIDDEN),
    Column("decided_because", "because", Fit.TEXT),
    Column("outcome", "came of it", Fit.TEXT),
)
_LISTED: Final = (*_ABOUT, *(Column(each.name, kind=Fit.HIDDEN) for each in _DECIDED))
_SHOWN: Final = (
    Column("approval_no", "approval"),
    *_ABOUT[1:],
    *_DECIDED,
    Column("changed_at", "shown anew", show=lambda each: moment(each.changed_at)),
    Column("seen", "effect"),
    Column("arguments", kind=Fit.HIDDEN),
    Column("effect_text", kind=Fit.HIDDEN, of=lambda each: each.effect),
)


@click.group(epilog=example("kvitt approve list", "kvitt approve show 12", "kvitt approve yes 12 --by ola"))
def approve() -> None:
    """Look at acts that somebody has asked for with --ask, and confirm or refuse them."""


@approve.command("list", epilog=example("kvitt approve list", "kvitt approve list --all"))
@click.option("--all", "everything", is_flag=True, help="Those that are decided or have lapsed, too.")
@limit_option
@json_option
@located
def list_approvals(settings: Settings, *, everything: bool, limit: int, as_json: bool) -> None:
    """List what waits for a second person, newest first."""
    states = None if everything else (ApprovalState.ASKED,)
    with opened(settings) as conninfo, connected(conninfo, application="kvitt approve") as connection:
        found = wiring().approvals(connection, settings).listed(states, limit + READ_AHEAD)
    print_list(_LISTED, found, limit=limit, as_json=as_json, nothing="nobody has asked for anything")


@approve.command(epilog=example("kvitt approve show 12", "kvitt approve show 12 --json"))
@click.argument("number", type=NUMBER)
@json_option
@located
def show(settings: Settings, *, number: int, as_json: bool) -> None:
    """Show approval NUMBER: who asked for what and why, what it was shown to do, and what it would do now where that differs."""
    with opened(settings) as conninfo, connected(conninfo, application="kvitt approve") as connection:
        approvals = wiring().approvals(connection, settings)
        approval = approvals.find(number)
        if as_json:
            print_json(_SHOWN, [approval])
            return
        print_described(_SHOWN, approval)
        click.echo(f"\n{shown_lines(approval.effect)}")
        if approval.state == "asked":
            try:
                now = approvals.effect_now(approval)
            except KvittError as error:
                click.echo(f"\nby now it could not be done: {shown(str(error))}")
                return
            if now.basis != approval.basis:
                click.echo(f"\nby now it would do something else:\n{shown_lines(now.text)}")
            elif now.text != approval.effect:
                click.echo(f"\nit would do the same by now, as things stand:\n{shown_lines(now.text)}")


@approve.command(epilog=example("kvitt approve yes 12 --by ola", "kvitt approve yes 12 --by ola --seen 5f2c0d3a"))
@click.argument("number", type=NUMBER)
@by_option("Who confirms it: another person than the one who asked.", needed=True, approves=True)
@click.option("--seen", metavar="CODE", help="The effect that you saw, as kvitt approve show names it.")
@located
def yes(settings: Settings, *, number: int, by: str, seen: str | None) -> None:
    """Confirm approval NUMBER, which does what was asked for, at once.

    Where it would do something else by now than what was shown, nothing is done: look at it with kvitt approve show, and confirm anew.
    """

    with opened(settings) as conninfo, connected(conninfo, application="kvitt approve") as connection:
        approvals = wiring().approvals(connection, settings)
        if who := person_acting():
            StepUp(settings.console.step_up).require(connection, approvals.find(number), who, utc_now())
        done = approvals.confirm(number, by, known_person(), seen=seen)
    _print_done(done)


@approve.command(epilog=example('kvitt approve no 12 --by ola --reason "the rail has it after all"'))
@click.argument("number", type=NUMBER)
@by_option("Who refuses it; whoever asked may, too.", needed=True)
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stands in the audit chain.")
@located
def no(settings: Settings, *, number: int, by: str, reason: str) -> None:
    """Refuse approval NUMBER. Nothing is done."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt approve") as connection:
        approvals = wiring().approvals(connection, settings)
        if (who := person_acting()) and not approvals.find(number).is_of(by, known_person()):
            need_role(who, ConsoleRole.APPROVE)
        approvals.refuse(number, by, reason, known_person())
    click.echo(f"approval {number} is refused")


def _print_done(done: Approval) -> None:
    """Prints what came of it; the status of the command tells whether it was done."""
    if done.state == "failed":
        click.echo(shown(f"approval {done.approval_no} could not be done any more: {done.outcome}"))
        raise click.exceptions.Exit(BAD_RESULT)
    click.echo(shown(f"approval {done.approval_no} is confirmed: {done.outcome}"))
