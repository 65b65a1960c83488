"""Exactly one owner per data directory: a lock on a file, which the kernel releases however the owner ends."""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

import psycopg

from kvitt.errors import DataDirectoryInUse, DataDirectoryUnreachable
from kvitt.kernel.database import connect

PATIENCE_SECONDS: Final = 0.5
"""How long a new owner tries: others hold the lock for an instant when they look whether there is an owner."""

PAUSE_SECONDS: Final = 0.02
_MOST_BYTES: Final = 65536


def lock_file(data_dir: Path) -> Path:
    """Where the owner of `data_dir` holds its lock."""
    return data_dir / "postgres.lock"


class Ownership:
    """The right to run a server in a data directory, from `take` to `release` or to the end of the process."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file = -1

    def take(self) -> None:
        """Become the owner; raise DataDirectoryInUse when another is. The lock isn't inherited by child programs."""
        file = os.open(lock_file(self._data_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _lock(file, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                os.close(file)
                raise DataDirectoryInUse(self._data_dir, _read(self._data_dir)[0])
            time.sleep(PAUSE_SECONDS)
        self._file = file
        self.announce("")

    def announce(self, conninfo: str) -> None:
        """Tell other processes how to connect; empty = not ready to be connected to."""
        content = f"{os.getpid()}\n{conninfo}\n".encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, content, 0)

    def release(self) -> None:
        """Give the directory free; harmless when it isn't owned."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def running_server(data_dir: Path) -> str | None:
    """The conninfo of the server in `data_dir` when a live process owns it and the server accepts connections, else None.

    Raises DataDirectoryUnreachable when we may not look.
    """
    if not _is_owned(data_dir):
        return None
    conninfo = _read(data_dir)[1]
    if not conninfo:
        return None
    try:
        connect(conninfo, application="kvitt look").close()
    except psycopg.OperationalError:
        return None
    return conninfo


def _is_owned(data_dir: Path) -> bool:
    try:
        file = os.open(lock_file(data_dir), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataDirectoryUnreachable(f"the data directory {data_dir} can't be looked into: {error.strerror}") from error
    try:
        return not _lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(data_dir: Path) -> tuple[int | None, str]:
    """The owner's process id (None while it is not written) and conninfo ("" while the server isn't ready).

    Read at once and taken only when whole: pieces read while it is written could be the start of one text and the end of another.
    """
    with lock_file(data_dir).open("rb", buffering=0) as file:
        pid, *others = (file.read(_MOST_BYTES) or b"").decode(errors="replace").split("\n")
    conninfo = others[0] if len(others) == 2 and not others[1] else ""
    return int(pid) if pid.isdigit() else None, conninfo
