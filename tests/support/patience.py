"""Waiting for what other processes and threads do: on conditions, never for a time."""

import os
import time
from collections.abc import Callable

PATIENCE_SECONDS = 600.0
"""Ends a test that hangs, on however busy a machine; nothing is measured by it."""
_FIRST_PAUSE_SECONDS = 0.005


def stretched(seconds: float) -> float:
    """So many seconds on an idle machine, and longer on a busy one, by the processes that wait there for each processor.

    For limits within which a part under test, or a part that a test plays, must get its turn.
    """
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def until(
    holds: Callable[[], object],
    *,
    seconds: float = PATIENCE_SECONDS,
    what: str = "the condition was not met in time",
    every: float = 0.05,
) -> None:
    """Returns as soon as the condition holds; fails when it has not within `seconds`.

    It is looked at often in the beginning, and less the longer it takes, at last `every` so many seconds: looks take a processor from
    what is waited for.
    """
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < seconds, what
        time.sleep(min(every, _FIRST_PAUSE_SECONDS + waited / 10))
