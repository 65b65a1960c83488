"""Waiting for what other processes and threads do: on conditions, never for a time."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 600.0
"""Ends a test that hangs, on however busy a machine; nothing is measured by it."""


def until(holds: Callable[[], object], *, seconds: float = PATIENCE_SECONDS, what: str = "the condition was not met in time") -> None:
    """Returns as soon as the condition holds; fails when it has not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
