"""Decide: calls become messages of their cases, many in one transaction, and whoever called hears what was done (design §4, §16).

An answer is durable when it comes. Calls about one case are handled in their order. Where the case is held by somebody else the call is
kept, as every message is, and its caller waits for the outcome as long as it is set.
"""

import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import psycopg
import structlog
from msgspec import Struct

from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.decisions import DecisionOutcome
from kvitt.disbursement.handle import parse
from kvitt.disbursement.inbox import Incoming, Interpreted, ParsedRecord
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Refusal
from kvitt.errors import Failed, NotAvailable, ResultUnknown
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import LOCK_MS, Connection, connect, is_connection_lost
from kvitt.kernel.executor import ReconnectingWriter
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.queries import load

_SQL = load("decide", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
_KIND: Final = "decision"
_MAX_BATCH, _MOST_WAITING = 128, 4096
_INTERVAL_SECONDS: Final = 0.012
"""From one batch to the next while callers crowd. A batch costs as much again as four decisions: at half load smaller ones would take all
that the processors have.
"""
_SPAN: Final = 1_000_000
"""As many positions at once as the sequence of the store moves on."""
_LOOK_SECONDS: Final = 0.05
CallReader = Callable[[Incoming], Interpreted]
"""Reads the record of a call."""
Place = tuple[str, int]
"""Source and position: by what a call is known, whatever its contract calls it."""


class Decided(Struct, frozen=True):
    """The outcome of a call, durable: `answer` is kept with its message, `refusal` is there where it was refused."""

    outcome: DecisionOutcome
    message_no: int
    answer: bytes | None
    refusal: Refusal | None = None


class _DecidedCall(NamedTuple):
    source: str
    position: int
    message_no: int
    answer: bytes | None
    outcome: str
    refused_status: int | None
    refused_text: str | None
    refused_doc: str | None
    refused_system: str | None

    @property
    def decided(self) -> Decided:
        return Decided(DecisionOutcome(self.outcome), self.message_no, self.answer, self._refusal)

    @property
    def _refusal(self) -> Refusal | None:
        if self.refused_status is None:
            return None
        return Refusal(self.refused_status, self.refused_text or "", self.refused_doc or "", self.refused_system or "")


class _Kept(Struct, frozen=True):
    """The call is stored, and waits until its case is free."""


_Result = Decided | _Kept | Exception


class _SubmitCalls(Submit):
    """Submits calls on one connection, in transactions of which it is known whether they were done, and remembers what was done."""

    def __init__(self, connection: Connection, clock: Clock, ports: Ports) -> None:
        super().__init__(connection, clock, ports)
        self.done: dict[Place, Decided] = {}

    def transaction(self) -> AbstractContextManager[psycopg.Transaction]:
        """One that somebody waits for."""
        return transaction(self._connection, _KIND)

    def committed(self, work: UnitOfWork) -> None:
        """Takes down what was done of each call."""
        rows = {row.message_no: row for row in work.messages}
        for noted in work.decisions:
            row = rows[noted.message_no]
            refused = (noted.refused_status, noted.refused_text, noted.refused_doc, noted.refused_system)
            call = _DecidedCall(row.source, row.position, row.message_no, row.answer, noted.outcome, *refused)
            self.done[row.source, row.position] = call.decided

    def results(self, batch: Sequence[Interpreted]) -> list[_Result]:
        """The result of each call; an error for those of which nothing was done, ResultUnknown where nobody can say."""
        self.done.clear()
        try:
            outcomes: Sequence[Outcome | Exception] = self.execute_parsed(batch)
        except (psycopg.Error, ResultUnknown) as error:
            if not self.done and is_connection_lost(error):
                raise
            outcomes = [error] * len(batch)
        return [self._result(each.incoming, outcome) for each, outcome in zip(batch, outcomes, strict=True)]

    def _result(self, call: Incoming, outcome: Outcome | Exception) -> _Result:
        if decided := self.done.get((call.source, call.position)):
            return decided
        if isinstance(outcome, Exception):
            return outcome
        if outcome in (Outcome.DEFERRED, Outcome.REPEATED):
            return _Kept()
        return Failed(f"kvitt failed on the decision, and kept it: {call.source}, position {call.position}")


class DecisionService:
    """Takes calls from many threads; close it when done."""

    def __init__(
        self,
        conninfo: str,
        clock: Clock,
        ports: Ports,
        *,
        writers: int = 1,
        seconds: float = 10.0,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """`seconds`: how long a caller waits for a case that somebody else holds. `after` is called when orders may have been made."""
        self._conninfo, self._clock, self._ports, self._after = conninfo, clock, ports, after
        self._positions = _Positions(conninfo)
        self._writers: GroupCommit[Interpreted, _Result] = GroupCommit(
            lambda _: self._writer(),
            lanes=writers,
            max_batch=_MAX_BATCH,
            max_waiting=_MOST_WAITING,
            name="decisions",
            interval_seconds=_INTERVAL_SECONDS,
        )
        self._lanes = writers
        self._kept = _KeptCalls(conninfo, seconds)
        self._places = threading.BoundedSemaphore(_MOST_WAITING)

    def decide(
        self, source: str, key: bytes, body: bytes, call: CallHeaders, *, identity: str = "", read: CallReader | None = None
    ) -> "Future[Decided]":
        """Hands in a call; what was done of it is durable when it comes. `read` makes of its record what its contract would, from what
        its caller has read already.

        The future fails with a psycopg error where nothing was done and the same may be asked for again; with ResultUnknown, naming
        `identity`, where it is not known, or where the call waits longer than its caller. Raises NotAvailable where too many calls wait,
        UnknownSource, and psycopg errors when there is no server.
        """
        if not self._places.acquire(blocking=False):
            raise NotAvailable(f"{_MOST_WAITING} decisions wait already")
        waiting = _WaitingCaller(identity, self._places.release)
        try:
            incoming = Incoming(source, 0, self._positions.next(), key, body, call.encode())
            parsed = read(incoming) if read else parse(self._ports.contracts, incoming)
            handed = self._writers.submit(parsed, self._lane_of(parsed))
        except BaseException:
            self._places.release()
            raise
        handed.add_done_callback(lambda done: self._hand_back(done, incoming, waiting))
        return waiting.future

    def close(self) -> None:
        """Executes what waits, then ends the writers; calls whose case is held are left to be handled without their callers."""
        self._writers.close()
        self._kept.close()

    def _writer(self) -> Callable[[Sequence[Interpreted]], Sequence[_Result]]:
        writer: ReconnectingWriter[Interpreted, _Result] = ReconnectingWriter(
            self._conninfo, "kvitt decisions", lambda connection: _SubmitCalls(connection, self._clock, self._ports).results
        )

        def execute(batch: Sequence[Interpreted]) -> Sequence[_Result]:
            try:
                results = writer.execute(batch)
            except psycopg.Error as error:
                if not is_connection_lost(error):
                    raise
                # Nothing was done: a connection that was lost while nobody used it is no reason to have the caller come again.
                results = writer.execute(batch)
            self._after()
            return results

        return execute

    def _lane_of(self, parsed: Interpreted) -> int:
        """Calls about one case share a lane, so that they are handled as they came."""
        key = parsed.case_key if isinstance(parsed, ParsedRecord) else None
        return 0 if key is None else zlib.crc32(f"{key[0].value} {key[1]}".encode()) % self._lanes

    def _hand_back(self, done: "Future[_Result]", call: Incoming, waiting: "_WaitingCaller") -> None:
        failed = done.exception()
        result = failed if isinstance(failed, Exception) else done.result()
        if isinstance(result, _Kept):
            self._kept.add((call.source, call.position), waiting)
        else:
            waiting.end(result)


class _Positions:
    """Gives positions that nobody else is given: a span of them at a time from the store."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo, self._lock = conninfo, threading.Lock()
        self._left = iter(range(0))

    def next(self) -> int:
        with self._lock:
            found = next(self._left, None)
            if found is None:
                with connect(self._conninfo, application="kvitt decisions") as connection:
                    first = fetch_value(connection, _SQL.next_positions)
                self._left = iter(range(first, first + _SPAN))
                found = next(self._left)
            return found


class _WaitingCaller:
    """A caller who waits for the outcome of a call."""

    def __init__(self, identity: str, after: Callable[[], None]) -> None:
        self._identity, self._after = identity, after
        self.future: Future[Decided] = Future()
        # A caller who goes away is not asked any more, and the call is handled all the same.
        self.future.set_running_or_notify_cancel()

    def end(self, result: Decided | Exception) -> None:
        self._after()
        if isinstance(result, Decided):
            self.future.set_result(result)
        else:
            self.future.set_exception(ResultUnknown(_KIND, self._identity) if isinstance(result, ResultUnknown) else result)


class _KeptCalls:
    """Looks for the outcomes of calls that wait for their cases, as long as there are any."""

    def __init__(self, conninfo: str, seconds: float) -> None:
        self._conninfo, self._seconds = conninfo, seconds
        self._waiting: dict[Place, tuple[_WaitingCaller, float]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, place: Place, waiting: _WaitingCaller) -> None:
        with self._changed:
            self._waiting[place] = waiting, time.monotonic() + self._seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kept decisions", daemon=True)
                self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread:
            thread.join()

    def _run(self) -> None:
        """Ends when nobody waits any more; a store that is away is asked again until each caller's time is over."""
        while self._step():
            with self._changed:
                self._changed.wait_for(lambda: self._closed, timeout=_LOOK_SECONDS)

    def _step(self) -> bool:
        with self._changed:
            places = list(self._waiting)
        found = self._look(places)
        with self._changed:
            now, closed = time.monotonic(), self._closed
            over = [place for place in places if place in found or closed or now >= self._waiting[place][1]]
            ended = [(self._waiting.pop(place)[0], found.get(place)) for place in over]
            if not self._waiting:
                self._thread = None
        for waiting, decided in ended:
            waiting.end(decided or ResultUnknown())
        return self._thread is not None

    def _look(self, places: Sequence[Place]) -> Mapping[Place, Decided]:
        columns: list[Any] = [list(column) for column in zip(*places, strict=True)]
        try:
            with connect(self._conninfo, application="kvitt decisions", lock_timeout_ms=LOCK_MS) as connection:
                rows = fetch(connection, _DecidedCall, _SQL.decided_calls, columns)
        except psycopg.Error as error:
            _log.warning("what became of decisions whose case is held can not be read", error=type(error).__name__)
            return {}
        return {(each.source, each.position): each.decided for each in rows}
