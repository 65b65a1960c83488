"""Transactions of which it is known whether they were done, also where the connection ends during COMMIT (design §1, §12).

Before COMMIT is sent, an error means that nothing was done. While it is under way, only the server knows. So each transaction first
writes its number on a row that belongs to its connection: whoever finds that number there on a new connection knows that it was
committed, and who finds an earlier one knows that it was not. The row lives and dies with what the transaction wrote. The numbers that
PostgreSQL itself gives to transactions don't: after a crash it may give one that was in use to another transaction.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from uuid import UUID, uuid4
from weakref import WeakKeyDictionary

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from kvitt.errors import ResultUnknown
from kvitt.kernel.database import connect, is_connection_lost
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.queries import load

_SQL = load("commits", "kvitt.kernel")
_log = structlog.get_logger(__name__)
LOOK_SECONDS: Final = 12.0
"""How long it is tried to find out: longer than the server keeps a transaction whose client it has not heard of (PAUSED_MS)."""
_SLEEP_SECONDS: Final = 0.05


class _Marker:
    """The row of one connection: its key, and the number of the connection's latest transaction."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.key: UUID = uuid4()
        self.number = 0
        # Kept while the connection lives; it is asked for when it is dead. Only this way passwords are part of it.
        given = {each.keyword.decode(): each.val.decode() for each in connection.pgconn.info if each.val is not None}
        self.conninfo = make_conninfo(**{name: value for name, value in given.items() if value})
        connection.execute(_SQL.reuse_marker, (self.key,))

    def next(self) -> int:
        self.number += 1
        return self.number


_markers: WeakKeyDictionary[psycopg.Connection[Any], _Marker] = WeakKeyDictionary()
_lock = threading.Lock()


@contextmanager
def transaction(
    connection: psycopg.Connection[Any],
    kind: str = "",
    identity: str = "",
    *,
    seconds: float | None = None,
    first: Callable[[], object] | None = None,
) -> Iterator[psycopg.Transaction]:
    """A transaction as `connection.transaction()`, on a connection in autocommit mode; inside another one it is a part of that.

    `first` sends its first statements, in the round trip that begins it, and reads nothing of what they find.
    When the block ends without an error, all of it was done, though the connection may be closed now. Any psycopg error means that
    nothing was done. Raises ResultUnknown, with what to look for, where that could not be found out within `seconds` (LOOK_SECONDS).
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        with connection.transaction() as inner:
            if first is not None:
                with connection.pipeline():
                    first()
            yield inner
        return
    marker = _marker_of(connection)
    number, committing = marker.next(), False
    try:
        with ExitStack() as stack:
            # One round trip for all of it; what follows, COMMIT above all, is in no pipeline.
            with connection.pipeline():
                outer = stack.enter_context(psycopg.Transaction(connection))
                connection.execute(_SQL.mark, (marker.key, number))
                if first is not None:
                    first()
            yield outer
            committing = True
    except psycopg.Error as error:
        if not committing or not (connection.closed or is_connection_lost(error)):
            raise
        done = _look(marker, number, LOOK_SECONDS if seconds is None else seconds)
        if done is None:
            _log.error("the connection ended during a commit, and it is not known whether that was done", kind=kind)
            raise ResultUnknown(kind, identity) from error
        _log.warning("the connection ended during a commit", done=done)
        if not done:
            raise


def _marker_of(connection: psycopg.Connection[Any]) -> _Marker:
    with _lock:
        marker = _markers.get(connection)
    if marker is None:
        marker = _Marker(connection)
        with _lock:
            _markers[connection] = marker
    return marker


def _look(marker: _Marker, number: int, seconds: float) -> bool | None:
    """Whether the transaction was committed; None when that can't be found out in time, whatever the network does meanwhile."""
    found: Future[bool] = Future()
    deadline = time.monotonic() + seconds
    looking = threading.Thread(target=_ask, args=(marker, number, deadline, found), name="commit", daemon=True)
    looking.start()
    looking.join(seconds)
    return found.result() if found.done() else None


def _ask(marker: _Marker, number: int, deadline: float, found: "Future[bool]") -> None:
    """Asks until there is an answer. The row of a transaction that is not over is waited for."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            with connect(marker.conninfo, application="kvitt commit", lock_timeout_ms=max(1, int(left * 1000))) as connection:
                committed = fetch_value(connection, _SQL.marked, (marker.key,))
        except psycopg.Error as error:
            _log.info("not known yet whether a commit was done", error=type(error).__name__)
            time.sleep(min(_SLEEP_SECONDS, max(0.0, left)))
            continue
        found.set_result(committed >= number)
        return
