"""A locked case in memory: its accepted state and the end of its audit chain while one transaction works on it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.errors import LockNotAvailable

from kvitt.disbursement import payment_document
from kvitt.disbursement.decisions import DecisionChain, DecisionKey, DecisionState, Frame, ReceivedDecision
from kvitt.disbursement.derive.micro_chained import AtRail, CaseState
from kvitt.disbursement.inbox import IdempotencyKey, IdempotencyRecord, ParsedRecord
from kvitt.disbursement.rows import CaseStep, LineOfOtherCase, PaymentOfOtherCase
from kvitt.disbursement.states import MessageState, What
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import PERSON_DIGITS, Area, LineAtRail, Payment, PaymentId, Refusal, Scheme
from kvitt.kernel.audit import AuditRow, link
from kvitt.kernel.executor import wait_shortly
from kvitt.kernel.fetch import Lookup, Part, fetch, fetch_later, fetch_values_later
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL, _DEFERRED = load("cases", "kvitt.disbursement"), load("deferred", "kvitt.disbursement")
CaseKey = tuple[Scheme, str]
ALL: Final = "*"
"""Among the unknown payments of a case: nothing of the whole case was taken over."""
_position_in_case, _message_no = attrgetter("position_in_case"), attrgetter("message_no")
_IN_FORCE = frozenset({DecisionState.ACCEPTED, DecisionState.WITHOUT_PAYMENT})
_EVER = datetime.min.replace(tzinfo=UTC)


class CaseRow(NamedTuple):
    """The row of a case, and whether something that came before waits for the case to be free."""

    case_no: int
    scheme: str
    case_id: str
    person: str | None = None
    areas: Sequence[str] = ()
    orders_made: int = 0
    open_orders: int = 0
    queued: int = 0
    audit_seq: int = 0
    last_event_hash: bytes = b""
    last_at: datetime = _EVER
    unknown: Sequence[str] = ()
    contradictions: int = 0
    contract: str | None = None
    frame_start: date | None = None
    cap_kroner: Kroner | None = None
    numbered: int = 0
    ordered_for: str | None = None
    opened_for: str | None = None
    deferred: bool = False


class _CurrentPayment(NamedTuple):
    case_no: int
    position_in_case: int
    document: bytes | None
    number: int | None


class _LostPayment(NamedTuple):
    case_no: int
    at_rail: AtRail


class CaseName(NamedTuple):
    """By what a case is known."""

    scheme: Scheme
    case_id: str


class _CaseLine(NamedTuple):
    case_no: int
    line: LineAtRail


class _FoundRecord(NamedTuple):
    ordinal: int
    message_no: int
    digest: bytes
    state: str
    answer: bytes | None


class Case:
    """A case whose row this transaction has locked. Changes stay here until `step` writes them back."""

    def __init__(self, row: CaseRow, *, is_new: bool = False) -> None:
        """`is_new`: this transaction has made it, so no message of it is stored."""
        self.is_new = is_new
        self.case_no, self.scheme, self.case_id, self.person = row.case_no, Scheme(row.scheme), row.case_id, row.person
        self.areas = [Area(area) for area in row.areas]
        self.orders_made, self.open_orders, self.queued = row.orders_made, row.open_orders, row.queued
        self.audit_seq, self.last_event_hash, self.last_at = row.audit_seq, row.last_event_hash, row.last_at
        self.unknown, self.contradictions = list(row.unknown), row.contradictions
        self.contract = row.contract
        """The contract that opened it, None before the first order; messages of any other one are refused."""
        self.frame = None if row.frame_start is None and row.cap_kroner is None else Frame(row.frame_start, row.cap_kroner)
        self.numbered = row.numbered
        """How many numbers of lines its orders have used up, whatever became of them: none of them comes again."""
        self.received: dict[DecisionKey, ReceivedDecision] = {}
        """Of the decisions that were received: the newest, the newest in force, those that are named; for contracts that keep a chain."""
        self.ordered_for, self.opened_for = row.ordered_for, row.opened_for
        """The person of its newest order, accepted or not, by which other cases find this one; and of what was received last."""
        self.payments: dict[PaymentId, Payment] = {}
        self.position_in_case: dict[PaymentId, int] = {}
        self.ids_of_other_cases: frozenset[PaymentId] = frozenset()
        self.pending: frozenset[PaymentId] = frozenset()
        """Of the ids that messages name, those of payments that an open order of the case is to make true."""
        self.idempotency: dict[IdempotencyKey, IdempotencyRecord] = {}
        self.forwarded: list[LineAtRail] = []
        self.at_rail: list[AtRail] = []
        self.of_other_cases: list[PaymentOfOtherCase | LineOfOtherCase] = []
        """What other cases pay the person for whom the case may be ordered for next, or may come to pay."""
        self.changed = False
        self.open_since: datetime | None = None
        """When its oldest open order was made; known where a dry run is handled."""
        self.deferred = row.deferred
        """Something came before for this case, when somebody else held it, and is not handled yet."""

    @classmethod
    def new(cls, number: int, scheme: Scheme, case_id: str) -> "Case":
        """A case that nothing has happened to."""
        return cls(CaseRow(number, scheme, case_id))

    def accepted(self, document: bytes, position_in_case: int) -> None:
        """Takes in an accepted payment as it is stored."""
        stored = payment_document.decode(document)
        self.payments[stored.payment_id] = stored
        self.position_in_case[stored.payment_id] = position_in_case

    @property
    def key(self) -> CaseKey:
        """By what its messages and receipts name it."""
        return self.scheme, self.case_id

    @property
    def has_lived(self) -> bool:
        """Something has happened to it. To one that is as it was made nothing has been ordered, accepted or taken over."""
        return self.audit_seq > 0 or self.orders_made > 0 or bool(self.areas)

    @property
    def must_queue(self) -> bool:
        """A new message has to wait: an order is open, what stands is contradicted, or others wait already."""
        return self.queued > 0 or not self.may_go_on

    @property
    def may_go_on(self) -> bool:
        """The next message may be derived: no order is open, and nothing that stands is contradicted."""
        return self.open_orders == 0 and self.contradictions == 0

    def chain(self, previous: DecisionKey | None) -> DecisionChain:
        """Where the chain of decisions stands, as one that names `previous` finds it."""
        newest_first = sorted(self.received.values(), key=_message_no, reverse=True)
        in_force = (each for each in newest_first if each.state in _IN_FORCE)
        return DecisionChain(
            newest_first[0] if newest_first else None, next(in_force, None), self.received.get(previous) if previous else None
        )

    def state(self, decisions: DecisionChain | None = None) -> CaseState:
        """The case as the rules see it."""
        unknown = tuple(PaymentId(each) for each in self.unknown if each != ALL)
        return CaseState(
            self.payments,
            self.person,
            frozenset(self.areas),
            self.orders_made,
            self.ids_of_other_cases,
            unknown,
            left_out=ALL in self.unknown,
            at_rail=tuple(self.at_rail),
            lines=tuple(self.forwarded),
            open=self.must_queue,
            contract=self.contract,
            decisions=decisions,
            frame=self.frame,
            pending=self.pending,
            numbered=self.numbered,
            opened_for=self.opened_for,
        )

    def learnt(self, payment_ids: Iterable[str]) -> None:
        """These payments are known from now on, by an accepted order or by an operator's word."""
        if self.unknown:
            known = set(payment_ids)
            self.unknown = [each for each in self.unknown if each not in known]
            self.changed = True

    def known_to_rail(self, area: Area, person: str) -> None:
        """An order was accepted: from now on the rail knows the case in this area, and whose case it is."""
        if area not in self.areas:
            self.areas.append(area)
        self.person = self.person or person
        self.changed = True

    def unknown_to_rail(self, area: Area, *, in_area: bool, at_all: bool) -> None:
        """An order is no longer accepted: unless the rail knows the case by others in this area, or `at_all`, it does not any more."""
        if not in_area:
            self.areas.remove(area)
        if not at_all:
            self.person = None
        self.changed = True

    def step(self) -> CaseStep:
        """The row to write back."""
        areas = ",".join(self.areas)
        counts = (self.orders_made, self.open_orders, self.queued, self.audit_seq, self.last_event_hash, self.last_at)
        frame = (self.frame.start, self.frame.cap_kroner) if self.frame else (None, None)
        stands = (",".join(self.unknown), self.contradictions, self.contract)
        return CaseStep(self.case_no, self.person, areas, *counts, *stands, *frame, self.numbered, self.ordered_for, self.opened_for)

    def moment(self, now: datetime) -> datetime:
        """The moment of what happens to the case when a clock that was read under its lock says `now`: never before the last one."""
        return max(now, self.last_at)

    def note(
        self,
        work: UnitOfWork,
        at: datetime,
        what: What,
        content: bytes,
        *,
        message_no: int | None = None,
        order_id: str | None = None,
        receipt_no: int | None = None,
        said: str | None = None,
    ) -> None:
        """Adds an entry to the case's audit chain; `at` is the case's own moment."""
        self.last_at = max(self.last_at, at)
        self.audit_seq += 1
        noted = AuditRow(self.case_no, self.audit_seq, at, what, message_no, order_id, receipt_no, content, said, b"")
        entry = link(self.last_event_hash, noted)
        self.last_event_hash = entry.hash
        self.changed = True
        work.audit.append(entry)


def lock_cases(cursor: psycopg.Cursor[Any], keys: Sequence[tuple[Scheme, str]]) -> list[Case]:
    """Locks the named cases that exist, in sorted order; their accepted payments are not loaded."""
    return _locked(cursor, _SQL.lock_cases, _columns(sorted(set(keys))))


def lock_free_cases(cursor: psycopg.Cursor[Any], keys: Sequence[CaseKey], *, make: bool) -> tuple[list[Case], set[CaseKey]]:
    """Locks those of the named cases that nobody else holds, and returns the keys of the others; waits for nobody longer than a moment.

    `make` makes those that are not there, unless somebody else is making them just now.
    """
    ordered = sorted(set(keys))
    cases = _locked(cursor, _DEFERRED.lock_free_cases, _columns(ordered))
    left = set(ordered) - {case.key for case in cases}
    if not left:
        return cases, left
    held: set[CaseKey] = {*fetch(cursor, CaseName, _DEFERRED.known_cases, _columns(sorted(left)), scheme=Scheme)}
    if not make or not left - held:
        return cases, held
    wait_shortly(cursor)
    for key in sorted(left - held):
        try:
            with cursor.connection.transaction():
                cursor.execute(_SQL.ensure_cases, _columns([key]), binary=True)
                cases += _locked(cursor, _SQL.lock_cases, _columns([key]))
        except LockNotAvailable:
            held.add(key)
    return cases, held


def make_and_lock_cases(cursor: psycopg.Cursor[Any], keys: Sequence[CaseKey]) -> list[Case]:
    """Locks the named cases in sorted order, those that are not there yet made before; in one round trip."""
    columns = _columns(sorted(set(keys)))
    with cursor.connection.pipeline():
        made = fetch_values_later(cursor, _SQL.ensure_cases, columns)
        locked = fetch_later(cursor, CaseRow, _SQL.lock_cases, columns)
    new = {*made()}
    return [Case(row, is_new=row.case_no in new) for row in locked()]


def _columns(keys: Sequence[CaseKey]) -> list[list[str]]:
    return [[scheme.value for scheme, _ in keys], [case_id for _, case_id in keys]]


def _locked(cursor: psycopg.Cursor[Any], statement: str, named: Sequence[Sequence[str]]) -> list[Case]:
    return [Case(row) for row in fetch(cursor, CaseRow, statement, named)]


def load_payments(cursor: psycopg.Cursor[Any], cases: Sequence[Case]) -> Lookup:
    """Looks up the accepted payments of locked cases as they are now, in this transaction, in place of what was loaded before.

    With them, what of their orders the rail may have though it counts as rejected.
    """
    by_number = {case.case_no: case for case in cases}
    for case in cases:
        case.payments, case.position_in_case, case.at_rail = {}, {}, []
    if not (lived := [case.case_no for case in cases if case.has_lived]):
        return
    found = fetch_later(cursor, _CurrentPayment, _SQL.current_payments, [lived])
    yield
    rows = sorted(found(), key=_position_in_case)
    for each in rows:
        if each.document is not None:
            by_number[each.case_no].accepted(each.document, each.position_in_case)
    if lost := [(each.case_no, each.number) for each in rows if each.number is not None]:
        part, columns = Part(AtRail, payment=payment_document.decode), [list(column) for column in zip(*lost, strict=True)]
        for row in fetch(cursor, _LostPayment, _SQL.payments_of_lost_orders, columns, at_rail=part):
            by_number[row.case_no].at_rail.append(row.at_rail)


def load_lines(cursor: psycopg.Cursor[Any], cases: Iterable[Case]) -> Lookup:
    """Looks up the accepted lines of cases whose senders make them, as they are now, in place of what was loaded before."""
    by_number = {case.case_no: case for case in cases}
    for case in by_number.values():
        case.forwarded.clear()
    if not (lived := [case.case_no for case in by_number.values() if case.has_lived]):
        return
    found = fetch_later(cursor, _CaseLine, _SQL.accepted_lines, [lived], line=LineAtRail)
    yield
    for each in found():
        by_number[each.case_no].forwarded.append(each.line)


def persons_asked_about(cases: Mapping[CaseKey, Case], records: Iterable[ParsedRecord]) -> list[tuple[Case, str]]:
    """The cases that may be ordered for by these messages, each with the persons that they name; none that are organisations."""
    asked: dict[tuple[int, str], Case] = {}
    for each in records:
        case = cases.get(each.case_key) if each.case_key else None
        if case is None or each.dry_run or not case.may_go_on or isinstance(each.content, Refusal):
            continue
        person = each.content.payee or case.person or case.ordered_for
        if person and len(person) == PERSON_DIGITS:
            asked[case.case_no, person] = case
    return [(case, person) for (_, person), case in asked.items()]


class _IdInUse(NamedTuple):
    ordinal: int
    payment_id: str
    own: bool


def find_ids_in_use(cursor: psycopg.Cursor[Any], cases: Mapping[CaseKey, Case], records: Sequence[ParsedRecord]) -> Lookup:
    """Marks the payment ids that senders chose and that another case has, or an open order of the same one."""
    asked = [
        (index, payment_id, each.case_key[0].value, each.case_key[1])
        for index, each in enumerate(records)
        if each.case_key
        for payment_id in each.chosen_ids
    ]
    if not asked:
        return
    rows = fetch_later(cursor, _IdInUse, _SQL.ids_in_use, [list(column) for column in zip(*asked, strict=True)])
    yield
    for found in rows():
        key = records[found.ordinal].case_key
        assert key is not None, "only messages with a case were asked for"
        if found.own:
            cases[key].pending |= {PaymentId(found.payment_id)}
        else:
            cases[key].ids_of_other_cases |= {PaymentId(found.payment_id)}


def find_stored_answers(cursor: psycopg.Cursor[Any], cases: Mapping[CaseKey, Case], records: Sequence[ParsedRecord]) -> Lookup:
    """Gives the cases what is stored under the identities of these records. Asks nothing where none has one."""
    asked: dict[tuple[int, str, str], Case] = {}
    for each in records:
        if each.identity and each.case_key and not (case := cases[each.case_key]).is_new:
            asked[case.case_no, *each.identity.key] = case
    if not asked:
        return
    ordered = sorted(asked)
    columns = [list(range(len(ordered))), *map(list, zip(*ordered, strict=True))]
    rows = fetch_later(cursor, _FoundRecord, _SQL.idempotency_records, columns)
    yield
    for found in rows():
        _, *key = ordered[found.ordinal]
        stored = IdempotencyRecord(found.message_no, found.digest, MessageState(found.state), found.answer)
        asked[ordered[found.ordinal]].idempotency[key[0], key[1]] = stored


class _FoundDecision(NamedTuple):
    case_no: int
    decision: ReceivedDecision


def find_decisions(cursor: psycopg.Cursor[Any], named: Mapping[CaseKey, Iterable[DecisionKey]], cases: Mapping[CaseKey, Case]) -> Lookup:
    """Gives cases where their chains of decisions stand, and the decisions that are named. Asks nothing where there are none."""
    by_number = {cases[key].case_no: cases[key] for key in named if not cases[key].is_new}
    if not by_number:
        return
    keys = sorted({(cases[key].case_no, *each) for key, all_named in named.items() if not cases[key].is_new for each in all_named})
    columns = [list(by_number), *([list(column) for column in zip(*keys, strict=True)] if keys else ([], [], []))]
    part = Part(ReceivedDecision, key=tuple, state=DecisionState)
    rows = fetch_later(cursor, _FoundDecision, _SQL.decisions_of_cases, columns, decision=part)
    yield
    for found in rows():
        by_number[found.case_no].received[found.decision.key] = found.decision
