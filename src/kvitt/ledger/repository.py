"""The ledger's rows: locked in sorted order and read by name, and all that a transaction writes in one statement.

The kinds join: each has a table of its own, but new plans and those that move, which are never the same ones.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Minor
from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row
from kvitt.ledger.calls import (
    Account,
    AccountState,
    Done,
    StepKey,
)
from kvitt.ledger.rules import Batch, Posting, Totals

SQL: Final = load("ledger", "kvitt.ledger")


class LockedAccountRow(Struct, frozen=True):
    """An account whose row is locked, with the number and the moment of its last entry."""

    account: Account
    totals: Totals
    entries: int
    last_at: datetime


class LockedPlanRow(Struct, frozen=True):
    """A plan whose row is locked."""

    plan_id: str
    state: str
    changed_at: datetime


class StoredPosting(Struct, frozen=True):
    """A posting with the batch that it is of."""

    plan_id: str
    batch_id: int
    source: int
    target: int
    amount: Minor
    currency: str
    description: str


class StepResultRow(Struct, frozen=True):
    """An account as a step left it."""

    plan_id: str
    operation: str
    batch_id: int
    at: datetime
    account: Account
    totals: Totals


class PlanRow(Row, frozen=True):
    """A plan that is held for the first time."""

    statement = SQL.add_plans
    joins = True
    plan_id: str
    state: str
    held_at: datetime
    changed_at: datetime


class PlanUpdate(Row, frozen=True):
    """A plan that has ended, or got another batch."""

    statement = SQL.step_plans
    joins = True
    plan_id: str
    state: str
    changed_at: datetime


class PostingRow(Row, frozen=True):
    """A posting of a new batch."""

    statement = SQL.add_postings
    joins = True
    plan_id: str
    batch_id: int
    position: int
    source: int
    target: int
    amount: Minor
    currency: str
    description: str


class StepRow(Row, frozen=True):
    """A hold or an end, with the entries that it made and who asked; `accounts` and `entries` are arrays in PostgreSQL's text form."""

    statement = SQL.add_steps
    joins = True
    plan_id: str
    operation: str
    batch_id: int
    at: datetime
    accounts: str
    entries: str
    actor: str | None


class EntryRow(Row, frozen=True):
    """The entry that a step made on one account."""

    statement = SQL.add_entries
    joins = True
    account_id: int
    entry: int
    at: datetime
    plan_id: str
    operation: str
    batch_id: int
    posted: Minor
    available_min: Minor
    available_max: Minor


class AccountStep(Row, frozen=True):
    """The totals of an account after a transaction, and its last moment."""

    statement = SQL.step_accounts
    joins = True
    account_id: int
    posted: Minor
    available_min: Minor
    available_max: Minor
    entries: int
    last_at: datetime


def lock_plans(connection: Connection, plan_ids: Collection[str]) -> list[LockedPlanRow]:
    """Locks those of the plans that exist."""
    return fetch(connection, LockedPlanRow, SQL.lock_plans, [sorted(plan_ids)])


def lock_accounts(connection: Connection, account_ids: Collection[int]) -> list[LockedAccountRow]:
    """Locks those of the accounts that exist."""
    return fetch(connection, LockedAccountRow, SQL.lock_accounts, [sorted(account_ids)], account=Account, totals=Totals)


def batches_of(connection: Connection, plan_ids: Sequence[str]) -> dict[str, list[Batch]]:
    """The batches of plans as they were held, by plan, in their order."""
    return batches_by_plan(fetch(connection, StoredPosting, SQL.postings_of_plans, [plan_ids]))


def batches_by_plan(rows: Iterable[StoredPosting]) -> dict[str, list[Batch]]:
    """Postings in their order, gathered by batch and plan."""
    postings: dict[tuple[str, int], list[Posting]] = {}
    for row in rows:
        posting = Posting(row.source, row.target, row.amount, row.currency, row.description)
        postings.setdefault((row.plan_id, row.batch_id), []).append(posting)
    batches: dict[str, list[Batch]] = {}
    for (plan_id, batch_id), each in postings.items():
        batches.setdefault(plan_id, []).append(Batch(batch_id, tuple(each)))
    return batches


def stored_results(connection: Connection, keys: Iterable[StepKey]) -> dict[StepKey, Done]:
    """The answers that were given to stored steps."""
    wanted = sorted(keys)
    columns = [[key[0] for key in wanted], [key[1].value for key in wanted], [key[2] for key in wanted]]
    results: dict[tuple[str, str, int], Done] = {}
    for row in fetch(connection, StepResultRow, SQL.answers_of_steps, columns, account=Account, totals=Totals):
        done = results.setdefault((row.plan_id, row.operation, row.batch_id), Done({}, row.at))
        done.affected[row.account.account_id] = AccountState(row.account, row.totals)
    return {key: results[key] for key in wanted}
