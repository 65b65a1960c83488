"""Reads the ledger without changing it: accounts, plans, balances of the past, histories (payouts §4.5)."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct

from kvitt.errors import AccountNotFound, PlanNotFound
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.money import Minor
from kvitt.ledger.accounts import states_of
from kvitt.ledger.calls import Account, AccountState
from kvitt.ledger.repository import SQL, batches_of
from kvitt.ledger.rules import (
    Batch,
    Operation,
    PlanState,
    Totals,
)

_PAGE: Final = 1000


class Plan(Struct, frozen=True):
    """A plan with its batches as they were held, whatever became of it, and when it was held first and changed last."""

    plan_id: str
    state: PlanState
    batches: tuple[Batch, ...]
    held_at: datetime
    changed_at: datetime


class AccountEntry(Struct, frozen=True):
    """One line of an account's history: which step it was, and the totals after it. `batch_id` None: the end of the whole plan."""

    number: int
    at: datetime
    plan_id: str
    operation: Operation
    batch_id: int | None
    totals: Totals


class _PlanHead(Struct, frozen=True):
    state: str
    held_at: datetime
    changed_at: datetime


class _EntryOfAccount(Struct, frozen=True):
    entry: int
    at: datetime
    plan_id: str
    operation: str
    batch_id: int
    posted: Minor
    available_min: Minor
    available_max: Minor

    def value(self) -> AccountEntry:
        operation = Operation(self.operation)
        batch_id = self.batch_id if operation is Operation.HOLD else None
        totals = Totals(self.posted, self.available_min, self.available_max)
        return AccountEntry(number=self.entry, at=self.at, plan_id=self.plan_id, operation=operation, batch_id=batch_id, totals=totals)


class LedgerReader:
    """Reads the ledger on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def account(self, account_id: int) -> AccountState:
        """An account with its latest totals. Raises AccountNotFound."""
        found = fetch_one(self._connection, AccountState, SQL.account, (account_id,), account=Account, totals=Totals)
        if found is None:
            raise AccountNotFound(account_id)
        return found

    def states(self, account_ids: Collection[int]) -> dict[int, AccountState]:
        """Those of the accounts that exist, by id, with their latest totals."""
        return states_of(self._connection, account_ids)

    def accounts(self, after: int = 0, limit: int = _PAGE) -> list[AccountState]:
        """A page of accounts by id, those behind `after`."""
        return fetch(self._connection, AccountState, SQL.list_accounts, {"after": after, "limit": limit}, account=Account, totals=Totals)

    def plan(self, plan_id: str) -> Plan:
        """A plan; waits for whoever is at work on it. Raises PlanNotFound."""
        with self._connection.transaction():
            row = fetch_one(self._connection, _PlanHead, SQL.plan, (plan_id,))
            if row is None:
                raise PlanNotFound(plan_id)
            batches = batches_of(self._connection, [plan_id]).get(plan_id, [])
        return Plan(plan_id, PlanState(row.state), tuple(batches), row.held_at, row.changed_at)

    def totals_before(self, account_id: int, moment: datetime, now: datetime) -> Totals:
        """The totals that an account had just before a moment: zero when nothing had happened to it. Raises AccountNotFound.

        What is answered of a moment that is past at `now` is so for ever: from then on nothing that happens to the account is earlier,
        whatever the clocks say. Of a moment that is still to come it is what the account has so far.
        """
        asked = {"account_id": account_id, "before": moment}
        if moment <= now:
            self._connection.execute(SQL.close_past, asked, binary=True)
        totals = fetch_one(self._connection, Totals, SQL.totals_before, asked)
        if totals is None:
            self.account(account_id)
            return Totals()
        return totals

    def history(self, account_id: int, after: int = 0, limit: int = _PAGE) -> list[AccountEntry]:
        """A page of an account's entries, oldest first, those behind number `after`. Raises AccountNotFound for the first page of none."""
        rows = fetch(self._connection, _EntryOfAccount, SQL.entries_after, {"account_id": account_id, "after": after, "limit": limit})
        if not rows and not after:
            self.account(account_id)
        return [row.value() for row in rows]

    def statement(self, account_id: int, after: int = 0) -> Iterator[AccountEntry]:
        """All entries of an account, page by page, oldest first; memory holds one page."""
        while page := self.history(account_id, after):
            yield from page
            after = page[-1].number
