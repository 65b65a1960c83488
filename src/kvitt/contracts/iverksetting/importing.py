"""Reads cases of decisions out of an older system's tables: the last accepted state with all its lines, and the chain (iverksetting §9).

What the rail has accepted is the truth, and the decisions are its history: where the newest one was rejected, what stood before it stands.
A decision without an answer of the rail leaves its case out.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

from kvitt.contracts.iverksetting.answers import EnactmentStatus, StatusDocument
from kvitt.contracts.iverksetting.benefits import benefit_of
from kvitt.contracts.iverksetting.call import SOURCE_OF
from kvitt.contracts.iverksetting.contract import Iverksetting
from kvitt.contracts.iverksetting.decision import EnactmentKey
from kvitt.contracts.iverksetting.old_rows import ENDED, OldDecision, OldEntry, OldResult, RailState, read_received, read_result, row_name
from kvitt.disbursement.catalogue import BENEFITS, DECISION_AREAS, EARLIER_BENEFITS, SCHEMES
from kvitt.disbursement.decisions import DecisionState, Frame
from kvitt.disbursement.derive.chained import MAX_CASE_ID_CHARACTERS, ChainKey, WantedPeriod, chain_payment_id
from kvitt.disbursement.imported import ImportedCase, ImportedDecision, is_name
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.take_over import ReadCase, RowFinding, RowRule
from kvitt.disbursement.values import Action, Benefit, CaseId, DecisionId, LineId, Payment, Period, Refusal, Scheme
from kvitt.errors import SourceUnreadable, Undecodable
from kvitt.kernel.identifiers import flaw_of
from kvitt.kernel.queries import load
from kvitt.kernel.source_tables import SourceTables

_SQL: Final = load("importing", "kvitt.contracts.iverksetting")
_TABLES: Final = ("iverksetting", "iverksettingsresultat")
_OLD_CODE: Final = EARLIER_BENEFITS["AAP_UNDER_ARBEIDSAVKLARING_FØR_2025-09"]
_CODE: Final = BENEFITS["AAP_UNDER_ARBEIDSAVKLARING"]
_NOT_TAKEN: Final = Refusal(400, "Oppdragssystemet (OS) avviste vedtaket før saken ble flyttet hit", BASE, "OSUR")
_STATUSES: Final = {
    DecisionState.ACCEPTED: EnactmentStatus.OK,
    DecisionState.WITHOUT_PAYMENT: EnactmentStatus.OK_WITHOUT_PAYMENT,
    DecisionState.REJECTED: EnactmentStatus.FAILED,
}
_DECISION, _RESULT = 0, 1


class _WrongRow(Exception):
    """Something that keeps a case from being taken over, or is to be known of it: where it is, and what."""

    def __init__(self, rule: RowRule, row: str = "", detail: str = "") -> None:
        super().__init__(rule)
        self.rule, self.row, self.detail = rule, row, detail

    def finding(self, case: str) -> RowFinding:
        """The same as what is reported of a case."""
        return RowFinding(self.rule, case, self.row, self.detail)


def read_cases(tables: SourceTables) -> Iterator[ReadCase]:
    """The cases of the tables `iverksetting` and `iverksettingsresultat`, by their ids; none where there are no such tables.

    Raises SourceUnreadable.
    """
    there = [table for table in _TABLES if tables.has(table)]
    if not there:
        return
    if len(there) < len(_TABLES):
        raise SourceUnreadable(f"there is a table {there[0]}, and not the other one of {' and '.join(_TABLES)}")
    streams = [_sorted(tables, statement, sort) for sort, statement in ((_DECISION, _SQL.decisions), (_RESULT, _SQL.results))]
    for case_id, rows in groupby(heapq.merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
        yield from cases_of(case_id, [(sort, body) for _, sort, body in rows])


def _sorted(tables: SourceTables, statement: str, sort: int) -> Iterator[tuple[str, int, str]]:
    return ((row.case_id, sort, row.body) for row in tables.rows(statement))


def cases_of(case_id: str, rows: Sequence[tuple[int, str]]) -> list[ReadCase]:
    """The cases of one id, a scheme each, from decisions (0) and results (1) as JSON. A row that nobody can read is in all of them."""
    findings, decisions, results = _read_rows(case_id, rows)
    found: list[OldDecision | OldResult] = [*decisions, *results]
    schemes = sorted({each.scheme for each in found if each.scheme})
    if not schemes:
        nowhere = [RowFinding(RowRule.SCHEME, case_id, each.row) for each in found]
        return [ReadCase(Iverksetting.name, None, case_id, len(rows), None, (*findings, *nowhere))]
    made = [
        _OldCase(
            scheme,
            case_id,
            [each for each in decisions if each.scheme in (scheme, None)],
            [each for each in results if each.scheme in (scheme, None)],
        ).read(findings)
        for scheme in schemes
    ]
    return [replace(made[0], rows=made[0].rows + len(rows) - sum(each.rows for each in made)), *made[1:]]


def _read_rows(case_id: str, rows: Iterable[tuple[int, str]]) -> tuple[list[RowFinding], list[OldDecision], list[OldResult]]:
    findings: list[RowFinding] = []
    decisions: list[OldDecision] = []
    results: list[OldResult] = []
    for sort, body in rows:
        try:
            if sort == _DECISION:
                decisions.append(read_received(body))
            else:
                results.append(read_result(body))
        except Undecodable as broken:
            findings.append(RowFinding(RowRule.UNREADABLE, case_id, row_name(_TABLES[sort], body), str(broken)))
    return findings, [_with_scheme(each, results) for each in decisions], results


def _with_scheme(decision: OldDecision, results: Iterable[OldResult]) -> OldDecision:
    """A decision that pays nothing may not say whose it is; then the only result of its ids does."""
    schemes = {each.scheme for each in results if each.key == decision.decision.key}
    return replace(decision, scheme=schemes.pop()) if decision.scheme is None and len(schemes) == 1 else decision


class _Ended(Struct, frozen=True):
    """A decision with its result and what became of it."""

    old: OldDecision
    result: OldResult
    state: DecisionState


class _OldCase:
    """The rows of one case, oldest decision first."""

    def __init__(self, scheme: Scheme, case_id: str, decisions: Sequence[OldDecision], results: Sequence[OldResult]) -> None:
        self._scheme, self._case_id = scheme, case_id
        self._decisions = sorted(decisions, key=lambda each: each.received or "")
        self._results = results
        self._notes: list[_WrongRow] = []

    def read(self, unreadable: Sequence[RowFinding]) -> ReadCase:
        named = f"{self._scheme} {self._case_id}"
        rows = len(self._decisions) + len(self._results)
        if unreadable:
            # What is missing would be found at every other row.
            found = [replace(each, case=named) for each in unreadable]
            return ReadCase(Iverksetting.name, self._scheme, self._case_id, rows, None, tuple(found))
        try:
            case = self._case()
        except _WrongRow as wrong:
            return ReadCase(Iverksetting.name, self._scheme, self._case_id, rows, None, (wrong.finding(named),))
        return ReadCase(Iverksetting.name, self._scheme, self._case_id, rows, case, tuple(note.finding(named) for note in self._notes))

    def _case(self) -> ImportedCase:
        self._look_at_names()
        ended = self._ended()
        self._look_at_chain()
        accepted = next((each for each in reversed(ended) if each.state is not DecisionState.REJECTED), None)
        if ended[-1].state is DecisionState.REJECTED:
            self._notes.append(_WrongRow(RowRule.REJECTED, ended[-1].result.row))
        payments = self._payments(accepted) if accepted else ()
        frame = self._frame()
        return ImportedCase(
            scheme=self._scheme,
            case_id=CaseId(self._case_id),
            person=payments[0].person if payments else None,
            areas=(DECISION_AREAS[self._scheme],) if payments else (),
            payments=payments,
            contract=Iverksetting.name,
            decisions=tuple(map(_imported, ended)),
            frame=frame if frame.says_anything else None,
            numbered=max(each.numbers_used for each in self._results),
            opened_for=None if payments else ended[-1].old.decision.person,
        )

    def _look_at_names(self) -> None:
        if self._scheme not in SOURCE_OF:
            raise _WrongRow(RowRule.SCHEME, detail=f"{self._scheme} posts no decisions")
        if not self._case_id or len(self._case_id) > MAX_CASE_ID_CHARACTERS or flaw_of(self._case_id):
            raise _WrongRow(RowRule.CASE_ID)
        for each in self._decisions:
            if each.scheme is None:
                raise _WrongRow(RowRule.SCHEME, each.row)
            if each.decision.case_id != self._case_id:
                raise _WrongRow(RowRule.COLUMNS, each.row, "the case has another id at the rail")
            if any(span.terms.scheme is not self._scheme for span in each.decision.spans):
                raise _WrongRow(RowRule.SCHEME, each.row, "pays for another scheme")
        if any(each.scheme is None for each in self._results):
            raise _WrongRow(RowRule.SCHEME, next(each.row for each in self._results if each.scheme is None))
        if len({each.decision.person for each in self._decisions}) > 1:
            raise _WrongRow(RowRule.PERSONS)

    def _ended(self) -> list[_Ended]:
        """Each decision with what became of it."""
        results = self._newest_results()
        keys = {each.decision.key for each in self._decisions}
        if astray := next((each for each in self._results if each.key not in keys), None):
            raise _WrongRow(RowRule.NO_DECISION, astray.row)
        ended = []
        for each in self._decisions:
            result = results.get(each.decision.key)
            if result is None:
                raise _WrongRow(RowRule.NO_RESULT, each.row)
            if result.outcome in (None, RailState.QUEUED):
                raise _WrongRow(RowRule.OPEN, result.row)
            if result.outcome is None or result.outcome not in ENDED:
                raise _WrongRow(RowRule.NOT_UNDERSTOOD, result.row, f"is {result.outcome}")
            ended.append(_Ended(each, result, ENDED[result.outcome]))
        return ended

    def _newest_results(self) -> Mapping[EnactmentKey, OldResult]:
        """Of several results of a decision the one counts that changed last (iverksetting §1.5)."""
        found: dict[EnactmentKey, OldResult] = {}
        for each in sorted(self._results, key=lambda each: each.changed or ""):
            before = found.get(each.key)
            if before is not None and (before.changed is None or before.changed == each.changed):
                raise _WrongRow(RowRule.SEVERAL_RESULTS, each.row)
            found[each.key] = each
        return found

    def _look_at_chain(self) -> None:
        for one, other in pairwise(self._decisions):
            if one.received is None or one.received == other.received:
                raise _WrongRow(RowRule.ORDER_UNKNOWN, other.row)
        keys = [each.decision.key for each in self._decisions]
        if twice := next((one for one in self._decisions if keys.count(one.decision.key) > 1), None):
            raise _WrongRow(RowRule.ORDER_UNKNOWN, twice.row, "is there twice")
        newest = self._decisions[-1]
        before: list[EnactmentKey | None] = [*keys[:-1]] or [None]
        if newest.decision.previous not in before:
            raise _WrongRow(RowRule.CHAIN, newest.row)

    def _frame(self) -> Frame:
        frame = Frame()
        for said in (each.decision.frame for each in self._decisions):
            frame = Frame(said.start or frame.start, frame.cap_kroner if said.cap_kroner is None else said.cap_kroner)
        return frame

    def _payments(self, accepted: _Ended) -> tuple[Payment, ...]:
        """Each chain as a payment, the living ones as they are paid, the others ceased."""
        result = accepted.result
        if result.entries is None:
            raise _WrongRow(RowRule.LINES, result.row, "has no tilkjentytelseforutbetaling")
        by_chain: dict[ChainKey, list[OldEntry]] = {}
        for entry in result.entries:
            by_chain.setdefault(self._chain_of(entry, result), []).append(entry)
        if lost := next((each for each in by_chain if each not in result.last), None):
            raise _WrongRow(RowRule.LINES, result.row, f"has no last line of {lost.class_code}")
        numbers = [each.number for each in result.last.values()]
        if len({*numbers}) < len(numbers):
            raise _WrongRow(RowRule.LINES, result.row, "has one line as the last one of two chains")
        chains = [*by_chain, *(key for key in result.last if key not in by_chain)]
        return tuple(self._payment(accepted, key, sorted(by_chain.get(key, ()), key=_start)) for key in chains)

    def _chain_of(self, entry: OldEntry, result: OldResult) -> ChainKey:
        """The chain that an entry is of. Lines of AAP that were made before September 2025 have another class code (iverksetting §9)."""
        key = _wanted(entry, result).chain
        if self._scheme is not Scheme.AAP:
            return key
        old = replace(key, class_code=_OLD_CODE.class_code)
        if old in result.last and key in result.last:
            raise _WrongRow(RowRule.CLASS_CODES, result.row)
        return old if old in result.last else key

    def _payment(self, accepted: _Ended, key: ChainKey, entries: Sequence[OldEntry]) -> Payment:
        result, last = accepted.result, accepted.result.last[key]
        benefit = self._benefit(key, last, result)
        for one, other in pairwise(entries):
            if one.span.end >= other.span.start:
                raise _WrongRow(RowRule.OVERLAP, result.row)
        for each in (*entries, last):
            if each.span.end < each.span.start:
                raise _WrongRow(RowRule.OVERLAP, result.row)
            if each.span.amount == 0:
                raise _WrongRow(RowRule.AMOUNT, result.row)
            if each.number > last.number or (each.number == last.number and not _is_part(each, last)):
                raise _WrongRow(RowRule.LINES, result.row, f"line {each.number} is not as the last one of its chain, {last.number}, has it")
        decision, case_id = accepted.old.decision, CaseId(self._case_id)
        caseworker, approver = self._names(accepted)
        return Payment(
            original_key=decision.key.decision_id,
            area=DECISION_AREAS[self._scheme],
            payment_id=chain_payment_id(self._scheme, case_id, key),
            action=Action.CREATE if entries else Action.DELETE,
            first_of_case=False,
            case_id=case_id,
            decision_id=DecisionId(decision.decision_id),
            last_line=LineId(f"{case_id}#{last.number}"),
            last_sent=replace(_period(last, last, case_id), office=None, line=None),
            person=decision.person,
            decided_at=decision.decided_at,
            benefit=benefit.name,
            approver=approver,
            caseworker=caseworker,
            rate_type=last.span.rate_type,
            hold_back=None,
            periods=tuple(_period(each, last, case_id) for each in entries),
            reporting_card=UNSET if key.reporting_card is None else key.reporting_card,
        )

    def _benefit(self, key: ChainKey, last: OldEntry, result: OldResult) -> Benefit:
        """The benefit of a chain: its last line is of the chain's key, or of the code that AAP had before."""
        found = _wanted(last, result)
        if key == found.chain:
            return found.benefit
        if found.benefit == _CODE and key == ChainKey(_OLD_CODE.class_code):
            self._notes.append(_WrongRow(RowRule.OLD_CLASS_CODE, result.row))
            return _OLD_CODE
        raise _WrongRow(RowRule.LINES, result.row, f"the last line of {key.class_code} is of another chain")

    def _names(self, accepted: _Ended) -> tuple[str, str]:
        decision, terms = accepted.old.decision, SCHEMES[self._scheme]
        if not (is_name(decision.caseworker) and is_name(decision.approver)) and not any(
            note.rule is RowRule.NAMES for note in self._notes
        ):
            self._notes.append(_WrongRow(RowRule.NAMES, accepted.old.row))
        caseworker = decision.caseworker if is_name(decision.caseworker) else terms.default_caseworker
        return caseworker, decision.approver if is_name(decision.approver) else terms.default_approver


def _start(entry: OldEntry) -> date:
    return entry.span.start


def _is_part(entry: OldEntry, last: OldEntry) -> bool:
    """The last line, or what is left of it."""
    one, other = entry.span, last.span
    return (one.start, one.amount, one.rate_type) == (other.start, other.amount, other.rate_type) and one.end <= other.end


def _wanted(entry: OldEntry, result: OldResult) -> WantedPeriod:
    span = entry.span
    benefit = benefit_of(span.terms)
    if benefit is None:
        raise _WrongRow(RowRule.BENEFIT, result.row, f"of line {entry.number}")
    period = Period(span.start, span.end, span.amount, span.terms.office, span.terms.decided_rate)
    return WantedPeriod(benefit, span.terms.reporting_card, span.rate_type, period)


def _period(entry: OldEntry, last: OldEntry, case_id: CaseId) -> Period:
    """A period with its line, and with its rate where that is not the chain's."""
    span = entry.span
    rate = None if span.rate_type is last.span.rate_type else span.rate_type
    return Period(span.start, span.end, span.amount, span.terms.office, span.terms.decided_rate, rate, LineId(f"{case_id}#{entry.number}"))


def _imported(ended: _Ended) -> ImportedDecision:
    decision, state = ended.old.decision, ended.state
    rejected = state is DecisionState.REJECTED
    document = StatusDocument(
        decision.case_name,
        decision.key,
        _STATUSES[state],
        error=_NOT_TAKEN if rejected else None,
        failed=rejected,
        previous=decision.previous,
        meaning=decision.meaning(),
    )
    return ImportedDecision(decision.key.names, state, decision.digest(), document.encode())
