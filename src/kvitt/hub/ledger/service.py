"""The ledger as doors use it: calls share transactions by group commit, and looks take a connection from a pool (design §4)."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime

from kvitt.hub.ledger.calls import State
from kvitt.hub.ledger.post import Command, Post, Result
from kvitt.hub.ledger.read import Ledger
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection, pool
from kvitt.kernel.executor import ReconnectingWriter
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.metrics import METRICS
from kvitt.rules.ledger import Totals

_MAX_BATCH, _MAX_WAITING = 512, 8192
_READERS = 4


class LedgerService:
    """Takes commands and questions from many threads; close it when done."""

    def __init__(self, conninfo: str, clock: Clock, *, payout_plans: bool = False) -> None:
        """`payout_plans`: callers may hold plans under the names that payouts have; see `Post`."""
        self._conninfo, self._clock = conninfo, clock
        self._writers: GroupCommit[Command, Result | Exception] = GroupCommit(
            lambda _: self._writer(payout_plans), max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="ledger"
        )
        self._lookers: GroupCommit[int, State | None] = GroupCommit(
            lambda _: ReconnectingWriter(conninfo, "kvitt accounts", _states_on).execute,
            max_batch=_MAX_BATCH,
            max_waiting=_MAX_WAITING,
            name="accounts",
        )
        self._pool = pool(conninfo, application="kvitt ledger", size=_READERS)

    def _writer(self, payout_plans: bool) -> Callable[[Sequence[Command]], Sequence[Result | Exception]]:
        writer = ReconnectingWriter(
            self._conninfo, "kvitt ledger", lambda connection: Post(connection, self._clock, payout_plans=payout_plans).execute
        )

        def execute(batch: Sequence[Command]) -> Sequence[Result | Exception]:
            results = writer.execute(batch)
            METRICS.batch("ledger", len(batch))
            return results

        return execute

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


def _states_on(connection: Connection) -> Callable[[Sequence[int]], Sequence[State | None]]:
    """What looks many accounts up at once on a connection."""

    def execute(batch: Sequence[int]) -> Sequence[State | None]:
        found = Ledger(connection).states(set(batch))
        return [found.get(account_id) for account_id in batch]

    return execute
