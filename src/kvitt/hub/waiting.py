"""The queue of a case: when its last open order is settled, the next waiting message is derived in the same transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
import structlog

from kvitt.hub.case import Case, find_elsewhere, load_payments
from kvitt.hub.desk import Desk
from kvitt.hub.facts import Facts
from kvitt.hub.taken import Incoming, Reading, failure, numbered, read
from kvitt.rules.values import Scheme
from kvitt.store.queries import load

_SQL = load("cases")
_log = structlog.get_logger(__name__)
_PER_LOOK = 20
"""How many messages of one case are looked at in one query; more are fetched while none of them opens an order."""


def let_in(cursor: psycopg.Cursor[Any], facts: Facts, cases: Mapping[tuple[Scheme, str], Case], now: datetime) -> None:
    """Derives what waits for these locked cases until each has an open order or nothing waits. Adds to `facts`, moves the cases."""
    free = {case.case_no: case for case in cases.values() if case.waiting and not case.open_orders}
    if free:
        # Their receipts may have changed the accepted payments in this very transaction.
        load_payments(cursor, list(free.values()))
    last_seen: dict[int, int] = {}
    while free:
        queued = _queued(cursor, list(free), last_seen)
        find_elsewhere(cursor, cases, [reading for _, _, reading in queued])
        for case_no, number, reading in queued:
            case, last_seen[case_no] = free[case_no], number
            if not case.open_orders:
                _handle(case, number, reading, facts, now)
        seen = {case_no for case_no, _, _ in queued}
        # A case that counts waiting messages of which none is found would be looked at for ever; `kvitt check` tells of it.
        free = {case_no: case for case_no, case in free.items() if case_no in seen and case.waiting and not case.open_orders}


def _handle(case: Case, number: int, reading: Reading, facts: Facts, now: datetime) -> None:
    incoming = reading.incoming
    message = numbered(reading, number)
    gathered = Facts()
    case.waiting -= 1
    try:
        Desk(gathered, now).handle(case, message, None)
    except Exception as error:  # noqa: BLE001 - the failure becomes this message's stored answer; the case goes on
        _log.error("waiting message failed", source=incoming.source, position=incoming.position, error=type(error).__name__)
        gathered = Facts()
        Desk(gathered, now).refuse(case, message, None, failure(incoming, error))
    facts.add(gathered)


def _queued(cursor: psycopg.Cursor[Any], case_numbers: Sequence[int], after: Mapping[int, int]) -> list[tuple[int, int, Reading]]:
    columns = [case_numbers, [after.get(case_no, 0) for case_no in case_numbers], _PER_LOOK]
    rows = cursor.execute(_SQL.waiting_messages, columns, binary=True).fetchall()
    return [(row[0], row[1], read(Incoming(row[2], row[3], row[4], bytes(row[5]), bytes(row[6]), row[7]))) for row in rows]
