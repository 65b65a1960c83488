"""The rows that the ledger writes; the order of the fields is the order of the statement's columns in `ledger.sql`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from kvitt.kernel.queries import load
from kvitt.money import Minor

_SQL = load("ledger", "kvitt.store")


class PlanRow(NamedTuple):
    """A plan that is held for the first time."""

    plan_id: str
    state: str
    held_at: datetime
    changed_at: datetime


class PlanStep(NamedTuple):
    """A plan that has ended, or got another batch."""

    plan_id: str
    state: str
    changed_at: datetime


class PostingRow(NamedTuple):
    """A posting of a new batch."""

    plan_id: str
    batch_id: int
    position: int
    source: int
    target: int
    amount: Minor
    currency: str
    description: str


class StepRow(NamedTuple):
    """A hold or an end, with the entries that it made and who asked; `accounts` and `entries` are arrays in PostgreSQL's text form."""

    plan_id: str
    operation: str
    batch_id: int
    at: datetime
    accounts: str
    entries: str
    actor: str | None


class EntryRow(NamedTuple):
    """What a step did to one account."""

    account_id: int
    entry: int
    at: datetime
    plan_id: str
    operation: str
    batch_id: int
    posted: Minor
    available_min: Minor
    available_max: Minor


class AccountStep(NamedTuple):
    """The totals of an account after a transaction, and its last moment."""

    account_id: int
    posted: Minor
    available_min: Minor
    available_max: Minor
    entries: int
    last_at: datetime


Row = PlanRow | PlanStep | PostingRow | StepRow | EntryRow | AccountStep
_STATEMENTS = {
    PlanRow: _SQL.add_plans,
    PlanStep: _SQL.step_plans,
    PostingRow: _SQL.add_postings,
    StepRow: _SQL.add_steps,
    EntryRow: _SQL.add_entries,
    AccountStep: _SQL.step_accounts,
}


def write(cursor: psycopg.Cursor[Any], rows: Sequence[Row]) -> None:
    """Writes rows of one kind in one statement; does nothing without rows."""
    if rows:
        cursor.execute(_STATEMENTS[type(rows[0])], [list(column) for column in zip(*rows, strict=True)], binary=True)
