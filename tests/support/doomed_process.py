"""Processes that may be killed on the way, each forked from a process that has imported what takes long."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from importlib import reload
from multiprocessing import get_context
from pathlib import Path

from kvitt.app.main import main
from kvitt.kernel import fault_points
from support.patience import PATIENCE_SECONDS

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["kvitt.app.main", "kvitt.app.ports", "kvitt.app.hub", "kvitt.app.apis", "kvitt.api.thrift.ledger", "kvitt.api.rest.app"]
)


def ended(target: Callable[..., object], *arguments: object, die_at: str = "") -> int | None:
    """How a process ended that called `target`, which a module has by its name: its status, or the signal that killed it, negated."""
    process = _CONTEXT.Process(target=_call, args=(target, arguments, {**os.environ, "KVITT_DIE_AT": die_at}))
    process.start()
    try:
        process.join(PATIENCE_SECONDS)
        return process.exitcode
    finally:
        process.kill()


class Forked:
    """A kvitt command in a process of its own, whose standard error goes to the end of a file. Has what tests need of a `Popen`."""

    def __init__(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._process = _CONTEXT.Process(target=_command, args=(list(arguments), log, dict(environment)))
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    def poll(self) -> int | None:
        """Its exit status, or the signal that killed it, negated; None while it runs."""
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        """The same."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it runs."""
        if self._process.is_alive() and self._process.pid:
            os.kill(self._process.pid, number)

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status, as soon as it has ended; fails when it has not in time."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, "the process did not end in time"
        return self._process.exitcode


def _call(target: Callable[..., object], arguments: Sequence[object], environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    # Where to die is read when the module is imported, which was before anybody could say so.
    reload(fault_points)
    target(*arguments)


def _command(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    with log.open("ab") as errors, Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(errors.fileno(), 2)
    _call(main, [list(arguments)], environment)
