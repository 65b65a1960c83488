"""A PostgreSQL server as a part of kvitt: made at the first start, kept running, ended with its owner."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from kvitt.errors import ServerDidNotStart
from kvitt.kernel.database import RETRY_SECONDS, connect
from kvitt.kernel.postgres.binaries import Binaries, find_binaries
from kvitt.kernel.postgres.identity import Identity, choose_identity
from kvitt.kernel.postgres.leftovers import cluster_name, end_leftovers
from kvitt.kernel.postgres.ownership import Ownership
from kvitt.kernel.postgres.places import (
    Places,
    forget_sockets_elsewhere,
    make_places,
    socket_directory,
)
from kvitt.kernel.postgres.settings import effective_settings, server_arguments
from kvitt.kernel.postgres.supervisor import Supervisor

DATABASE: Final = "kvitt"
START_SECONDS: Final = 300.0
"""How long a start may take: after a crash PostgreSQL replays up to `max_wal_size` of log first."""

FAILED_STARTS: Final = 3
"""How often the server may end before it ever answered; then the fault isn't one that passes."""

LOG_TAIL_BYTES: Final = 2000


class EmbeddedServer:
    """The server in `data_dir`; a context manager that starts on entry and stops on exit.

    `binaries` names a directory with PostgreSQL's programs (default: the best found); `settings` overrule ours by name.
    """

    def __init__(self, data_dir: Path, *, binaries: Path | None = None, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._data_dir = data_dir.absolute()
        self._wanted_binaries = binaries
        self._asked_settings = dict(settings)
        self._ownership = Ownership(self._data_dir)
        self._supervisor: Supervisor | None = None
        self._places: Places | None = None
        self.conninfo = ""

    @property
    def pid(self) -> int:
        """Process id of the server at this moment (it changes when the server had to be started again); 0 when it isn't running."""
        return self._supervisor.pid if self._supervisor else 0

    def start(self) -> str:
        """Start the server, making its cluster and the database `kvitt` at the first start; return the conninfo.

        From then on it is started again by itself whenever it ends. Raises DataDirectoryInUse, NoPostgresBinaries or ServerDidNotStart;
        after an error nothing is running and the directory is free.
        """
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._ownership.take()
        except OSError as error:
            raise ServerDidNotStart(f"the data directory {self._data_dir} can't be used: {error}") from error
        try:
            self._start_owned()
        except BaseException:
            self.stop()
            raise
        self._ownership.announce(self.conninfo)
        return self.conninfo

    def stop(self) -> None:
        """Stop the server within seconds and give the directory free; harmless when it isn't running."""
        if self._supervisor:
            self._supervisor.stop()
            self._supervisor = None
        if self._places:
            forget_sockets_elsewhere(self._places)
        self._ownership.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_owned(self) -> None:
        places = self._places = make_places(self._data_dir)
        binaries = find_binaries(places.cluster, self._wanted_binaries)
        identity = choose_identity(places.cluster, places.sockets, binaries.postgres)
        if not places.cluster.exists():
            _make_cluster(places, binaries, identity)
        end_leftovers(places.cluster, places.sockets)
        sockets = socket_directory(places, identity)
        self.conninfo = make_conninfo("", host=str(sockets), user=DATABASE, dbname=DATABASE)
        settings = effective_settings(binaries, identity, places.cluster, self._asked_settings)
        arguments = server_arguments(settings, cluster=places.cluster, sockets=sockets, name=cluster_name(places.cluster))
        command = identity.command(places.cluster, binaries.postgres, *arguments, parent=os.getpid())
        self._supervisor = Supervisor(command, places.log, lambda: end_leftovers(places.cluster, sockets))
        self._supervisor.start()
        self._await_first_answer(self._supervisor, places.log)
        _make_database(self.conninfo)

    def _await_first_answer(self, supervisor: Supervisor, log: Path) -> None:
        conninfo = make_conninfo(self.conninfo, dbname="postgres")
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connect(conninfo, application="kvitt start").close()
                return
            except psycopg.OperationalError as error:
                if supervisor.ends >= FAILED_STARTS or time.monotonic() > deadline:
                    raise ServerDidNotStart(f"PostgreSQL in {self._data_dir} did not start; {log} says: {_tail(log)}") from error
            time.sleep(RETRY_SECONDS)


def _make_cluster(places: Places, binaries: Binaries, identity: Identity) -> None:
    """Make a new cluster; one whose making was cut short is thrown away and made again."""
    unfinished = places.unfinished_cluster
    if unfinished.exists():
        shutil.rmtree(unfinished)
    identity.own(unfinished)
    # The same order of text and the same upper and lower case on every machine, whatever its locales.
    same_everywhere = (
        ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.major >= 17 else ["--locale=C.UTF-8"]
    )
    arguments = ["-D", str(unfinished), "-U", DATABASE, "-A", "trust", "-E", "UTF8", "--no-instructions", *same_everywhere]
    made = subprocess.run(identity.command(unfinished, binaries.initdb, *arguments), check=False, capture_output=True, text=True, cwd="/")
    if made.returncode != 0:
        places.log.write_text(made.stdout + made.stderr, encoding="utf-8")
        raise ServerDidNotStart(f"initdb failed in {unfinished}; {places.log} says: {_tail(places.log)}")
    unfinished.rename(places.cluster)


def _make_database(conninfo: str) -> None:
    with connect(make_conninfo(conninfo, dbname="postgres"), application="kvitt start") as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if not known:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _tail(log: Path) -> str:
    """The end of the log, from a whole line on."""
    if not log.exists():
        return "nothing"
    return log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip() or "nothing"
