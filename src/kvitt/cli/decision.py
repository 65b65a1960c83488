"""`kvitt decision`: what came in by calls for a case: ids, the decision before, who called, what was done, and the orders."""

import sys
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

import click

from kvitt.cli.arguments import NUMBER
from kvitt.cli.ids import SchemeName, case_of
from kvitt.cli.listing import READ_AHEAD, Column, Fit, described, json_option, limit_option, print_json, print_list, prose, terminal_width
from kvitt.cli.operator import reasoned
from kvitt.cli.shell import BAD_RESULT, connected, example, located, opened, print_page
from kvitt.cli.text import kroner
from kvitt.cli.wiring import wiring
from kvitt.disbursement.decision_listing import CaseTerms, DecisionShown, decision_in, decisions_of, terms_of
from kvitt.disbursement.decisions import DecisionKey
from kvitt.disbursement.migrate_case import IdsAfterMoves, MigrateCase, Move
from kvitt.disbursement.values import Payment, PaymentId, Refusal, Scheme
from kvitt.errors import CaseNotFound, NotFound
from kvitt.kernel.clock import utc_now
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings


def _named(key: DecisionKey | None) -> str:
    return "/".join(part for part in key or () if part)


def _refused(found: DecisionShown) -> str:
    return f"[{found.facts.refused_status}] {found.facts.refused_text}" if found.facts.refused_status else ""


def _orders(found: DecisionShown) -> list[dict[str, object]]:
    return [{"order_id": each.order_id, "number": each.number, "area": each.area, "state": each.state} for each in found.orders]


DECISIONS: Final = (
    Column("message_no", "message", of=lambda found: found.facts.message_no),
    Column("decision_id", kind=Fit.HIDDEN, of=lambda found: found.key and found.key[0]),
    Column("part_id", kind=Fit.HIDDEN, of=lambda found: (found.key and found.key[1]) or None),
    Column("payment_id", kind=Fit.HIDDEN, of=lambda found: None if found.key else found.under),
    Column("decision", of=lambda found: _named(found.key) or found.under, seen_only=True),
    Column("previous_decision_id", kind=Fit.HIDDEN, of=lambda found: found.previous and found.previous[0]),
    Column("previous_part_id", kind=Fit.HIDDEN, of=lambda found: (found.previous and found.previous[1]) or None),
    Column("previous", of=lambda found: _named(found.previous), seen_only=True),
    Column("contract", kind=Fit.HIDDEN, of=lambda found: found.facts.contract),
    Column("operation", of=lambda found: found.facts.operation),
    Column("outcome", of=lambda found: found.facts.outcome),
    Column("state", of=lambda found: found.facts.state),
    Column("application", of=lambda found: found.facts.application),
    Column("caseworker", of=lambda found: found.facts.caseworker),
    Column(
        "by_approver", "approver", of=lambda found: found.facts.by_approver, show=lambda found: "yes" if found.facts.by_approver else ""
    ),
    Column("received_at", "received", of=lambda found: found.facts.received_at),
    Column("answered_at", kind=Fit.HIDDEN, of=lambda found: found.facts.answered_at),
    Column("refused_status", kind=Fit.HIDDEN, of=lambda found: found.facts.refused_status),
    Column("refused_text", kind=Fit.HIDDEN, of=lambda found: found.facts.refused_text),
    Column(
        "orders",
        kind=Fit.TEXT,
        of=_orders,
        show=lambda found: ", ".join(f"{each.area} {each.number} {each.state}" for each in found.orders),
    ),
    Column("refused", kind=Fit.TEXT, of=_refused, seen_only=True),
)
"""They name no person that is paid; `--body` has what was posted."""
_ONE: Final = (
    Column("scheme", of=lambda found: found.facts.scheme),
    Column("case_id", "case", of=lambda found: found.facts.case_id),
    *DECISIONS,
)


@click.group(
    epilog=example(
        "kvitt decision list dp AZ111",
        "kvitt decision list ts TS-7... --received --json",
        "kvitt decision show 17",
        "kvitt decision show 17 --body",
    )
)
def decision() -> None:
    """Look at decisions and payments that were posted over REST: what each said, who posted it, and what became of it; move their cases."""


@decision.command("list", epilog=example("kvitt decision list dp AZ111", "kvitt decision list ts TS-7... --received --json"))
@click.argument("scheme", type=SchemeName())
@click.argument("case_id", metavar="CASE_ID")
@click.option("--received", is_flag=True, help="Only what was received for good: the chain of decisions.")
@limit_option
@json_option
@located
def list_decisions(settings: Settings, *, scheme: Scheme, case_id: str, received: bool, limit: int, as_json: bool) -> None:
    """List what was posted for a case, newest first, refused and repeated calls too, with whose the case is and its frame.

    SCHEME is dp, aap, ts, tp, historisk, valp or syk, or the name on the wire. A CASE_ID that ends with ... is the beginning of one.
    """
    with opened(settings) as conninfo, connected(conninfo, application="kvitt decision") as connection:
        named = case_of(connection, scheme, case_id)
        terms = terms_of(connection, scheme, named)
        if terms is None:
            raise CaseNotFound(scheme.value, named)
        found = decisions_of(connection, wiring().ports.contracts, scheme, named, received=received, limit=limit + READ_AHEAD)
    if not as_json:
        print_page(_terms_lines(scheme, named, terms))
    print_list(DECISIONS, found, limit=limit, as_json=as_json, nothing="nothing was posted for the case over REST")


def _terms_lines(scheme: Scheme, case_id: str, terms: CaseTerms) -> Iterator[str]:
    owner = f"belongs to {terms.contract}" if terms.contract else "belongs to nobody yet"
    start = f"from {terms.frame_start}" if terms.frame_start else ""
    cap = f"up to {kroner(terms.cap_kroner)} a day" if terms.cap_kroner is not None else ""
    frame = f"; without an approver it pays {' '.join(filter(None, (start, cap)))}" if start or cap else ""
    yield from prose(f"{scheme.value} case {case_id} {owner}{frame}")


@decision.command(
    epilog=example("kvitt decision show 17", "kvitt decision show 17 --json", "kvitt decision show 17 --body > decision.json")
)
@click.argument("number", type=NUMBER)
@click.option("--body", "only_body", is_flag=True, help="Only the bytes that were posted; they name the person.")
@json_option
@located
def show(settings: Settings, *, number: int, only_body: bool, as_json: bool) -> None:
    """Show the decision in message NUMBER: its ids, the decision before it, who posted it, what was done, and its orders."""
    with opened(settings) as conninfo, connected(conninfo, application="kvitt decision") as connection:
        found = decision_in(connection, wiring().ports.contracts, number)
    if found is None:
        raise NotFound(f"no decision was posted in message {number}")
    if only_body:
        sys.stdout.buffer.write(found.body)
    elif as_json:
        print_json(_ONE, [found])
    else:
        print_page(described(_ONE, found, terminal_width()))


@decision.command(
    epilog=example(
        'kvitt decision migrate aap AZ111 --from utbetalinger --to helved --payment OLD=NEW --dry-run --by kari --reason "as agreed"'
    )
)
@click.argument("scheme", type=SchemeName())
@click.argument("case_id", metavar="CASE_ID")
@click.option("--from", "owner", required=True, metavar="CONTRACT", help="The contract that the case belongs to, as decision list says it.")
@click.option("--to", "contract", required=True, metavar="CONTRACT", help="The contract that changes it from then on.")
@click.option(
    "--payment", "payments", multiple=True, required=True, metavar="OLD=NEW", help="A payment's id, and the one it goes on under."
)
@click.option("--dry-run", is_flag=True, help="Say what would be, and change nothing.")
@reasoned
@located
def migrate(
    settings: Settings,
    *,
    scheme: Scheme,
    case_id: str,
    owner: str,
    contract: str,
    payments: tuple[str, ...],
    dry_run: bool,
    by: str,
    reason: str,
) -> None:
    """Move a case to another contract, with its chains, whose last lines stay as the rail has them. Nothing is sent.

    SCHEME is dp, aap, ts, tp, historisk, valp or syk, or the name on the wire. Exit status 1 when it is refused.
    """
    names = {each.name for each in wiring().ports.contracts}
    if unknown := sorted({owner, contract} - names):
        raise click.UsageError(f"no contract is called {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    ids = dict(map(_renamed, payments))
    operator = Operator(by, reason)

    def choose(found: Sequence[Payment], _: IdsAfterMoves) -> Sequence[Move]:
        return [Move(each.payment_id, PaymentId(new), new) for each in found if (new := ids.get(each.payment_id))]

    with opened(settings) as conninfo, connected(conninfo, application="kvitt decision") as connection:
        key, way = (scheme, case_of(connection, scheme, case_id)), (owner, contract)
        cases = MigrateCase(connection, utc_now, wiring().ports.contracts)
        moved = cases.run(key, way, choose, by=operator.name, reason=operator.reason, dry_run=dry_run)
    if isinstance(moved, Refusal):
        click.echo(f"[{moved.status}] {moved.text}", err=True)
        sys.exit(BAD_RESULT)
    did = "moved" if moved.done else "would be moved" if dry_run else "was moved before"
    for each in moved.payments:
        click.echo(f"{did}: payment {each.payment_id}, whose last line is {each.last_line}")


def _renamed(text: str) -> tuple[str, str]:
    """Raises UsageError for what is not two ids."""
    try:
        old, new = (str(UUID(part)) for part in text.split("="))
    except ValueError:
        raise click.UsageError(f"--payment names two ids, OLD=NEW, and not {text}") from None
    return old, new
