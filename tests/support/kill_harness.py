"""A hub as its own process, and the ways to kill it: at a named place, at any moment, or its database below it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from msgspec import Struct

from kvitt.kernel.database import connect
from kvitt.kernel.postgres import running_server
from support.doomed_process import Forked
from support.patience import PATIENCE_SECONDS, until

KVITT = "from kvitt.app.main import main; main()"
Row = tuple[object, ...]
IS_SOAK = "KVITT_SOAK_SECONDS" in os.environ
"""Whether it is measured how soon work goes on: then each process begins as anybody's does, and imports all that it needs."""


class Process:
    """A kvitt command as a process of its own; `die_at` names a place and a visit, e.g. `send.after_put:3`."""

    def __init__(self, arguments: Sequence[str], log: Path, die_at: str = "") -> None:
        self.started_at = time.monotonic()
        environment = {**os.environ, "KVITT_DIE_AT": die_at, "KVITT_LOG_LEVEL": "warning"}
        self._process = (_started if IS_SOAK else Forked)(arguments, log, environment)

    @property
    def is_dead(self) -> bool:
        return self._process.poll() is not None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self.started_at

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, like the loss of a machine's power to this process alone; returns when it is gone."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def await_death(self) -> None:
        """Returns when the process has killed itself; fails when it ended otherwise."""
        until(lambda: self.is_dead, what="the place at which to die was not reached")
        assert self._process.returncode == -signal.SIGKILL, f"the hub ended with status {self._process.returncode}"

    def end(self) -> int | None:
        """SIGTERM; returns the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_SECONDS)


def _started(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", KVITT, *arguments]
    with log.open("ab") as output:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=output, stdin=subprocess.DEVNULL)


class Child(Process):
    """`kvitt up` on a data directory."""

    def __init__(self, data: Path, log: Path, die_at: str = "") -> None:
        super().__init__(["up", "--data", str(data)], log, die_at)
        self.data = data

    def kill_database(self) -> None:
        """SIGKILL to the postmaster, below the hub that goes on living."""
        first_line = (self.data / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()[0]
        os.kill(int(first_line), signal.SIGKILL)


def worker_pids(first_process: int) -> dict[int, int]:
    """The process ids of the workers that a hub's first process has now, by their numbers."""
    found = {}
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            arguments = command.read_bytes().split(b"\0")
            parent = int(command.with_name("stat").read_text("ascii", "replace").rpartition(")")[2].split()[1])
            if parent == first_process and b"kvitt.app.worker" in arguments:
                found[int(arguments[-2].removeprefix(b"worker="))] = int(command.parent.name)
    return found


class Resumed(Struct, frozen=True):
    """After what kind of kill work went on, and how many seconds after the new process began or the database was killed."""

    after: str
    seconds: float


class Watch:
    """Looks at what a hub has committed, over a connection that is opened anew whenever it is lost."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._connection: psycopg.Connection[Row] | None = None

    def rows(self, query: str, *arguments: object) -> list[Row] | None:
        """The rows of a query; None while there is no server."""
        try:
            if self._connection is None or self._connection.closed:
                conninfo = running_server(self._data)
                if conninfo is None:
                    return None
                self._connection = connect(conninfo, application="kvitt watch")
            return self._connection.execute(query.encode(), arguments or None).fetchall()
        except psycopg.OperationalError:
            self.forget()
            return None

    def forget(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def progress(self) -> int | None:
        """A number that grows with every record taken in and every record published; None while nobody can tell."""
        rows = self.rows(_PROGRESS)
        return None if rows is None else int(str(rows[0][0]))


_PROGRESS = """
SELECT (SELECT coalesce(sum(position), 0) FROM leases WHERE lease LIKE 'intake:%')
     + (SELECT coalesce(sum(next_position), 0) FROM log_partitions WHERE topic = 'helved.status.v1')
"""


@contextmanager
def watching(data: Path) -> Iterator[Watch]:
    """A watch for as long as the block runs."""
    watch = Watch(data)
    try:
        yield watch
    finally:
        watch.forget()
