"""A value that many ask for and that costs something to make: it is made by one for all of them, and kept for a while."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")
_SHARE = 9
"""A value is kept nine times as long as it took to make, so that making it takes a tenth of the time at most; a failure is not."""


class Remembered(Generic[Value]):
    """Gives what `make` gave last, made anew when that is older than `seconds`; a failure is given for `seconds` too.

    `make` runs in a thread of its own, never twice at once; who asks meanwhile waits for the one that runs.
    """

    def __init__(self, make: Callable[[], Value], *, seconds: float, patience_seconds: float) -> None:
        self._make, self._seconds, self._patience_seconds = make, seconds, patience_seconds
        self._lock = threading.Lock()
        self._made: Future[Value] | None = None
        self._until = 0.0

    def __call__(self) -> Value:
        """The value. Raises what `make` raised, TimeoutError when it has not come after `patience_seconds`."""
        with self._lock:
            made = self._made
            if made is None or (made.done() and time.monotonic() >= self._until):
                made = self._made = Future()
                threading.Thread(target=self._run, args=(made,), name="remembered", daemon=True).start()
        return made.result(self._patience_seconds)

    def _run(self, made: "Future[Value]") -> None:
        begun = time.monotonic()
        try:
            value, failure = self._make(), None
        except Exception as error:  # noqa: BLE001 - everyone who asks is told
            value, failure = None, error
        ended = time.monotonic()
        if failure is not None:
            self._until = ended + self._seconds
            made.set_exception(failure)
            return
        self._until = ended + max(self._seconds, (ended - begun) * _SHARE)
        made.set_result(value)  # type: ignore[arg-type]
