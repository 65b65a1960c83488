"""Watches that no order and no simulation of one case are at the rail at the same time, and keeps a list of the simulations asked for.

A case is marked, over all areas that it has orders in, by a lock of the session that simulates it, so the mark ends with the process that
made it. What books orders looks for
the mark, and what simulates looks for orders that are being booked or whose receipt is still held back.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import TypeVar

import psycopg
from msgspec import Struct

from kvitt.kernel.database import TupleConnection, connect
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.order import CaseAtRail

Made = TypeVar("Made")
_SQL = load("service", package="kvitt.rails.oppdrag.emulator")


class ViolationKind(Enum):
    """How an order and a simulation met."""

    ORDER_WHILE_SIMULATING = "order while simulating"
    SIMULATION_WHILE_BOOKING = "simulation while booking"
    SIMULATION_BEFORE_RECEIPT = "simulation before the receipt"


class Violation(Struct, frozen=True):
    """An order and a simulation of one case at the rail at the same time; `message_id` is of the one that came later."""

    noticed_at: datetime
    area: str
    case_id: str
    how: ViolationKind
    message_id: str


class SimulationVisit(Struct, frozen=True):
    """A simulation at the rail. Without a case it could not be read. `has_waited`: for an order of its case that was being booked."""

    message_id: str
    case: CaseAtRail
    asked_at: datetime
    is_marked: bool = False
    has_waited: bool = False


class SimulatedRequest(Struct, frozen=True):
    """A simulation that was asked for. `outcome` is answered, empty, fault, refused (its token), closed or abandoned."""

    message_id: str
    area: str
    case_id: str
    asked_at: datetime
    answered_at: datetime
    outcome: str
    note: str


class _Mark(Struct, frozen=True):
    is_free: bool
    awaits_receipt: bool


class Watch:
    """Marks cases that are being simulated, from any number of threads, over one connection of its own."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._conn: TupleConnection | None = None
        self._turn = threading.Lock()

    def begin(self, visit: SimulationVisit, now: datetime) -> SimulationVisit:
        """The visit, with its case marked; what order it met is recorded. Raises psycopg.OperationalError when the connection ends."""
        return self._with_connection(lambda conn: self._begin(conn, visit, now))

    def end(self, visit: SimulationVisit, outcome: str, note: str, now: datetime) -> None:
        """The simulation has left the rail, or will at once. Raises as `begin`."""
        arguments = {
            "message_id": visit.message_id,
            "area": visit.case.area,
            "areas": visit.case.areas,
            "case_id": visit.case.case_id,
            "asked_at": visit.asked_at,
            "now": now,
            "outcome": outcome,
            "note": note,
            "marked": visit.is_marked,
        }
        self._with_connection(lambda conn: conn.execute(_SQL.end_simulation, arguments))

    def close(self) -> None:
        """Ends the connection, and with it all marks."""
        with self._turn:
            self._close()

    def _begin(self, conn: TupleConnection, visit: SimulationVisit, now: datetime) -> SimulationVisit:
        case = {"areas": visit.case.areas, "case_id": visit.case.case_id}
        mark = fetch_one(conn, _Mark, _SQL.begin_simulation, {**case, "now": now})
        assert mark is not None, "the statement has one row"
        if not mark.is_free:
            add_violations(conn, ViolationKind.SIMULATION_WHILE_BOOKING, [(visit.case, visit.message_id)], now)
            conn.execute(_SQL.wait_for_booking, case)
        elif mark.awaits_receipt:
            add_violations(conn, ViolationKind.SIMULATION_BEFORE_RECEIPT, [(visit.case, visit.message_id)], now)
        return SimulationVisit(visit.message_id, visit.case, visit.asked_at, is_marked=True, has_waited=not mark.is_free)

    def _with_connection(self, act: Callable[[TupleConnection], Made]) -> Made:
        with self._turn:
            if self._conn is None or self._conn.closed:
                self._conn = connect(self._conninfo, application="kvitt emulator watch")
            try:
                return act(self._conn)
            except psycopg.OperationalError:
                self._close()
                raise

    def _close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def add_violations(conn: TupleConnection, kind: ViolationKind, met: Sequence[tuple[CaseAtRail, str]], now: datetime) -> None:
    """Records what met; each item: the case, and the message id of what came later."""
    arrays = {
        "areas": [case.area for case, _ in met],
        "case_ids": [case.case_id for case, _ in met],
        "message_ids": [message_id for _, message_id in met],
    }
    conn.execute(_SQL.add_violations, {**arrays, "kind": kind.value, "now": now})


def violations(conn: TupleConnection) -> tuple[Violation, ...]:
    """Every violation, in order; a hub that keeps its order of things leaves none."""
    return tuple(fetch(conn, Violation, _SQL.violations, how=ViolationKind))


def simulated(conn: TupleConnection) -> tuple[SimulatedRequest, ...]:
    """Every simulation that was asked for, in the order of the answers."""
    return tuple(fetch(conn, SimulatedRequest, _SQL.simulated))
