"""`kvitt order`: the orders that wait for a person, and what a person can do with them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from kvitt.app.ports import PORTS
from kvitt.cli.ids import order_of
from kvitt.cli.listing import LOOK_FURTHER, json_option, limit_option, print_json, print_list
from kvitt.cli.shell import connected, example, located, opened, print_page

if TYPE_CHECKING:
    from kvitt.config import Settings
    from kvitt.hub.operate import Operate
    from kvitt.kernel.operators import Operator

Command = TypeVar("Command", bound=Callable[..., object])
_STATES = ["ready", "sending", "sent", "unknown", "accepted", "rejected", "withdrawn"]


@contextmanager
def operating(settings: "Settings") -> Iterator["Operate"]:
    """The operator's actions on the database that is there."""
    from kvitt.app import utc_now
    from kvitt.hub.operate import Operate

    with opened(settings) as conninfo, connected(conninfo, application="kvitt operator") as connection:
        yield Operate(connection, utc_now, PORTS)


def reasoned(command: Command) -> Command:
    """Every act names who does it and why."""
    command = click.option("--reason", required=True, metavar="TEXT", help="Why; it stands in the audit chain.")(command)
    return click.option("--by", required=True, metavar="NAME", help="Who does it.")(command)


def approved(command: Command) -> Command:
    """Acts that move money name a second person."""
    return click.option("--approved-by", metavar="NAME", help="The second person who approves it.")(reasoned(command))


def operator_of(by: str | None, reason: str | None, approved_by: str | None) -> "Operator":
    """Who acts, where options that a dry run does not need were left to be asked for. Raises click.UsageError, BadOperator."""
    from kvitt.kernel.operators import Operator

    if by is None or reason is None:
        raise click.UsageError("name who does it and why: --by NAME --reason TEXT (or look first: --dry-run)")
    return Operator(by, reason, approved_by)


@click.group(
    epilog=example(
        "kvitt order list",
        "kvitt order show 5f2c0d3a",
        'kvitt order release 5f2c0d3a --by kari --approved-by ola --reason "two children, two equal grants"',
        'kvitt order decide 5f2c0d3a --accepted --by kari --approved-by ola --reason "confirmed by phone"',
        "kvitt order adopt 5f2c0d3a --dry-run",
    )
)
def order() -> None:
    """Look at orders that are held, in doubt, contradicted by the rail or not sent yet, and act on them.

    An ORDER is named by its id, or by as many of its first digits as it takes to tell it from others.
    """


@order.command("list", epilog=example("kvitt order list", "kvitt order list --state ready --state sent", "kvitt order list --case AZ111"))
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Orders in this state.")
@click.option("--case", "case_id", metavar="CASE_ID", help="All orders of the cases with this id, in whatever state.")
@limit_option
@json_option
@located
def list_orders(settings: "Settings", *, states: tuple[str, ...], case_id: str | None, limit: int, as_json: bool) -> None:
    """List the orders that wait for a person, newest first; or all that are in given states.

    An order waits for a person when something holds it, when it is in doubt, or when the rail says otherwise than what stands of it.
    """
    from kvitt.cli.order_page import ORDERS
    from kvitt.rules.states import OrderState

    wanted = [OrderState(state) for state in states]
    with operating(settings) as operate:
        most = limit + LOOK_FURTHER
        if case_id is not None:
            orders = operate.orders_of_case(case_id, wanted or list(OrderState), limit=most)
        elif wanted:
            orders = operate.orders(wanted, limit=most)
        else:
            orders = operate.waiting_orders(limit=most)
    nothing = "there are no such orders" if states or case_id is not None else "no order waits for a person"
    print_list(ORDERS, orders, limit=limit, as_json=as_json, nothing=nothing)


@order.command(
    epilog=example("kvitt order show 5f2c0d3a", "kvitt order show 5f2c0d3a --json", "kvitt order show 5f2c0d3a --message > order.xml")
)
@click.argument("order_id", metavar="ORDER")
@click.option("--message", "only_message", is_flag=True, help="Only the bytes that the rail gets.")
@json_option
@located
def show(settings: "Settings", *, order_id: str, only_message: bool, as_json: bool) -> None:
    """Show everything about an ORDER: its case, its lines, how far it came and when, its receipts, and what people did to it."""
    from kvitt.cli.order_page import SHOWN, page
    from kvitt.hub.order_page import order_page

    with opened(settings) as conninfo:
        with connected(conninfo, application="kvitt order") as connection:
            named = order_of(connection, order_id)
        found = order_page(conninfo, named)
    if only_message:
        sys.stdout.buffer.write(found.message)
    elif as_json:
        print_json(SHOWN, [found])
    else:
        print_page(page(found))


@order.command(epilog=example('kvitt order release 5f2c0d3a --by kari --approved-by ola --reason "two equal grants"'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def release(settings: "Settings", *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Let a held ORDER be sent, where an operator may say so."""
    from kvitt.kernel.operators import Operator

    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        left = operate.release(order_id, Operator(by, reason, approved_by))
    still = f"is released, and still held: {'; '.join(each.text for each in left)}" if left else "will be sent"
    click.echo(f"order {order_id} {still}")


@order.command(epilog=example('kvitt order withdraw 5f2c0d3a --by kari --reason "sent twice by mistake"'))
@click.argument("order_id", metavar="ORDER")
@reasoned
@located
def withdraw(settings: "Settings", *, order_id: str, by: str, reason: str) -> None:
    """Take back an ORDER that has not left; its sender hears FEILET, and the case goes on."""
    from kvitt.kernel.operators import Operator

    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        operate.withdraw(order_id, Operator(by, reason))
    click.echo(f"order {order_id} is withdrawn")


@order.command(epilog=example('kvitt order resend 5f2c0d3a --by kari --approved-by ola --reason "the rail never got it"'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def resend(settings: "Settings", *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Send an ORDER in doubt, or one whose receipt does not come, once more: the stored bytes, which the rail refuses if it has them."""
    from kvitt.kernel.operators import Operator

    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        operate.resend(order_id, Operator(by, reason, approved_by))
    click.echo(f"order {order_id} will be sent once more")


@order.command(epilog=example('kvitt order decide 5f2c0d3a --rejected --by kari --approved-by ola --reason "the rail lost it"'))
@click.argument("order_id", metavar="ORDER")
@click.option("--accepted/--rejected", required=True, help="What the rail would have said.")
@approved
@located
def decide(settings: "Settings", *, order_id: str, accepted: bool, by: str, reason: str, approved_by: str | None) -> None:
    """Settle an open ORDER whose receipt never came."""
    from kvitt.kernel.operators import Operator

    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        operate.decide(order_id, accepted=accepted, operator=Operator(by, reason, approved_by))
    click.echo(f"order {order_id} is {'accepted' if accepted else 'rejected'} by an operator's word")


def _resolving(command: Command) -> Command:
    """Options of acts that resolve a contradiction: who, unless it is a dry run."""
    command = click.option("--dry-run", is_flag=True, help="Show the effect; change nothing. Needs no names.")(command)
    command = click.option("--approved-by", metavar="NAME", help="The second person who approves it.")(command)
    command = click.option("--reason", metavar="TEXT", help="Why; it stands in the audit chain.")(command)
    return json_option(click.option("--by", metavar="NAME", help="Who does it.")(command))


@order.command(
    epilog=example(
        "kvitt order adopt 5f2c0d3a --dry-run", 'kvitt order adopt 5f2c0d3a --by kari --approved-by ola --reason "the rail has it, says Ås"'
    )
)
@click.argument("order_id", metavar="ORDER")
@_resolving
@located
def adopt(
    settings: "Settings", *, order_id: str, by: str | None, reason: str | None, approved_by: str | None, dry_run: bool, as_json: bool
) -> None:
    """Make the rail's word about a contradicted ORDER ours.

    The order and its payments become what the rail says, and its sender is told anew. Orders of the case that have not left are taken
    back, and their messages derived again.
    """
    _resolve(settings, "adopt", order_id, (by, reason, approved_by), dry_run=dry_run, as_json=as_json)


@order.command(
    epilog=example(
        "kvitt order keep 5f2c0d3a --dry-run", 'kvitt order keep 5f2c0d3a --by kari --approved-by ola --reason "undone at the rail by hand"'
    )
)
@click.argument("order_id", metavar="ORDER")
@_resolving
@located
def keep(
    settings: "Settings", *, order_id: str, by: str | None, reason: str | None, approved_by: str | None, dry_run: bool, as_json: bool
) -> None:
    """Keep what stands of a contradicted ORDER, whatever the rail says; its case goes on."""
    _resolve(settings, "keep", order_id, (by, reason, approved_by), dry_run=dry_run, as_json=as_json)


def _resolve(
    settings: "Settings", act: str, order_id: str, who: tuple[str | None, str | None, str | None], *, dry_run: bool, as_json: bool
) -> None:
    from kvitt.app import utc_now
    from kvitt.cli.resolve_page import EFFECT, page
    from kvitt.hub.resolve import Resolve
    from kvitt.kernel.operators import Operator

    operator = Operator("nobody", "only to look at the effect") if dry_run else operator_of(*who)
    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        resolve = Resolve(operate.connection, utc_now, PORTS)
        effect = (resolve.adopt if act == "adopt" else resolve.keep)(order_id, operator, dry_run=dry_run)
    if as_json:
        print_json(EFFECT, [effect])
    else:
        print_page(page(effect, dry_run=dry_run))
