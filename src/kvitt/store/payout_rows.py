"""The rows that payouts write; the order of the fields is the order of the statement's columns in `payouts.sql`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from kvitt.kernel.queries import load
from kvitt.money import Minor

_SQL = load("payouts", "kvitt.store")


class PayoutRow(NamedTuple):
    """A new payout."""

    payout_id: str
    sequence: int
    created_at: datetime
    party_id: str
    shop_id: str
    status: str
    payout_tool_id: str
    amount: Minor
    fee: Minor
    currency: str
    ledger: str
    plan_id: str
    head: bytes
    last_at: datetime


class CashFlowRow(NamedTuple):
    """A movement of a new payout."""

    payout_id: str
    position: int
    source_type: str
    source: int
    target_type: str
    target: int
    amount: Minor
    currency: str
    details: str | None


class PayoutStep(NamedTuple):
    """A payout that has come to another status; `reversal_plan_id` None leaves the one that it has."""

    payout_id: str
    sequence: int
    status: str
    cancel_details: str | None
    reversal_plan_id: str | None
    head: bytes
    last_at: datetime


class EventRow(NamedTuple):
    """What is told of a change, with the hash that links it to the event before, and who asked for the change."""

    payout_id: str
    sequence: int
    at: datetime
    status: str
    body: bytes
    hash: bytes
    actor: str | None


Row = PayoutRow | CashFlowRow | PayoutStep | EventRow
_STATEMENTS = {
    PayoutRow: _SQL.add_payouts,
    CashFlowRow: _SQL.add_cash_flow,
    PayoutStep: _SQL.step_payouts,
    EventRow: _SQL.add_events,
}


def write(cursor: psycopg.Cursor[Any], rows: Sequence[Row]) -> int:
    """Writes rows of one kind in one statement; gives how many rows of the store that were, which the caller compares for steps."""
    if not rows:
        return 0
    cursor.execute(_STATEMENTS[type(rows[0])], [list(column) for column in zip(*rows, strict=True)], binary=True)
    return cursor.rowcount
