"""Finds and ends what an earlier, killed owner left behind: server processes still running, and a pid file of processes long gone."""

import os
import signal
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from kvitt.errors import ServerDidNotStart

PAUSE_SECONDS: Final = 0.02
SOCKET_NAME: Final = ".s.PGSQL.5432"
"""What PostgreSQL calls its socket."""

STAGES: Final = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""Fast shutdown, immediate shutdown, kill; each with the seconds it is given."""


def cluster_name(cluster: Path) -> str:
    """The name that every process of the cluster at this path shows in its title."""
    return "kvitt-" + sha256(str(cluster).encode()).hexdigest()[:12]


def end_leftovers(cluster: Path, sockets: Path) -> None:
    """End every server process of `cluster` and remove its stale lock files; to be called by the owner only, before its own start.

    PostgreSQL guards cluster and socket by these files, so they go only when no process of the cluster is left. They must go then:
    the number in them may be another program's by now, or a dead server's that its parent has not noticed, and PostgreSQL
    would take either for a rival. Raises ServerDidNotStart when a process can't be ended.
    """
    for number, seconds in STAGES:
        if not _signal_and_wait(cluster, number, seconds):
            continue
        for stale in (cluster / "postmaster.pid", sockets / f"{SOCKET_NAME}.lock", sockets / SOCKET_NAME):
            stale.unlink(missing_ok=True)
        return
    raise ServerDidNotStart(f"processes {sorted(_processes(cluster))} of an earlier server in {cluster} can't be ended")


def _signal_and_wait(cluster: Path, number: signal.Signals, seconds: float) -> bool:
    """Whether no process of the cluster is left, `seconds` after the signal at the latest."""
    for pid in _processes(cluster):
        _kill(pid, number)
    deadline = time.monotonic() + seconds
    while any(_processes(cluster)):
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _processes(cluster: Path) -> Iterator[int]:
    """Live processes of the cluster, known by their command line, which (unlike their directory) any user may read."""
    owner = cluster.stat().st_uid if cluster.exists() else -1
    argument, title = str(cluster).encode(), f"postgres: {cluster_name(cluster)}: ".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line, uid = (entry / "cmdline").read_bytes(), entry.stat().st_uid
        except (FileNotFoundError, ProcessLookupError):
            continue
        program, *arguments = line.split(b"\0")
        is_postmaster = program.endswith(b"/postgres") and argument in arguments
        if uid == owner and (is_postmaster or line.startswith(title)):
            yield int(entry.name)
