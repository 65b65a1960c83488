"""Reads decisions: JSON of three forms to one kind of value (iverksetting §1.2-§1.4, §1.5).

Whether a decision keeps the rules is not looked at here, only whether it is what its form says. All ways in which bytes can fail to be
one end in a refusal, in the words of the generation that answers.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar
from uuid import UUID

from msgspec import UNSET, MsgspecError, Raw, Struct, UnsetType, field
from msgspec.json import Decoder

from kvitt.contracts.iverksetting.benefits import OLD_BENEFITS, OLD_HOLIDAYS, SCHEME_OF_BENEFIT
from kvitt.contracts.iverksetting.decision import BenefitTerms, CaseDecision, DecidedSpan, DecisionForm, EnactmentKey, Generation
from kvitt.contracts.iverksetting.shapes import (
    LastDecisionShape,
    LastShape,
    LastSpanShape,
    OldShape,
    OldSpanShape,
    PersonShape,
    PreviousShape,
    SimulatedShape,
    TermsShape,
    V2DecisionShape,
    V2Shape,
    V2SpanShape,
)
from kvitt.contracts.iverksetting.texts import (
    CASE_UNNAMED,
    REFERENCE_EMPTY,
    REFERENCE_TOO_LONG,
    unreadable,
)
from kvitt.disbursement.decisions import Frame
from kvitt.disbursement.values import RateType, Refusal, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read
from kvitt.formats.times import local_text

_old_decoder, _last_decoder, _v2_decoder, _simulated_decoder = (
    Decoder(OldShape),
    Decoder(LastShape),
    Decoder(V2Shape),
    Decoder(SimulatedShape),
)
_REFERENCE_CHARACTERS: Final = 20
_OFFICE: Final = re.compile(r"[0-9]{4}")
_MISSING: Final = "is missing"
_PERSON: Final = re.compile(r"[0-9]{11}")
_ORGANISATION: Final = re.compile(r"[0-9]{9}")
_FIRST_CHECK: Final = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)
_SECOND_CHECK: Final = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
_ORGANISATION_CHECK: Final = (3, 2, 7, 6, 5, 4, 3, 2, 1)
_MODULUS: Final = 11
Listed = TypeVar("Listed", LastSpanShape, V2SpanShape)


class ReadingTerms(Struct, frozen=True):
    """Terms that the reading of a decision depends on besides its bytes, as they were when it came in.

    `may_lack_spans`: a decision without the list of what is paid is taken as one that pays nothing.
    """

    form: DecisionForm
    generation: Generation = Generation.THIRD
    may_lack_spans: bool = False


class _DecisionProbe(Struct):
    kind: Raw | UnsetType = field(name="vedtakstype", default=UNSET)


class _Probe(Struct):
    person: Raw | UnsetType = field(name="personIdent", default=UNSET)
    later_person: Raw | UnsetType = field(name="personident", default=UNSET)
    reference: Raw | UnsetType = field(name="saksreferanse", default=UNSET)
    decision: _DecisionProbe | UnsetType = field(name="vedtak", default=UNSET)


_probe = Decoder(_Probe)


def form_of(body: bytes) -> DecisionForm:
    """Which of the two older forms a body has: the first one spells its person with a capital, and says what kind of decision it is."""
    try:
        found = _probe.decode(body)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return DecisionForm.LAST
    if found.later_person is not UNSET:
        return DecisionForm.LAST
    kind = found.decision is not UNSET and found.decision.kind is not UNSET
    return DecisionForm.FIRST if kind or found.person is not UNSET or found.reference is not UNSET else DecisionForm.LAST


def read_decision(body: bytes, terms: ReadingTerms) -> CaseDecision | Refusal:
    """The decision in a body, or why there is none."""
    try:
        decision = _READERS[terms.form](body, terms)
        refuse_repeated(body)
    except Undecodable as broken:
        return unreadable(broken, terms.generation)
    return decision


def _read_old(body: bytes, terms: ReadingTerms) -> CaseDecision | Refusal:
    shape = read(_old_decoder, body)
    if shape.case_uuid is None and shape.case_reference is None:
        return CASE_UNNAMED.refusal(terms.generation)
    if shape.case_reference == "":
        return REFERENCE_EMPTY.refusal(terms.generation)
    if shape.case_reference is not None and len(shape.case_reference) > _REFERENCE_CHARACTERS:
        return REFERENCE_TOO_LONG.refusal(terms.generation)
    decision, previous = shape.decision, shape.previous
    return CaseDecision(
        form=DecisionForm.FIRST,
        case_id=shape.case_reference or short_id(shape.case_uuid or shape.decision_id),
        case_name=shape.case_reference or str(shape.case_uuid),
        decision_id=short_id(shape.decision_id),
        key=EnactmentKey(str(shape.decision_id)),
        person=shape.person,
        decided_at=_moment(decision.decided_at),
        caseworker=decision.caseworker,
        approver=decision.approver,
        spans=_old_spans(decision.spans),
        previous=EnactmentKey(str(previous.decision_id)) if previous else None,
        previous_spans=_old_spans(previous.spans) if previous else (),
        kind=decision.kind,
        result=decision.result,
        frame=Frame(decision.frame_start, decision.frame_cap),
    )


def _old_spans(spans: Sequence[OldSpanShape]) -> tuple[DecidedSpan, ...]:
    return tuple([DecidedSpan(each.start, each.end, each.amount, RateType.WEEKDAY, _old_terms(each)) for each in spans])


def _old_terms(span: OldSpanShape) -> BenefitTerms:
    name = OLD_BENEFITS[span.benefit]
    holiday = OLD_HOLIDAYS[span.holiday] if span.holiday else None
    return BenefitTerms(name, SCHEME_OF_BENEFIT.get(name, Scheme.TILTAKSPENGER), holiday)


def _read_last(body: bytes, terms: ReadingTerms) -> CaseDecision | Refusal:
    shape = read(_last_decoder, body)
    decision = shape.decision
    office = decision.office.number if decision.office else None
    _refuse_office(office, "vedtak.brukersNavKontor.enhet")
    spans = [_last_span(each, office, f"vedtak.utbetalinger[{place}]") for place, each in enumerate(_listed(decision.spans, terms))]
    return _later(shape, decision, terms, tuple(spans), office)


def _last_span(span: LastSpanShape, office: str | None, path: str) -> DecidedSpan:
    """`beløpPerDag` alone is a rate for weekdays; `satstype` is a member of those of tilleggsstønader only."""
    amount = span.amount_per_day if span.amount is None else span.amount
    if amount is None:
        raise Undecodable(f"{path}.beløpPerDag", _MISSING)
    if span.amount is not None and span.rate is None:
        raise Undecodable(f"{path}.satstype", _MISSING)
    scheme = _scheme(span.terms, path)
    own = BenefitTerms(span.terms.benefit, scheme)
    if scheme is Scheme.DAGPENGER:
        own = BenefitTerms(span.terms.benefit, scheme, span.terms.holiday)
    elif scheme is Scheme.TILTAKSPENGER:
        own = BenefitTerms(span.terms.benefit, scheme, with_children=span.terms.with_children, office=office)
    elif scheme is Scheme.TILLEGGSSTONADER:
        _refuse_office(span.office, f"{path}.brukersNavKontor")
        own = BenefitTerms(span.terms.benefit, scheme, office=span.office)
    return DecidedSpan(span.start, span.end, amount, span.rate.rate_type if span.rate else RateType.WEEKDAY, own)


def _read_v2(body: bytes, terms: ReadingTerms) -> CaseDecision | Refusal:
    shape = read(_v2_decoder, body)
    return _later(shape, shape.decision, terms, _v2_spans(shape.decision.spans, terms, "vedtak.utbetalinger"), None)


def _read_simulated(body: bytes, terms: ReadingTerms) -> CaseDecision:
    """The decision that it would be, by its caseworker alone; of which day it is, is said where it is derived."""
    shape = read(_simulated_decoder, body)
    return CaseDecision(
        form=terms.form,
        case_id=shape.case_id,
        case_name=shape.case_id,
        decision_id=shape.decision_id,
        key=EnactmentKey(shape.decision_id),
        person=_person(shape.person, organisations=False),
        decided_at="",
        caseworker=shape.caseworker,
        approver=shape.caseworker,
        spans=_v2_spans(shape.spans, terms, "utbetalinger"),
        previous=_previous(shape.previous),
    )


def _v2_spans(spans: list[V2SpanShape] | UnsetType, terms: ReadingTerms, path: str) -> tuple[DecidedSpan, ...]:
    third = terms.generation is Generation.THIRD
    return tuple([_v2_span(each, f"{path}[{place}]", third=third) for place, each in enumerate(_listed(spans, terms, path))])


def _v2_span(span: V2SpanShape, path: str, *, third: bool) -> DecidedSpan:
    given, scheme = span.terms, _scheme(span.terms, path)
    if lacking := _lacking(given, scheme, third=third):
        raise Undecodable(f"{path}.stønadsdata.{lacking}", _MISSING)
    own = _V2_TERMS[scheme](given)
    _refuse_office(own.office, f"{path}.stønadsdata.brukersNavKontor")
    return DecidedSpan(span.start, span.end, span.amount, span.rate.rate_type, own)


def _lacking(given: TermsShape, scheme: Scheme, *, third: bool) -> str | None:
    """The first member that the scheme needs and that is not there."""
    if given.reporting_card is None and scheme in (Scheme.DAGPENGER, Scheme.TILTAKSPENGER):
        return "meldekortId"
    if given.decided_rate is None and third and scheme is Scheme.DAGPENGER:
        return "fastsattDagsats"
    return "brukersNavKontor" if given.office is None and scheme is Scheme.TILTAKSPENGER else None


_V2_TERMS: Mapping[Scheme, Callable[[TermsShape], BenefitTerms]] = {
    Scheme.DAGPENGER: lambda given: BenefitTerms(
        given.benefit, Scheme.DAGPENGER, given.holiday, reporting_card=given.reporting_card, decided_rate=given.decided_rate
    ),
    Scheme.TILTAKSPENGER: lambda given: BenefitTerms(
        given.benefit,
        Scheme.TILTAKSPENGER,
        with_children=given.with_children,
        reporting_card=given.reporting_card,
        office=given.office,
    ),
    Scheme.TILLEGGSSTONADER: lambda given: BenefitTerms(given.benefit, Scheme.TILLEGGSSTONADER, office=given.office),
    Scheme.AAP: lambda given: BenefitTerms(given.benefit, Scheme.AAP, decided_rate=given.decided_rate),
}


def terms_of(given: TermsShape, path: str) -> BenefitTerms:
    """The terms of the later forms, whatever is missing in them. Raises Undecodable for a benefit that nobody knows."""
    return _V2_TERMS[_scheme(given, path)](given)


def _scheme(terms: TermsShape, path: str) -> Scheme:
    if (found := SCHEME_OF_BENEFIT.get(terms.benefit)) is None:
        raise Undecodable(f"{path}.stønadsdata.stønadstype", "is not a known word")
    return found


def _listed(spans: list[Listed] | UnsetType, terms: ReadingTerms, path: str = "vedtak.utbetalinger") -> Sequence[Listed]:
    """The entries that a decision lists as paid; that nothing is has to be said, for it ceases all that is paid."""
    if spans is UNSET:
        if not terms.may_lack_spans:
            raise Undecodable(path, _MISSING)
        return ()
    return spans


def _later(
    shape: LastShape | V2Shape,
    decision: LastDecisionShape | V2DecisionShape,
    terms: ReadingTerms,
    spans: tuple[DecidedSpan, ...],
    office: str | None,
) -> CaseDecision:
    return CaseDecision(
        form=terms.form,
        case_id=shape.case_id,
        case_name=shape.case_id,
        decision_id=shape.decision_id,
        key=EnactmentKey(shape.decision_id, shape.enactment_id),
        person=_person(shape.person, organisations=terms.form is DecisionForm.LAST),
        decided_at=_moment(decision.decided_at),
        caseworker=decision.caseworker,
        approver=decision.approver,
        spans=spans,
        previous=_previous(shape.previous),
        office=office,
        frame=Frame(decision.frame_start, decision.frame_cap),
    )


def _previous(shape: PreviousShape | None) -> EnactmentKey | None:
    return EnactmentKey(shape.decision_id, shape.enactment_id) if shape else None


def _person(given: str | PersonShape, *, organisations: bool) -> str:
    person = given.value if isinstance(given, PersonShape) else given
    if not is_person(person) and not (organisations and is_organisation(person)):
        raise Undecodable("", "personident is no number of a person")
    return person


def is_person(text: str) -> bool:
    """Whether a text is the number of a person; those with 40 added to the day, or 40 or 80 to the month, pass as well."""
    return bool(_PERSON.fullmatch(text)) and _checks(text, _FIRST_CHECK) and _checks(text, _SECOND_CHECK)


def is_organisation(text: str) -> bool:
    """Whether a text is the number of an organisation."""
    return bool(_ORGANISATION.fullmatch(text)) and _checks(text, _ORGANISATION_CHECK)


def _checks(text: str, weights: Sequence[int]) -> bool:
    """The last weight is that of the check digit itself, which makes the sum divisible."""
    return sum(weight * int(digit) for weight, digit in zip(weights, text, strict=False)) % _MODULUS == 0


def _moment(text: str) -> str:
    try:
        return local_text(text)
    except ValueError:
        raise Undecodable("vedtak.vedtakstidspunkt", "is not a date-time of the contract's form") from None


def _refuse_office(office: str | None, path: str) -> None:
    if office is not None and not _OFFICE.fullmatch(office):
        raise Undecodable(path, "must be four digits")


def short_id(long: UUID) -> str:
    """The 22 characters that a UUID is to the rail, whose fields have no room for its text: URL-safe Base64 of its bytes."""
    return urlsafe_b64encode(long.bytes).decode().rstrip("=")


_READERS: Mapping[DecisionForm, Callable[[bytes, ReadingTerms], CaseDecision | Refusal]] = {
    DecisionForm.FIRST: _read_old,
    DecisionForm.LAST: _read_last,
    DecisionForm.V2: _read_v2,
    DecisionForm.SIMULATED: _read_simulated,
}
