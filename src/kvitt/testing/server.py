"""The PostgreSQL server of a test run, and databases on it: each test gets a migrated one of its own, copied from a template.

KVITT_TEST_POSTGRES names a server to use instead of an embedded one; its user must be allowed to create databases.
"""

import atexit
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Final
from uuid import uuid4

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kvitt.kernel.database import connect
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.postgres import EmbeddedServer
from kvitt.kernel.postgres.ownership import is_owned

GIVEN: Final = "KVITT_TEST_POSTGRES"
_PREFIX: Final = "kvitt-test-"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
_ROOM_BYTES: Final = 4 << 30
_OLD_SECONDS: Final = 600.0
_FAST_AND_FORGETFUL: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "512MB",
    "max_connections": "200",
}
"""Nothing of a test is worth a sync; what is about durability starts a server of its own."""


class TestServer:
    """A PostgreSQL server and the databases that tests make on it; usable from many threads."""

    __test__ = False

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._owned = ExitStack()
        self._lock = threading.Lock()

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
        """Conninfo of a fresh, migrated database, dropped after the block."""
        with self.new_database(template=str(conninfo_to_dict(self.template)["dbname"])) as conninfo:
            yield conninfo

    @contextmanager
    def new_database(self, *, template: str = "template0") -> Iterator[str]:
        """Conninfo of a database copied from `template` (default: nothing in it), dropped after the block."""
        name = f"test_{uuid4().hex[:12]}"
        names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
        with connect(self.conninfo, application="kvitt tests") as connection:
            # The copy of a file is faster than its way through the log, where nothing is synced.
            connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy").format(**names))
        try:
            yield make_conninfo(self.conninfo, dbname=name)
        finally:
            with connect(self.conninfo, application="kvitt tests") as connection:
                connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))

    def close(self) -> None:
        """Drops the template."""
        self._owned.close()


@contextmanager
def server() -> Iterator[TestServer]:
    """A server for the block: the one that KVITT_TEST_POSTGRES names, else an embedded one in a directory that is removed afterwards."""
    with ExitStack() as opened:
        conninfo = os.environ.get(GIVEN)
        if not conninfo:
            directory = opened.enter_context(directory_for_server())
            conninfo = opened.enter_context(EmbeddedServer(directory, settings=_FAST_AND_FORGETFUL)).conninfo
        running = TestServer(conninfo)
        opened.callback(running.close)
        yield running


_shared: dict[int, TestServer] = {}
_starting = threading.Lock()


def shared_server() -> TestServer:
    """The one server of this process, started when first asked for and stopped when the process ends."""
    with _starting:
        # A child that was forked must not stop its parent's server: it has one of its own.
        process = os.getpid()
        if process not in _shared:
            opened = ExitStack()
            _shared[process] = opened.enter_context(server())
            atexit.register(lambda: opened.close() if os.getpid() == process else None)
        return _shared[process]


@contextmanager
def directory_for_server(*, in_memory: bool = True) -> Iterator[Path]:
    """A temporary directory that other users may enter, as a server run for root by another user must; in memory where there is room.

    A database is some 550 files: to make them takes 10 ms in memory and up to 300 ms on a disk that others use as well.
    """
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_roomy_memory() if in_memory else None))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _roomy_memory() -> Path | None:
    """The file system in memory, if it may be used and has room; None: where temporary files are. What killed runs left there goes."""
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return None
    if not os.access(_MEMORY, os.W_OK | os.X_OK) or found.f_bavail * found.f_frsize < _ROOM_BYTES:
        return None
    _remove_abandoned(_MEMORY)
    return _MEMORY


def _remove_abandoned(place: Path) -> None:
    for directory in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - directory.stat().st_mtime > _OLD_SECONDS and not is_owned(directory):
                shutil.rmtree(directory)
