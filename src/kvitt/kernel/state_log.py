"""Logs changes of states, not states: for loops that meet the same trouble round after round.

A subject (a role, a broker, a partition) is reported when its state becomes another one; while it stays the same it is counted, and said
again with the count after `remind_seconds`. One that goes to and fro has a few lines in that time, and then the number of the others.
"""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, Literal

from msgspec import Struct

Level = Literal["debug", "info", "warning", "error"]
REMIND_SECONDS: Final = 600.0
MOST_LINES: Final = 10
"""In `remind_seconds`, of one subject."""
_MOST_SUBJECTS: Final = 256


class _SubjectState(Struct):
    """Holds what a subject is in; `state` None: nothing that is worth a line."""

    state: Hashable = None
    since: float = 0.0
    logged_at: float = 0.0
    times: int = 0
    window: float = 0.0
    lines: int = 0
    untold: int = 0


class StateLog:
    """Lines of one logger about states of subjects. Safe for use by several threads; memory is bounded, whatever subjects there are."""

    def __init__(self, log: Any, *, remind_seconds: float = REMIND_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._remind_seconds, self._clock = log, remind_seconds, clock
        self._lock = threading.Lock()
        self._subjects: dict[str, _SubjectState] = {}

    def enters(self, subject: str, state: Hashable, level: Level, event: str, **fields: object) -> bool:
        """The subject is in `state` (not None); returns whether that was worth a line. `fields` may differ from round to round."""
        now = self._clock()
        with self._lock:
            known = self._known(subject)
            lasts = known.state == state
            if not lasts:
                known.state, known.since, known.times = state, now, 0
            known.times += 1
            if lasts and now - known.logged_at < self._remind_seconds:
                return False
            more = {"times": known.times, "for_seconds": round(now - known.since)} if lasts else {}
            if (untold := self._admitted(known, now)) is None:
                return False
        self._write(level, event, {**fields, **more}, untold)
        return True

    def leaves(self, subject: str, event: str, **fields: object) -> bool:
        """The subject is well; reported if it was not. To be called each round: costs a look where nothing was wrong."""
        known = self._subjects.get(subject)
        if known is None or known.state is None:
            return False
        now = self._clock()
        with self._lock:
            after = {"after_times": known.times, "after_seconds": round(now - known.since)}
            known.state = None
            if (untold := self._admitted(known, now)) is None:
                return False
        self._write("info", event, {**fields, **after}, untold)
        return True

    def state_of(self, subject: str) -> Hashable:
        """The state that a subject is in; None when it is well, or was never spoken of."""
        known = self._subjects.get(subject)
        return None if known is None else known.state

    def _known(self, subject: str) -> _SubjectState:
        found = self._subjects.pop(subject, None) or _SubjectState(logged_at=-self._remind_seconds, window=-self._remind_seconds)
        self._subjects[subject] = found
        if len(self._subjects) > _MOST_SUBJECTS:
            # The one that was not spoken of for longest.
            del self._subjects[next(iter(self._subjects))]
        return found

    def _admitted(self, known: _SubjectState, now: float) -> int | None:
        """How many lines before this one were kept back; None to keep this one back too."""
        if now - known.window >= self._remind_seconds:
            known.window, known.lines = now, 0
        if known.lines >= MOST_LINES:
            known.untold += 1
            return None
        known.lines += 1
        known.logged_at = now
        untold, known.untold = known.untold, 0
        return untold

    def _write(self, level: Level, event: str, fields: dict[str, object], untold: int) -> None:
        write: Callable[..., object] = getattr(self._log, level)
        write(event, **fields, **({"changes_untold": untold} if untold else {}))
