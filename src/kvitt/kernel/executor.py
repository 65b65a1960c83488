"""Runs batches of commands, each in one transaction: the one way in which a failure is kept from its neighbours (design §3).

A batch that fails is run again command by command; only the one that fails alone is kept, or answered, as a failure by its subject.
"""

from collections.abc import Callable, Hashable, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from typing import Any, Final, Generic, Protocol, TypeVar

import psycopg
import structlog
from psycopg.errors import LockNotAvailable, UniqueViolation

from kvitt.errors import LeaseLost, ResultUnknown
from kvitt.kernel.database import LOCK_MS, TRANSACTION_MS, Connection, connect, is_connection_lost, may_pass
from kvitt.kernel.queries import load

_SQL = load("locks", "kvitt.kernel")
_log = structlog.get_logger(__name__)
_MOST_LOCKED: Final = 10_000


def wait_shortly(source: psycopg.Cursor[Any] | Connection) -> None:
    """Has the rest of the transaction wait for a lock for a moment only."""
    source.execute(_SQL.wait_shortly)


class Locks(Enum):
    """Ways of a run where somebody else has locked what it needs."""

    WAIT = auto()
    """It waits, up to the connection's lock timeout."""
    FREE = auto()
    """It goes on with what is free, or waits for a moment only."""


Command = TypeVar("Command")
Result = TypeVar("Result")
_Command_contra = TypeVar("_Command_contra", contravariant=True)
_Result_co = TypeVar("_Result_co", covariant=True)


class Subject(Protocol[_Command_contra, _Result_co]):
    """The subject of batches: runs them, and knows what becomes of a command that fails alone."""

    def run(self, batch: Sequence[_Command_contra], locks: Locks) -> Sequence[_Result_co]:
        """Does all of it in one transaction, one result per command; whatever it raises, nothing was done."""

    def failed(self, command: _Command_contra, error: Exception) -> _Result_co:
        """Keeps a command that failed alone as a failure, and returns its result; or raises, where it is to come again."""


class BatchExecutor(Generic[Command, Result]):
    """Executes batches of one subject. Not for sharing between threads."""

    def __init__(
        self, subject: Subject[Command, Result], *, names: Callable[[Command], AbstractSet[Hashable]] | None = None, attempts: int = 1
    ) -> None:
        """`names` returns what a command locks; None: the subject itself leaves out what is locked, when it runs with `Locks.FREE`.

        A command alone is begun anew up to `attempts` times where others were at the same rows.
        """
        self._subject, self._names, self._attempts = subject, names, attempts
        self._locked: set[Hashable] = set()
        """What a stranger was found to have locked: a hint, which only saves waiting for it once more."""

    def execute(self, batch: Sequence[Command]) -> list[Result]:
        """One result per command, in order, all of them durable on return.

        Raises psycopg errors when the connection is lost and LeaseLost when the lease is; nothing of the batch was done then, or its
        subject recognises the repeat; ResultUnknown where that is not known. Where locks are not available it is run once more with what
        is free.
        """
        if not self._locked or self._names is None:
            return self._together(batch)
        wary = [place for place, each in enumerate(batch) if not self._locked.isdisjoint(self._names(each))]
        others = sorted({*range(len(batch))} - {*wary})
        results: dict[int, Result] = {}
        if others:
            results.update(zip(others, self._together([batch[place] for place in others]), strict=True))
        results.update(zip(wary, self._apart([batch[place] for place in wary], Locks.FREE), strict=True))
        return [results[place] for place in range(len(batch))]

    def _together(self, batch: Sequence[Command]) -> list[Result]:
        try:
            return list(self._run(batch, Locks.WAIT))
        except (LeaseLost, ResultUnknown):
            raise
        except Exception as error:
            if is_connection_lost(error):
                raise
            # Whatever failed, it is one command's doing: alone it fails again, and its neighbours go through.
            subject = type(self._subject).__name__.lower()
            _log.warning("batch re-run one by one", subject=subject, commands=len(batch), error=type(error).__name__)
            locked = self._names is not None and isinstance(error, LockNotAvailable)
            return self._apart(batch, Locks.FREE if locked else Locks.WAIT)

    def _run(self, batch: Sequence[Command], locks: Locks) -> Sequence[Result]:
        try:
            return self._subject.run(batch, locks)
        except LockNotAvailable:
            if self._names is not None:
                raise
            return self._subject.run(batch, Locks.FREE)

    def _apart(self, batch: Sequence[Command], locks: Locks) -> list[Result]:
        """One by one; those that share something with one that was refused a lock come last."""
        results: dict[int, Result] = {}
        last: list[int] = []
        refused: set[Hashable] = set()
        for place, command in enumerate(batch):
            if refused and self._names and not refused.isdisjoint(self._names(command)):
                last.append(place)
            else:
                results[place] = self._alone(command, locks, refused)
        results.update({place: self._alone(batch[place], locks, refused) for place in last})
        return [results[place] for place in range(len(batch))]

    def _alone(self, command: Command, locks: Locks, refused: set[Hashable]) -> Result:
        names = self._names(command) if self._names else frozenset()
        try:
            result = self._begun_anew(command, locks)
        except (LeaseLost, ResultUnknown):
            raise
        except Exception as error:  # noqa: BLE001 - the subject keeps it as a failure, or raises it
            if isinstance(error, LockNotAvailable):
                refused |= names
                self._remember(names)
            return self._subject.failed(command, error)
        self._locked -= names
        return result

    def _begun_anew(self, command: Command, locks: Locks) -> Result:
        for _ in range(self._attempts - 1):
            try:
                return self._run([command], locks)[0]
            except psycopg.Error as error:
                if not _met_others(error):
                    raise
        return self._run([command], locks)[0]

    def _remember(self, names: AbstractSet[Hashable]) -> None:
        if len(self._locked) >= _MOST_LOCKED:
            self._locked.clear()
        self._locked |= names


def _met_others(error: Exception) -> bool:
    """Whether somebody else was at the same rows, and has done with them."""
    if isinstance(error, LockNotAvailable) or is_connection_lost(error):
        return False
    return isinstance(error, UniqueViolation) or may_pass(error)


def resume(run: Callable[[int, Exception | None], int], limit: int) -> int:
    """Runs what was kept for later, up to `limit` at once; where that fails the first of it alone, and where that fails too, as a failure.

    `run` takes how many at most and what they failed with, and returns how many it did. Raises psycopg errors that may pass.
    """
    failure: Exception | None = None
    for most in (limit, 1):
        try:
            return run(most, None)
        except Exception as error:
            if may_pass(error):
                raise
            _log.warning("kept ones re-run one by one", error=type(error).__name__)
            failure = error
    return run(1, failure)


class ReconnectingWriter(Generic[Command, Result]):
    """Executes batches on a connection of its own, opened anew after it was lost. For one thread."""

    def __init__(
        self, conninfo: str, application: str, execute_on: Callable[[Connection], Callable[[Sequence[Command]], Sequence[Result]]]
    ) -> None:
        """`execute_on` returns what executes batches on a connection; it is asked once per connection."""
        self._conninfo, self._application, self._execute_on = conninfo, application, execute_on
        self._connection: psycopg.Connection[Any] | None = None
        self._execute: Callable[[Sequence[Command]], Sequence[Result]] | None = None

    def execute(self, batch: Sequence[Command]) -> Sequence[Result]:
        """The results of a batch. Raises what its execution raises, and psycopg.OperationalError where there is no server."""
        if self._connection is None or self._execute is None or self._connection.closed:
            self._connection = connect(
                self._conninfo, application=self._application, transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS, keeps_plans=True
            )
            self._execute = self._execute_on(self._connection)
        try:
            return self._execute(batch)
        except psycopg.Error as error:
            if is_connection_lost(error):
                self.close()
            raise

    def execute_again(self, batch: Sequence[Command]) -> Sequence[Result]:
        """As `execute`, for what recognises its own repeat: where the connection at hand has ended it is done again, on a new one."""
        at_hand = self._connection is not None and not self._connection.closed
        try:
            return self.execute(batch)
        except psycopg.Error as error:
            if not (at_hand and is_connection_lost(error)):
                raise
        return self.execute(batch)

    def close(self) -> None:
        """Ends the connection, once nothing is handed in any more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._execute = None
