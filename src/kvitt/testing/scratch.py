"""Where tests keep what lives no longer than they do: in memory, where the machine has room for it.

Making a database copies some five hundred files and dropping it removes them: on a disk that costs thirty times what it does in memory.
KVITT_TEST_DIRECTORY names a directory to use instead, as `make soak` does, whose servers are to meet a real disk.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Final

IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - each process has a directory of its own in it
ROOM_BYTES: Final = 4 << 30
"""What the directories of a whole run of all tests may fill."""

_PREFIX: Final = f"kvitt-test-{os.getuid()}-"
_held: list[IO[str]] = []


@cache
def scratch() -> Path:
    """The directory of this process; it is removed by `leave`, or by whoever comes next when this process has been killed."""
    place = _place()
    with (place / f"{_PREFIX}lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _remove_what_the_dead_left(place)
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        # A server that is run for root runs as another user, who must be able to enter.
        directory.chmod(0o755)
        _held.append(_lock_of(directory).open("w"))
        fcntl.flock(_held[0], fcntl.LOCK_EX)
    process = os.getpid()
    # A child that was forked leaves its parent's directory alone.
    atexit.register(lambda: leave() if os.getpid() == process else None)
    return directory


def leave() -> None:
    """Removes the directory of this process, if it has one."""
    if _held:
        shutil.rmtree(scratch(), ignore_errors=True)
        _held.pop().close()
        scratch.cache_clear()


@contextmanager
def scratch_directory(prefix: str = "") -> Iterator[Path]:
    """A directory that other users may enter, for as long as the block runs; pytest's own are closed."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=scratch()))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _place() -> Path:
    if given := os.environ.get("KVITT_TEST_DIRECTORY"):
        return Path(given)
    return IN_MEMORY if _will_do(IN_MEMORY) else Path(tempfile.gettempdir())


def _will_do(place: Path) -> bool:
    """Whether there is room, and programs may be run from there."""
    if not (place.is_dir() and os.access(place, os.W_OK)):
        return False
    return shutil.disk_usage(place).free >= ROOM_BYTES and not os.statvfs(place).f_flag & os.ST_NOEXEC


def _lock_of(directory: Path) -> Path:
    return directory / ".lock"


def _remove_what_the_dead_left(place: Path) -> None:
    for directory in place.glob(f"{_PREFIX}*/"):
        with _lock_of(directory).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(directory, ignore_errors=True)
