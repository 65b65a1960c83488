"""Loops: how a role runs for ever. It is made, stepped until something fails, and made anew after a growing wait."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog

_log = structlog.get_logger(__name__)
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.05, 1.0

Step = Callable[[], int]
"""Does what there is to do and gives how much that was; waits a little by itself when there is nothing."""
MakeStep = Callable[[], AbstractContextManager[Step]]
"""Opens what a role needs (connections, leases) and closes it again."""


class Bell:
    """Wakes a loop of the same process when there is work; a loop that hears nothing looks by itself now and then."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        """There is work."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Until rung, or until `seconds` have passed."""
        self._event.wait(seconds)
        self._event.clear()


def run_loop(role: str, make_step: MakeStep, stop: threading.Event) -> None:
    """Runs a role until stopped. Nothing that a step raises ends the role: it is logged, and the role starts anew."""
    wait_seconds = _FIRST_WAIT_SECONDS
    while not stop.is_set():
        try:
            with make_step() as step:
                while not stop.is_set():
                    if step():
                        wait_seconds = _FIRST_WAIT_SECONDS
        except Exception as error:  # noqa: BLE001 - a role outlives every failure; each is logged and the role starts anew
            _log.warning("role starts anew", role=role, error=type(error).__name__, reason=str(error).split("\n")[0][:200])
            stop.wait(wait_seconds)
            wait_seconds = min(wait_seconds * 2, _LONGEST_WAIT_SECONDS)
