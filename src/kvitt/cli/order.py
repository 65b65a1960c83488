"""`kvitt order`: the orders that wait for a person, and what a person can do with them."""

import sys
from typing import Final

import click

from kvitt.cli.ids import order_of
from kvitt.cli.listing import READ_AHEAD, Column, json_option, limit_option, print_json, print_list
from kvitt.cli.operator import Command, acting, approved, ask, is_asked_for, is_left_to_another, operating, operator_of
from kvitt.cli.order_page import EFFECT, ORDERS, SHOWN, effect_lines, order_lines
from kvitt.cli.shell import connected, example, located, opened, print_page
from kvitt.cli.wiring import wiring
from kvitt.disbursement.approvable import OrderDecided, OrderNamed
from kvitt.disbursement.cancel.ask import ACT as CANCEL
from kvitt.disbursement.cancel.ask import cancel as ask_rail_to_cancel
from kvitt.disbursement.order_page import order_page
from kvitt.disbursement.resolve import Resolve
from kvitt.disbursement.states import OrderState
from kvitt.kernel.clock import utc_now
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings

_STATES = ["ready", "sending", "sent", "unknown", "accepted", "rejected", "withdrawn"]


@click.group(
    epilog=example(
        "kvitt order list",
        "kvitt order show 5f2c0d3a",
        'kvitt order release 5f2c0d3a --by kari --approved-by ola --reason "two children, two equal grants"',
        "kvitt order exempt",
        'kvitt order decide 5f2c0d3a --accepted --by kari --approved-by ola --reason "confirmed by phone"',
        "kvitt order adopt 5f2c0d3a --dry-run",
    )
)
def order() -> None:
    """Look at orders that are held, unknown, contradicted by the rail or not sent yet, and act on them.

    An ORDER is named by its id, or by as many of its first digits as it takes to tell it from others.
    """


@order.command("list", epilog=example("kvitt order list", "kvitt order list --state ready --state sent", "kvitt order list --case AZ111"))
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Orders in this state.")
@click.option("--case", "case_id", metavar="CASE_ID", help="All orders of the cases with this id, in whatever state.")
@limit_option
@json_option
@located
def list_orders(settings: Settings, *, states: tuple[str, ...], case_id: str | None, limit: int, as_json: bool) -> None:
    """List the orders that wait for a person, newest first; or all that are in given states.

    An order waits for a person when something holds it, when it is unknown, or when the rail says otherwise than what stands of it.
    """

    wanted = [OrderState(state) for state in states]
    with operating(settings) as operate:
        most = limit + READ_AHEAD
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
def show(settings: Settings, *, order_id: str, only_message: bool, as_json: bool) -> None:
    """Show everything about an ORDER: its case, its lines, how far it came and when, its receipts, and what people did to it."""

    with opened(settings) as conninfo:
        with connected(conninfo, application="kvitt order") as connection:
            named = order_of(connection, order_id)
        found = order_page(conninfo, wiring().ports.rails, named)
    if only_message:
        sys.stdout.buffer.write(found.message)
    elif as_json:
        print_json(SHOWN, [found])
    else:
        print_page(order_lines(found))


@order.command(epilog=example('kvitt order release 5f2c0d3a --by kari --approved-by ola --reason "two equal grants"'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def release(settings: Settings, *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Let a held ORDER be sent, where an operator may say so."""

    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        if is_asked_for():
            ask(settings, operate.connection, "order release", OrderNamed(order_id), Operator(by, reason, approved_by))
            return
        left = operate.release(order_id, Operator(by, reason, approved_by))
    still = f"is released, and still held: {'; '.join(each.text for each in left)}" if left else "will be sent"
    click.echo(f"order {order_id} {still}")


@order.command("exempt", epilog=example("kvitt order exempt", "kvitt order exempt 5f2c0d3a --json"))
@click.argument("order_id", metavar="[ORDER]", required=False)
@limit_option
@json_option
@located
def list_exempt(settings: Settings, *, order_id: str | None, limit: int, as_json: bool) -> None:
    """List the cases that hold no orders of each other, though both pay a person on the same days; or those that ORDER's release let do so.

    Two people released an order then, and so said that both pay rightly; hold-again ends that.
    """

    with operating(settings) as operate:
        named = order_of(operate.connection, order_id) if order_id is not None else None
        pairs = operate.exempt_pairs(named, limit=limit + READ_AHEAD)
    print_list(_PAIRS, pairs, limit=limit, as_json=as_json, nothing="all cases hold what others pay as well")


@order.command("hold-again", epilog=example('kvitt order hold-again 5f2c0d3a --by kari --approved-by ola --reason "one case after all"'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def hold_again(settings: Settings, *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Let cases hold each other's orders again that the release of ORDER let pay the same days; what was released stays so."""

    with operating(settings) as operate:
        order_id, operator = order_of(operate.connection, order_id), Operator(by, reason, approved_by)
        if is_asked_for():
            ask(settings, operate.connection, "order hold-again", OrderNamed(order_id), operator)
            return
        ended = operate.hold_again(order_id, operator)
    click.echo(f"pairs of cases that hold each other's orders again: {ended}")


@order.command(epilog=example('kvitt order withdraw 5f2c0d3a --by kari --approved-by ola --reason "sent twice by mistake"'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def withdraw(settings: Settings, *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Take back an ORDER that has not left; its sender hears FEILET, and the case goes on."""

    with operating(settings) as operate:
        order_id, operator = order_of(operate.connection, order_id), Operator(by, reason, approved_by)
        if is_left_to_another(settings, operate.connection, "order withdraw", OrderNamed(order_id), operator):
            return
        operate.withdraw(order_id, operator)
    click.echo(f"order {order_id} is withdrawn")


@order.command(epilog=example('kvitt order cancel 5f2c0d3a --by kari --reason "paid to the wrong account" --ask'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def cancel(settings: Settings, *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Have the rail asked to cancel an ORDER that it may have; the reason goes with it, and the rail may refuse.

    Until it answers nothing changes; a request that it does not answer is put once more by this command, as it was. An order that has not
    left is withdrawn; not every rail can be asked.
    """

    with operating(settings) as operate:
        order_id, operator = order_of(operate.connection, order_id), Operator(by, reason, approved_by)
        if is_asked_for():
            ask(settings, operate.connection, CANCEL, OrderNamed(order_id), operator)
            return
        done = ask_rail_to_cancel(operate.connection, utc_now, wiring().acting(settings), order_id, operator)
    click.echo(done)


@order.command(epilog=example('kvitt order resend 5f2c0d3a --by kari --approved-by ola --reason "the rail never got it"'))
@click.argument("order_id", metavar="ORDER")
@approved
@located
def resend(settings: Settings, *, order_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Send an unknown ORDER, or one whose receipt does not come, once more: the stored bytes, which the rail refuses if it has them."""

    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        if is_asked_for():
            ask(settings, operate.connection, "order resend", OrderNamed(order_id), Operator(by, reason, approved_by))
            return
        operate.resend(order_id, Operator(by, reason, approved_by))
    click.echo(f"order {order_id} will be sent once more")


@order.command(epilog=example('kvitt order decide 5f2c0d3a --rejected --by kari --approved-by ola --reason "the rail lost it"'))
@click.argument("order_id", metavar="ORDER")
@click.option("--accepted/--rejected", required=True, help="What the rail would have said.")
@approved
@located
def decide(settings: Settings, *, order_id: str, accepted: bool, by: str, reason: str, approved_by: str | None) -> None:
    """Settle an open ORDER whose receipt never came."""

    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        if is_asked_for():
            ask(settings, operate.connection, "order decide", OrderDecided(order_id, accepted), Operator(by, reason, approved_by))
            return
        operate.decide(order_id, accepted=accepted, operator=Operator(by, reason, approved_by))
    click.echo(f"order {order_id} is {'accepted' if accepted else 'rejected'} by an operator's word")


def _resolving(command: Command) -> Command:
    """Options of acts that resolve a contradiction: who, unless it is a dry run."""
    command = click.option("--dry-run", is_flag=True, help="Show the effect; change nothing. Needs no names.")(command)
    return json_option(acting(command))


@order.command(
    epilog=example(
        "kvitt order adopt 5f2c0d3a --dry-run", 'kvitt order adopt 5f2c0d3a --by kari --approved-by ola --reason "the rail has it, says Ås"'
    )
)
@click.argument("order_id", metavar="ORDER")
@_resolving
@located
def adopt(
    settings: Settings, *, order_id: str, by: str | None, reason: str | None, approved_by: str | None, dry_run: bool, as_json: bool
) -> None:
    """Make the rail's word about a contradicted ORDER ours.

    The order and its payments become what the rail says, and its sender is answered anew. Orders of the case that have not left are taken
    back, and their messages derived again.
    """
    _resolve(settings, "adopt", order_id, (by, reason, approved_by), dry_run=dry_run, as_json=as_json)


@order.command(
    epilog=example(
        "kvitt order keep 5f2c0d3a --dry-run",
        'kvitt order keep 5f2c0d3a --by kari --approved-by ola --reason "reversed at the rail by hand"',
    )
)
@click.argument("order_id", metavar="ORDER")
@_resolving
@located
def keep(
    settings: Settings, *, order_id: str, by: str | None, reason: str | None, approved_by: str | None, dry_run: bool, as_json: bool
) -> None:
    """Keep what stands of a contradicted ORDER, whatever the rail says; its case goes on."""
    _resolve(settings, "keep", order_id, (by, reason, approved_by), dry_run=dry_run, as_json=as_json)


def _resolve(
    settings: Settings, act: str, order_id: str, who: tuple[str | None, str | None, str | None], *, dry_run: bool, as_json: bool
) -> None:

    operator = Operator("nobody", "only to look at the effect") if dry_run else operator_of(*who)
    with operating(settings) as operate:
        order_id = order_of(operate.connection, order_id)
        if is_asked_for() and not dry_run:
            ask(settings, operate.connection, f"order {act}", OrderNamed(order_id), operator)
            return
        resolve = Resolve(operate.connection, utc_now, wiring().acting(settings))
        effect = (resolve.adopt if act == "adopt" else resolve.keep)(order_id, operator, dry_run=dry_run)
    if as_json:
        print_json(EFFECT, [effect])
    else:
        print_page(effect_lines(effect, dry_run=dry_run))


_PAIRS: Final = (
    Column("scheme"),
    Column("case_id", "case"),
    Column("other_scheme", "and"),
    Column("other_case_id", "case"),
    Column("class_code", "class"),
    Column("order_id", "released order"),
)
