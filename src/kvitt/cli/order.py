"""`kvitt order`: the orders that wait for a person, and what a person can do with them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from kvitt.cli.shell import console, example, located, opened

if TYPE_CHECKING:
    from kvitt.config import Settings
    from kvitt.hub.operate import Operate, Operator

Command = TypeVar("Command", bound=Callable[..., object])


@contextmanager
def operating(settings: "Settings") -> Iterator["Operate"]:
    """The operator's actions on the database that is there."""
    from kvitt.app import utc_now
    from kvitt.hub.operate import Operate
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo, application="kvitt operator") as connection:
        yield Operate(connection, utc_now)


def reasoned(command: Command) -> Command:
    """Every act names who does it and why."""
    command = click.option("--reason", required=True, metavar="TEXT", help="Why; it stands in the audit chain.")(command)
    return click.option("--by", required=True, metavar="NAME", help="Who does it.")(command)


def approved(command: Command) -> Command:
    """Acts that move money name a second person."""
    return click.option("--approved-by", metavar="NAME", help="The second person who approves it.")(reasoned(command))


def operator_of(by: str | None, reason: str | None, approved_by: str | None) -> "Operator":
    """Who acts, where options that a dry run does not need were left to be asked for. Raises click.UsageError, BadOperator."""
    from kvitt.hub.operate import Operator

    if by is None or reason is None:
        raise click.UsageError("name who does it and why: --by NAME --reason TEXT (or look first: --dry-run)")
    return Operator(by, reason, approved_by)


@click.group(
    epilog=example(
        "kvitt order list",
        'kvitt order release 5f2c… --by kari --approved-by ola --reason "two children, two equal grants"',
        'kvitt order decide 5f2c… --accepted --by kari --approved-by ola --reason "confirmed by phone"',
    )
)
def order() -> None:
    """Look at orders that are held, in doubt or not sent yet, and act on them."""


@order.command("list", epilog=example("kvitt order list", "kvitt order list --state ready --state sent"))
@click.option("--state", "states", multiple=True, type=click.Choice(["ready", "sending", "sent", "unknown"]), help="Orders in this state.")
@click.option("--limit", default=100, show_default=True, help="At most so many.")
@located
def list_orders(settings: "Settings", *, states: tuple[str, ...], limit: int) -> None:
    """List the orders that wait for a person: held ones, and those in doubt; or all that are in given states."""
    from rich import box
    from rich.table import Table

    from kvitt.rules.states import OrderState

    with operating(settings) as operate:
        if states:
            orders = operate.orders([OrderState(state) for state in states], limit=limit)
        else:
            held = operate.orders([OrderState.READY], held_only=True, limit=limit)
            orders = [*held, *operate.orders([OrderState.UNKNOWN], limit=limit)]
    if not orders:
        click.echo("no order waits for a person" if not states else "there are no such orders")
        return
    table = Table("order", "scheme", "case", "area", "state", "made", "held for", box=box.SIMPLE_HEAD)
    for each in orders:
        made = f"{each.made_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(
            each.order_id, each.scheme, each.case_id, each.area, each.state, made, "; ".join(reason.text for reason in each.held_for)
        )
    console().print(table)


@order.command(epilog=example('kvitt order release 5f2c… --by kari --approved-by ola --reason "two equal grants"'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def release(settings: "Settings", *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Let a held ORDER be sent, where an operator may say so."""
    from kvitt.hub.operate import Operator

    with operating(settings) as operate:
        operate.release(order_id, Operator(by, reason, approved_by))
    click.echo(f"order {order_id} will be sent")


@order.command(epilog=example('kvitt order withdraw 5f2c… --by kari --reason "sent twice by mistake"'))
@click.argument("order_id", metavar="ORDER")
@reasoned
@located
def withdraw(settings: "Settings", *, order_id: str, by: str, reason: str) -> None:
    """Take back an ORDER that has not left; its sender hears FEILET, and the case goes on."""
    from kvitt.hub.operate import Operator

    with operating(settings) as operate:
        operate.withdraw(order_id, Operator(by, reason))
    click.echo(f"order {order_id} is withdrawn")


@order.command(epilog=example('kvitt order resend 5f2c… --by kari --approved-by ola --reason "the rail never got it"'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def resend(settings: "Settings", *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Send an ORDER in doubt once more: the stored bytes, which the rail refuses if it has them."""
    from kvitt.hub.operate import Operator

    with operating(settings) as operate:
        operate.resend(order_id, Operator(by, reason, approved_by))
    click.echo(f"order {order_id} will be sent once more")


@order.command(epilog=example('kvitt order decide 5f2c… --rejected --by kari --approved-by ola --reason "the rail lost it"'))
@click.argument("order_id", metavar="ORDER")
@click.option("--accepted/--rejected", required=True, help="What the rail would have said.")
@approved
@located
def decide(settings: "Settings", *, order_id: str, accepted: bool, by: str, reason: str, approved_by: str | None) -> None:
    """Settle an open ORDER whose receipt never came."""
    from kvitt.hub.operate import Operator

    with operating(settings) as operate:
        operate.decide(order_id, accepted=accepted, operator=Operator(by, reason, approved_by))
    click.echo(f"order {order_id} is {'accepted' if accepted else 'rejected'} by an operator's word")
