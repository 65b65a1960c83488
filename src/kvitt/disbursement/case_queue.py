"""Cases with what they have accepted, and the queue of each: when the last open order of one is settled, the next queued message is
derived in the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
import structlog

from kvitt.disbursement.case import (
    Case,
    CaseKey,
    find_ids_in_use,
    load_lines,
    load_payments,
    lock_cases,
    persons_asked_about,
)
from kvitt.disbursement.contract import parse_again
from kvitt.disbursement.handle import Handler, find_other_cases, numbered
from kvitt.disbursement.inbox import ParsedRecord, StoredRecord, failure
from kvitt.disbursement.outside import LookedUp, Outside, lock_persons
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.kernel.fetch import fetch, look_up
from kvitt.kernel.queries import load

_SQL = load("cases", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
_PER_LOOK = 20
"""How many messages of one case are looked at in one query; more are fetched while none of them opens an order."""


class _QueuedMessage(NamedTuple):
    case_no: int
    message_no: int
    parsed: ParsedRecord
    received_at: datetime
    limits: str | None


class _WaitingMessage(NamedTuple):
    case_no: int
    message_no: int
    received_at: datetime
    edition: int
    limits: str | None
    record: StoredRecord


def load_cases(cursor: psycopg.Cursor[Any], keys: Sequence[CaseKey]) -> list[Case]:
    """Locks the named cases that exist, in sorted order, and loads their accepted payments."""
    cases = lock_cases(cursor, keys)
    look_up(cursor, load_payments(cursor, cases))
    return cases


def dequeue_next(cursor: psycopg.Cursor[Any], work: UnitOfWork, cases: Mapping[CaseKey, Case], now: datetime, ports: Ports) -> None:
    """Derives what waits for these locked cases until each has an open order or nothing waits. Adds to `work`, moves the cases.

    `now` was read under their locks. Of a case that is contradicted nothing is derived.
    """
    free = {case.case_no: case for case in cases.values() if case.queued and case.may_go_on}
    if free:
        # Their receipts may have changed the accepted payments in this very transaction.
        lined = [case for case in free.values() if case.scheme in ports.contracts.forwarding]
        look_up(cursor, load_payments(cursor, list(free.values())), load_lines(cursor, lined))
        # All at once, however many messages come: two that lock one after the other might wait for each other.
        lock_persons(cursor, [person for case in free.values() if (person := case.person or case.ordered_for)])
    outside = LookedUp(ports, now)
    last_seen: dict[int, int] = {}
    while free:
        queued = _queued(cursor, list(free), last_seen, ports)
        records = [each.parsed for each in queued]
        asking = persons_asked_about(cases, records)
        look_up(cursor, find_ids_in_use(cursor, cases, records), find_other_cases(cursor, asking, ports.contracts.forwarding))
        outside.look(cursor, queued[0].limits if queued else None, records)
        for each in queued:
            case, last_seen[each.case_no] = free[each.case_no], each.message_no
            if case.may_go_on:
                _handle(case, each, work, case.moment(now), ports, outside=outside)
        seen = {each.case_no for each in queued}
        # A case that counts queued messages of which none is found would be looked at for ever; `kvitt check` reports it.
        free = {case_no: case for case_no, case in free.items() if case_no in seen and case.queued and case.may_go_on}


def _handle(case: Case, queued: "_QueuedMessage", work: UnitOfWork, now: datetime, ports: Ports, *, outside: Outside) -> None:
    incoming = queued.parsed.incoming
    message = numbered(queued.parsed, queued.message_no, queued.received_at)
    gathered, contract = UnitOfWork(), ports.contracts.of[incoming.source]
    case.queued -= 1
    try:
        Handler(contract, ports.rails, gathered, now, outside=outside).handle(case, message, None)
    except Exception as error:  # noqa: BLE001 - the failure becomes this message's stored answer; the case goes on
        _log.error("queued message failed", source=incoming.source, position=incoming.position, error=type(error).__name__)
        gathered = UnitOfWork()
        Handler(contract, ports.rails, gathered, now).refuse(case, message, None, failure(incoming, error))
    work.add(gathered)


def _queued(cursor: psycopg.Cursor[Any], case_numbers: Sequence[int], after: Mapping[int, int], ports: Ports) -> list[_QueuedMessage]:
    columns = [case_numbers, [after.get(case_no, 0) for case_no in case_numbers], _PER_LOOK]
    rows = fetch(cursor, _WaitingMessage, _SQL.queued_messages, columns, record=StoredRecord)
    return [
        _QueuedMessage(
            each.case_no, each.message_no, parse_again(ports.contracts, each.record.incoming(each.edition)), each.received_at, each.limits
        )
        for each in rows
    ]
