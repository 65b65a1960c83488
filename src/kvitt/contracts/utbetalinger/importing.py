"""Reads single payments out of an older system's table: of each the version that the rail has, with its last line (iverksetting §9).

A version without an answer of the rail leaves its case out. A payment that the rail never took is none.
"""

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final
from uuid import UUID

from msgspec import MsgspecError, Raw, Struct, field
from msgspec.json import Decoder
from msgspec.structs import replace

from kvitt.contracts.utbetalinger.contract import Utbetalinger
from kvitt.contracts.utbetalinger.rules import broken_rule
from kvitt.contracts.utbetalinger.shapes import SCHEMES as CALLED_SCHEMES
from kvitt.contracts.utbetalinger.shapes import Amount, shape_of
from kvitt.disbursement.catalogue import BENEFITS, DECISION_AREAS, SCHEMES
from kvitt.disbursement.imported import ImportedCase, is_name
from kvitt.disbursement.instructions import as_called
from kvitt.disbursement.refusals import BAD_CASE_ID
from kvitt.disbursement.take_over import ReadCase, RowFinding, RowRule
from kvitt.disbursement.values import Action, CaseId, DecisionId, HoldBackShape, LineId, Payment, PaymentId, Period, RateType, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read
from kvitt.formats.times import local_text
from kvitt.kernel.identifiers import flaw_of
from kvitt.kernel.queries import load
from kvitt.kernel.source_tables import SourceTables

_SQL: Final = load("importing", "kvitt.contracts.utbetalinger")
_TABLE: Final = "utbetaling"
_BASE64_UUID: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LINE_CHARACTERS, _CASE_CHARACTERS = 30, 30
_RATES: Final = {
    **dict.fromkeys(("UKEDAG", "VIRKEDAG"), RateType.WEEKDAY),
    "DAG": RateType.DAY,
    "MND": RateType.MONTH,
    **dict.fromkeys(("EN_GANG", "ENGANGS"), RateType.ONE_OFF),
}
_FAILED: Final = "FEILET_MOT_OPPDRAG"
_ACCEPTED: Final = frozenset({"OK", "OK_UTEN_UTBETALING"})
_WAITING: Final = frozenset({"IKKE_PÅBEGYNT", "SENDT_TIL_OPPDRAG"})


class _IdShape(Struct):
    """An id as an object: its text stands under one of these names."""

    value: str | None = field(name="id", default=None)
    ident: str | None = None


_WrittenId = str | _IdShape


class _PaidDaysShape(Struct):
    """An entry of `perioder`, or `sistePeriode`."""

    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Amount = field(name="beløp")
    office: str | None = field(name="betalendeEnhet", default=None)
    decided_rate: Amount | None = field(name="fastsattDagsats", default=None)
    rate_of_decision: Amount | None = field(name="vedtakssats", default=None)

    @property
    def period(self) -> Period:
        """The period that it is."""
        rate = self.rate_of_decision if self.decided_rate is None else self.decided_rate
        return Period(self.start, self.end, self.amount, self.office, rate)


class _DataShape(Struct):
    """`data`; what the payment is paid per stands under one of three names."""

    case_id: _WrittenId = field(name="sakId")
    decision_id: _WrittenId = field(name="behandlingId")
    last_line: _WrittenId = field(name="lastPeriodeId")
    person: _WrittenId = field(name="personident")
    decided_at: str = field(name="vedtakstidspunkt")
    benefit: str = field(name="stønad")
    approver: _WrittenId = field(name="beslutterId")
    caseworker: _WrittenId = field(name="saksbehandlerId")
    spans: list[_PaidDaysShape] = field(name="perioder")
    rate: str | None = field(name="satstype", default=None)
    period_type: str | None = field(name="periodeType", default=None)
    old_period_type: str | None = field(name="periodetype", default=None)
    avvent: HoldBackShape | None = None
    last: _PaidDaysShape | None = field(name="sistePeriode", default=None)


class _VersionRow(Struct, kw_only=True):
    row_id: Raw = field(name="id", default=Raw(b"null"))
    payment_id: UUID = field(name="utbetaling_id")
    case_id: str = field(name="sak_id")
    decision_id: str = field(name="behandling_id")
    person: str = field(name="personident")
    benefit: str = field(name="stønad")
    created: str = field(name="created_at")
    data: _DataShape
    status: str
    deleted: str | None = field(name="deleted_at", default=None)


class _NamedRow(Struct):
    row_id: Raw = field(name="id", default=Raw(b"null"))


_row, _named = Decoder(_VersionRow), Decoder(_NamedRow)


class OldVersion(Struct, frozen=True):
    """A row: a version of a payment, with the state that the older system has of it."""

    row: str
    scheme: Scheme
    payment: Payment
    created: str
    status: str
    deleted: bool
    renamed: bool
    last_known: bool


class _WrongVersion(Exception):
    """Something that keeps a case from being taken over: where it is, and what."""

    def __init__(self, rule: RowRule, row: str = "", detail: str = "") -> None:
        super().__init__(rule)
        self.rule, self.row, self.detail = rule, row, detail

    def finding(self, case: str) -> RowFinding:
        return RowFinding(self.rule, case, self.row, self.detail)


def read_payments(tables: SourceTables) -> Iterator[ReadCase]:
    """The cases of the table `utbetaling`, by their ids; none where there is no such table. Raises SourceUnreadable."""
    if tables.has(_TABLE):
        for case_id, rows in groupby(tables.rows(_SQL.payments), key=itemgetter(0)):
            yield from cases_of(case_id, [body for _, body in rows])


def cases_of(case_id: str, rows: Sequence[str]) -> list[ReadCase]:
    """The cases of one id, a scheme each, from versions of their payments as JSON. A row that can not be read is in all of them."""
    findings: list[RowFinding] = []
    versions: list[OldVersion] = []
    for body in rows:
        try:
            versions.append(read_version(body))
        except _WrongVersion as wrong:
            findings.append(wrong.finding(case_id))
        except Undecodable as broken:
            findings.append(RowFinding(RowRule.UNREADABLE, case_id, _row_name(body), str(broken)))
    schemes = sorted({each.scheme for each in versions})
    if not schemes:
        return [ReadCase(Utbetalinger.name, None, case_id, len(rows), None, tuple(findings))]
    made = [_case(scheme, case_id, [each for each in versions if each.scheme is scheme], findings) for scheme in schemes]
    return [replace(made[0], rows=made[0].rows + len(rows) - len(versions)), *made[1:]]


def read_version(body: str) -> OldVersion:
    """The version of a payment in a row. Raises Undecodable."""
    row = read(_row, body.encode())
    refuse_repeated(body.encode())
    name, data = _row_name(body), row.data
    columns = (row.case_id, row.decision_id, row.person, row.benefit)
    if columns != (_text(data.case_id), _text(data.decision_id), _text(data.person), data.benefit):
        raise _WrongVersion(RowRule.COLUMNS, name)
    benefit = BENEFITS.get(data.benefit)
    if benefit is None or not benefit.class_code or benefit.scheme not in CALLED_SCHEMES:
        raise _WrongVersion(RowRule.BENEFIT, name)
    terms = SCHEMES[benefit.scheme]
    caseworker, approver = _text(data.caseworker), _text(data.approver)
    spans = tuple(sorted((each.period for each in data.spans), key=lambda each: each.start))
    payment_id, rate = PaymentId(str(row.payment_id)), _rate(data)
    last = data.last.period if data.last else spans[-1] if spans else None
    _look_at_periods(spans, last, name)
    payment = Payment(
        original_key=payment_id,
        area=DECISION_AREAS.get(benefit.scheme, benefit.area),
        payment_id=payment_id,
        action=Action.CREATE,
        first_of_case=False,
        case_id=CaseId(row.case_id),
        decision_id=DecisionId(row.decision_id),
        last_line=_line(_text(data.last_line), name),
        last_sent=None if last is None else replace(last, office=None),
        person=row.person,
        decided_at=_moment(data.decided_at),
        benefit=benefit.name,
        approver=approver if is_name(approver) else terms.default_approver,
        caseworker=caseworker if is_name(caseworker) else terms.default_caseworker,
        rate_type=rate,
        hold_back=data.avvent.value() if data.avvent else None,
        periods=as_called(spans, rate),
    )
    renamed = not (is_name(caseworker) and is_name(approver))
    return OldVersion(
        name, benefit.scheme, payment, row.created, row.status, row.deleted is not None, renamed, last_known=data.last is not None
    )


def _look_at_periods(spans: Sequence[Period], last: Period | None, row: str) -> None:
    if not spans:
        raise Undecodable("data.perioder", "is empty")
    every = (*spans, last or spans[-1])
    if any(each.end < each.start for each in every) or any(one.end >= other.start for one, other in pairwise(spans)):
        raise _WrongVersion(RowRule.OVERLAP, row)
    if any(each.amount == 0 for each in every):
        raise _WrongVersion(RowRule.AMOUNT, row)


def _case(scheme: Scheme, case_id: str, versions: Sequence[OldVersion], unreadable: Sequence[RowFinding]) -> ReadCase:
    named = f"{scheme} {case_id}"
    found = [replace(each, case=named) for each in unreadable]
    if not case_id or len(case_id) > _CASE_CHARACTERS or flaw_of(case_id):
        found.append(RowFinding(RowRule.CASE_ID, named))
    if len({each.payment.person for each in versions}) > 1:
        found.append(RowFinding(RowRule.PERSONS, named))
    if odd := next((each for each in versions if each.renamed), None):
        found.append(RowFinding(RowRule.NAMES, named, odd.row))
    payments: list[Payment] = []
    by_payment = sorted(versions, key=lambda each: (each.payment.payment_id, each.created))
    for _, same in groupby(by_payment, key=lambda each: each.payment.payment_id):
        try:
            payment, notes = _newest_accepted(list(same))
        except _WrongVersion as wrong:
            found.append(wrong.finding(named))
            continue
        found += [RowFinding(rule, named, row) for rule, row in notes]
        payments += [payment] if payment else []
    wrong_somewhere = any(each.rule.is_fault for each in found)
    newest = max(versions, key=lambda each: each.created)
    return ReadCase(
        Utbetalinger.name,
        scheme,
        case_id,
        len(versions),
        None if wrong_somewhere else _taken(scheme, case_id, payments, newest.payment.person),
        tuple(found),
    )


def _taken(scheme: Scheme, case_id: str, payments: Sequence[Payment], newest_person: str) -> ImportedCase:
    living_first = sorted(payments, key=lambda each: each.action is Action.DELETE)
    return ImportedCase(
        scheme,
        CaseId(case_id),
        payments[0].person if payments else None,
        tuple(sorted({each.area for each in payments})),
        tuple(living_first),
        contract=Utbetalinger.name,
        callers_chose=Utbetalinger.callers_choose_ids,
        opened_for=None if payments else newest_person,
    )


_Notes = list[tuple[RowRule, str]]


def _newest_accepted(versions: Sequence[OldVersion]) -> tuple[Payment | None, _Notes]:
    """The payment as the rail has it, None: it never took it; with what is to be known of it. `versions` are all of it, oldest first."""
    for one, other in pairwise(versions):
        if one.created == other.created:
            raise _WrongVersion(RowRule.ORDER_UNKNOWN, other.row)
    for each in versions:
        if each.status in _WAITING:
            raise _WrongVersion(RowRule.OPEN, each.row)
        if each.status not in _ACCEPTED and each.status != _FAILED:
            raise _WrongVersion(RowRule.NOT_UNDERSTOOD, each.row)
    newest = versions[-1]
    accepted = next((each for each in reversed(versions) if each.status in _ACCEPTED), None)
    if accepted is None:
        return None, [(RowRule.NEVER_TAKEN, newest.row)]
    notes: _Notes = [] if accepted is newest else [(RowRule.REJECTED, newest.row)]
    payment = _with_last_line(accepted, newest)
    if accepted.deleted:
        return replace(payment, action=Action.DELETE), [*notes, (RowRule.DELETED, accepted.row)]
    return payment, notes if _may_be_put_back(payment) else [*notes, (RowRule.NOT_AS_CALLED, accepted.row)]


def _may_be_put_back(payment: Payment) -> bool:
    """Whether a caller may name what the payment pays: then it is put back without a change, and ceased. Its case's id has its own rule."""
    return broken_rule(shape_of(payment)) in (None, BAD_CASE_ID)


def _with_last_line(accepted: OldVersion, newest: OldVersion) -> Payment:
    """Where it is not said how the last line was sent, a later version of the same line may say it (iverksetting §9)."""
    payment, later = accepted.payment, newest.payment
    if accepted.last_known or not newest.last_known or later.last_line != payment.last_line:
        return payment
    return replace(payment, last_sent=later.last_sent)


def _text(given: _WrittenId) -> str:
    if isinstance(given, str):
        return given
    return given.value or given.ident or ""


def _line(text: str, row: str) -> LineId:
    """The raw id of a line, which may be written as the rail sees it: Base64 of a UUID."""
    if _UUID.fullmatch(text):
        return LineId(text.lower())
    if _BASE64_UUID.fullmatch(text):
        return LineId(str(UUID(bytes=b64decode(text))))
    if not text or len(text) > _LINE_CHARACTERS or flaw_of(text):
        raise _WrongVersion(RowRule.LINE_ID, row)
    return LineId(text)


def _rate(data: _DataShape) -> RateType:
    word = data.rate or data.period_type or data.old_period_type
    if word not in _RATES:
        raise Undecodable("data.satstype", "is missing" if word is None else "is not a known word")
    return _RATES[word]


def _moment(text: str) -> str:
    try:
        return local_text(text)
    except ValueError:
        raise Undecodable("data.vedtakstidspunkt", "is not a date-time of the contract's form") from None


def _row_name(body: str) -> str:
    try:
        name = bytes(_named.decode(body).row_id).decode()
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return _TABLE
    return f"{_TABLE} {name.strip(chr(34))}" if name != "null" else _TABLE
