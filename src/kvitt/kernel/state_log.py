"""Logs changes of states, not states: for loops that meet the same trouble round after round.

A subject (a role, a broker, a partition) is told about when its state becomes another one; while it stays the same it is counted, and told
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


class _Standing(Struct):
    """What a subject is in; `state` None: nothing that is worth a line."""

    state: Hashable = None
    since: float = 0.0
    told_at: float = 0.0
    times: int = 0
    window: float = 0.0
    lines: int = 0
    untold: int = 0


class StateLog:
    """Lines of one logger about states of subjects. Safe for use by several threads; memory is bounded, whatever subjects there are."""

    def __init__(self, log: Any, *, remind_seconds: float = REMIND_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._remind_seconds, self._clock = log, remind_seconds, clock
        self._lock = threading.Lock()
        self._subjects: dict[str, _Standing] = {}

    def enters(self, subject: str, state: Hashable, level: Level, event: str, **fields: object) -> bool:
        """The subject is in `state` (not None); gives whether that was worth a line. `fields` may differ from round to round."""
        now = self._clock()
        with self._lock:
            standing = self._standing(subject)
            lasts = standing.state == state
            if not lasts:
                standing.state, standing.since, standing.times = state, now, 0
            standing.times += 1
            if lasts and now - standing.told_at < self._remind_seconds:
                return False
            more = {"times": standing.times, "for_seconds": round(now - standing.since)} if lasts else {}
            if (untold := self._admitted(standing, now)) is None:
                return False
        self._tell(level, event, {**fields, **more}, untold)
        return True

    def leaves(self, subject: str, event: str, **fields: object) -> bool:
        """The subject is well; told if it was not. To be called each round: costs a look where nothing was wrong."""
        standing = self._subjects.get(subject)
        if standing is None or standing.state is None:
            return False
        now = self._clock()
        with self._lock:
            after = {"after_times": standing.times, "after_seconds": round(now - standing.since)}
            standing.state = None
            if (untold := self._admitted(standing, now)) is None:
                return False
        self._tell("info", event, {**fields, **after}, untold)
        return True

    def state_of(self, subject: str) -> Hashable:
        """The state that a subject is in; None when it is well, or was never spoken of."""
        standing = self._subjects.get(subject)
        return None if standing is None else standing.state

    def _standing(self, subject: str) -> _Standing:
        found = self._subjects.pop(subject, None) or _Standing(told_at=-self._remind_seconds, window=-self._remind_seconds)
        self._subjects[subject] = found
        if len(self._subjects) > _MOST_SUBJECTS:
            # The one that was not spoken of for longest.
            del self._subjects[next(iter(self._subjects))]
        return found

    def _admitted(self, standing: _Standing, now: float) -> int | None:
        """How many lines before this one were kept back; None to keep this one back too."""
        if now - standing.window >= self._remind_seconds:
            standing.window, standing.lines = now, 0
        if standing.lines >= MOST_LINES:
            standing.untold += 1
            return None
        standing.lines += 1
        standing.told_at = now
        untold, standing.untold = standing.untold, 0
        return untold

    def _tell(self, level: Level, event: str, fields: dict[str, object], untold: int) -> None:
        tell: Callable[..., object] = getattr(self._log, level)
        tell(event, **fields, **({"changes_untold": untold} if untold else {}))
