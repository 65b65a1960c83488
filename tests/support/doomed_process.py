"""Processes that call one function and may be killed on the way: each is forked from a process that has imported what takes long."""

import os
from collections.abc import Callable
from importlib import reload
from multiprocessing import get_context

from kvitt.kernel import fault_points
from support.patience import PATIENCE_SECONDS

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["kvitt.payouts.service", "kvitt.disbursement.decide", "kvitt.app.ports"])


def ended(target: Callable[..., object], *arguments: object, die_at: str = "") -> int | None:
    """How a process ended that called `target`, which a module has by its name: its status, or the signal that killed it, negated."""
    process = _CONTEXT.Process(target=_call, args=(target, arguments, die_at))
    process.start()
    try:
        process.join(PATIENCE_SECONDS)
        return process.exitcode
    finally:
        process.kill()


def _call(target: Callable[..., object], arguments: tuple[object, ...], die_at: str) -> None:
    # Where to die is read when the module is imported, which was before anybody could say so.
    os.environ["KVITT_DIE_AT"] = die_at
    reload(fault_points)
    target(*arguments)
