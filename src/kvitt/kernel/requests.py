"""Requests that may be repeated: an Idempotency-Key recognises them, and what was answered is answered again (design §12).

The effects are idempotent by themselves; here stands only who asked what under which key, and the answer. So a process may die between
an effect and its answer: the repeat does the request again, with the same outcome. Many callers' requests share transactions.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from kvitt.errors import KeyReused, KvittError, RequestInProgress
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.executor import BatchExecutor, Locks, ReconnectingWriter, wait_shortly
from kvitt.kernel.fetch import fetch_later
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row, write

_SQL = load("requests", "kvitt.kernel")
KEY_HEADER: Final = "Idempotency-Key"
"""The header by which a repeat is recognised, where a path has no other one."""
_BUSY: Final = timedelta(seconds=30)
"""How long a request is left to whoever began it."""
_MAX_BATCH, _MAX_WAITING = 256, 8192


class StoredAnswer(Struct, frozen=True):
    """Holds what was answered to a request."""

    status: int
    content_type: str
    body: bytes


class Begun(Struct, frozen=True):
    """A request that is ours to answer. `first_at` is when it came for the first time; `again` says that it came before."""

    first_at: datetime
    again: bool


class RequestId(Struct, frozen=True):
    """The key of a request, among those of its caller."""

    subject: str
    key: str


class BeginRequest(Struct, frozen=True):
    """Take a request, which this digest tells from others, or find what was answered to it. Refusals name the `header` of the key."""

    id: RequestId
    digest: bytes
    header: str = KEY_HEADER


class EndRequest(Struct, frozen=True):
    """Keep what was answered; None: the request could not be answered for now, and its repeat may be done at once."""

    id: RequestId
    answered: StoredAnswer | None


RequestCommand = BeginRequest | EndRequest
RequestResult = Begun | StoredAnswer | None | Exception
"""A request that is ours, or its answer; nothing for one that has ended; KeyReused, RequestInProgress, or what kvitt itself failed with."""


class _BegunRow(Struct, frozen=True):
    subject: str
    key: str
    first_at: datetime
    again: bool


class _KnownRow(Struct, frozen=True):
    subject: str
    key: str
    digest: bytes
    status: int | None
    content_type: str | None
    body: bytes | None


class _AnswerRow(Row, frozen=True):
    statement = _SQL.answer_requests
    subject: str
    key: str
    status: int
    content_type: str
    body: bytes


class _ReleaseRow(Row, frozen=True):
    statement = _SQL.release_requests
    subject: str
    key: str


class RequestWriter:
    """Executes batches on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._executor: BatchExecutor[RequestCommand, RequestResult] = BatchExecutor(self, names=_names)

    def execute(self, batch: Sequence[RequestCommand]) -> list[RequestResult]:
        """One result per command, all of them durable on return. Raises psycopg errors when the connection is gone."""
        return self._executor.execute(batch)

    def run(self, batch: Sequence[RequestCommand], locks: Locks) -> list[RequestResult]:
        """Does commands in one transaction and one round trip: what ends first, so that a repeat finds the answer."""
        begins = [each for each in batch if isinstance(each, BeginRequest)]
        with self._connection.pipeline(), self._connection.transaction():
            if locks is Locks.FREE:
                wait_shortly(self._connection)
            self._connection.execute(
                _SQL.lock_requests, [[each.id.subject for each in batch], [each.id.key for each in batch]], binary=True
            )
            self._end([each for each in batch if isinstance(each, EndRequest)])
            taken_in = self._begin(begins) if begins else None
        found = iter(taken_in() if taken_in else ())
        return [next(found) if isinstance(each, BeginRequest) else None for each in batch]

    def failed(self, command: RequestCommand, error: Exception) -> RequestResult:  # noqa: ARG002 - its caller knows what it asked for
        """The error is the result of the command."""
        return error

    def _end(self, ends: Sequence[EndRequest]) -> None:
        answers = [
            _AnswerRow(each.id.subject, each.id.key, each.answered.status, each.answered.content_type, each.answered.body)
            for each in ends
            if each.answered is not None
        ]
        with self._connection.cursor() as cursor:
            write(cursor, answers)
            write(cursor, [_ReleaseRow(each.id.subject, each.id.key) for each in ends if each.answered is None])

    def _begin(self, begins: Sequence[BeginRequest]) -> Callable[[], list[RequestResult]]:
        """Takes requests, in a pipeline, the first of each key; returns what takes in what came of it."""
        firsts = list({each.id: each for each in reversed(begins)}.values())
        now = self._clock()
        given = {
            "subjects": [each.id.subject for each in firsts],
            "keys": [each.id.key for each in firsts],
            "digests": [each.digest for each in firsts],
            "now": now,
            "until": now + _BUSY,
        }
        begun = fetch_later(self._connection, _BegunRow, _SQL.begin_requests, given)
        known = fetch_later(self._connection, _KnownRow, _SQL.requests, given)

        def taken_in() -> list[RequestResult]:
            ours = {RequestId(row.subject, row.key): Begun(row.first_at, row.again) for row in begun()}
            rows = {RequestId(row.subject, row.key): row for row in known()}
            # Of two with one key in a batch the first is ours; the other one finds it being answered.
            return [ours.pop(each.id, None) or _found(each, rows) for each in begins]

        return taken_in


class KeyedRequests:
    """Takes requests with keys from many callers at once; those of a moment share a transaction. Close it when done."""

    def __init__(self, conninfo: str, clock: Clock) -> None:
        self._writer: ReconnectingWriter[RequestCommand, RequestResult] = ReconnectingWriter(
            conninfo, "kvitt requests", lambda connection: RequestWriter(connection, clock).execute
        )
        self._commands: GroupCommit[RequestCommand, RequestResult] = GroupCommit(
            lambda _: self._writer.execute_again, max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="requests", weigh=_weight
        )

    def submit(self, command: RequestCommand) -> "Future[RequestResult]":
        """Hands in a command; the result is durable when it comes. The future fails with a psycopg error when the database is away."""
        return self._commands.submit(command)

    def close(self) -> None:
        """Does what waits, then closes the connection."""
        self._commands.close()
        self._writer.close()


def _weight(command: RequestCommand) -> int:
    return len(command.answered.body) if isinstance(command, EndRequest) and command.answered else 0


def _names(command: RequestCommand) -> frozenset[RequestId]:
    return frozenset((command.id,))


def _found(asked: BeginRequest, rows: Mapping[RequestId, _KnownRow]) -> StoredAnswer | KvittError:
    """The answer to a request that is not ours, or its refusal."""
    known = rows[asked.id]
    if known.digest != asked.digest:
        return KeyReused(f"the {asked.header} was used for another request")
    if known.status is None:
        return RequestInProgress(f"a request with this {asked.header} is being answered")
    return StoredAnswer(known.status, known.content_type or "", known.body or b"")
