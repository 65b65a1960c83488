"""A payout, a list of them, and what an act would do, as pages."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table

from kvitt.hub.payouts.preview import Preview
from kvitt.hub.payouts.values import Payout, PayoutEvent
from kvitt.rules.payouts import KIND_OF


def payout_page(payout: Payout, events: Sequence[PayoutEvent]) -> Iterator[RenderableType]:
    """The payout, its movements, and what was told of it."""
    yield from _summary(payout)
    yield _flow(payout)
    told = Table("event", "time (UTC)", "status", box=box.SIMPLE_HEAD)
    for event in events:
        told.add_row(str(event.sequence), f"{event.at:%Y-%m-%d %H:%M:%S}", event.status.value)
    yield told


def preview_page(preview: Preview) -> Iterator[RenderableType]:
    """What would move, and what the accounts would have."""
    payout = preview.payout
    if not preview.changes:
        yield f"payout {payout.payout_id} is {payout.status.value} already; nothing would be done"
        return
    yield from _summary(payout, "would be")
    yield _flow(payout)
    if preview.accounts is None:
        yield "the accounts are in another ledger, which is not asked by a dry run"
        return
    table = Table("account", box=box.SIMPLE_HEAD)
    for name in ("own", "least", "most", "own after", "least after", "most after"):
        table.add_column(name, justify="right")
    for account in preview.accounts:
        table.add_row(str(account.account_id), *(f"{amount:,}" for amount in (*account.before, *account.after)))
    yield table
    yield "nothing was done" if preview.solvent else "it would be refused: the shop has not that much (insufficient_funds)"


def list_page(payouts: Sequence[Payout]) -> Table:
    """One line for each payout."""
    table = Table("payout", "created", "party", "shop", "status", box=box.SIMPLE_HEAD)
    for name in ("amount", "fee"):
        table.add_column(name, justify="right")
    table.add_column("currency")
    for each in payouts:
        created = f"{each.created_at:%Y-%m-%d %H:%M:%S}"
        row = (each.payout_id, created, each.party_id, each.shop_id, each.status.value)
        table.add_row(*row, f"{each.amount:,}", f"{each.fee:,}", each.currency)
    return table


def _summary(payout: Payout, verb: str = "is") -> Iterator[str]:
    details = f": {payout.cancel_details}" if payout.cancel_details else ""
    yield f"payout {payout.payout_id} {verb} {payout.status.value}{details}"
    yield f"{payout.amount:,} {payout.currency} to tool {payout.payout_tool_id} of party {payout.party_id}, shop {payout.shop_id}"
    yield f"fee {payout.fee:,} {payout.currency}; created {payout.created_at:%Y-%m-%d %H:%M:%S} UTC"


def _flow(payout: Payout) -> Table:
    table = Table("from", "to", box=box.SIMPLE_HEAD)
    table.add_column("amount", justify="right")
    for name in ("currency", "is", "details"):
        table.add_column(name)
    for each in payout.cash_flow:
        kind = KIND_OF.get((each.source_type, each.target_type))
        sides = (f"{each.source_type.value} {each.source}", f"{each.target_type.value} {each.target}")
        table.add_row(*sides, f"{each.amount:,}", each.currency, kind.value if kind else "", each.details or "")
    return table
