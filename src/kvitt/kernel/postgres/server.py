"""A PostgreSQL server as a part of kvitt: made at the first start, kept running, ended with its owner.

Nothing that was committed may be lost, nobody outside the machine may connect; what it keeps lies below a data directory.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.conninfo import make_conninfo

from kvitt.errors import ServerDidNotStart
from kvitt.kernel.database import RETRY_SECONDS, connect
from kvitt.kernel.fetch import fetch_values
from kvitt.kernel.postgres.binaries import Binaries, find_binaries
from kvitt.kernel.postgres.identity import ServerIdentity, choose_identity
from kvitt.kernel.postgres.leftovers import SOCKET_NAME, cluster_name, end_leftovers
from kvitt.kernel.postgres.ownership import Ownership
from kvitt.kernel.postgres.supervisor import Supervisor

DATABASE: Final = "kvitt"
START_SECONDS: Final = 300.0
"""How long a start may take: after a crash PostgreSQL replays up to `max_wal_size` of log first."""

FAILED_STARTS: Final = 3
"""How often the server may end before it ever answered; then the fault isn't one that passes."""

LOG_TAIL_BYTES: Final = 2000


BASE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "250",
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
        # What is written goes to the disk as it comes: else the system collects it for half a minute, and commits wait while it catches up.
        "backend_flush_after": "512kB",
        "wal_compression": "on",
        "checkpoint_timeout": "15min",
        "autovacuum_naptime": "15s",
        # What only grows need not be walked through for each fifth that it has grown by while it is small: that takes from those who write.
        "autovacuum_vacuum_insert_threshold": "200000",
        "autovacuum_analyze_scale_factor": "0.25",
        "autovacuum_max_workers": "2",
        # Rows are found by their keys, for which a small sample tells as much; one of thirty thousand orders takes a second of a processor.
        "default_statistics_target": "25",
        "timezone": "UTC",
        "jit": "off",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %a ",
        # The statement of an error may hold personal data, which never reaches the ordinary log (design §11).
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
    }
)
IF_SUPPORTED: Final[Mapping[str, str]] = MappingProxyType({"wal_compression": "lz4", "default_toast_compression": "lz4"})
"""Better values that some builds lack."""


def server_arguments(settings: Mapping[str, str], *, cluster: Path, sockets: Path, name: str) -> Iterator[str]:
    """Command-line arguments of `postgres` for `settings` (later than BASE, so they win)."""
    yield from ("-D", str(cluster))
    # A list of directories in PostgreSQL's eyes: only what is quoted may have commas and blanks.
    quoted = '"' + str(sockets).replace('"', '""') + '"'
    for key, value in {**settings, "unix_socket_directories": quoted, "cluster_name": name}.items():
        yield from ("-c", f"{key}={value}")


def effective_settings(binaries: Binaries, identity: ServerIdentity, cluster: Path, asked: Mapping[str, str]) -> Mapping[str, str]:
    """BASE, bettered by what this build of PostgreSQL supports, overruled by what was asked for."""
    supported = {key: value for key, value in IF_SUPPORTED.items() if _knows(binaries, identity, cluster, key, value)}
    return {**BASE, **supported, **asked}


def _knows(binaries: Binaries, identity: ServerIdentity, cluster: Path, key: str, value: str) -> bool:
    command = identity.command(cluster, binaries.postgres, "-D", str(cluster), "-c", f"{key}={value}", "-C", key)
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


SHORT_PLACE: Final = "kvitt-postgres-"


class Places(Struct, frozen=True):
    """The paths of one server. `home` and the logs are ours; `cluster` and `sockets` belong to whom the server runs as."""

    home: Path

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def unfinished_cluster(self) -> Path:
        """A cluster that is being made; its rename to `cluster` is the moment it exists."""
        return self.home / "cluster.unfinished"

    @property
    def sockets(self) -> Path:
        return self.home / "run"

    @property
    def moved_sockets(self) -> Path:
        """A file that names the directory made for sockets when `sockets` can't hold them."""
        return self.home / "run.elsewhere"

    @property
    def log(self) -> Path:
        return self.home / "log" / "server.log"


def make_places(data_dir: Path) -> Places:
    """The places below `data_dir`, made where they are missing; others may pass through `home` but not look into it."""
    places = Places(data_dir / "postgres")
    for directory in (places.home, places.log.parent):
        directory.mkdir(exist_ok=True)
    places.home.chmod(0o711)
    places.log.parent.chmod(0o700)
    return places


def socket_directory(places: Places, identity: ServerIdentity) -> Path:
    """A directory that can hold a socket: inside the data directory, or a new private one among the temporary files.

    A socket's path has at most 107 bytes, some file systems have no sockets at all, and a client takes a comma for the end of a host.
    """
    forget_moved_sockets(places)
    if "," not in str(places.sockets) and _holds_sockets(places.sockets):
        return places.sockets
    short = Path(tempfile.mkdtemp(prefix=SHORT_PLACE))
    places.moved_sockets.write_text(str(short), encoding="utf-8")
    identity.own(short)
    return short


def forget_moved_sockets(places: Places) -> None:
    """Remove the directory that an earlier start made for its sockets, if it made one."""
    if not places.moved_sockets.exists():
        return
    directory = Path(places.moved_sockets.read_text(encoding="utf-8"))
    if directory.name.startswith(SHORT_PLACE) and directory.is_dir():
        shutil.rmtree(directory)
    places.moved_sockets.unlink()


def _holds_sockets(directory: Path) -> bool:
    trial = directory / "x".rjust(len(SOCKET_NAME), ".")
    trial.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.bind(str(trial))
        except OSError:
            return False
    trial.unlink()
    return True


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
            forget_moved_sockets(self._places)
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


def _make_cluster(places: Places, binaries: Binaries, identity: ServerIdentity) -> None:
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
        if not fetch_values(connection, "SELECT datname FROM pg_database WHERE datname = %s", (DATABASE,)):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _tail(log: Path) -> str:
    """The end of the log, from a whole line on."""
    if not log.exists():
        return "nothing"
    return log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip() or "nothing"
