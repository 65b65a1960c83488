"""What a benchmark uses up beside time: CPU-seconds of hub, callers and server, and bytes that the server writes to its log."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 13)
_TIMES_OF_ENDED = slice(13, 15)
_THOUSAND: Final = 1000


class Spent(Struct, frozen=True):
    """CPU-seconds for 1,000 units, and bytes of log for one. `callers` is 0 where the benchmark's own process is the hub."""

    hub: float
    callers: float
    server: float
    log_bytes: float


class _Used(Struct, frozen=True):
    """CPU-seconds and bytes so far."""

    hub: float = 0.0
    callers: float = 0.0
    server: float = 0.0
    log_bytes: int = 0

    def plus(self, other: "_Used", times: int = 1) -> "_Used":
        """Both, the other one so many times."""
        mine, theirs = astuple(self), astuple(other)
        return _Used(*(one + times * another for one, another in zip(mine, theirs, strict=True)))


class Meter:
    """Adds up what is used while it counts, by the server and whoever works for the hub."""

    def __init__(self, server: int, log_position: Callable[[], int]) -> None:
        """`server` is the process id of PostgreSQL's postmaster; `log_position` tells how many bytes of log it has ever written.

        What the system says of bytes written is no measure: it counts all of a large page of which a part was changed.
        """
        self._server, self._log_position = server, log_position
        self._sum = _Used()

    @contextmanager
    def counting(self, *hubs: BaseProcess) -> Iterator[None]:
        """Counts as long as the block runs. Where no processes are named as the hub's, this one is, and has no callers."""
        processes = [hub.pid for hub in hubs if hub.pid]
        before = self._used(processes)
        yield
        self._sum = self._sum.plus(self._used(processes)).plus(before, -1)

    def spent(self, units: int) -> Spent:
        """What was used, for so many units."""
        return Spent(
            hub=_for_thousand(self._sum.hub, units),
            callers=_for_thousand(self._sum.callers, units),
            server=_for_thousand(self._sum.server, units),
            log_bytes=round(self._sum.log_bytes / units),
        )

    def _used(self, hubs: Sequence[int]) -> _Used:
        own = sum(os.times()[:2])
        server = [self._server, *_children(self._server)]
        return _Used(
            hub=sum(_seconds(each) for hub in hubs for each in (hub, *_children(hub))) if hubs else own,
            callers=own if hubs else 0.0,
            # What processes of the server have used that have ended is added to what their parent has used.
            server=sum(map(_seconds, server)) + _seconds_of_ended(self._server),
            log_bytes=self._log_position(),
        )


def _for_thousand(seconds: float, units: int) -> float:
    return float(f"{_THOUSAND * seconds / units:.3g}")


def _children(process: int) -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and _parent(int(each.name)) == process]


def _parent(process: int) -> int:
    fields = _stat(process)
    return int(fields[_PARENT]) if fields else 0


def _seconds(process: int) -> float:
    return sum(map(int, _stat(process)[_TIMES])) / _TICKS


def _seconds_of_ended(process: int) -> float:
    return sum(map(int, _stat(process)[_TIMES_OF_ENDED])) / _TICKS


def _stat(process: int) -> Sequence[str]:
    """The fields behind the name; none of a process that has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ()
