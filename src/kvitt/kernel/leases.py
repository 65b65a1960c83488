"""Leases: what must have one owner at a time, and how an owner keeps it (design §4).

Holding a lease here proves nothing: every write carries the fencing token, and the database refuses a stale one.
"""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import psycopg
import structlog
from msgspec import Struct
from psycopg.errors import LockNotAvailable

from kvitt.errors import LeaseLost
from kvitt.kernel.database import LOCK_MS, Connection, connect
from kvitt.kernel.fetch import Source, fetch, fetch_one, fetch_value, fetch_values
from kvitt.kernel.queries import load
from kvitt.kernel.state_log import StateLog

_SQL = load("leases", "kvitt.kernel")
_log = structlog.get_logger(__name__)


class Lease(Struct, frozen=True):
    """A thing that has one owner at a time, under the fencing token of this owner: who writes under an older, lower one is refused."""

    name: str
    token: int


class LeaseGrant(Struct, frozen=True):
    """A lease that was ours when we asked, and the position kept with it."""

    lease: Lease
    position: int


class _AcquiredLease(NamedTuple):
    lease: str
    fencing_token: int
    position: int

    def grant(self) -> LeaseGrant:
        return LeaseGrant(Lease(self.lease, self.fencing_token), self.position)


def new_owner(process: str) -> str:
    """Returns a name that no owner of leases ever had, and that tells people where the process is."""
    return f"{socket.gethostname()}, {process}, {uuid.uuid4().hex}"


ReadUnder = tuple[Lease, int | None, int]
"""A record that was read under a lease: how far its partition had been read before (None: up to it), and its position."""


def advance(cursor: psycopg.Cursor[Any], read: Sequence[ReadUnder]) -> None:
    """Moves the positions of leases on, each over the records that were read of it, in the cursor's transaction.

    Raises LeaseLost where one of them is no longer ours, stands elsewhere, or is locked by somebody else.
    """
    spans: dict[Lease, tuple[int, int]] = {}
    for lease, follows, position in read:
        first, _ = spans.get(lease, (position if follows is None else follows, 0))
        spans[lease] = first, position + 1
    if not spans:
        return
    ordered = sorted((lease.name, lease.token, *span) for lease, span in spans.items())
    named = ", ".join(name for name, *_ in ordered)
    try:
        moved = fetch_values(cursor, _SQL.advance_positions, [*map(list, zip(*ordered, strict=True))])
    except LockNotAvailable as error:
        # Nobody's record is at fault, and each would wait anew: the source is read again, without what is locked.
        raise LeaseLost(f"somebody else has locked a source partition among {named}") from error
    if len(moved) < len(ordered):
        raise LeaseLost(f"or not read up to here: a source partition among {named}")


class LeaseKeeper:
    """Takes leases for one process and prolongs them from a thread of its own, on a connection of its own."""

    def __init__(self, conninfo: str, *, seconds: float = 5.0, owner: str | None = None) -> None:
        """`owner` is a name that no other keeper ever had; None: one by chance."""
        self.owner = owner or new_owner(f"process {os.getpid()}")
        self._conninfo, self._seconds = conninfo, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="leases", daemon=True)
        self._thread.start()

    def acquire(self, connection: psycopg.Connection[Any], name: str) -> LeaseGrant | None:
        """The lease with its fencing token and stored position; None while somebody else has it, or has locked its row for a moment."""
        arguments = {"lease": name, "owner": self.owner, "seconds": self._seconds}
        try:
            taken = fetch_one(connection, _AcquiredLease, _SQL.acquire_lease, arguments)
        except LockNotAvailable:
            return None
        return taken and taken.grant()

    def acquire_all(self, connection: psycopg.Connection[Any], names: Sequence[str]) -> dict[str, LeaseGrant]:
        """Those of the leases that nobody else has, and whose rows nobody has locked right now, by their names."""
        arguments = {"leases": [*names], "owner": self.owner, "seconds": self._seconds}
        return {each.lease: each.grant() for each in fetch(connection, _AcquiredLease, _SQL.acquire_leases, arguments)}

    def close(self, idle: Connection | None = None) -> None:
        """Stops prolonging and gives up all leases, so that the next owner need not wait; over an `idle` connection while that lives."""
        self._stop.set()
        self._thread.join()
        if not (idle and self._give_up(lambda: nullcontext(idle))) and not self._give_up(self._connected):
            _log.info("leases run out by themselves")

    def _connected(self) -> AbstractContextManager[Connection]:
        return connect(self._conninfo, lock_timeout_ms=LOCK_MS)

    def _give_up(self, opened: Callable[[], AbstractContextManager[Connection]]) -> bool:
        try:
            with opened() as connection:
                release_leases(connection, self.owner)
        except psycopg.OperationalError:
            return False
        return True

    def _renew(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        states = StateLog(_log)
        locked: set[str] = set()
        while not self._stop.wait(self._seconds / 4):
            try:
                connection = connection or connect(self._conninfo, application="kvitt leases", lock_timeout_ms=LOCK_MS)
                locked = self._renew_all(connection, locked)
                if locked:
                    states.enters("leases", "locked", "error", "leases are locked by others, and run out", leases=sorted(locked))
                else:
                    states.leaves("leases", "leases are renewed again")
            except psycopg.Error as error:
                name = type(error).__name__
                states.enters("leases", name, "warning", "leases could not be renewed", error=name)
                connection = None
        if connection:
            connection.close()

    def _renew_all(self, connection: psycopg.Connection[Any], before: set[str]) -> set[str]:
        """Prolongs all leases; returns those that somebody holds for longer than a moment, `before` being those of the last time.

        What is locked now may be at work: it is waited for, one lease after the other, and meanwhile none of the others runs out.
        """
        mine = {"owner": self.owner, "seconds": self._seconds}
        held = fetch_values(connection, _SQL.renew_leases, mine)
        locked: set[str] = set()
        for lease in sorted(held, key=lambda each: (each in before, each)):
            if self._stop.is_set():
                break
            try:
                connection.execute(_SQL.renew_lease, {"lease": lease, **mine})
            except LockNotAvailable:
                locked.add(lease)
                connection.execute(_SQL.renew_leases, mine)
        return locked


def hold(source: Source, lease: Lease) -> None:
    """Keeps a lease for the transaction that is open. Raises LeaseLost when its fencing token is not the lease's any more."""
    if fetch_value(source, _SQL.hold_lease, (lease.name, lease.token)) is None:
        raise LeaseLost(lease.name)


def release_every_lease(connection: psycopg.Connection[Any]) -> None:
    """For the sole owner of an embedded database: whoever held a lease before is known to be dead."""
    connection.execute(_SQL.release_every_lease)


def held_leases(connection: psycopg.Connection[Any], leases: Sequence[str]) -> list[str]:
    """Those of these leases that somebody holds now."""
    return fetch_values(connection, _SQL.held_leases, {"leases": list(leases)})


def release_leases(connection: psycopg.Connection[Any], owner: str) -> None:
    """Gives up all leases of an owner that takes none any more, those first that nobody has locked."""
    connection.execute(_SQL.release_free_leases, {"owner": owner})
    connection.execute(_SQL.release_leases, {"owner": owner})


def release_lease(connection: psycopg.Connection[Any], lease: Lease) -> None:
    """Gives up one lease, if it is still ours, so that the next owner need not wait."""
    connection.execute(_SQL.release_lease, {"lease": lease.name, "token": lease.token})
