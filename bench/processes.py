"""The hub and the emulator as processes of their own, as they are run, so that the benchmark itself costs them nothing."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from kvitt import logs
from kvitt.app.process import crew_for, hub_of
from kvitt.app.roles import LISTENERS, ROLES
from kvitt.config import load_settings
from kvitt.settings import Settings

_KIB_PER_MIB = 1024
_STOP_SECONDS = 15.0
CASE_ROLES = tuple(role for role in ROLES if role not in LISTENERS)
"""What a hub of case messages plays: it answers no calls."""


def _serve(conninfo: str, roles: Sequence[str], settings: Settings) -> None:
    logs.set_up(settings.data, level="warning")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with crew_for(settings, roles) as crew:
        hub = hub_of(conninfo, settings, roles, crew)
        hub.start()
        stop.wait()
        hub.stop(_STOP_SECONDS)


@contextmanager
def hub_process(
    conninfo: str, roles: Sequence[str] = CASE_ROLES, settings: Settings | None = None, *, workers: int | Literal["auto"] = 1
) -> Iterator[BaseProcess]:
    """A process with these roles, or with workers that have them; ended in order, so that its successor need not wait, or killed."""
    given = replace(settings or load_settings(), workers=workers)
    process = get_context("spawn").Process(target=_serve, args=(conninfo, tuple(roles), given), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(2 * _STOP_SECONDS)
        process.kill()
        process.join()


def resident_mib(process: BaseProcess) -> float:
    """The memory of a running process that is in RAM now."""
    return _status_mib(str(process.pid), "VmRSS")


def own_mib() -> float:
    """The memory of this process that is in RAM now."""
    return _status_mib("self", "VmRSS")


def peak_mib() -> float:
    """The most memory that this process has had in RAM itself; the usage that the system counts starts at its parent's."""
    return _status_mib("self", "VmHWM")


def _status_mib(process: str, name: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / _KIB_PER_MIB
