"""Keeps who was refused for lack of authority, in the operators' audit chain: application, person, call and rule, no body (design §11).

Whoever can be refused can be refused again and again, and the chain is for ever. So of refusals of one kind the first is written at once,
and those that follow within ten minutes as one entry with their number; of kinds there are so many in that time, all others are one.
Tokens that no issuer has signed name nobody; they are only counted.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
import structlog
from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.kernel.clock import Clock
from kvitt.kernel.operators import Signature, note

ACT: Final = "access refused"
"""What the entries are called."""
_SECONDS: Final = 600.0
_MOST_KINDS: Final = 100
_LONGEST: Final = 300
_log = structlog.get_logger(__name__)


class RefusedCall(Struct, frozen=True):
    """A call that was refused: who tried it, what (`route`: without names of single things), and by which rule."""

    application: str
    person: str | None
    call: str
    route: str
    rule: str
    text: str

    @property
    def kind(self) -> "RefusedKind":
        """Returns what it has in common with others like it."""
        return RefusedKind(self.application, self.person, self.route, self.rule)

    def note(self, more: int = 0) -> tuple[Signature, str]:
        """Who, why and what, as an entry has it; of `more` like it: how many."""
        subject = (
            f"{self.call[:_LONGEST]} by {self.application}" if not more else f"{more} more: {self.route[:_LONGEST]} by {self.application}"
        )
        return Signature(self.person or self.application, f"{self.rule}: {self.text}"[:_LONGEST]), subject


class RefusedKind(Struct, frozen=True):
    """A kind of refusals."""

    application: str = ""
    person: str | None = None
    route: str = ""
    rule: str = ""


class _RepeatedRefusal(Struct):
    """The last refusal of a kind, since when the kind is counted, and how many are not written yet."""

    last: RefusedCall
    since: float
    unwritten: int = 0


_OTHERS: Final = RefusedKind()


class RefusedCalls:
    """Writes refusals. For threads; what can not be written now is written with the next of its kind, or when its time is over."""

    def __init__(self, pool: ConnectionPool[Any], clock: Clock, now: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._clock, self._now = pool, clock, now
        self._kinds: dict[RefusedKind, _RepeatedRefusal] = {}
        self._lock = threading.Lock()

    def add(self, call: RefusedCall) -> None:
        """Writes a refusal, or counts it as one more of its kind."""
        self.flush()
        with self._lock:
            kind = call.kind if call.kind in self._kinds or len(self._kinds) < _MOST_KINDS else _OTHERS
            if (known := self._kinds.get(kind)) is not None:
                known.last, known.unwritten = call, known.unwritten + 1
                return
            self._kinds[kind] = _RepeatedRefusal(call, self._now())
        if not self._write(call):
            self._keep(kind, call, 1)

    def flush(self, *, all_of_them: bool = False) -> None:
        """Writes the numbers of kinds whose time is over, or of all."""
        until = self._now() - _SECONDS
        with self._lock:
            over = [kind for kind, known in self._kinds.items() if all_of_them or known.since <= until]
            ended = [(kind, self._kinds.pop(kind)) for kind in over]
        works = True
        for kind, known in ended:
            if known.unwritten:
                # One failure is enough: each would wait for the same database.
                works = works and self._write(known.last, known.unwritten)
                if not works:
                    self._keep(kind, known.last, known.unwritten)

    def _keep(self, kind: RefusedKind, call: RefusedCall, times: int) -> None:
        with self._lock:
            self._kinds.setdefault(kind, _RepeatedRefusal(call, self._now())).unwritten += times

    def _write(self, call: RefusedCall, more: int = 0) -> bool:
        """Whether it could be written."""
        who, subject = call.note(more)
        try:
            with self._pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
                note(cursor, self._clock(), ACT, who, subject)
        except psycopg.Error as error:
            _log.warning("a refused call could not be written", error=type(error).__name__)
            return False
        return True
