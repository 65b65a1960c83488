"""Connections that go on to whoever opens the next one like it, as from a pool before the server: else each would learn all tables anew.

Only to databases that are used again (support.used_again), and only what was left in order: no pipeline, nothing under way. Whatever a
session can have (locks, settings, temporary tables, what it listens to) is gone before another has it; what psycopg has prepared stays so.
"""

import os
import select
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Self

import psycopg
from psycopg import pq
from psycopg._preparing import PrepareManager
from psycopg.abc import Params, Query
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn

SMALL_BYTES: Final = 16 * 8192
"""What a table of a short test stays below."""

_RESET: Final = (
    b"CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP"
)
_CHECK: Final = ("application_name", "kvitt check")
_IS_SMALL: Final = f"""
SELECT NOT EXISTS (SELECT FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND pg_relation_size(oid) > {SMALL_BYTES})
""".encode()

Opened = frozenset[tuple[str, str]]
"""With what a connection was opened: database, application, settings."""
_LEFT_IN_ORDER: Final = (TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR)
_MOST_OF_A_KIND: Final = 8


class LeftConnection(NamedTuple):
    """A connection of libpq, and what psycopg has prepared on it."""

    libpq: PGconn
    prepared: PrepareManager


class Kept:
    """What is kept of each database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._databases: dict[str, defaultdict[Opened, list[LeftConnection]]] = {}

    def begin(self, database: str) -> None:
        """From now on connections to a database of this name are kept."""
        with self._lock:
            self._databases[database] = defaultdict(list)

    def end(self, database: str) -> None:
        """Closes what is kept, and keeps no more."""
        with self._lock:
            kept = self._databases.pop(database, None)
        for connections in (kept or {}).values():
            for each in connections:
                each.libpq.finish()

    def processes(self, database: str) -> list[int]:
        """The server's processes behind what is kept."""
        with self._lock:
            return [each.libpq.backend_pid for connections in self._databases.get(database, {}).values() for each in connections]

    def take(self, opened: Opened) -> LeftConnection | None:
        """A connection that was opened so and still lives."""
        with self._lock:
            database = self._of(opened)
            while database and (kept := database[opened]):
                if _lives((found := kept.pop()).libpq):
                    return found
                found.libpq.finish()
        return None

    def leave(self, opened: Opened, connection: LeftConnection) -> bool:
        """Whether the connection was in order, and is kept."""
        if self._of(opened) is None or not _is_reset(connection.libpq):
            return False
        with self._lock:
            database = self._of(opened)
            if database is None or len(database[opened]) >= _MOST_OF_A_KIND:
                return False
            database[opened].append(connection)
            return True

    def forget(self) -> None:
        """Keeps nothing any more, and leaves what was kept to the process that has opened it."""
        self._lock, self._databases = threading.Lock(), {}

    def keeps(self, opened: Opened) -> bool:
        """Whether such a connection may be kept."""
        return self._of(opened) is not None

    def _of(self, opened: Opened) -> defaultdict[Opened, list[LeftConnection]] | None:
        # What is between us and the server, as some tests have it, may fall silent: only the server itself is sure to answer.
        given = dict(opened)
        return self._databases.get(given.get("dbname", "")) if given.get("host", "").startswith("/") else None


KEPT: Final = Kept()


def _lives(connection: PGconn) -> bool:
    """What the server ended can be read from; nothing else has come."""
    looking = select.poll()
    looking.register(connection.socket, select.POLLIN)
    return connection.status == ConnStatus.OK and not looking.poll(0)


def _is_reset(connection: PGconn) -> bool:
    if connection.transaction_status not in _LEFT_IN_ORDER or connection.pipeline_status != PipelineStatus.OFF or not _lives(connection):
        return False
    connection.notice_handler = connection.notify_handler = None
    if connection.transaction_status != TransactionStatus.IDLE:
        connection.exec_(b"ROLLBACK")
    done = connection.exec_(_RESET).status == ExecStatus.COMMAND_OK
    while connection.notifies():
        pass
    return done and connection.status == ConnStatus.OK


class PreparingCursor(psycopg.Cursor[Any]):
    """Prepares also what is read row by row."""

    def stream(self, query: Query, params: Params | None = None, *, binary: bool | None = None, size: int = 1) -> Iterator[Any]:
        """As psycopg's, which prepares nothing; all rows are fetched at once, whatever `size`."""
        assert size
        yield from self.execute(query, params, prepare=True, binary=bool(binary))  # type: ignore[arg-type]


class KeptConnection(psycopg.Connection[Any]):
    """A connection that may have been somebody's before, and may be somebody's after."""

    _opened: Opened = frozenset()

    @classmethod
    def connect(cls, conninfo: str = "", *, autocommit: bool = False, **given: Any) -> Self:
        """As psycopg's."""
        opened = frozenset((name, str(value)) for name, value in {**conninfo_to_dict(conninfo), **given}.items())
        if found := KEPT.take(opened):
            made = cls(found.libpq)
            made._prepared = found.prepared
        else:
            made = super().connect(conninfo, autocommit=autocommit, **given)
        made._opened, made._autocommit = opened, autocommit
        if _CHECK in opened and KEPT.keeps(opened):
            made._keep_plans()
        return made

    def _keep_plans(self) -> None:
        """Has what a check asks planned once, where so little is stored that any plan will do: that takes most of a check of a few rows."""
        self._prepared.prepared_max = 1_000
        if self.pgconn.exec_(_IS_SMALL).get_value(0, 0) == b"t":
            self.pgconn.exec_(b"SET plan_cache_mode = force_generic_plan")
            self.cursor_factory = PreparingCursor

    def close(self) -> None:
        """As psycopg's, to whoever has it; what was left in order goes on to the next."""
        if self.closed:
            return
        left = LeftConnection(self.pgconn, self._prepared)
        self.pgconn, self._closed = _ended(), True
        if not KEPT.leave(self._opened, left):
            left.libpq.finish()


def _ended() -> PGconn:
    ended = pq.PGconn.connect_start(b"host=/")
    ended.finish()
    return ended


def keep_connections() -> None:
    """Has all connections of this process opened so; a process that is forked has none of them."""
    psycopg.connect = KeptConnection.connect
    os.register_at_fork(after_in_child=KEPT.forget)
