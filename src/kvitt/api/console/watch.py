"""One look a second, by one thread on one connection, for all pages that are live: what has changed, whose sessions last, what is away.

It sleeps while nobody is there to hear it. What it reads are counters that the server keeps anyway: no commit pays for it (design §17).
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

import psycopg
import structlog

from kvitt.api.console.showing import clock_time
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog

_SQL: Final = load("live", "kvitt.api.console")
_states: Final = StateLog(structlog.get_logger(__name__))
LOOK_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 3.0
"""A store that has not answered for so long does not."""
_RECENT_SECONDS: Final = 5.0
"""A page that was made before its stream began may have missed what changed in between, but not for longer."""
_STATEMENT_MS: Final = 2_000


class Hearer(Protocol):
    """Hears of changes, on whatever thread says so."""

    @property
    def session_hash(self) -> bytes:
        """Whose session it belongs to."""
        ...

    def hear(self, parts: Sequence[str], *, ended: bool = False) -> None:
        """These parts have changed; `ended`: its session has."""
        ...


class _PartCount(NamedTuple):
    part: str
    changes: int


class StoreWatch:
    """Looks while there is somebody to hear it. Safe for several threads."""

    def __init__(self, conninfo: str, clock: Clock, idle: timedelta) -> None:
        """`idle` is after how long without use a session ends."""
        self._conninfo, self._clock, self._idle = conninfo, clock, idle
        self._hearers: set[Hearer] = set()
        self._wanted, self._stop = threading.Event(), threading.Event()
        self._seen: Mapping[str, int] = {}
        self._changed_at: dict[str, float] = {}
        self._answered = time.monotonic(), clock()
        self._failed = False
        self._roles: Sequence[RoleSeen] = ()
        self._thread = threading.Thread(target=self._run, name="console watch", daemon=True)
        self._thread.start()

    def join(self, hearer: Hearer) -> None:
        """Has somebody hear what changes from now on, and what has changed a moment ago."""
        if not self._hearers:
            self._answered, self._failed = (time.monotonic(), self._clock()), False
        self._hearers.add(hearer)
        self._wanted.set()
        since = time.monotonic() - _RECENT_SECONDS
        hearer.hear([part for part, at in list(self._changed_at.items()) if at > since])

    def leave(self, hearer: Hearer) -> None:
        """Has somebody hear nothing more."""
        self._hearers.discard(hearer)

    def close(self) -> None:
        """Ends all streams and the watch."""
        self._stop.set()
        self._wanted.set()
        for each in list(self._hearers):
            each.hear(())
        self._thread.join()

    @property
    def hearers(self) -> int:
        """How many there are to hear."""
        return len(self._hearers)

    @property
    def is_closed(self) -> bool:
        """Whether nothing will be heard any more."""
        return self._stop.is_set()

    def faults(self) -> Sequence[str]:
        """All that does not answer, in words, with since when."""
        answered, at = self._answered
        if self._failed or time.monotonic() - answered > _SILENT_SECONDS:
            return [f"the database does not answer since {clock_time(at)}"]
        return faults_of(self._roles)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait()
            try:
                self._watch()
                _states.leaves("watch", "the console watches the store again")
            except psycopg.Error as error:
                self._fails(error)
                self._stop.wait(LOOK_SECONDS)

    def _watch(self) -> None:
        """Looks until there is nobody to hear it. Raises psycopg errors."""
        application = "kvitt console watch"
        with connect(self._conninfo, application=application, statement_timeout_ms=_STATEMENT_MS) as connection:
            while self._hearers and not self._stop.is_set():
                self._look(connection)
                self._stop.wait(LOOK_SECONDS)
        if not self._hearers and not self._stop.is_set():
            self._wanted.clear()
            # Somebody may have come in between.
            if self._hearers:
                self._wanted.set()

    def _look(self, connection: Connection) -> None:
        counts = {each.part: each.changes for each in fetch(connection, _PartCount, _SQL.changes)}
        changed = [part for part, count in counts.items() if self._seen.get(part) != count]
        before, self._roles = self.faults(), fetch(connection, RoleSeen, _SQL.roles)
        hearers, now = list(self._hearers), self._clock()
        asked = {"sessions": list({each.session_hash for each in hearers}), "now": now, "idle_since": now - self._idle}
        last = set(fetch_values(connection, _SQL.sessions_that_last, asked))
        self._seen, self._answered, self._failed = counts, (time.monotonic(), now), False
        self._changed_at |= dict.fromkeys(changed, time.monotonic())
        for each in hearers:
            if each.session_hash not in last:
                each.hear((), ended=True)
            elif changed or before != self.faults():
                each.hear(changed)

    def _fails(self, error: psycopg.Error) -> None:
        """Whoever hears is woken, and finds the fault."""
        name = type(error).__name__
        _states.enters("watch", name, "warning", "the console can not watch the store", error=name)
        self._failed = True
        for each in list(self._hearers):
            each.hear(())


class RoleSeen(NamedTuple):
    """A role that some process plays, as it was when it was seen last; `answers`: the process has been seen just now."""

    role: str
    condition: str
    since: datetime
    at_fault: str | None
    seen_at: datetime
    answers: bool


def faults_of(roles: Sequence[RoleSeen]) -> Sequence[str]:
    """Brokers that do not answer, and roles that nobody plays as they should be, each with since when; `roles` are newest first."""
    played = {each.role for each in roles if each.answers}
    gone = {each.role: each for each in reversed(roles) if not each.answers and each.role not in played}
    fails = [each for each in roles if each.answers and each.condition in ("starts anew", "silent")]
    broker = [each for each in fails if each.at_fault == "broker"]
    # Of a database that it can not reach the console knows by itself.
    others = [each for each in fails if each.at_fault not in ("broker", "database")]
    said = [f"the broker does not answer since {_since(each.since for each in broker)} ({_names(broker)})"] if broker else []
    if gone:
        said.append(f"kvitt does not answer since {_since(each.seen_at for each in gone.values())} ({_names(gone.values())})")
    return [*said, *(f"{each.role} of kvitt {each.condition} since {clock_time(each.since)}" for each in others)]


def _since(moments: Iterable[datetime]) -> str:
    return clock_time(min(moments))


def _names(roles: Iterable[RoleSeen]) -> str:
    return ", ".join(sorted({each.role for each in roles}))
