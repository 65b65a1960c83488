"""Importing: fills an empty kvitt with what another hub left in the state topics, all of it or nothing (helved §1.2, §2.7).

The payments become version 0, made by order 0 of their case, which is not ours; our own orders begin at 1, and chain on from the last
lines that the rail knows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.contracts.helved.outputs import decode_key, decode_payment, decode_payments, encode_payment
from kvitt.contracts.helved.topics import CASES, PAYMENTS
from kvitt.disbursement.case import ALL
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.imported import (
    Discrepancy,
    Finding,
    ImportedCase,
    StoredState,
    first_entry,
    left_out_entry,
    take_over,
    versions,
)
from kvitt.disbursement.instructions import broken_case_id
from kvitt.disbursement.rows import CaseStep, PaymentRow
from kvitt.disbursement.states import What
from kvitt.disbursement.take_over import add_accepted
from kvitt.disbursement.values import (
    Action,
    CaseId,
    Payment,
    PaymentId,
    Scheme,
)
from kvitt.errors import NotInThatState, Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.topics import StateRecord
from kvitt.kernel.audit import AuditRow, link
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load
from kvitt.kernel.rows import write

_SQL = load("importing", "kvitt.contracts.helved")
_SPAN, _SHOWN = 500, 20


class ImportReport(Struct, frozen=True):
    """Holds what an import has done, or would do. `findings` are the first of each discrepancy, `counts` all of them."""

    records: int
    cases: int
    payments: int
    ceased: int
    left_out: int
    counts: Mapping[Discrepancy, int]
    findings: tuple[Finding, ...]
    written: bool

    @property
    def faults(self) -> int:
        """Discrepancies that keep cases out."""
        return sum(count for discrepancy, count in self.counts.items() if discrepancy.is_fault)


class Importing:
    """Imports on one connection, which must be in autocommit mode and is not shared."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock

    def run(
        self, records: Iterable[Sequence[StateRecord]], operator: Operator | None, *, dry_run: bool = False, leave_out: bool = False
    ) -> ImportReport:
        """Takes over what the records say and returns the report; a dry run does all of it and takes it back.

        `records` are those of both state topics, in order within a partition. With faults nothing is written unless `leave_out`, which
        writes all cases but the faulty ones. What is taken for paid decides what is paid next, so all but a dry run has an operator and
        a second person. Raises NeedsSecondPerson, and NotInThatState when there are cases already.
        """
        if not dry_run:
            assert operator is not None, "somebody answers for what is written"
            operator.need_second_person("this decides what is paid next")
        self._refuse_unless_empty()
        self._connection.execute(_SQL.clear_room)
        self._connection.execute(_SQL.make_room)
        try:
            read = sum(map(self._stage, records))
            with transaction(self._connection, "the imported cases") as whole, self._connection.cursor() as cursor:
                cursor.execute(_SQL.close_cases)
                self._refuse_unless_empty()
                work = _Import(self._connection, cursor, self._clock())
                work.run()
                report = work.report(read, written=not dry_run and (leave_out or not work.faults))
                if not report.written:
                    raise psycopg.Rollback(whole)
                subject = f"{report.cases} cases, {report.payments} payments"
                if operator:
                    note(cursor, self._clock(), What.IMPORTED, operator, subject)
            return report
        finally:
            if not self._connection.closed:
                self._connection.execute(_SQL.clear_room)

    def _refuse_unless_empty(self) -> None:
        count = fetch_value(self._connection, _SQL.count_cases)
        if count:
            raise NotInThatState(f"only an empty kvitt can be filled; this one has {count} cases")

    def _stage(self, batch: Sequence[StateRecord]) -> int:
        newest: dict[tuple[str, bytes], tuple[StateRecord, bool]] = {}
        for each in batch:
            if each.key is None:
                continue
            before = newest.get((each.topic, each.key))
            moved = before is not None and (before[1] or before[0].partition != each.partition)
            newest[each.topic, each.key] = each, moved
        kept = list(newest.values())
        rows = [(each.topic, each.key, each.partition, moved, each.value) for each, moved in kept]
        if rows:
            self._connection.execute(_SQL.stage, [list(column) for column in zip(*rows, strict=True)], binary=True)
        return len(batch)


class _AddedCase(NamedTuple):
    case_no: int
    scheme: str
    case_id: str


class _Import:
    """The work of one import inside its transaction."""

    def __init__(self, connection: Connection, cursor: psycopg.Cursor[Any], now: datetime) -> None:
        self._connection, self._cursor, self._now = connection, cursor, now
        self._counts: Counter[Discrepancy] = Counter()
        self._findings: list[Finding] = []
        self._untrusted: set[PaymentId] = set()
        self._done: Counter[str] = Counter()

    def run(self) -> None:
        """Sorts the records by case, judges each case, and writes those that can be taken over."""
        for rows in self._spans(_SQL.staged, (PAYMENTS,)):
            self._sort_payments(rows)
        for rows in self._spans(_SQL.staged, (CASES,)):
            self._sort_lists(rows)
        for rows in self._spans(_SQL.cases_to_import, ()):
            judged = [self._judge(row) for row in rows]
            self._write([each for each in judged if isinstance(each, ImportedCase)])
            self._mark([each for each in judged if isinstance(each, StoredState) and not broken_case_id(each.case_id)])

    @property
    def faults(self) -> bool:
        """Whether something could not be taken over."""
        return any(discrepancy.is_fault for discrepancy in self._counts)

    def report(self, records: int, *, written: bool) -> ImportReport:
        """Returns what was found and done."""
        done = self._done
        counts = {discrepancy: self._counts[discrepancy] for discrepancy in Discrepancy if self._counts[discrepancy]}
        found = tuple(self._findings)
        return ImportReport(records, done["cases"], done["payments"], done["ceased"], done["left out"], counts, found, written)

    def _spans(self, statement: str, arguments: tuple[str, ...]) -> Iterable[list[Any]]:
        """The rows of a statement, a span at a time, through a cursor of the server."""
        with self._connection.cursor("import_walk", binary=True) as walk:
            walk.execute(statement, arguments)
            while rows := walk.fetchmany(_SPAN):
                yield rows

    def _found(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._counts[finding.discrepancy] += 1
            if self._counts[finding.discrepancy] <= _SHOWN:
                self._findings.append(finding)

    def _sort_payments(self, rows: Sequence[tuple[bytes, bool, bytes]]) -> None:
        kept = []
        for key, moved, document in rows:
            discrepancy, read = _read_payment(key, moved, document)
            if discrepancy:
                self._found([Finding(discrepancy, f"{PAYMENTS} {_shown(key)}")])
                self._untrusted.add(read.payment_id if read else PaymentId(_shown(key)))
            # What can be read but not trusted still says which case is to be left out.
            if read:
                kept.append((AREAS[read.area].scheme.value, read.case_id, read.payment_id, document))
        if kept:
            self._cursor.execute(_SQL.keep_payments, [list(column) for column in zip(*kept, strict=True)], binary=True)

    def _sort_lists(self, rows: Sequence[tuple[bytes, bool, bytes]]) -> None:
        kept: list[tuple[str, str, str | None]] = []
        for key, moved, value in rows:
            try:
                (case_id, scheme), payment_ids = decode_key(key), decode_payments(value)
                refuse_repeated(key)
            except Undecodable:
                self._found([Finding(Discrepancy.UNREADABLE, f"{CASES} {_shown(key)}")])
                continue
            if moved:
                self._found([Finding(Discrepancy.TWO_PARTITIONS, f"{CASES} {_shown(key)}")])
            kept += [(scheme.value, case_id, payment_id) for payment_id in payment_ids or (None,)]
        if kept:
            self._cursor.execute(_SQL.keep_lists, [list(column) for column in zip(*kept, strict=True)], binary=True)

    def _judge(self, row: tuple[str, str, bool, list[str], list[bytes]]) -> ImportedCase | StoredState:
        """The case as it can be taken over, or as it was found."""
        scheme, case_id, has_list, listed, documents = row
        payments = tuple(decode_payment(document) for document in documents)
        ids = tuple(map(PaymentId, listed)) if has_list else None
        state = StoredState(Scheme(scheme), CaseId(case_id), ids, payments)
        case, findings = take_over(state, self._untrusted)
        self._found(findings)
        if case is None:
            self._done["left out"] += 1
        return case or state

    def _add_cases(self, named: Sequence[tuple[str, str, str | None, str]]) -> dict[tuple[str, str], int]:
        """Makes cases (scheme, case id, person, areas) that the rail knows already; returns their numbers."""
        made = fetch(self._cursor, _AddedCase, _SQL.add_cases, [list(column) for column in zip(*named, strict=True)])
        return {(each.scheme, each.case_id): each.case_no for each in made}

    def _mark(self, left_out: Sequence[StoredState]) -> None:
        """Cases that are not taken over are known as such, so that no message of theirs is taken for one of a new case."""
        if not left_out:
            return
        numbers = self._add_cases([(each.scheme.value, each.case_id, None, "") for each in left_out])
        entries = [link(b"", left_out_entry(case_no, self._now)) for case_no in numbers.values()]
        write(self._cursor, entries)
        write(
            self._cursor,
            [CaseStep(each.chain, None, "", 0, 0, 0, each.seq, each.hash, each.at, ALL, contract="helved") for each in entries],
        )

    def _write(self, taken: Sequence[ImportedCase]) -> None:
        if not taken:
            return
        numbers = self._add_cases([(case.scheme.value, case.case_id, case.person, ",".join(case.areas)) for case in taken])
        payments: list[PaymentRow] = []
        entries: list[AuditRow] = []
        steps: list[CaseStep] = []
        for case in taken:
            case_no = numbers[case.scheme.value, case.case_id]
            rows = versions(case, case_no)
            entry = link(b"", first_entry(case_no, self._now, case, encode_payment))
            payments += rows
            entries.append(entry)
            unknown = ",".join(case.unknown)
            areas = ",".join(case.areas)
            heads = (case_no, case.person, areas, 0, 0, 0, entry.seq, entry.hash, entry.at, unknown)
            steps.append(CaseStep(*heads, contract="helved", ordered_for=case.person))
        if payments:
            add_accepted(self._cursor, payments)
        write(self._cursor, entries)
        write(self._cursor, steps)
        ceased = sum(each.action is Action.DELETE for case in taken for each in case.payments)
        self._done.update({"cases": len(taken), "payments": len(payments), "ceased": ceased})


def _read_payment(key: bytes, moved: bool, document: bytes) -> tuple[Discrepancy | None, Payment | None]:
    """Returns what is wrong with a record of a payment by itself, and the payment as far as it can be read."""
    try:
        read = decode_payment(document)
        refuse_repeated(document)
    except Undecodable:
        return Discrepancy.UNREADABLE, None
    if moved:
        return Discrepancy.TWO_PARTITIONS, read
    return (None if key == read.payment_id.encode() else Discrepancy.OTHER_KEY), read


def _shown(key: bytes) -> str:
    return key.decode("utf-8", "replace")
