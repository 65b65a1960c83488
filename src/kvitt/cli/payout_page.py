"""A payout, a list of them, and what an act would do, as pages."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from kvitt.cli.act_columns import ACTS
from kvitt.cli.listing import Column, Kind, prose, table, terminal_width
from kvitt.cli.money import minor
from kvitt.cli.text import moment, shown
from kvitt.hub.acts import AuditedAct
from kvitt.hub.payouts.model import Payout, PayoutEvent
from kvitt.hub.payouts.service import AccountPreview, PayoutPreview
from kvitt.rules.payouts import KIND_OF, CashFlowPosting


def payout_page(payout: Payout, events: Sequence[PayoutEvent], acts: Sequence[AuditedAct]) -> Iterator[str]:
    """The payout, its movements, what was told of it, and who did what and why."""
    yield from _summary(payout)
    yield ""
    yield from table(_FLOW, payout.cash_flow, terminal_width())
    yield ""
    yield from table(_EVENTS, events, terminal_width())
    yield ""
    yield from table(ACTS, acts, terminal_width())


def preview_page(preview: PayoutPreview) -> Iterator[str]:
    """What would move, and what the accounts would have."""
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


def _total(when: str, name: str) -> Callable[[AccountPreview], int]:
    return lambda account: int(getattr(getattr(account, when), name))


def _total_shown(when: str, name: str) -> Callable[[AccountPreview], str]:
    total = _total(when, name)
    return lambda account: minor(total(account), account.currency)


_ACCOUNTS: Final = (
    Column("account_id", "account"),
    Column("currency"),
    *(
        Column(f"{name}_{when}_minor", name.replace("_", " ") + suffix, Kind.NUMBER, of=_total(when, name), show=_total_shown(when, name))
        for when, suffix in (("before", ""), ("after", " after"))
        for name in ("posted", "available_min", "available_max")
    ),
)
"""What accounts have before and after, each in its own currency."""


def told(preview: PayoutPreview) -> dict[str, object]:
    """What would be, for `--json`."""
    accounts = preview.accounts and [_fields(_ACCOUNTS, account) for account in preview.accounts]
    return {"payout": _fields(PAYOUTS, preview.payout), "changes": preview.changes, "solvent": preview.solvent, "accounts": accounts}


def told_whole(payout: Payout, events: Sequence[PayoutEvent], acts: Sequence[AuditedAct]) -> dict[str, object]:
    """The payout with what was told of it and who did what and why, for `--json`."""
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
    Column("source_type", kind=Kind.HIDDEN),
    Column("target_type", kind=Kind.HIDDEN),
    Column("amount_minor", "amount", Kind.NUMBER, of=lambda each: each.amount, show=_amount),
    Column("currency"),
    Column("kind", "is", of=_kind),
    Column("details", kind=Kind.TEXT),
)
_EVENTS: Final = (Column("sequence", "event"), Column("at", "time (UTC)"), Column("status"))
PAYOUTS: Final = (
    Column("payout_id", "payout"),
    Column("status"),
    Column("amount_minor", "amount", Kind.NUMBER, of=lambda each: each.amount, show=_amount),
    Column("fee_minor", "fee", Kind.NUMBER, of=lambda each: each.fee, show=lambda each: minor(each.fee, each.currency)),
    Column("currency"),
    Column("created_at", "created"),
    Column("party_id", "party"),
    Column("shop_id", "shop"),
    Column("payout_tool_id", kind=Kind.HIDDEN),
    Column("cancel_details", kind=Kind.HIDDEN),
    Column("sequence", kind=Kind.HIDDEN),
    Column("cash_flow", kind=Kind.HIDDEN, of=lambda each: [{part.name: part.value(row) for part in _FLOW} for row in each.cash_flow]),
)
