"""`kvitt payout`: make payouts, look at them, and what operators do with them."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click
from msgspec import Struct, json

from kvitt.cli.arguments import ANY_NUMBER
from kvitt.cli.audit import ACTS
from kvitt.cli.ids import payout_of
from kvitt.cli.listing import (
    READ_AHEAD,
    Column,
    Fit,
    json_option,
    limit_option,
    print_json,
    print_list,
    prose,
    table,
    terminal_width,
)
from kvitt.cli.operator import acting, approved, ask, is_asked_for, is_left_to_another, operator_of
from kvitt.cli.shell import BAD_RESULT, connected, example, located, opened, print_page
from kvitt.cli.text import minor, moment, shown, shown_json
from kvitt.cli.who import by_option
from kvitt.cli.wiring import wiring
from kvitt.disbursement.acts import AuditedAct
from kvitt.kernel.actor import CLI, UNNAMED, Actor
from kvitt.kernel.money import Minor
from kvitt.kernel.operators import Operator, name_of
from kvitt.payouts.approvable import PayoutCancelled, PayoutNamed
from kvitt.payouts.model import (
    Cash,
    NewPayout,
    Payout,
    PayoutEvent,
)
from kvitt.payouts.rules import KIND_OF, CashFlowPosting, PayoutStatus
from kvitt.payouts.service import AccountPreview, PayoutPreview, PayoutService
from kvitt.settings import Settings

Command = TypeVar("Command", bound=Callable[..., object])
_CREATE = "kvitt payout create --party party-1 --shop shop-1 --amount 100000 --currency RUB"
_CONFIRM = 'kvitt payout confirm p-1 --by kari --approved-by ola --reason "the bank has paid"'
_CANCEL = 'kvitt payout cancel p-1 --details "account closed" --by kari --approved-by ola --reason "the bank sent it back"'
_PAID = 'kvitt payout paid p-1 --by kari --approved-by ola --reason "the bank has the order"'

_as_json = click.option("--json", "as_json", is_flag=True, help="The payout, as one JSON document.")
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would move and what the accounts would have; do nothing.")


@click.group(epilog=example(_CREATE, "kvitt payout show p-1", _CONFIRM, "kvitt payout list --status unpaid"))
def payout() -> None:
    """Make payouts to shops, confirm or cancel them, and look at them. Amounts are whole minor units."""


@contextmanager
def paying(settings: Settings) -> Iterator[PayoutService]:
    """Payouts on the database that is there, with the parties and the ledger that are set."""

    with opened(settings) as conninfo, wiring().payouts(conninfo, settings.payouts) as payouts:
        yield payouts


@contextmanager
def acting_on(settings: Settings, named: str) -> Iterator[tuple[PayoutService, str]]:
    """Payouts as `paying`, and the whole id of the one that is named."""

    with opened(settings) as conninfo, wiring().payouts(conninfo, settings.payouts) as payouts:
        with connected(conninfo, application="kvitt payout") as connection:
            payout_id = payout_of(connection, named)
        yield payouts, payout_id


@payout.command(epilog=example(_CREATE, f"{_CREATE} --id p-1 --tool tool-2", f"{_CREATE} --dry-run"))
@click.option("--party", required=True, metavar="ID", help="The party that the shop is of.")
@click.option("--shop", required=True, metavar="ID", help="The shop that is paid out.")
@click.option(
    "--amount",
    required=True,
    type=ANY_NUMBER,
    metavar="N",
    help="What leaves the shop's settlement account, before fees on top, in whole minor units: 248000 are 2,480.00.",
)
@click.option("--currency", required=True, metavar="CODE", help="As on the shop's accounts.")
@click.option("--id", "payout_id", metavar="ID", help="The id of the payout, at most 57 characters; a random one otherwise.")
@click.option("--tool", metavar="ID", help="The payout tool; the shop's own otherwise.")
@by_option("Who asks for it; it stands with the payout.")
@_dry_run
@_as_json
@located
def create(
    settings: Settings,
    *,
    party: str,
    shop: str,
    amount: int,
    currency: str,
    payout_id: str | None,
    tool: str | None,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a payout: its amount is held, and nothing has moved yet."""

    actor = Actor(CLI, UNNAMED if by is None else name_of("by", by))
    new = NewPayout(party, shop, Cash(Minor(amount), currency), payout_id, tool)
    with paying(settings) as payouts:
        if dry_run:
            _print_preview(payouts.preview_create(new), as_json=as_json)
        else:
            _print_done(payouts.create(new, actor=actor), as_json=as_json)


@payout.command(epilog=example("kvitt payout show p-1", "kvitt payout show p-1 --json"))
@click.argument("payout_id", metavar="PAYOUT")
@_as_json
@located
def show(settings: Settings, *, payout_id: str, as_json: bool) -> None:
    """Print a PAYOUT with its cash flow, what was published about it, and who did what and why."""

    with acting_on(settings, payout_id) as (payouts, named):
        found, events, acts = payouts.get(named), payouts.events(named), payouts.acts(named)
    if as_json:
        click.echo(shown_json(json.encode(payout_document(found, events, acts)).decode()))
    else:
        print_page(payout_page(found, events, acts))


@payout.command(epilog=example(_CONFIRM, "kvitt payout confirm p-1 --dry-run"))
@click.argument("payout_id", metavar="PAYOUT")
@_dry_run
@_as_json
@acting
@located
def confirm(settings: Settings, *, payout_id: str, by: str, reason: str, approved_by: str | None, dry_run: bool, as_json: bool) -> None:
    """Let the money of a PAYOUT move. Once it is confirmed, only a reversal brings it back."""
    operator = None if dry_run else operator_of(by, reason, approved_by)
    with acting_on(settings, payout_id) as (payouts, named):
        if operator is None:
            _print_preview(payouts.preview_confirm(named), as_json=as_json)
            return
        if is_asked_for():
            _ask(settings, "payout confirm", PayoutNamed(named), operator)
            return
        payouts.confirm(named, operator=operator)
        _print_done(payouts.get(named), as_json=as_json)


@payout.command(epilog=example(_CANCEL, 'kvitt payout cancel p-1 --details "account closed" --dry-run'))
@click.argument("payout_id", metavar="PAYOUT")
@click.option("--details", required=True, metavar="TEXT", help="Why, as everyone hears it who hears of the payout.")
@_dry_run
@_as_json
@acting
@located
def cancel(
    settings: Settings,
    *,
    payout_id: str,
    details: str,
    by: str | None,
    reason: str | None,
    approved_by: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let go of what a PAYOUT holds; if its money has moved, move it back."""
    operator = None if dry_run else operator_of(by, reason, approved_by)
    with acting_on(settings, payout_id) as (payouts, named):
        if operator is None:
            _print_preview(payouts.preview_cancel(named, details), as_json=as_json)
            return
        if is_asked_for():
            _ask(settings, "payout cancel", PayoutCancelled(named, details), operator)
            return
        payouts.cancel(named, details, operator=operator)
        _print_done(payouts.get(named), as_json=as_json)


@payout.command(epilog=example(_PAID))
@click.argument("payout_id", metavar="PAYOUT")
@_as_json
@approved
@located
def paid(settings: Settings, *, payout_id: str, by: str, reason: str, approved_by: str | None, as_json: bool) -> None:
    """Note that the bank has taken the order of a PAYOUT. Nothing moves yet."""
    with acting_on(settings, payout_id) as (payouts, named):
        if is_asked_for():
            _ask(settings, "payout paid", PayoutNamed(named), operator_of(by, reason, approved_by))
            return
        payouts.paid(named, by, reason, approved_by)
        _print_done(payouts.get(named), as_json=as_json)


@payout.command(epilog=example('kvitt payout republish p-1 --by kari --reason "the consumer lost its topic"'))
@click.argument("payout_id", metavar="PAYOUT")
@approved
@located
def republish(settings: Settings, *, payout_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Publish all events of a PAYOUT again, byte for byte."""
    operator = Operator(by, reason, approved_by)
    with acting_on(settings, payout_id) as (payouts, named):
        with opened(settings) as conninfo, connected(conninfo, application="kvitt payout") as connection:
            if is_left_to_another(settings, connection, "payout republish", PayoutNamed(named), operator):
                return
        count = payouts.republish(named, by, reason, approved_by)
    click.echo(shown(f"{count} events of payout {named} will be published again"))


@payout.command("list", epilog=example("kvitt payout list", "kvitt payout list --party party-1 --status unpaid --json"))
@click.option("--party", "party_id", metavar="ID", help="Of this party only.")
@click.option("--shop", "shop_id", metavar="ID", help="Of this shop only.")
@click.option("--status", type=click.Choice(["unpaid", "paid", "confirmed", "cancelled"]), help="In this state only.")
@limit_option
@json_option
@located
def list_payouts(settings: Settings, *, party_id: str | None, shop_id: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List payouts, newest first."""

    wanted = None if status is None else PayoutStatus(status)
    with paying(settings) as payouts:
        found = payouts.page(None, limit + READ_AHEAD, party_id=party_id, shop_id=shop_id, status=wanted)
    print_list(PAYOUTS, found, limit=limit, as_json=as_json, nothing="there are no such payouts")


def _ask(settings: Settings, act: str, arguments: Struct, operator: Operator) -> None:
    with opened(settings) as conninfo, connected(conninfo, application="kvitt payout") as connection:
        ask(settings, connection, act, arguments, operator)


def _print_json(payout: Payout) -> None:

    print_json(PAYOUTS, [payout])


def _print_done(done: Payout, *, as_json: bool) -> None:
    if as_json:
        _print_json(done)
    else:
        amount, fee = minor(done.amount, done.currency), minor(done.fee, done.currency)
        click.echo(shown(f"payout {done.payout_id} is {done.status.value}: {amount} {done.currency}, fee {fee}"))


def _print_preview(preview: PayoutPreview, *, as_json: bool) -> None:
    """Prints what would be; the status of the command tells whether it would be refused."""

    if as_json:
        click.echo(shown_json(json.encode(preview_document(preview)).decode()))
    else:
        print_page(preview_page(preview))
    if not preview.solvent:
        sys.exit(BAD_RESULT)


def payout_page(payout: Payout, events: Sequence[PayoutEvent], acts: Sequence[AuditedAct]) -> Iterator[str]:
    """The payout, its movements, what was published about it, and who did what and why."""
    yield from _summary(payout)
    yield ""
    yield from table(_FLOW, payout.cash_flow, terminal_width())
    yield ""
    yield from table(_EVENTS, events, terminal_width())
    yield ""
    yield from table(ACTS, acts, terminal_width())


def preview_page(preview: PayoutPreview) -> Iterator[str]:
    """Returns what would move, and what the accounts would have."""
    payout = preview.payout
    if not preview.changes:
        yield shown(f"payout {payout.payout_id} is {payout.status.value} already; nothing would be done")
        return
    yield from _summary(payout, "would be")
    yield ""
    yield from table(_FLOW, payout.cash_flow, terminal_width())
    if preview.accounts is None:
        yield "the accounts are in another ledger, which is not asked by a dry run"
        return
    yield ""
    yield from table(_ACCOUNTS, preview.accounts, terminal_width())
    yield "nothing was done" if preview.solvent else "it would be refused: the shop has not that much (insufficient_funds)"


def _total(when: str, name: str) -> Callable[[AccountPreview], Minor]:
    return lambda account: Minor(getattr(getattr(account, when), name))


def _total_shown(when: str, name: str) -> Callable[[AccountPreview], str]:
    total = _total(when, name)
    return lambda account: minor(total(account), account.currency)


_ACCOUNTS: Final = (
    Column("account_id", "account"),
    Column("currency"),
    *(
        Column(f"{name}_{when}_minor", name.replace("_", " ") + suffix, Fit.NUMBER, of=_total(when, name), show=_total_shown(when, name))
        for when, suffix in (("before", ""), ("after", " after"))
        for name in ("posted", "available_min", "available_max")
    ),
)
"""What accounts have before and after, each in its own currency."""


def preview_document(preview: PayoutPreview) -> dict[str, object]:
    """Returns what would be, for `--json`."""
    accounts = preview.accounts and [_fields(_ACCOUNTS, account) for account in preview.accounts]
    return {"payout": _fields(PAYOUTS, preview.payout), "changes": preview.changes, "solvent": preview.solvent, "accounts": accounts}


def payout_document(payout: Payout, events: Sequence[PayoutEvent], acts: Sequence[AuditedAct]) -> dict[str, object]:
    """The payout with what was published about it and who did what and why, for `--json`."""
    rows: tuple[tuple[str, Sequence[Column], Sequence[object]], ...] = (("events", _EVENTS, events), ("acts", ACTS, acts))
    return _fields(PAYOUTS, payout) | {name: [_fields(columns, each) for each in found] for name, columns, found in rows}


def _fields(columns: Sequence[Column], row: object) -> dict[str, object]:
    return {each.name: each.value(row) for each in columns}


def _summary(payout: Payout, verb: str = "is") -> Iterator[str]:
    details = f": {payout.cancel_details}" if payout.cancel_details else ""
    amount, fee = (f"{minor(each, payout.currency)} {payout.currency}" for each in (payout.amount, payout.fee))
    yield from prose(f"payout {payout.payout_id} {verb} {payout.status.value}{details}")
    yield from prose(f"{amount} to tool {payout.payout_tool_id} of party {payout.party_id}, shop {payout.shop_id}")
    yield from prose(f"fee {fee}; created {moment(payout.created_at)} UTC")


def _kind(posting: CashFlowPosting) -> str:
    kind = KIND_OF.get((posting.source_type, posting.target_type))
    return kind.value if kind else ""


def _amount(row: Any) -> str:
    return minor(row.amount, row.currency)


_FLOW: Final = (
    Column("source", "from", show=lambda each: f"{each.source_type.value} {each.source}"),
    Column("target", "to", show=lambda each: f"{each.target_type.value} {each.target}"),
    Column("source_type", kind=Fit.HIDDEN),
    Column("target_type", kind=Fit.HIDDEN),
    Column("amount_minor", "amount", Fit.NUMBER, of=lambda each: each.amount, show=_amount),
    Column("currency"),
    Column("kind", "is", of=_kind),
    Column("details", kind=Fit.TEXT),
)
_EVENTS: Final = (Column("sequence", "event"), Column("at", "time (UTC)"), Column("status"))
PAYOUTS: Final = (
    Column("payout_id", "payout"),
    Column("status"),
    Column("amount_minor", "amount", Fit.NUMBER, of=lambda each: each.amount, show=_amount),
    Column("fee_minor", "fee", Fit.NUMBER, of=lambda each: each.fee, show=lambda each: minor(each.fee, each.currency)),
    Column("currency"),
    Column("created_at", "created"),
    Column("party_id", "party"),
    Column("shop_id", "shop"),
    Column("payout_tool_id", kind=Fit.HIDDEN),
    Column("cancel_details", kind=Fit.HIDDEN),
    Column("sequence", kind=Fit.HIDDEN),
    Column("cash_flow", kind=Fit.HIDDEN, of=lambda each: [{part.name: part.value(row) for part in _FLOW} for row in each.cash_flow]),
)
