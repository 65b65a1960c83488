"""Connections that go on to whoever opens the next one like it, as from a pool before the server: else each would learn all tables anew.

Only to databases that are used again (support.used_again), and only what was left in order: no transaction, no pipeline. Whatever a session
can have (locks, settings, prepared statements, temporary tables, what it listens to) is gone before another has it.
"""

import os
import select
import threading
from collections import defaultdict
from typing import Any, Final, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn

Opened = frozenset[tuple[str, str]]
"""With what a connection was opened: database, application, settings."""
_LEFT_IN_ORDER: Final = (TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR)
_MOST_OF_A_KIND: Final = 8


class Kept:
    """What is kept of each database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._databases: dict[str, defaultdict[Opened, list[PGconn]]] = {}

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
                each.finish()

    def processes(self, database: str) -> list[int]:
        """The server's processes behind what is kept."""
        with self._lock:
            return [each.backend_pid for connections in self._databases.get(database, {}).values() for each in connections]

    def take(self, opened: Opened) -> PGconn | None:
        """A connection that was opened so and still lives."""
        with self._lock:
            database = self._of(opened)
            while database and (kept := database[opened]):
                if _lives(found := kept.pop()):
                    return found
                found.finish()
        return None

    def leave(self, opened: Opened, connection: PGconn) -> bool:
        """Whether the connection was in order, and is kept."""
        if self._of(opened) is None or not _is_reset(connection):
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

    def _of(self, opened: Opened) -> defaultdict[Opened, list[PGconn]] | None:
        return self._databases.get(dict(opened).get("dbname", ""))


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
    done = connection.exec_(b"DISCARD ALL").status == ExecStatus.COMMAND_OK
    while connection.notifies():
        pass
    return done and connection.status == ConnStatus.OK


class KeptConnection(psycopg.Connection[Any]):
    """A connection that may have been somebody's before, and may be somebody's after."""

    _opened: Opened = frozenset()

    @classmethod
    def connect(cls, conninfo: str = "", *, autocommit: bool = False, **given: Any) -> Self:
        """As psycopg's."""
        opened = frozenset((name, str(value)) for name, value in {**conninfo_to_dict(conninfo), **given}.items())
        found = KEPT.take(opened)
        made = super().connect(conninfo, autocommit=autocommit, **given) if found is None else cls(found)
        made._opened, made._autocommit = opened, autocommit
        return made

    def close(self) -> None:
        """As psycopg's, to whoever has it; what was left in order goes on to the next."""
        if self.closed:
            return
        left, self.pgconn, self._closed = self.pgconn, _ended(), True
        if not KEPT.leave(self._opened, left):
            left.finish()


def _ended() -> PGconn:
    ended = pq.PGconn.connect_start(b"host=/")
    ended.finish()
    return ended


def keep_connections() -> None:
    """Has all connections of this process opened so; a process that is forked has none of them."""
    psycopg.connect = KeptConnection.connect
    os.register_at_fork(after_in_child=KEPT.forget)
