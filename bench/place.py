"""Where benchmarks run: a durable embedded server in a temporary directory, and a fresh database for each benchmark."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench.report import Durability
from bench.spent import Meter
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.postgres import EmbeddedServer

_TEMPLATE = "bench_template"
_LOG_MIB_AT_ONCE, _LOG_TIMES = 8, 200


class Place:
    """A running server with a migrated template database."""

    def __init__(self, conninfo: str, directory: Path, pid: int) -> None:
        """`pid` is the process of the server that starts all others of it."""
        self._server, self.directory, self._pid = conninfo, directory, pid
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        upgrade(make_conninfo(conninfo, dbname=_TEMPLATE))
        self._age()

    def _age(self) -> None:
        """Makes the server write and recycle its log once: a fresh one stands still for 50 ms at every new file of it."""
        with connect(self._server, application="kvitt bench") as connection:
            for _ in range(_LOG_TIMES):
                connection.execute("SELECT pg_logical_emit_message(false, 'bench', repeat('x', %s))", (_LOG_MIB_AT_ONCE * 1024 * 1024,))
            connection.execute("CHECKPOINT")

    def _execute(self, statement: sql.Composed) -> None:
        with connect(self._server, application="kvitt bench") as connection:
            connection.execute(statement)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Conninfo of a fresh, migrated database, dropped afterwards."""
        name = f"bench_{uuid4().hex[:12]}"
        names = {"name": sql.Identifier(name), "template": sql.Identifier(_TEMPLATE)}
        self._execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy").format(**names))
        try:
            yield make_conninfo(self._server, dbname=name)
        finally:
            self._execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))

    def meter(self) -> Meter:
        """Of this server."""
        return Meter(self._pid, self._log_position)

    def _log_position(self) -> int:
        with connect(self._server, application="kvitt bench") as connection:
            return int(fetch_value(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def durability(self) -> Durability:
        """The settings of this server, asked for and not assumed."""
        with connect(self._server, application="kvitt bench") as connection:
            shown = {name: str(connection.execute(f"SHOW {name}").fetchone()[0]) for name in Durability.__struct_fields__}  # type: ignore[index]
        return Durability(**shown)


@contextmanager
def place() -> Iterator[Place]:
    """Starts the server in a directory that is removed afterwards; nothing of its durability is turned off."""
    directory = Path(tempfile.mkdtemp(prefix="kvitt-bench-"))
    # The server of root runs as another user, who must be able to get here.
    directory.chmod(0o755)
    try:
        with EmbeddedServer(directory) as server:
            yield Place(server.conninfo, directory, server.pid)
    finally:
        shutil.rmtree(directory)
