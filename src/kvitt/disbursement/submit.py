"""Submit: a batch of records becomes orders, answers and queued messages in one transaction (design §4 steps 1-5)."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import psycopg
import structlog
from psycopg.errors import LockNotAvailable

from kvitt.disbursement.case import (
    Case,
    CaseKey,
    find_decisions,
    find_ids_in_use,
    find_stored_answers,
    load_lines,
    load_payments,
    lock_free_cases,
    make_and_lock_cases,
    persons_asked_about,
)
from kvitt.disbursement.decisions import DecisionKey
from kvitt.disbursement.handle import Handler, find_other_cases, numbered, parse
from kvitt.disbursement.inbox import (
    InboxMessage,
    Incoming,
    Interpreted,
    ParsedRecord,
    ReconciliationTrigger,
    Skipped,
    StoredRecord,
    answer_of_edge,
    failed,
    failure,
)
from kvitt.disbursement.outside import LookedUp, Outside
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rows import DeadLetterRow, DeferredRow, MessageRow, TriggerRow
from kvitt.disbursement.simulation_requests import find_open_since
from kvitt.disbursement.unit_of_work import UnitOfWork, count_handled
from kvitt.disbursement.validate import Unvalidated, validate_together
from kvitt.disbursement.values import Refusal
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection, may_pass
from kvitt.kernel.executor import BatchExecutor, Locks, resume
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import Lookup, fetch, fetch_later, look_up
from kvitt.kernel.leases import advance
from kvitt.kernel.queries import load

_CASES, _DEFERRED = load("cases", "kvitt.disbursement"), load("deferred", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
_private = structlog.get_logger("kvitt.restricted")


class _DeferredMessage(NamedTuple):
    deferred_no: int
    record: StoredRecord


class Outcome(StrEnum):
    """Outcomes of a record."""

    DERIVED = "derived"
    QUEUED = "queued"
    ANSWERED = "answered"
    DEAD = "dead"
    DEFERRED = "deferred"
    SKIPPED = "skipped"
    TRIGGERED = "triggered"
    """Reconciliation is asked for."""
    REPEATED = "repeated"


class Submit:
    """Executes batches on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock, ports: Ports) -> None:
        self._connection, self._clock, self._ports = connection, clock, ports
        self._executor = BatchExecutor(self)
        self._forwards = {source for contract in ports.contracts if contract.forwards for source in contract.sources}
        """The topics whose senders make the lines."""
        self._held: set[CaseKey] = set()
        """Cases that somebody else was found to hold: a hint, which saves waiting for them once more."""

    def execute(self, batch: Sequence[Incoming]) -> list[Outcome]:
        """One outcome per record, all of them durable on return.

        A record that fails alone is answered and kept; it never sinks its neighbours. Raises LeaseLost when a source
        partition is no longer ours, or a batch before this one has failed (nothing is done then), psycopg errors when the
        connection is gone. A message of a case that a stranger holds is kept, behind what was kept of that case before, for `Resume`
        to handle when the case is free; nobody else waits for it.
        """
        return self.execute_parsed([parse(self._ports.contracts, each) for each in batch])

    def execute_parsed(self, batch: Sequence[Interpreted]) -> list[Outcome]:
        """As `execute`, of records that their contracts have read."""
        return self._executor.execute(batch)

    def transaction(self) -> AbstractContextManager[psycopg.Transaction]:
        """A transaction on our connection: what it did not do comes again from its source, and what it did is recognised."""
        return self._connection.transaction()

    def committed(self, work: UnitOfWork) -> None:
        """Hears of what a transaction wrote, once it has committed."""

    def run(self, batch: Sequence[Interpreted], locks: Locks) -> list[Outcome]:
        """Handles records in one transaction; with `Locks.FREE` those of cases that nobody else holds, and keeps the rest."""
        return self._transact(batch, wait=locks is Locks.WAIT)

    def failed(self, command: Interpreted, error: Exception) -> Outcome:
        """Answers a record that fails alone, and keeps it. Raises what may pass: then it comes again from its source."""
        if isinstance(error, LockNotAvailable) and isinstance(command, ParsedRecord) and command.case_key:
            return self._transact([command], wait=None)[0]
        if may_pass(error):
            raise error
        incoming = command.incoming
        if self._repeated(incoming):
            return Outcome.REPEATED
        _private.warning("message failed alone", source=incoming.source, position=incoming.position, error=str(error))
        return self._transact([_as_failed(command, error)])[0]

    def resume(self, key: CaseKey, limit: int) -> int:
        """Handles up to `limit` messages that were kept while somebody else held their case, in the order in which they came.

        Returns how many; 0 while the case is held. Raises psycopg errors that may pass.
        """
        return resume(lambda most, failure_of: self._resume(key, most, failure_of), limit)

    def _repeated(self, incoming: Incoming) -> bool:
        """Whether this edge identity is taken: the record was handled before, its answer stands."""
        return answer_of_edge(self._connection, incoming.source, (incoming.partition, incoming.position)) is not None

    def _transact(self, records: Sequence[Interpreted], *, wait: bool | None = True) -> list[Outcome]:
        """`wait` for cases that somebody else holds; False: handle what is free and keep the rest; None: keep all, and look at no case."""
        with self.transaction(), self._connection.cursor() as cursor:
            advance(cursor, [(lease, each.incoming.follows, each.incoming.position) for each in records if (lease := each.incoming.lease)])
            keys = {key for each in records if isinstance(each, ParsedRecord) and (key := each.case_key)}
            cases = {} if wait is None else self._lock(cursor, keys, wait=wait)
            sorting = self._sorting(cursor, cases, [each for each in records if isinstance(each, ParsedRecord)])
            outcomes = [sorting.sort(each) for each in records]
            sorting.write(cursor)
            fault_point("submit.before_commit")
        fault_point("submit.after_commit")
        count_handled(sorting.work, outcomes)
        self.committed(sorting.work)
        return outcomes

    def _resume(self, key: CaseKey, limit: int, failure_of: Exception | None) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cases, held = lock_free_cases(cursor, [key], make=True)
            # Read under the lock of the case: what somebody else has handled meanwhile is not among them.
            arguments = (key[0].value, key[1], limit)
            rows = [] if held else fetch(cursor, _DeferredMessage, _DEFERRED.deferred_messages, arguments, record=StoredRecord)
            if not rows:
                return 0
            records = [parse(self._ports.contracts, row.record.incoming()) for row in rows]
            if failure_of:
                _private.warning("kept message failed alone", error=str(failure_of))
                records = [_as_failed(each, failure_of) for each in records]
            for case in cases:
                case.deferred = False
            sorting = self._sorting(
                cursor, {case.key: case for case in cases}, [each for each in records if isinstance(each, ParsedRecord)]
            )
            outcomes = [sorting.sort(each) for each in records]
            sorting.write(cursor)
            cursor.execute(_DEFERRED.take_deferred, (self._clock(), [row.deferred_no for row in rows]))
        count_handled(sorting.work, outcomes)
        return len(rows)

    def _lock(self, cursor: psycopg.Cursor[Any], keys: set[CaseKey], *, wait: bool) -> dict[CaseKey, Case]:
        """Locks cases; those that somebody else holds are waited for, or left out."""
        if not keys:
            return {}
        wary = keys & self._held if wait else keys
        cases: list[Case] = []
        if patient := keys - wary:
            cases = make_and_lock_cases(cursor, list(patient))
        if wary:
            free, held = lock_free_cases(cursor, list(wary), make=True)
            cases += free
            self._held.difference_update(wary - held)
            self._held.update(held)
        return {case.key: case for case in cases}

    def _sorting(self, cursor: psycopg.Cursor[Any], cases: dict[CaseKey, Case], records: Sequence[ParsedRecord]) -> "_Sorting":
        """Looks up what the messages of free cases ask about, and draws their numbers."""
        now = [each for each in records if (key := each.case_key) is None or (key in cases and not cases[key].deferred)]
        drawn: list[_Drawn] = []
        outside: LookedUp | None = None
        if now:
            asking = persons_asked_about(cases, now)
            look_up(
                cursor,
                load_payments(cursor, list({key: cases[key] for each in now if (key := each.case_key)}.values())),
                find_ids_in_use(cursor, cases, now),
                find_stored_answers(cursor, cases, now),
                load_lines(cursor, self._forwarding(cases, now)),
                find_decisions(cursor, self._named_decisions(now), cases),
                _draw_numbers(cursor, [person for _, person in asking], len(now), drawn),
                find_other_cases(cursor, asking, self._ports.contracts.forwarding),
            )
            if dry_runs := {key for each in now if each.dry_run and (key := each.case_key)}:
                find_open_since(cursor, [cases[key] for key in sorted(dry_runs)])
            outside = self._outside(cursor, asking, now, drawn[0].limits)
        return _Sorting(cases, iter(drawn[0].numbers if drawn else ()), self._clock(), self._ports, outside)

    def _outside(
        self, cursor: psycopg.Cursor[Any], asking: Sequence[tuple[Case, str]], records: Sequence[ParsedRecord], limits: str | None
    ) -> LookedUp | None:
        """Returns what finds reasons outside the cases; None where there are none: no other case pays these persons, nobody is limited."""
        alone = len({person for _, person in asking}) == len(asking) and not any(case.of_other_cases for case, _ in asking)
        if alone and not limits and not self._ports.limits:
            return None
        outside = LookedUp(self._ports, self._clock())
        outside.look(cursor, limits, records)
        return outside

    def _named_decisions(self, records: Sequence[ParsedRecord]) -> dict[CaseKey, set[DecisionKey]]:
        """The decisions that messages are, and name as previous, by case; for contracts that keep a chain of them."""
        named: dict[CaseKey, set[DecisionKey]] = {}
        for each in records:
            contract = self._ports.contracts.of[each.incoming.source]
            if contract.keeps_chain and each.case_key and not isinstance(each.content, Refusal):
                keys = (contract.previous_decision(each.content), each.identity.key if each.identity else None)
                named.setdefault(each.case_key, set()).update(filter(None, keys))
        return named

    def _forwarding(self, cases: dict[CaseKey, Case], records: Sequence[ParsedRecord]) -> list[Case]:
        """The cases whose senders make the lines."""
        return [cases[key] for each in records if each.incoming.source in self._forwards and (key := each.case_key)]


class _Drawn(NamedTuple):
    """Numbers for messages, and the limits that people have set, as `decode_limits` reads them."""

    numbers: list[int]
    limits: str | None


def _draw_numbers(cursor: psycopg.Cursor[Any], persons: Sequence[str], count: int, into: list[_Drawn]) -> Lookup:
    """Draws numbers for messages, once these persons are locked."""
    drawn = fetch_later(cursor, _Drawn, _CASES.next_message_numbers, [persons, count])
    yield
    into += drawn()


class _Sorting:
    """Decides record by record, in the order in which they came, what becomes of each; `now` was read under the locks of their cases."""

    def __init__(self, cases: dict[CaseKey, Case], numbers: Iterator[int], now: datetime, ports: Ports, outside: Outside | None) -> None:
        self.work, self._cases, self._numbers, self._now, self._ports = UnitOfWork(), cases, numbers, now, ports
        self._outside = outside
        # The orders of several cases are validated together; what fails alone is answered as its message's failure.
        self._unvalidated: list[Unvalidated] | None = [] if len(cases) > 1 else None

    def sort(self, parsed: Interpreted) -> Outcome:
        """Returns what becomes of the next one."""
        if isinstance(parsed, ParsedRecord):
            if (key := parsed.case_key) and (key not in self._cases or self._cases[key].deferred):
                self._defer(parsed, key)
                return Outcome.DEFERRED
            return self._handle(parsed)
        if isinstance(parsed, ReconciliationTrigger):
            self._trigger(parsed)
            return Outcome.TRIGGERED
        if not parsed.kept:
            return Outcome.SKIPPED
        self._dead_letter(parsed.incoming, parsed.reason, None)
        return Outcome.DEAD

    def write(self, cursor: psycopg.Cursor[Any]) -> None:
        """Writes what came of all of it. Raises InvalidOrderMessage where a rail does not take an order."""
        if self._unvalidated:
            validate_together(self._unvalidated)
        self.work.cases = [case.step() for case in self._cases.values() if case.changed]
        self.work.write(cursor)

    def _defer(self, parsed: ParsedRecord, key: CaseKey) -> None:
        """Its case is held by somebody else, or something that came before waits for it: kept as it came."""
        incoming = parsed.incoming
        self.work.deferred.append(
            DeferredRow(
                key[0].value,
                key[1],
                incoming.source,
                incoming.partition,
                incoming.position,
                incoming.key,
                incoming.headers,
                None,
                incoming.body or b"",
                self._now,
            )
        )

    def _trigger(self, asked: ReconciliationTrigger) -> None:
        incoming = asked.incoming
        self.work.triggers.append(
            TriggerRow(
                incoming.source,
                incoming.partition,
                incoming.position,
                incoming.key,
                incoming.body or b"",
                incoming.headers,
                incoming.edition,
                asked.up_to,
                self._now,
            )
        )

    def _dead_letter(self, incoming: Incoming, reason: str, message_no: int | None) -> None:
        body = incoming.body or b""
        self.work.dead.append(
            DeadLetterRow(
                incoming.source, incoming.partition, incoming.position, incoming.key, body, incoming.headers, reason, message_no, self._now
            )
        )

    def _handle(self, parsed: ParsedRecord) -> Outcome:
        key = parsed.case_key
        case = self._cases[key] if key else None
        now = case.moment(self._now) if case else self._now
        message, record = _numbered(parsed, next(self._numbers), now)
        try:
            outcome, work = self._decide(case, message, record, parsed.dead, now)
        except Exception as error:  # noqa: BLE001 - the failure becomes this message's stored answer; its neighbours go on
            _log.error("message failed", source=message.source, position=message.position, error=type(error).__name__)
            outcome, work = self._failed(parsed, message, record, error, now)
        if parsed.dead and outcome is not Outcome.DEAD:
            self._dead_letter(parsed.incoming, parsed.dead, message.message_no)
        self.work.add(work)
        return outcome

    def _decide(
        self, case: Case | None, message: InboxMessage, record: MessageRow, reason: str | None, now: datetime
    ) -> tuple[Outcome, UnitOfWork]:
        work = UnitOfWork()
        return Outcome(self._handler(message, work, now).receive(case, message, record, reason).value), work

    def _handler(self, message: InboxMessage, work: UnitOfWork, now: datetime) -> Handler:
        contract, rails = self._ports.contracts.of[message.source], self._ports.rails
        return Handler(contract, rails, work, now, outside=self._outside, unvalidated=self._unvalidated)

    def _failed(
        self, parsed: ParsedRecord, message: InboxMessage, record: MessageRow, error: Exception, now: datetime
    ) -> tuple[Outcome, UnitOfWork]:
        """Answered as kvitt's failure, and kept. On the rapid the question is part of its answer: one that allows none is only kept."""
        work, reason = UnitOfWork(), f"{type(error).__name__}: {error}"
        try:
            self._handler(message, work, now).refuse(None, message, record, failure(parsed.incoming, error))
        except Exception as unanswerable:  # noqa: BLE001 - the failure becomes a dead letter; the neighbours go on
            _log.error("message can not be answered", source=message.source, position=message.position, error=type(unanswerable).__name__)
            self._dead_letter(parsed.incoming, reason, None)
            return Outcome.DEAD, UnitOfWork()
        self._dead_letter(parsed.incoming, reason, message.message_no)
        return Outcome.ANSWERED, work


def _as_failed(command: Interpreted, error: Exception) -> ParsedRecord | Skipped:
    """A record on which kvitt itself failed: it is answered if it is a message, and kept."""
    if isinstance(command, ParsedRecord):
        return failed(command.incoming, command.scheme, error, dry_run=command.dry_run)
    return command if isinstance(command, Skipped) else Skipped(command.incoming, f"{type(error).__name__}: {error}", kept=True)


def _numbered(parsed: ParsedRecord, number: int, now: datetime) -> tuple[InboxMessage, MessageRow]:
    """The message under its number, and its row as far as it is known before its case is looked at."""
    incoming = parsed.incoming
    assert incoming.body is not None, "tombstones are skipped"
    message = numbered(parsed, number, now)
    record = MessageRow(
        number,
        incoming.source,
        incoming.partition,
        incoming.position,
        incoming.key,
        hashlib.sha256(incoming.body).digest(),
        incoming.body,
        incoming.headers,
        parsed.scheme.value,
        None,
        parsed.dry_run,
        "received",
        now,
        None,
        None,
        None,
        incoming.edition,
    )
    return message, record
