"""Settle: receipts accept or reject orders, answer their messages, and dequeue the next message of each case (design §4 step 7)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
import structlog
from msgspec import Struct
from msgspec.structs import replace
from psycopg.errors import LockNotAvailable

from kvitt.disbursement.cancel.answer import CancellationAnswer, answer_requests, answered_state
from kvitt.disbursement.case import (
    Case,
    CaseKey,
    lock_cases,
    lock_free_cases,
)
from kvitt.disbursement.case_queue import dequeue_next
from kvitt.disbursement.events import Contradicted, ReceiptArrived, Settled
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import Candidate, Observation, Rail, ReceiptOutcome
from kvitt.disbursement.receipts import ReceiptApplier, decide, find_candidates, open_contradictions, read_answer
from kvitt.disbursement.rows import DeferredRow, ReceiptRow
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.unit_of_work import OutboxWriter, UnitOfWork, copy_event, count_settled
from kvitt.disbursement.values import Scheme
from kvitt.errors import UnreadableReceipt
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection, may_pass
from kvitt.kernel.executor import BatchExecutor, Locks, resume
from kvitt.kernel.fault_points import fault_point
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.queries import load

_SQL, _DEFERRED = load("orders", "kvitt.disbursement"), load("deferred", "kvitt.disbursement")
_log = structlog.get_logger(__name__)
_MOVES = frozenset({ReceiptOutcome.ACCEPTED, ReceiptOutcome.REJECTED, ReceiptOutcome.UNCLEAR})
"""With these an order gets another state."""
_FOR_A_PERSON = frozenset(
    {
        ReceiptOutcome.UNMATCHED,
        ReceiptOutcome.UNCLEAR,
        ReceiptOutcome.CONTRADICTS,
        ReceiptOutcome.RETURNED,
        ReceiptOutcome.CANCELLED,
    }
)


class RawReceipt(Struct, frozen=True):
    """An answer of the rail as the queue handed it out, or an operator's word in its place."""

    message_id: str
    body: bytes
    by_hand: bool = False


class _Read(Struct, frozen=True):
    """One thing that a raw receipt of a rail says, at its place in it; or the reason why nothing could be read."""

    rail: Rail
    raw: RawReceipt
    digest: bytes
    receipt: Observation | None
    reason: str = ""
    place: int = 0

    @property
    def case_key(self) -> tuple[Scheme, str] | None:
        return self.receipt.case if self.receipt else None


def _read(rail: Rail, raw: RawReceipt) -> list[_Read]:
    """All that a raw receipt says, of one order or of many."""
    hashed = hashlib.sha256(raw.body).digest()
    try:
        return [_Read(rail, raw, hashed, said, place=place) for place, said in enumerate(read_answer(rail, raw.body))]
    except UnreadableReceipt as error:
        return [_Read(rail, raw, hashed, None, str(error))]


class _DeferredReceipt(NamedTuple):
    deferred_no: int
    message_id: str
    body: bytes
    rail: str


class Settle:
    """Executes batches of receipts on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock, ports: Ports, rail: str | None = None) -> None:
        """`rail` is whose receipts they are, None: of the default one. Raises UnknownRail."""
        self._connection, self._clock, self._ports = connection, clock, ports
        self._rail = ports.rails.default if rail is None else ports.rails.named(rail)
        self._executor = BatchExecutor(self)
        self._copying = [contract for contract in ports.contracts if contract.copies_on]
        self._held: set[CaseKey] = set()
        """Cases that somebody else was found to hold: a hint, which saves waiting for them once more."""

    def execute(self, batch: Sequence[RawReceipt]) -> list[ReceiptOutcome]:
        """One outcome for each thing that a receipt says, all of them durable on return; what was handed in before is a REPEAT.

        A receipt whose effect fails alone is kept as UNCLEAR with the reason, and its order stays open for an operator. One whose case a
        stranger holds is DEFERRED: kept, behind what was kept of that case before, for `Resume` to settle when the case is free.
        """
        return self._executor.execute([each for raw in batch for each in _read(self._rail, raw)])

    def run(self, batch: Sequence[_Read], locks: Locks) -> list[ReceiptOutcome]:
        """Settles receipts in one transaction; with `Locks.FREE` those of cases that nobody else holds, and keeps the rest."""
        return self._transact(batch, wait=locks is Locks.WAIT)

    def failed(self, command: _Read, error: Exception) -> ReceiptOutcome:
        """Keeps a receipt that fails alone, without effect. Raises what may pass: then it comes again from the queue."""
        if isinstance(error, LockNotAvailable) and command.case_key:
            return self._transact([command], wait=None)[0]
        if may_pass(error):
            raise error
        _log.error("receipt kept without effect", error=type(error).__name__)
        return self._transact([_without_effect(command, error)])[0]

    def resume(self, key: CaseKey, limit: int) -> int:
        """Settles up to `limit` receipts that were kept while somebody else held their case, in the order in which they came.

        Returns how many; 0 while the case is held. Raises psycopg errors that may pass.
        """
        return resume(lambda most, failure_of: self._resume(key, most, failure_of), limit)

    def _transact(self, batch: Sequence[_Read], *, wait: bool | None = True) -> list[ReceiptOutcome]:
        """`wait` for cases that somebody else holds; False: settle what is free and keep the rest; None: keep all, and look at no case."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            batch = _with_cases(cursor, batch)
            keys = {key for each in batch if (key := each.case_key)}
            cases, held = ({}, keys) if wait is None else self._lock(cursor, keys, wait=wait)
            kept = [each for each in batch if (key := each.case_key) and (key in held or (key in cases and cases[key].deferred))]
            applied = self._apply(cursor, [each for each in batch if each not in kept], cases, kept)
            fault_point("settle.before_commit")
        fault_point("settle.after_commit")
        applied.log()
        rest = iter(applied.outcomes)
        return [ReceiptOutcome.DEFERRED if each in kept else next(rest) for each in batch]

    def _resume(self, key: CaseKey, limit: int, failure_of: Exception | None) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cases, held = lock_free_cases(cursor, [key], make=False)
            # Read under the lock of the case: what somebody else has settled meanwhile is not among them.
            rows = [] if held else fetch(cursor, _DeferredReceipt, _DEFERRED.deferred_receipts, (key[0].value, key[1], limit))
            if not rows:
                return 0
            all_said = [each for row in rows for each in _read(self._ports.rails.named(row.rail), RawReceipt(row.message_id, row.body))]
            read = [each for each in _with_cases(cursor, all_said) if each.case_key == key]
            if failure_of:
                _log.error("receipt kept without effect", error=type(failure_of).__name__)
                read = [_without_effect(each, failure_of) for each in read]
            applied = self._apply(cursor, read, {case.key: case for case in cases}, ())
            cursor.execute(_DEFERRED.take_deferred, (self._clock(), [row.deferred_no for row in rows]))
        applied.log()
        return len(rows)

    def within(self, cursor: psycopg.Cursor[Any], raw: RawReceipt) -> "SettledBatch":
        """Settles one receipt in the caller's own transaction; nothing is made of a failure, which is the caller's to roll back."""
        (one,) = _with_cases(cursor, _read(self._rail, raw))
        cases = lock_cases(cursor, [one.case_key]) if one.case_key else []
        return self._apply(cursor, [one], {case.key: case for case in cases}, ())

    def _lock(self, cursor: psycopg.Cursor[Any], keys: set[CaseKey], *, wait: bool) -> tuple[dict[CaseKey, Case], set[CaseKey]]:
        """Locks cases that are there; returns them, and the keys of those that somebody else holds and that are not waited for."""
        wary = keys & self._held if wait else keys
        patient = keys - wary
        cases = lock_cases(cursor, list(patient)) if patient else []
        held: set[CaseKey] = set()
        if wary:
            free, held = lock_free_cases(cursor, list(wary), make=False)
            cases += free
            self._held.difference_update(wary - held)
            self._held.update(held)
        return {case.key: case for case in cases}, held

    def _apply(
        self, cursor: psycopg.Cursor[Any], batch: Sequence[_Read], cases: dict[CaseKey, Case], kept: Sequence[_Read]
    ) -> "SettledBatch":
        """Decides receipts of cases that are locked, applies what follows, and keeps the others."""
        now = self._clock()
        numbers = _draw_numbers(cursor, batch) if batch else []
        by_number = {case.case_no: case for case in cases.values()}
        work = UnitOfWork()
        work.deferred = _deferred(kept, now)
        self._copy(work, batch, numbers, now)
        decided_receipts = _decide_receipts(cursor, batch, numbers, now)
        work.receipts = [*_bytes_once(decided_receipts.rows)]
        ReceiptApplier(cursor, work, by_number, now, self._ports.contracts).settle(decided_receipts.settled)
        open_contradictions(cursor, work, by_number, decided_receipts.contradicted, now)
        if any(case.queued and case.may_go_on for case in by_number.values()):
            dequeue_next(cursor, work, cases, now, self._ports)
        work.cases = [case.step() for case in cases.values() if case.changed]
        with cursor.connection.pipeline():
            if decided_receipts.answers:
                answer_requests(cursor, decided_receipts.answers, now)
            work.write(cursor)
        return SettledBatch(decided_receipts.outcomes, decided_receipts.settled, work, now)

    def _copy(self, work: UnitOfWork, batch: Sequence[_Read], numbers: Sequence[int | None], now: datetime) -> None:
        """Contracts may copy every receipt of their own as it came, before anything is made of it."""
        outbox = OutboxWriter(self._ports.contracts, work)
        for each, number in zip(batch, numbers, strict=True):
            if number is not None and each.place == 0:
                scheme = each.case_key[0] if each.case_key else None
                arrived = ReceiptArrived(scheme, copy_event(each.raw.message_id, each.digest), each.raw.body)
                for contract in self._copying:
                    if scheme in contract.copies_of:
                        outbox.announce(contract, arrived, None, now)


def _without_effect(one: _Read, error: Exception) -> _Read:
    return _Read(one.rail, one.raw, one.digest, None, f"{type(error).__name__}: {error}", one.place)


class _NamedOrder(NamedTuple):
    order_id: str
    scheme: Scheme
    case_id: str
    area: str
    correlation_key: bytes


def _with_cases(cursor: psycopg.Cursor[Any], batch: Sequence[_Read]) -> Sequence[_Read]:
    """Adds cases: an answer by the order's own id gets the case, area and correlation key of that order. Most rails name the case."""
    asked = {each.receipt.order_id for each in batch if each.receipt and each.receipt.order_id}
    if not asked:
        return batch
    rows = fetch(cursor, _NamedOrder, _SQL.orders_by_id, [sorted(asked)], scheme=Scheme)
    found = {each.order_id: each for each in rows}
    return [_placed(each, found) for each in batch]


def _placed(each: _Read, found: Mapping[str, _NamedOrder]) -> _Read:
    if each.receipt is None or each.receipt.order_id is None or each.receipt.order_id not in found:
        return each
    order = found[each.receipt.order_id]
    placed = replace(each.receipt, case=(order.scheme, order.case_id), area=order.area, correlation_key=order.correlation_key)
    return replace(each, receipt=placed)


def _deferred(kept: Sequence[_Read], now: datetime) -> list[DeferredRow]:
    """A row for each receipt and case: read again, it says all that it has to say of that case."""
    rows = []
    for case, rail, message_id, body in dict.fromkeys((each.case_key, each.rail.name, each.raw.message_id, each.raw.body) for each in kept):
        assert case is not None, "only what is for a case waits for it"
        rows.append(DeferredRow(case[0].value, case[1], None, None, None, None, None, message_id, body, now, rail))
    return rows


def _draw_numbers(cursor: psycopg.Cursor[Any], batch: Sequence[_Read]) -> list[int | None]:
    """The number of each thing said that is new; None for what is stored already, or comes twice in this batch."""
    names = [(each.raw.message_id, each.digest, each.place) for each in batch]
    asked = list(dict.fromkeys(names))
    columns = [list(column) for column in zip(*asked, strict=True)]
    numbers = dict(zip(asked, fetch_values(cursor, _SQL.number_receipts, columns), strict=True))
    return [numbers.pop(name, None) for name in names]


class SettledBatch(Struct, frozen=True):
    """Collects what receipts have done in a transaction that may still be open; `log` it once that has committed."""

    outcomes: list[ReceiptOutcome]
    settled: list[Settled]
    work: UnitOfWork
    at: datetime

    def log(self) -> None:
        """Writes it to the log and counts it."""
        count_settled(self.outcomes, [(each.order.order_id, each.order.area, each.outcome) for each in self.settled], self.work)


class _DecidedReceipts(Struct):
    outcomes: list[ReceiptOutcome]
    settled: list[Settled]
    contradicted: list[Contradicted]
    rows: list[ReceiptRow]
    answers: list[CancellationAnswer]


def _decide_receipts(cursor: psycopg.Cursor[Any], batch: Sequence[_Read], numbers: Sequence[int | None], now: datetime) -> _DecidedReceipts:
    """Decides receipt by receipt in order of arrival; what one decides, the next one sees."""
    asked = {index: (each.rail, each.receipt) for index, each in enumerate(batch) if each.receipt}
    candidates = find_candidates(cursor, asked)
    decisions = _Decisions()
    decided_receipts = _DecidedReceipts([], [], [], [], [])
    for index, (each, number) in enumerate(zip(batch, numbers, strict=True)):
        if number is None:
            decided_receipts.outcomes.append(ReceiptOutcome.REPEAT)
            continue
        order = each.rail.match(each.receipt, decisions.as_they_are(candidates.get(index, ()))) if each.receipt else None
        decided = _outcome(decisions, each, number, order)
        if order and decided is not ReceiptOutcome.UNMATCHED and (answered := _answered(each.receipt)):
            decided_receipts.answers.append(CancellationAnswer(order.order_id, answered, number))
        decided_receipts.outcomes.append(decided)
        decided_receipts.rows.append(_row(each, number, order, decided, now))
    decided_receipts.settled, decided_receipts.contradicted = list(decisions.settled.values()), decisions.contradicted
    return decided_receipts


def _outcome(decisions: "_Decisions", each: _Read, number: int, order: Candidate | None) -> ReceiptOutcome:
    if each.receipt is None:
        _log.error("receipt could not be read", receipt_no=number)
        return ReceiptOutcome.UNREADABLE
    decided = decisions.decide(each, each.receipt, number, order) if order else ReceiptOutcome.UNMATCHED
    if decided in _FOR_A_PERSON:
        about = {"order_id": order.order_id, "area": order.area} if order else {}
        _log.error("receipt needs an operator", receipt_no=number, outcome=decided.value, severity=each.receipt.severity.value, **about)
    return decided


def _answered(said: Observation | None) -> str | None:
    return answered_state(said) if said and said.reasons else None


def _row(each: _Read, number: int, order: Candidate | None, decided: ReceiptOutcome, now: datetime) -> ReceiptRow:
    said = each.receipt
    return ReceiptRow(
        receipt_no=number,
        rail=each.rail.name,
        message_id=each.raw.message_id,
        digest=each.digest,
        place=each.place,
        body=each.raw.body,
        received_at=now,
        order_id=order.order_id if order else None,
        severity=said.raw_severity if said else None,
        code=said.code if said else None,
        outcome=decided.value,
        note=said.text if said else each.reason,
    )


def _bytes_once(rows: Sequence[ReceiptRow]) -> Iterator[ReceiptRow]:
    """The bytes of an answer stand once, with the first thing that they say; `add_receipts` leaves out those that are stored already."""
    seen: set[tuple[str, bytes]] = set()
    for each in rows:
        name = each.message_id, each.digest
        yield replace(each, body=b"") if name in seen else each
        seen.add(name)


class _Decisions:
    """Keeps what the receipts of one batch have decided so far."""

    def __init__(self) -> None:
        self.settled: dict[str, Settled] = {}
        self.contradicted: list[Contradicted] = []
        self._states: dict[str, OrderState] = {}
        self._words: dict[str, str] = {}
        self._said: dict[str, tuple[Observation, ...]] = {}

    def as_they_are(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates as this batch has left them so far."""
        if not self._states and not self._words and not self._said:
            return candidates
        return [
            replace(
                each,
                state=self._states.get(each.order_id, each.state),
                contradicted=self._words.get(each.order_id, each.contradicted),
                said=each.said + self._said.get(each.order_id, ()),
            )
            for each in candidates
        ]

    def decide(self, read: _Read, receipt: Observation, number: int, order: Candidate) -> ReceiptOutcome:
        """Returns what a receipt makes of the order that it answers, after those before it."""
        decided = decide(read.rail, receipt, order, by_hand=read.raw.by_hand)
        if read.rail.capabilities.answers_parts:
            self._said[order.order_id] = (*self._said.get(order.order_id, ()), receipt)
        if decided in _MOVES:
            self._states[order.order_id] = OrderState.UNKNOWN if decided is ReceiptOutcome.UNCLEAR else OrderState(decided.value)
            self.settled[order.order_id] = Settled(order, receipt, number, decided, read.raw.body, read.raw.by_hand)
        elif decided is ReceiptOutcome.CONTRADICTS:
            rails = OrderState.REJECTED if order.state is OrderState.ACCEPTED else OrderState.ACCEPTED
            self._words[order.order_id] = rails.value
            self.contradicted.append(Contradicted(order, receipt, number, order.state, rails))
        return decided
