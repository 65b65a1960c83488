"""Takes over cases from an older system's tables, as contracts have read them: a batch in a transaction, over again as often as wanted.

A case that something is wrong with is left out whole, with the reason. What was taken over before is passed by where it is the same, and
is a named difference where it is not (iverksetting §9).
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Final, NamedTuple

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement import payment_document
from kvitt.disbursement.case import ALL, Case, lock_cases, make_and_lock_cases
from kvitt.disbursement.imported import ImportedCase, first_entry, left_out_entry, versions
from kvitt.disbursement.instructions import MAX_ID_CHARACTERS
from kvitt.disbursement.rows import PaymentRow
from kvitt.disbursement.states import What
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Action, PaymentId, Scheme
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row, columns

_SQL: Final = load("take_over", "kvitt.disbursement")
_BATCH, _SHOWN = 200, 20
_case_id, _scheme = attrgetter("case_id"), attrgetter("scheme")


class RowRule(StrEnum):
    """Rules that rows of an older system keep where their case can be taken over, and notes on what could; the value says it."""

    UNREADABLE = "a row can not be read"
    COLUMNS = "the columns of a row and its data disagree"
    SCHEME = "a row is of no scheme that is taken over, or nothing says of which"
    CASE_ID = "a case id is empty, too long for the ids of its lines, or hides characters"
    NO_RESULT = "a decision has no result"
    NO_DECISION = "a result has no decision"
    SEVERAL_RESULTS = "a decision has several results, and nothing says which is the newest"
    OPEN = "a decision or payment waits for the rail's answer"
    NOT_UNDERSTOOD = "the rail's answer to a decision or payment is not known"
    ORDER_UNKNOWN = "nothing says which of two decisions or versions is the newer one"
    CHAIN = "the newest decision does not name one that is there as the one before it"
    PERSONS = "a case names several persons"
    BENEFIT = "a benefit is not in the catalogue, or can not be paid"
    OVERLAP = "periods overlap, or end before they start"
    AMOUNT = "an amount is not above zero"
    LINES = "the numbers of lines and the last lines of chains do not go together"
    CLASS_CODES = "a case of AAP has chains of both class codes, so both may be paid"
    LINE_ID = "the id of a payment's last line is none, or too long for the rail"
    TWO_CONTRACTS = "a case has decisions as well as single payments"
    TAKEN = "another case of kvitt has a payment of this id"
    IN_KVITT = "the case is in kvitt already, of another contract or with orders of its own"
    DIFFERS = "the case was taken over before, and was another then"
    REJECTED = "the newest change was rejected by the rail: what stood before it is taken over"
    NEVER_TAKEN = "a payment that the rail never took is none"
    DELETED = "a payment was deleted: it is taken over as ceased, and nothing says whether the rail took that"
    OLD_CLASS_CODE = "a chain has an earlier class code: the next decision ceases it, and pays anew what is left"
    NOT_AS_CALLED = "a payment has periods that no call can name: it is taken over, can be changed, and not be ceased as it is"
    NAMES = "a caseworker or approver has a name that the rail does not simulate; the scheme's own stands in"

    @property
    def is_fault(self) -> bool:
        """Whether it keeps a case from being taken over."""
        return self not in _NOTES


_NOTES = frozenset({RowRule.REJECTED, RowRule.NEVER_TAKEN, RowRule.DELETED, RowRule.OLD_CLASS_CODE, RowRule.NOT_AS_CALLED, RowRule.NAMES})


class RowFinding(Struct, frozen=True):
    """Something odd: the rule, the case, the row by its table and id, and the field with what is wrong with it, without its value."""

    rule: RowRule
    case: str
    row: str = ""
    detail: str = ""

    @property
    def subject(self) -> str:
        """Returns where it was found."""
        return ", ".join(filter(None, (self.case, " ".join(filter(None, (self.row, self.detail))))))


class ReadCase(Struct, frozen=True):
    """A case as a contract has read it from `rows` rows; without `case` there are findings that say why. `scheme` None: nobody knows it."""

    contract: str
    scheme: Scheme | None
    case_id: str
    rows: int
    case: ImportedCase | None
    findings: tuple[RowFinding, ...] = ()


class TakeOverReport(Struct, frozen=True):
    """Holds what was taken over, or would be: `findings` are the first of each rule, `counts` all of them."""

    rows: int = 0
    cases: int = 0
    payments: int = 0
    ceased: int = 0
    decisions: int = 0
    already_there: int = 0
    left_out: int = 0
    counts: Mapping[RowRule, int] = {}
    findings: tuple[RowFinding, ...] = ()
    written: bool = False

    @property
    def faults(self) -> int:
        """Findings that keep cases out."""
        return sum(count for rule, count in self.counts.items() if rule.is_fault)


CaseReader = Callable[[], Iterable[ReadCase]]
"""Reads the cases of one contract, sorted by case id as text; may be called again."""


def may_be_taken_over(case: Case, contract: str) -> bool:
    """Nothing was ever ordered or decided in it, so that an import may fill it; one of this contract may have left it out before."""
    left_out = case.unknown == [ALL] and case.contract == contract
    return (left_out or (case.contract is None and not case.unknown)) and not case.orders_made and not case.queued


def fill(case: Case, taken: ImportedCase, contract: str) -> None:
    """Makes a case what an older system left, but for its payments and decisions, which are rows of their own."""
    case.person, case.areas, case.unknown = taken.person, list(taken.areas), list(taken.unknown)
    case.contract, case.ordered_for, case.opened_for = contract, taken.person, taken.opened_for
    case.frame, case.numbered = taken.frame, taken.numbered


def add_accepted(cursor: psycopg.Cursor[Any], payments: Sequence[PaymentRow]) -> None:
    """Stores versions of payments that the rail accepted before our time."""
    cursor.execute(_SQL.add_accepted, columns(payments))


class TakeOver:
    """Takes over on one connection, which must be in autocommit mode and is not shared."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock

    def run(
        self,
        reads: Sequence[CaseReader],
        operator: Operator | None,
        *,
        dry_run: bool = False,
        leave_out: bool = False,
        progress: Callable[[TakeOverReport], None] = lambda _: None,
    ) -> TakeOverReport:
        """Takes over what can be, and returns the report; a dry run writes nothing and returns the same one.

        With faults nothing is written unless `leave_out`, which takes over all cases but the faulty ones, and marks those, so that no
        message of theirs is taken for one of a new case. What is taken for paid decides what is paid next, so all but a dry run has an
        operator and a second person. `progress` hears after each batch. Raises NeedsSecondPerson, and what reading raises.
        """
        if not dry_run:
            assert operator is not None, "somebody answers for what is written"
            operator.need_second_person("this decides what is paid next")
            if leave_out:
                return _TakingOver(self._connection, self._clock, operator).run(_together(reads), progress)
        judged = _TakingOver(self._connection, self._clock, None).run(_together(reads), progress)
        if dry_run or judged.faults:
            return judged
        return _TakingOver(self._connection, self._clock, operator).run(_together(reads), progress)


def _together(reads: Sequence[CaseReader]) -> Iterator[ReadCase]:
    """The cases of all contracts; one that two of them have is nobody's."""
    streams = [sorted_cases(read()) for read in reads]
    for _, same_id in groupby(heapq.merge(*streams, key=_case_id), key=_case_id):
        for _, found in groupby(sorted(same_id, key=lambda each: each.scheme or ""), key=_scheme):
            first, *others = found
            yield _of_two_contracts(first, others) if others and first.scheme else first
            if others and not first.scheme:
                yield from others


def sorted_cases(cases: Iterable[ReadCase]) -> Iterator[ReadCase]:
    """The same cases; that they come sorted, on which all else relies, is looked at as they pass."""
    last = ""
    for each in cases:
        assert last <= each.case_id, "cases are read in the order of their ids"
        last = each.case_id
        yield each


def _of_two_contracts(first: ReadCase, others: Sequence[ReadCase]) -> ReadCase:
    finding = RowFinding(RowRule.TWO_CONTRACTS, f"{first.scheme} {first.case_id}")
    findings = (finding, *first.findings, *(finding for each in others for finding in each.findings))
    return replace(first, case=None, rows=first.rows + sum(each.rows for each in others), findings=findings)


class _ImportedEntry(NamedTuple):
    chain: int
    digest: bytes
    note: str | None


class _OwnerOfPayment(NamedTuple):
    payment_id: str
    scheme: str
    case_id: str


class _ImportedDecisionRow(Row, frozen=True):
    """A decision to be stored."""

    statement = _SQL.add_decisions
    case_no: int
    subject: str
    name: str
    state: str
    digest: bytes
    answer: bytes


class _TakingOver:
    """One walk through all cases; without an operator it only judges."""

    def __init__(self, connection: Connection, clock: Clock, operator: Operator | None) -> None:
        self._connection, self._clock, self._operator = connection, clock, operator
        self._counts: Counter[RowRule] = Counter()
        self._findings: list[RowFinding] = []
        self._done: Counter[str] = Counter()

    def run(self, cases: Iterator[ReadCase], progress: Callable[[TakeOverReport], None]) -> TakeOverReport:
        while batch := list(islice(cases, _BATCH)):
            with transaction(self._connection, "the cases of a batch"), self._connection.cursor() as cursor:
                done, findings = self._batch(cursor, batch)
            # Only what is committed is counted.
            self._done.update(done)
            self._found(findings)
            progress(self._report())
        return self._report()

    def _report(self) -> TakeOverReport:
        counts = {rule: self._counts[rule] for rule in RowRule if self._counts[rule]}
        return TakeOverReport(**self._done, counts=counts, findings=tuple(self._findings), written=self._operator is not None)

    def _found(self, findings: Iterable[RowFinding]) -> None:
        for finding in findings:
            self._counts[finding.rule] += 1
            if self._counts[finding.rule] <= _SHOWN:
                self._findings.append(finding)

    def _batch(self, cursor: psycopg.Cursor[Any], batch: Sequence[ReadCase]) -> tuple[Counter[str], list[RowFinding]]:
        keys = [(each.scheme, each.case_id) for each in batch if each.scheme and (each.case or _is_storable(each.case_id))]
        locked = make_and_lock_cases(cursor, keys) if self._operator else lock_cases(cursor, keys)
        cases = {case.key: case for case in locked}
        known = _Known(cursor, cases, batch)
        done: Counter[str] = Counter({"rows": sum(each.rows for each in batch)})
        findings = [finding for each in batch for finding in each.findings]
        taken: list[tuple[ImportedCase, Case | None]] = []
        left: list[tuple[str, Case]] = []
        for each in batch:
            case = cases.get((each.scheme, each.case_id)) if each.scheme else None
            fault = known.fault(each.case, case) if each.case else None
            if each.case and fault is None:
                taken.append((each.case, case))
            elif fault is _SAME:
                done["already_there"] += 1
            else:
                done["left_out"] += 1
                findings += [RowFinding(fault, f"{each.scheme} {each.case_id}")] if fault else []
                left += [(each.contract, case)] if case and may_be_taken_over(case, each.contract) and not case.unknown else []
        payments = [payment for case, _ in taken for payment in case.payments]
        done.update(cases=len(taken), payments=len(payments), ceased=sum(each.action is Action.DELETE for each in payments))
        done.update(decisions=sum(len(case.decisions) for case, _ in taken))
        if self._operator:
            self._write(cursor, self._operator, taken, left)
        return done, findings

    def _write(
        self,
        cursor: psycopg.Cursor[Any],
        operator: Operator,
        taken: Sequence[tuple[ImportedCase, Case | None]],
        left: Sequence[tuple[str, Case]],
    ) -> None:
        work, now = UnitOfWork(), self._clock()
        payments: list[PaymentRow] = []
        decisions: list[_ImportedDecisionRow] = []
        for imported, case in taken:
            assert case is not None, "it was made before it was locked"
            assert imported.contract is not None, "a contract has read it"
            payments += versions(imported, case.case_no)
            decisions += [
                _ImportedDecisionRow(case.case_no, *each.key, each.state.value, each.digest, each.answer) for each in imported.decisions
            ]
            fill(case, imported, imported.contract)
            _note(work, case, now, imported)
        for contract, case in left:
            case.unknown, case.contract = [ALL], contract
            entry = left_out_entry(case.case_no, now, contract)
            case.note(work, case.moment(now), What.LEFT_OUT, entry.digest, said=entry.note)
        if payments:
            add_accepted(cursor, payments)
        if decisions:
            cursor.execute(_SQL.add_decisions, columns(decisions))
        work.cases = [case.step() for case in (*(case for _, case in taken if case), *(case for _, case in left))]
        work.write(cursor)
        if taken:
            note(cursor, now, What.IMPORTED, operator, f"{len(taken)} cases, {len(payments)} payments")


def _note(work: UnitOfWork, case: Case, now: datetime, imported: ImportedCase) -> None:
    entry = first_entry(case.case_no, now, imported, payment_document.encode)
    case.note(work, case.moment(now), What.IMPORTED, entry.digest, said=entry.note)


def _is_storable(case_id: str) -> bool:
    """A case whose id no message can have needs no mark."""
    return 1 <= len(case_id) <= MAX_ID_CHARACTERS and case_id == case_id.strip() and "\0" not in case_id


_SAME: Final = object()
"""In the place of a fault: the case is there, as it was read."""


class _Known:
    """Looks up what kvitt has of the cases of a batch, and of the ids of their payments."""

    def __init__(self, cursor: psycopg.Cursor[Any], cases: Mapping[tuple[Scheme, str], Case], batch: Sequence[ReadCase]) -> None:
        numbers = [case.case_no for case in cases.values()]
        self._entries = {each.chain: each for each in fetch(cursor, _ImportedEntry, _SQL.imported_entries, [numbers])} if numbers else {}
        ids = [payment.payment_id for each in batch if each.case for payment in each.case.payments]
        owners = fetch(cursor, _OwnerOfPayment, _SQL.owners_of_payments, [ids]) if ids else []
        self._owners = {PaymentId(each.payment_id): (Scheme(each.scheme), each.case_id) for each in owners}

    def fault(self, imported: ImportedCase, case: Case | None) -> Any:
        """Why a case can not be taken over; None: it can, _SAME: it was. Ids of earlier cases of the batch are taken from then on."""
        key = (imported.scheme, imported.case_id)
        assert imported.contract is not None, "a contract has read it"
        if case is not None and not may_be_taken_over(case, imported.contract):
            entry = self._entries.get(case.case_no)
            if entry is None or case.contract != imported.contract:
                return RowRule.IN_KVITT
            # Imports of earlier days did not note whom a case was opened for.
            for same in (imported, replace(imported, opened_for=None)):
                made = first_entry(case.case_no, case.last_at, same, payment_document.encode)
                if (made.digest, made.note) == (entry.digest, entry.note):
                    return _SAME
            return RowRule.DIFFERS
        if any(self._owners.get(each.payment_id, key) != key for each in imported.payments):
            return RowRule.TAKEN
        self._owners.update(dict.fromkeys((each.payment_id for each in imported.payments), key))
        return None
