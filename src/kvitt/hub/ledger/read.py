"""What the ledger can be asked without changing it: accounts, plans, balances of the past, histories (payouts §4.5)."""

from collections.abc import Collection, Iterator
from datetime import datetime

from msgspec import Struct

from kvitt.errors import AccountNotFound, PlanNotFound
from kvitt.hub.ledger.calls import Account, State
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load
from kvitt.money import Minor
from kvitt.rules.ledger import Batch, Operation, PlanState, Posting, Totals

_SQL = load("ledger", "kvitt.store")
_PAGE = 1000


class Plan(Struct, frozen=True):
    """A plan with its batches as they were held, whatever became of it, and when it was held first and changed last."""

    plan_id: str
    state: PlanState
    batches: tuple[Batch, ...]
    held_at: datetime
    changed_at: datetime


class Entry(Struct, frozen=True):
    """One line of an account's history: which step it was, and the totals after it. `batch_id` None: the end of the whole plan."""

    number: int
    at: datetime
    plan_id: str
    operation: Operation
    batch_id: int | None
    totals: Totals


class Ledger:
    """Looks into the ledger, on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def account(self, account_id: int) -> State:
        """An account with its latest totals. Raises AccountNotFound."""
        row = self._connection.execute(_SQL.account, (account_id,), binary=True).fetchone()
        if row is None:
            raise AccountNotFound(account_id)
        return State(Account(*row[:4]), Totals(*row[4:7]))

    def states(self, account_ids: Collection[int]) -> dict[int, State]:
        """Those of the accounts that exist, by id, with their latest totals."""
        rows = self._connection.execute(_SQL.accounts, (list(account_ids),), binary=True)
        return {row[0]: State(Account(*row[:4]), Totals(*row[4:7])) for row in rows}

    def accounts(self, after: int = 0, limit: int = _PAGE) -> list[State]:
        """A page of accounts by id, those behind `after`."""
        rows = self._connection.execute(_SQL.list_accounts, {"after": after, "limit": limit}, binary=True)
        return [State(Account(*row[:4]), Totals(*row[4:7])) for row in rows]

    def plan(self, plan_id: str) -> Plan:
        """A plan; waits for whoever is at work on it. Raises PlanNotFound."""
        with self._connection.transaction():
            row = self._connection.execute(_SQL.plan, (plan_id,), binary=True).fetchone()
            if row is None:
                raise PlanNotFound(plan_id)
            batches: dict[int, list[Posting]] = {}
            for _, batch_id, *posting in self._connection.execute(_SQL.postings_of_plans, ([plan_id],), binary=True):
                batches.setdefault(batch_id, []).append(Posting(*posting))
        held = tuple(Batch(batch_id, tuple(postings)) for batch_id, postings in batches.items())
        return Plan(plan_id, PlanState(row[0]), held, row[1], row[2])

    def totals_before(self, account_id: int, moment: datetime, now: datetime) -> Totals:
        """The totals that an account had just before a moment: zero when nothing had happened to it. Raises AccountNotFound.

        What is answered of a moment that is past at `now` is so for ever: from then on nothing that happens to the account is earlier,
        whatever the clocks say. Of a moment that is still to come it is what the account has so far.
        """
        if moment <= now:
            self._connection.execute(_SQL.close_past, {"account_id": account_id, "before": moment}, binary=True)
        row = self._connection.execute(_SQL.totals_before, {"account_id": account_id, "before": moment}, binary=True).fetchone()
        if row is None:
            self.account(account_id)
            return Totals()
        return Totals(*row)

    def history(self, account_id: int, after: int = 0, limit: int = _PAGE) -> list[Entry]:
        """A page of an account's entries, oldest first, those behind number `after`. Raises AccountNotFound for the first page of none."""
        rows = self._connection.execute(
            _SQL.entries_after, {"account_id": account_id, "after": after, "limit": limit}, binary=True
        ).fetchall()
        if not rows and not after:
            self.account(account_id)
        return [_entry(*row) for row in rows]

    def statement(self, account_id: int, after: int = 0) -> Iterator[Entry]:
        """All entries of an account, page by page, oldest first; memory holds one page."""
        while page := self.history(account_id, after):
            yield from page
            after = page[-1].number


def _entry(number: int, at: datetime, plan_id: str, operation: str, batch_id: int, *totals: Minor) -> Entry:
    done = Operation(operation)
    return Entry(number, at, plan_id, done, batch_id if done is Operation.HOLD else None, Totals(*totals))
