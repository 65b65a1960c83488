"""Reads rows of `iverksetting` and `iverksettingsresultat`: decisions, what became of them, and their lines (iverksetting §9).

The data of a decision are its body in one of the three forms, or the object that the older system made of it. What is none of these is
refused by the row, the field and the rule.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

from msgspec import UNSET, MsgspecError, Raw, Struct, UnsetType, field
from msgspec.json import Decoder

from kvitt.contracts.iverksetting.decision import BenefitTerms, CaseDecision, DecidedSpan, DecisionForm, EnactmentKey, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms, form_of, read_decision, terms_of
from kvitt.contracts.iverksetting.shapes import OfficeShape, SpanRate, TermsShape, UnsignedKroner
from kvitt.disbursement.decisions import DecisionState
from kvitt.disbursement.derive.chained import LAST_NUMBER, ChainKey
from kvitt.disbursement.values import RateType, Refusal, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read
from kvitt.formats.times import local_text
from kvitt.kernel.money import Kroner

_NULL: Final = Raw(b"null")
_CHAINS: Final = "tilkjentytelseforutbetaling.sisteAndelPerKjede"


class RailState(StrEnum):
    """`oppdragStatus`: what the rail said of a decision."""

    OK = "KVITTERT_OK"
    NOTED = "KVITTERT_MED_MANGLER"
    REJECTED = "KVITTERT_FUNKSJONELL_FEIL"
    TECHNICAL = "KVITTERT_TEKNISK_FEIL"
    UNKNOWN = "KVITTERT_UKJENT"
    QUEUED = "LAGT_PÅ_KØ"
    WITHOUT_PAYMENT = "OK_UTEN_UTBETALING"


ENDED: Final[Mapping[RailState, DecisionState]] = {
    RailState.OK: DecisionState.ACCEPTED,
    RailState.NOTED: DecisionState.ACCEPTED,
    RailState.WITHOUT_PAYMENT: DecisionState.WITHOUT_PAYMENT,
    RailState.REJECTED: DecisionState.REJECTED,
    RailState.TECHNICAL: DecisionState.REJECTED,
}
"""What became of a decision; of the other states nobody can say."""


class _FromToShape(Struct):
    start: date = field(name="fom")
    end: date = field(name="tom")


class _PaidShape(Struct):
    """An entry of `andelerTilkjentYtelse`; its days are its own members, or those of `periode`."""

    amount: UnsignedKroner = field(name="beløp")
    rate: SpanRate = field(name="satstype")
    terms: TermsShape = field(name="stønadsdata")
    days: _FromToShape | None = field(name="periode", default=None)
    start: date | None = field(name="fom", default=None)
    end: date | None = field(name="tom", default=None)
    number: int | None = field(name="periodeId", default=None)
    previous: int | None = field(name="forrigePeriodeId", default=None)


class _PaymentsShape(Struct):
    entries: list[_PaidShape] = field(name="andelerTilkjentYtelse")
    last: dict[str, _PaidShape] = field(name="sisteAndelPerKjede", default_factory=dict)


class _ChainKeyShape(Struct):
    class_code: str = field(name="klassifiseringskode")
    reporting_card: str | None = field(name="meldekortId", default=None)


class _CaseShape(Struct):
    case_id: str = field(name="fagsakId")
    scheme: str = field(name="fagsystem")


class _ProcessingShape(Struct):
    decision_id: str = field(name="behandlingId")
    enactment_id: str | None = field(name="iverksettingId", default=None)
    previous_decision: str | None = field(name="forrigeBehandlingId", default=None)
    previous_enactment: str | None = field(name="forrigeIverksettingId", default=None)


class _ApplicantShape(Struct):
    person: str = field(name="personident")


class _DecidedShape(Struct):
    decided_at: str = field(name="vedtakstidspunkt")
    caseworker: str = field(name="saksbehandlerId")
    approver: str = field(name="beslutterId")
    payments: _PaymentsShape = field(name="tilkjentYtelse")
    office: OfficeShape | None = field(name="brukersNavKontor", default=None)


class _StoredShape(Struct):
    """The object that the older system made of a body."""

    case: _CaseShape = field(name="fagsak")
    processing: _ProcessingShape = field(name="behandling")
    applicant: _ApplicantShape = field(name="søker")
    decision: _DecidedShape = field(name="vedtak")


class _ReceivedRow(Struct, kw_only=True):
    row_id: Raw = field(name="id", default=_NULL)
    decision_id: str = field(name="behandling_id")
    data: Raw
    received: str | None = field(name="mottatt_tidspunkt", default=None)


class _OutcomeShape(Struct):
    state: RailState = field(name="oppdragStatus")
    changed: str | None = field(name="oppdragStatusOppdatert", default=None)


class _ResultRow(Struct, kw_only=True):
    row_id: Raw = field(name="id", default=_NULL)
    scheme: str = field(name="fagsystem")
    decision_id: str = field(name="behandling_id")
    enactment_id: str | None = field(name="iverksetting_id", default=None)
    payments: _PaymentsShape | None = field(name="tilkjentytelseforutbetaling", default=None)
    outcome: _OutcomeShape | None = field(name="oppdragresultat", default=None)


class _ShapeProbe(Struct):
    row_id: Raw = field(name="id", default=_NULL)
    case: Raw | UnsetType = field(name="fagsak", default=UNSET)


_received, _result, _stored, _probe = Decoder(_ReceivedRow), Decoder(_ResultRow), Decoder(_StoredShape), Decoder(_ShapeProbe)
_chain_key = Decoder(_ChainKeyShape)


class OldDecision(Struct, frozen=True):
    """A row of `iverksetting`. `scheme` is None where its data do not say it; `received` sorts as the moments do."""

    row: str
    scheme: Scheme | None
    decision: CaseDecision
    received: str | None


class OldEntry(Struct, frozen=True):
    """A period that is, or was, paid by the line with this number."""

    span: DecidedSpan
    number: int


class OldResult(Struct, frozen=True):
    """A row of `iverksettingsresultat`. `outcome` is None where the rail has said nothing, `entries` where no lines were made yet.

    `last` are the last lines of all chains, by the keys under which they are kept.
    """

    row: str
    scheme: Scheme | None
    key: EnactmentKey
    outcome: RailState | None
    changed: str | None
    entries: Sequence[OldEntry] | None = None
    last: Mapping[ChainKey, OldEntry] = {}

    @property
    def numbers_used(self) -> int:
        """How many numbers of the case are used up."""
        return max((each.number + 1 for each in (*(self.entries or ()), *self.last.values())), default=0)


def row_name(table: str, body: str) -> str:
    """A row by its table and id, whatever else can not be read in it."""
    try:
        name = bytes(_probe.decode(body).row_id).decode()
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        name = ""
    return f"{table} {name.strip(chr(34))}" if name not in ("", "null") else table


def read_received(body: str) -> OldDecision:
    """The decision in a row of `iverksetting`. Raises Undecodable."""
    row = read(_received, body.encode())
    data = bytes(row.data)
    scheme, decision = _of_stored(data) if _is_stored(data) else _of_body(data)
    if decision.key.decision_id != row.decision_id:
        raise Undecodable("behandling_id", "is not that of the data")
    return OldDecision(row_name("iverksetting", body), scheme, decision, row.received)


def _is_stored(data: bytes) -> bool:
    try:
        return _probe.decode(data).case is not UNSET
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _of_body(data: bytes) -> tuple[Scheme | None, CaseDecision]:
    forms = (DecisionForm.FIRST,) if form_of(data) is DecisionForm.FIRST else (DecisionForm.V2, DecisionForm.LAST)
    found = [read_decision(data, ReadingTerms(form, Generation.SECOND)) for form in forms]
    decision = next((each for each in found if not isinstance(each, Refusal)), None)
    if decision is None:
        said = next(each.text for each in found if isinstance(each, Refusal))
        raise Undecodable("data", f"is no decision: {said}")
    schemes = {span.terms.scheme for span in decision.spans}
    return (schemes.pop() if len(schemes) == 1 else None), decision


def _of_stored(data: bytes) -> tuple[Scheme | None, CaseDecision]:
    shape = read(_stored, data)
    refuse_repeated(data)
    processing, decision = shape.processing, shape.decision
    previous = processing.previous_decision
    return _scheme(shape.case.scheme), CaseDecision(
        form=DecisionForm.V2,
        case_id=shape.case.case_id,
        case_name=shape.case.case_id,
        decision_id=processing.decision_id,
        key=EnactmentKey(processing.decision_id, processing.enactment_id),
        person=shape.applicant.person,
        decided_at=_moment(decision.decided_at),
        caseworker=decision.caseworker,
        approver=decision.approver,
        spans=tuple(_span(each, f"data.andelerTilkjentYtelse[{place}]") for place, each in enumerate(decision.payments.entries)),
        previous=None if previous is None else EnactmentKey(previous, processing.previous_enactment),
        office=decision.office.number if decision.office else None,
    )


def read_result(body: str) -> OldResult:
    """The result in a row of `iverksettingsresultat`. Raises Undecodable."""
    row = read(_result, body.encode())
    refuse_repeated(body.encode())
    entries, last = None, dict[ChainKey, OldEntry]()
    if row.payments is not None:
        path = "tilkjentytelseforutbetaling.andelerTilkjentYtelse"
        entries = [_entry(each, f"{path}[{place}]") for place, each in enumerate(row.payments.entries)]
        for text, each in row.payments.last.items():
            key = _key(text)
            if key in last:
                raise Undecodable(_CHAINS, "has a chain twice")
            last[key] = _entry(each, _CHAINS)
    return OldResult(
        row_name("iverksettingsresultat", body),
        _scheme(row.scheme),
        EnactmentKey(row.decision_id, row.enactment_id),
        row.outcome.state if row.outcome else None,
        row.outcome.changed if row.outcome else None,
        entries,
        last,
    )


def _key(text: str) -> ChainKey:
    """The key of a chain, which is JSON in the place of a member's name."""
    try:
        found = _chain_key.decode(text)
    except MsgspecError:
        raise Undecodable(_CHAINS, "has a key without klassifiseringskode") from None
    return ChainKey(found.class_code, found.reporting_card)


def _entry(shape: _PaidShape, path: str) -> OldEntry:
    if shape.number is None:
        raise Undecodable(f"{path}.periodeId", "is missing")
    if not 0 <= shape.number <= LAST_NUMBER:
        raise Undecodable(f"{path}.periodeId", f"must be from 0 to {LAST_NUMBER}")
    return OldEntry(_span(shape, path), shape.number)


def _span(shape: _PaidShape, path: str) -> DecidedSpan:
    start, end = (shape.days.start, shape.days.end) if shape.days else (shape.start, shape.end)
    if start is None or end is None:
        raise Undecodable(f"{path}.periode", "is missing")
    terms: BenefitTerms = terms_of(shape.terms, path)
    rate: RateType = shape.rate.rate_type
    return DecidedSpan(start, end, Kroner(shape.amount), rate, terms)


def _scheme(name: str) -> Scheme | None:
    return Scheme(name) if name in set(Scheme) else None


def _moment(text: str) -> str:
    try:
        return local_text(text)
    except ValueError:
        raise Undecodable("data.vedtak.vedtakstidspunkt", "is not a date-time of the contract's form") from None
