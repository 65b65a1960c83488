"""Serves the ledger to many threads: calls share transactions by group commit, and looks take a connection from a pool (design §4)."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime

from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection, pool
from kvitt.kernel.executor import ReconnectingWriter
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.metrics import METRICS
from kvitt.ledger.calls import AccountState, LedgerCommand, LedgerResult
from kvitt.ledger.post import LedgerWriter, ReservedPlans
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import Totals

_MAX_BATCH, _MAX_WAITING = 512, 8192
_READERS = 4


class LedgerService:
    """Takes commands and questions from many threads; close it when done."""

    def __init__(self, conninfo: str, clock: Clock, reserved: ReservedPlans | None = None) -> None:
        """`reserved` finds the plans that are kept for somebody else; see `LedgerWriter`."""
        self._conninfo, self._clock = conninfo, clock
        self._writers: GroupCommit[LedgerCommand, LedgerResult | Exception] = GroupCommit(
            lambda _: self._writer(reserved), max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="ledger"
        )
        self._reader: ReconnectingWriter[int, AccountState | None] = ReconnectingWriter(conninfo, "kvitt accounts", _states_on)
        self._readers: GroupCommit[int, AccountState | None] = GroupCommit(
            lambda _: self._reader.execute_again, max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="accounts"
        )
        self._pool = pool(conninfo, application="kvitt ledger", size=_READERS)

    def _writer(self, reserved: ReservedPlans | None) -> Callable[[Sequence[LedgerCommand]], Sequence[LedgerResult | Exception]]:
        writer = ReconnectingWriter(
            self._conninfo, "kvitt ledger", lambda connection: LedgerWriter(connection, self._clock, reserved).execute
        )

        def execute(batch: Sequence[LedgerCommand]) -> Sequence[LedgerResult | Exception]:
            results = writer.execute(batch)
            METRICS.batch("ledger", len(batch))
            return results

        return execute

    def submit(self, command: LedgerCommand) -> "Future[LedgerResult | Exception]":
        """Hands in a call or a new account; the result is durable when it comes. It is an exception when kvitt itself failed on it;
        the future fails with a psycopg error when the database is away, and the same command may then be given again.
        """
        return self._writers.submit(command)

    def account(self, account_id: int) -> "Future[AccountState | None]":
        """An account with its latest totals, or None; many looks share a query."""
        return self._readers.submit(account_id)

    @contextmanager
    def reading(self) -> Iterator[LedgerReader]:
        """Lends a reader of everything else. Raises psycopg errors when the database is away."""
        with self._pool.connection() as connection:
            yield LedgerReader(connection)

    def totals_before(self, account_id: int, moment: datetime) -> Totals:
        """The totals that an account had just before a moment, as the reader has them. Raises AccountNotFound, and psycopg errors."""
        with self.reading() as ledger:
            return ledger.totals_before(account_id, moment, self._clock())

    def close(self) -> None:
        """Does what waits, then closes the connections."""
        self._writers.close()
        self._readers.close()
        self._reader.close()
        self._pool.close()


def _states_on(connection: Connection) -> Callable[[Sequence[int]], Sequence[AccountState | None]]:
    """Makes a function that looks many accounts up at once on a connection."""

    def execute(batch: Sequence[int]) -> Sequence[AccountState | None]:
        found = LedgerReader(connection).states(set(batch))
        return [found.get(account_id) for account_id in batch]

    return execute
