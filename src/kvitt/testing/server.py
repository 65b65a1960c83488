"""The PostgreSQL server of a test run, and databases on it: each test gets a migrated one of its own, copied from a template.

KVITT_TEST_POSTGRES names a server to use instead of an embedded one; its user must be allowed to create databases.
"""

import atexit
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Any, Final
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kvitt.kernel.database import connect
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.postgres import EmbeddedServer
from kvitt.testing.scratch import scratch_directory

GIVEN: Final = "KVITT_TEST_POSTGRES"
_FAST_AND_FORGETFUL: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
    "max_connections": "200",
    "autovacuum": "off",
}
"""Nothing of a test is worth a sync, and a long log would fill memory; what is about durability starts a server of its own. Databases live
for moments: what would look through them all for something to tidy up finds them gone, or changes plans while a test looks on."""

_JUST_LEFT: Final = 2
"""So many databases of blocks that have ended stay for a while."""


class TestServer:
    """A PostgreSQL server and the databases that tests make on it; usable from many threads."""

    __test__ = False

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._owned = ExitStack()
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._left: deque[str] = deque()

    @cached_property
    def _template(self) -> str:
        """Conninfo of a migrated database to copy from; PostgreSQL copies it only while nobody is connected to it."""
        conninfo = self._owned.enter_context(self.new_database(template="template0"))
        upgrade(conninfo)
        return conninfo

    @property
    def template(self) -> str:
        """Conninfo of the migrated database that the others are copied from; made when first asked for, never to be connected to."""
        with self._lock:
            return self._template

    @contextmanager
    def database(self) -> Iterator[str]:
        """Conninfo of a fresh, migrated database, dropped some time after the block."""
        with self.new_database(template=str(conninfo_to_dict(self.template)["dbname"])) as conninfo:
            yield conninfo

    @contextmanager
    def copy(self, conninfo: str) -> Iterator[str]:
        """Conninfo of a copy of one of these databases, as it stands and with nobody connected to it; dropped some time after the block."""
        with self.new_database(template=str(conninfo_to_dict(conninfo)["dbname"])) as copied:
            yield copied

    @contextmanager
    def new_database(self, *, template: str = "template0") -> Iterator[str]:
        """Conninfo of a database copied from `template` (default: nothing in it), dropped some time after the block.

        That is when another one is made, or at the end: while backends of it are just ending, the server would sleep a tenth of a second.
        """
        name = f"test_{uuid4().hex[:12]}"
        names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
        self._drop_all_but(_JUST_LEFT)
        # The copy of a file is faster than its way through the log, where nothing is synced.
        self._execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy").format(**names))
        try:
            yield make_conninfo(self.conninfo, dbname=name)
        finally:
            self._left.append(name)

    def _drop_all_but(self, newest: int) -> None:
        while len(self._left) > newest:
            with suppress(IndexError):
                self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self._left.popleft())))

    def _execute(self, statement: sql.Composed) -> None:
        """One after the other on one connection, which is made anew when it was lost."""
        with self._turn:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self.conninfo, application="kvitt tests")
            self._connection.execute(statement)

    def close(self) -> None:
        """Drops the template, and what else is left."""
        self._owned.close()
        self._drop_all_but(0)
        if self._connection is not None:
            self._connection.close()


@contextmanager
def server() -> Iterator[TestServer]:
    """A server for the block: the one that KVITT_TEST_POSTGRES names, else an embedded one in a directory that is removed afterwards."""
    with ExitStack() as opened:
        conninfo = os.environ.get(GIVEN)
        if not conninfo:
            directory = opened.enter_context(scratch_directory())
            conninfo = opened.enter_context(EmbeddedServer(directory, settings=_FAST_AND_FORGETFUL)).conninfo
        running = TestServer(conninfo)
        opened.callback(running.close)
        yield running


_shared: dict[int, tuple[TestServer, ExitStack]] = {}
_starting = threading.Lock()


def shared_server() -> TestServer:
    """The one server of this process, started when first asked for; it ends with the process, or by `close_shared_server`."""
    with _starting:
        # A child that was forked has a server of its own, and must not stop its parent's.
        process = os.getpid()
        if process not in _shared:
            opened = ExitStack()
            _shared[process] = (opened.enter_context(server()), opened)
            atexit.register(close_shared_server)
        return _shared[process][0]


def close_shared_server() -> None:
    """Stops the server of this process, if it has one; the next that asks starts another."""
    with _starting:
        if found := _shared.pop(os.getpid(), None):
            found[1].close()
