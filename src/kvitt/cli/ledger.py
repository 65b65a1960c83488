"""`kvitt ledger`: accounts, their histories, and plans."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import click
from msgspec import Struct
from msgspec.structs import replace

from kvitt.cli.arguments import FROM_ZERO, NUMBER, Whole
from kvitt.cli.ids import plan_of
from kvitt.cli.listing import (
    READ_AHEAD,
    Column,
    Fit,
    json_option,
    limit_option,
    print_described,
    print_json,
    print_list,
    print_table,
    table,
    terminal_width,
)
from kvitt.cli.operator import acting, ask, is_asked_for, operator_of
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import minor
from kvitt.cli.wiring import wiring
from kvitt.formats.times import parse_instant
from kvitt.kernel.clock import utc_now
from kvitt.kernel.identifiers import wrong_id
from kvitt.kernel.money import Minor
from kvitt.ledger import transfer as transfers
from kvitt.ledger.calls import Account, AccountState, NewAccount
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import AccountEntry, LedgerReader, Plan
from kvitt.ledger.rules import InvalidRequest, Posting
from kvitt.ledger.transfer import Transferred
from kvitt.payouts.repository import reserved_plans
from kvitt.settings import Settings

_PAGE: Final = 1000


@click.group(
    epilog=example(
        "kvitt ledger account create --currency RUB --description 'shop-1 settlement' --key shop-1/settlement",
        "kvitt ledger account show 1",
        "kvitt ledger history 1",
        "kvitt ledger plan payout_p-1",
    )
)
def ledger() -> None:
    """Look at the double-entry ledger, and make accounts. Amounts are whole minor units; money moves by payouts and over the APIs."""


@ledger.group(epilog=example("kvitt ledger account create --currency RUB", "kvitt ledger account show 1", "kvitt ledger account list"))
def account() -> None:
    """Make accounts and look at them."""


@account.command(
    "create", epilog=example("kvitt ledger account create --currency RUB", "kvitt ledger account create --currency NOK --key shop-1")
)
@click.option("--currency", required=True, metavar="CODE", help="1 to 4 characters, as on the postings.")
@click.option("--description", metavar="TEXT", help="At most 4096 characters.")
@click.option("--key", metavar="TEXT", help="The same key returns the same account again, however often it is asked for.")
@json_option
@located
def create(settings: Settings, *, currency: str, description: str | None, key: str | None, as_json: bool) -> None:
    """Make an account and print its id."""

    if key is not None and (wrong := wrong_id(key)):
        raise click.BadParameter(wrong, param_hint="--key")
    with wiring().database(settings, own=False, upgrade_it=settings.database_url is None) as conninfo, connected(conninfo) as connection:
        (made,) = LedgerWriter(connection, utc_now).execute([NewAccount(currency, description, None, key)])
    if isinstance(made, InvalidRequest):
        raise click.UsageError(made.error)
    if not isinstance(made, Account):
        raise made if isinstance(made, Exception) else TypeError(type(made).__name__)
    print_json([Column("account_id")], [made]) if as_json else click.echo(made.account_id)


@account.command("show", epilog=example("kvitt ledger account show 1", "kvitt ledger account show 1 --at 2026-11-20T00:00:00Z"))
@click.argument("account_id", metavar="ACCOUNT", type=NUMBER)
@click.option("--at", metavar="INSTANT", help="What it had just before a moment: its totals then.")
@json_option
@located
def show(settings: Settings, *, account_id: int, at: str | None, as_json: bool) -> None:
    """Print an account: what is posted, and what is available at least and at most as open plans may end."""

    moment = _moment(at) if at else None
    with opened(settings) as conninfo, connected(conninfo) as connection:
        found = LedgerReader(connection).account(account_id)
        if moment:
            found = replace(found, totals=LedgerReader(connection).totals_before(account_id, moment, utc_now()))
    _print_account(found, as_json=as_json)


@account.command("list", epilog=example("kvitt ledger account list", "kvitt ledger account list --after 1000 --limit 100"))
@click.option("--after", default=0, type=FROM_ZERO, show_default=True, help="Those with a greater id.")
@limit_option
@json_option
@located
def list_accounts(settings: Settings, *, after: int, limit: int, as_json: bool) -> None:
    """List accounts by id."""

    with opened(settings) as conninfo, connected(conninfo) as connection:
        found = LedgerReader(connection).accounts(after, limit + READ_AHEAD)
    print_list(_ACCOUNT, found, limit=limit, as_json=as_json, nothing="there are no such accounts")


@ledger.command(
    epilog=example("kvitt ledger history 1", "kvitt ledger history 1 --after 5000 --limit 100", "kvitt ledger history 1 --all --json")
)
@click.argument("account_id", metavar="ACCOUNT", type=NUMBER)
@click.option("--after", default=0, type=FROM_ZERO, show_default=True, help="Those behind this number.")
@limit_option
@click.option("--all", "whole", is_flag=True, help="The whole statement, streamed.")
@json_option
@located
def history(settings: Settings, *, account_id: int, after: int, limit: int, whole: bool, as_json: bool) -> None:
    """Print what happened to an account, oldest first, with the totals after each step."""

    with opened(settings) as conninfo, connected(conninfo) as connection:
        ledger = LedgerReader(connection)
        columns = _entry_columns(ledger.account(account_id).account.currency)
        if not whole:
            found = ledger.history(account_id, after, limit + READ_AHEAD)
            print_list(columns, found, limit=limit, as_json=as_json, nothing="nothing happened to it")
        elif as_json:
            print_json(columns, ledger.statement(account_id, after))
        else:
            _print_entries(ledger.statement(account_id, after), columns)


@ledger.command(epilog=example("kvitt ledger plan payout_p-1", "kvitt ledger plan payout_p-1 --json"))
@click.argument("plan_id", metavar="PLAN_ID")
@json_option
@located
def plan(settings: Settings, *, plan_id: str, as_json: bool) -> None:
    """Print a plan: whether it is held, committed or rolled back, and its postings as they were held."""

    with opened(settings) as conninfo, connected(conninfo) as connection:
        found = LedgerReader(connection).plan(plan_of(connection, plan_id))
    if as_json:
        print_json(_PLAN, [found])
    else:
        _print_plan(found)


def _moment(text: str) -> datetime:

    try:
        return parse_instant(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None


def _total(name: str, currency_of: Callable[[Any], str], least: int = 0) -> Column:
    """One of the three totals of a row; `currency_of` returns the currency of the row's account."""

    def total(row: Any) -> Minor:
        return Minor(getattr(row.totals, name))

    return Column(f"{name}_minor", name.replace("_", " "), Fit.NUMBER, total, lambda each: minor(total(each), currency_of(each)), least)


_TOTALS: Final = ("posted", "available_min", "available_max")
_ACCOUNT: Final = (
    Column("account_id", "account", of=lambda state: state.account.account_id),
    Column("currency", of=lambda state: state.account.currency),
    *(_total(name, lambda state: str(state.account.currency)) for name in _TOTALS),
    Column("created_at", "created", of=lambda state: state.account.created_at),
    Column("description", kind=Fit.TEXT, of=lambda state: state.account.description),
)


def _entry_columns(currency: str) -> Sequence[Column]:
    """The columns of a statement; widths that hold over its pages, which are printed as they are read."""
    return (
        Column("number", "no", least=6),
        Column("at", least=19),
        Column("operation", least=9),
        Column("batch_id", "batch", least=5),
        *(_total(name, lambda _: currency, least=16) for name in _TOTALS),
        Column("plan_id", "plan", Fit.TEXT),
    )


_POSTING: Final = (
    Column("batch_id", "batch", of=lambda each: each[0]),
    Column("source", "from", of=lambda each: each[1].source),
    Column("target", "to", of=lambda each: each[1].target),
    Column("amount_minor", "amount", Fit.NUMBER, of=lambda each: each[1].amount, show=lambda each: minor(each[1].amount, each[1].currency)),
    Column("currency", of=lambda each: each[1].currency),
    Column("description", kind=Fit.TEXT, of=lambda each: each[1].description),
)
_PLAN: Final = (
    Column("plan_id", "plan"),
    Column("state"),
    Column("held_at", "held"),
    Column("changed_at", "changed"),
    Column("postings", kind=Fit.HIDDEN, of=lambda plan: [{each.name: each.value(row) for each in _POSTING} for row in _postings(plan)]),
)


def _postings(plan: Plan) -> list[tuple[int, Posting]]:
    return [(batch.batch_id, posting) for batch in plan.batches for posting in batch.postings]


def _print_account(found: AccountState, *, as_json: bool) -> None:
    if as_json:
        print_json(_ACCOUNT, [found])
    else:
        print_table(_ACCOUNT, [found])


def _print_entries(entries: Iterable[AccountEntry], columns: Sequence[Column]) -> None:
    """Page by page, so that memory holds one; the heading stands above the first."""
    headed, left = True, iter(entries)
    while page := list(islice(left, _PAGE)):
        for line in table(columns, page, terminal_width(), headed=headed):
            click.echo(line)
        headed = False


def _print_plan(found: Plan) -> None:
    print_described(_PLAN, found)
    click.echo()
    print_table(_POSTING, _postings(found))


_AS_SHOWN = 'kvitt ledger transfer sales-27 --from 11 --to 1 --amount 1000000 --currency RUB --description "sales of 27 November"'


class _Line(Struct, frozen=True):
    """An account before and after, in whole minor units."""

    account_id: int
    currency: str
    posted_before: Minor
    posted_after: Minor
    available_min_before: Minor
    available_min_after: Minor
    changed: bool
    dry_run: bool


def _money(name: str, title: str) -> Column:
    return Column(
        f"{name}_minor",
        title,
        Fit.NUMBER,
        of=lambda each: getattr(each, name),
        show=lambda each: minor(getattr(each, name), each.currency),
    )


_LINES: Sequence[Column] = (
    Column("account_id", "account"),
    Column("currency"),
    _money("posted_before", "posted before"),
    _money("posted_after", "posted after"),
    _money("available_min_before", "available min before"),
    _money("available_min_after", "available min after"),
    Column("changed", kind=Fit.HIDDEN),
    Column("dry_run", kind=Fit.HIDDEN),
)


@ledger.command(
    epilog=example(
        f"{_AS_SHOWN} --dry-run", f'{_AS_SHOWN} \\\n      --by kari --approved-by ola --reason "the acquirer\'s file of 27 November"'
    )
)
@click.argument("plan_id", metavar="PLAN")
@click.option("--from", "source", required=True, type=NUMBER, metavar="ACCOUNT", help="The account that pays; it may go below zero.")
@click.option("--to", "target", required=True, type=NUMBER, metavar="ACCOUNT", help="The account that gets it.")
@click.option("--amount", required=True, type=Whole(1, 2**63 - 1), metavar="MINOR", help="In whole minor units: 1000000 are 10,000.00 RUB.")
@click.option("--currency", required=True, metavar="CODE", help="The currency of both accounts.")
@click.option("--description", required=True, metavar="TEXT", help="What it is, as the posting says it.")
@acting
@click.option("--dry-run", is_flag=True, help="Show what both accounts would have; do nothing.")
@json_option
@located
def transfer(
    settings: Settings,
    *,
    plan_id: str,
    source: int,
    target: int,
    amount: int,
    currency: str,
    description: str,
    by: str | None,
    approved_by: str | None,
    reason: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Move an amount from one account to another, under the name PLAN: the same transfer again moves nothing."""

    operator = None if dry_run else operator_of(by, reason, approved_by)
    wanted = transfers.Transfer(plan_id, source, target, Minor(amount), currency, description)
    with (
        wiring().database(settings, own=False, upgrade_it=settings.database_url is None) as conninfo,
        connected(conninfo, "kvitt transfer") as connection,
    ):
        if operator and is_asked_for():
            ask(settings, connection, "ledger transfer", wanted, operator)
            return
        done = transfers.transfer(connection, utc_now, wanted, operator, reserved_plans)
    lines = _lines(done, dry_run=dry_run)
    if as_json:
        print_json(_LINES, lines)
        return
    print_table(_LINES, lines)
    if dry_run:
        click.echo("nothing was done" if done.changed else "it was done before under this name; nothing would move")
    else:
        click.echo(
            f"{minor(wanted.amount, currency)} {currency} moved" if done.changed else "it was done before under this name; nothing moved"
        )


def _lines(done: Transferred, *, dry_run: bool) -> list[_Line]:
    return [
        _Line(
            before.account.account_id,
            before.account.currency,
            before.totals.posted,
            after.totals.posted,
            before.totals.available_min,
            after.totals.available_min,
            done.changed,
            dry_run,
        )
        for before, after in zip(done.before, done.after, strict=True)
    ]
