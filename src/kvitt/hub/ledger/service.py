"""The ledger as doors use it: calls share transactions by group commit, and looks take a connection from a pool (design §4)."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg

from kvitt.hub.ledger.calls import State
from kvitt.hub.ledger.post import Command, Name, Post, Result
from kvitt.hub.ledger.read import Ledger
from kvitt.hub.submit import Clock
from kvitt.kernel.database import (
    LOCK_MS,
    TRANSACTION_MS,
    connect,
    is_connection_lost,
    pool,
)
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.metrics import WORK
from kvitt.rules.ledger import Totals

_MAX_BATCH, _MAX_WAITING = 512, 8192
_READERS = 4


class LedgerService:
    """Takes commands and questions from many threads; close it when done."""

    def __init__(self, conninfo: str, clock: Clock, *, payout_plans: bool = False) -> None:
        """`payout_plans`: callers may hold plans under the names that payouts have; see `Post`."""
        self._conninfo, self._clock = conninfo, clock
        self._writers: GroupCommit[Command, Result | Exception] = GroupCommit(
            lambda _: _Writer(conninfo, clock, payout_plans=payout_plans), max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="ledger"
        )
        self._lookers: GroupCommit[int, State | None] = GroupCommit(
            lambda _: _Looker(conninfo), max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="accounts"
        )
        self._pool = pool(conninfo, application="kvitt ledger", size=_READERS)

    def submit(self, command: Command) -> "Future[Result | Exception]":
        """Hands in a call or a new account; the result is durable when it comes. It is an exception when kvitt itself failed on it;
        the future fails with a psycopg error when the database is away, and the same command may then be given again.
        """
        return self._writers.submit(command)

    def account(self, account_id: int) -> "Future[State | None]":
        """An account with its latest totals, or None; many looks share a query."""
        return self._lookers.submit(account_id)

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """Everything else that can be looked at. Raises psycopg errors when the database is away."""
        with self._pool.connection() as connection:
            yield Ledger(connection)

    def totals_before(self, account_id: int, moment: datetime) -> Totals:
        """The totals that an account had just before a moment, as `Ledger.totals_before`. Raises AccountNotFound, and psycopg errors."""
        with self.reading() as ledger:
            return ledger.totals_before(account_id, moment, self._clock())

    def close(self) -> None:
        """Does what waits, then closes the connections."""
        self._writers.close()
        self._lookers.close()
        self._pool.close()


class _Held:
    """A connection of one thread, opened anew after it was lost."""

    def __init__(self, conninfo: str, application: str) -> None:
        self._conninfo, self._application = conninfo, application
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def use(self) -> Iterator[psycopg.Connection[Any]]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._conninfo, application=self._application, transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS
            )
        try:
            yield self._connection
        except psycopg.Error as error:
            if is_connection_lost(error):
                self._connection.close()
                self._connection = None
            raise


class _Writer:
    def __init__(self, conninfo: str, clock: Clock, *, payout_plans: bool) -> None:
        self._held, self._clock, self._payout_plans = _Held(conninfo, "kvitt ledger"), clock, payout_plans
        self._locked: set[Name] = set()

    def __call__(self, batch: Sequence[Command]) -> Sequence[Result | Exception]:
        with self._held.use() as connection:
            results = Post(connection, self._clock, payout_plans=self._payout_plans, held=self._locked)(batch)
        WORK.batch("ledger", len(batch))
        return results


class _Looker:
    def __init__(self, conninfo: str) -> None:
        self._held = _Held(conninfo, "kvitt accounts")

    def __call__(self, batch: Sequence[int]) -> Sequence[State | None]:
        with self._held.use() as connection:
            found = Ledger(connection).states(set(batch))
        return [found.get(account_id) for account_id in batch]
