"""The rules of a decision by itself, in the order of each form: the first one broken is the answer (iverksetting §1.5)."""

import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from operator import attrgetter
from typing import Final

from msgspec import Struct

from kvitt.contracts.iverksetting import texts
from kvitt.contracts.iverksetting.benefits import EEA, benefit_of
from kvitt.contracts.iverksetting.decision import (
    CaseDecision,
    DecidedSpan,
    DecisionForm,
    DecisionKind,
    DecisionResult,
    Generation,
    HolidaySupplement,
)
from kvitt.contracts.iverksetting.texts import Wording
from kvitt.disbursement import refusals
from kvitt.disbursement.values import RateType, Refusal, Scheme
from kvitt.kernel.identifiers import Flaw, flaw_of

CASE_ID_CHARACTERS: Final = 25
"""The id of a line is that of the case, `#` and a number, and the rail has room for 30."""
DECISION_ID_CHARACTERS: Final = 30
ENACTMENT_ID_CHARACTERS: Final = 255
"""Of `iverksettingId`, which the rail never sees: as many as the store looks up by."""
FIRST_CAP_KRONER: Final = 5000
"""The first amount a day that the older forms have too high (iverksetting §1.8)."""
_NAME_CHARACTERS: Final = 8
_PERSON: Final = re.compile(r"[0-9]{11}|[0-9]{9}")
_by_start = attrgetter("start")


class DecisionRule(Struct, frozen=True):
    """A rule of a decision: whether it is broken, and what is said then."""

    wording: Wording
    broken: Callable[[CaseDecision], bool]


def _overlap(spans: Iterable[DecidedSpan]) -> bool:
    return any(one.end >= other.start for one, other in pairwise(sorted(spans, key=_by_start)))


def _overlaps_of_equal_terms(decision: CaseDecision) -> bool:
    groups = defaultdict(list)
    for span in decision.spans:
        groups[span.terms].append(span)
    return any(map(_overlap, groups.values()))


def _is_whole_months(span: DecidedSpan) -> bool:
    return span.start.day == 1 and span.end.day == monthrange(span.end.year, span.end.month)[1]


def _first_is_monthly_and_one_is_not_whole(decision: CaseDecision) -> bool:
    """Only the rate of the first entry is looked at, and then the days of all."""
    monthly = bool(decision.spans) and decision.spans[0].rate_type is RateType.MONTH
    return monthly and not all(map(_is_whole_months, decision.spans))


def _holiday_of_deceased(decision: CaseDecision) -> bool:
    return any(span.terms.name == EEA and span.terms.holiday is HolidaySupplement.DECEASED for span in decision.spans)


def _granted_without_spans(decision: CaseDecision) -> bool:
    granted = decision.kind is DecisionKind.PAYMENT and decision.result is DecisionResult.GRANTED
    return granted and not decision.spans


def _over_first_cap(span: DecidedSpan) -> bool:
    return span.rate_type is RateType.WEEKDAY and span.amount >= FIRST_CAP_KRONER


def _office_missing(decision: CaseDecision) -> bool:
    return decision.office is None and any(span.terms.scheme is Scheme.TILTAKSPENGER for span in decision.spans)


CASE_ID_LENGTH: Final = DecisionRule(texts.CASE_ID_LENGTH, lambda decision: not 1 <= len(decision.case_id) <= CASE_ID_CHARACTERS)
DECISION_ID_LENGTH: Final = DecisionRule(
    texts.DECISION_ID_LENGTH, lambda decision: not 1 <= len(decision.decision_id) <= DECISION_ID_CHARACTERS
)
GRANTED_WITHOUT_SPANS: Final = DecisionRule(texts.GRANTED_WITHOUT_SPANS, _granted_without_spans)
REFUSED_WITH_SPANS: Final = DecisionRule(
    texts.REFUSED_WITH_SPANS, lambda decision: decision.result is DecisionResult.REFUSED and bool(decision.spans)
)
ENDS_BEFORE: Final = DecisionRule(texts.ENDS_BEFORE, lambda decision: any(span.end < span.start for span in decision.spans))
OVERLAPS_ANYHOW: Final = DecisionRule(texts.OVERLAPS, lambda decision: _overlap(decision.spans))
OVERLAPS: Final = DecisionRule(texts.OVERLAPS, _overlaps_of_equal_terms)
NOT_WHOLE_MONTHS: Final = DecisionRule(texts.NOT_WHOLE_MONTHS, _first_is_monthly_and_one_is_not_whole)
ONLY_CURRENT_HAS_ID: Final = DecisionRule(
    texts.ONLY_CURRENT_HAS_ID,
    lambda decision: decision.previous is not None and decision.key.enactment_id is not None and decision.previous.enactment_id is None,
)
ONLY_PREVIOUS_HAS_ID: Final = DecisionRule(
    texts.ONLY_PREVIOUS_HAS_ID,
    lambda decision: decision.previous is not None and decision.key.enactment_id is None and decision.previous.enactment_id is not None,
)
NOT_POSITIVE: Final = DecisionRule(texts.NOT_POSITIVE, lambda decision: any(span.amount <= 0 for span in decision.spans))
OVER_CAP: Final = DecisionRule(texts.OVER_CAP, lambda decision: any(map(_over_first_cap, decision.spans)))
HOLIDAY_OF_DECEASED: Final = DecisionRule(texts.HOLIDAY_OF_DECEASED, _holiday_of_deceased)
OFFICE_MISSING: Final = DecisionRule(texts.OFFICE_MISSING, _office_missing)
ZERO_AMOUNT: Final = DecisionRule(texts.ZERO_AMOUNT_OF_SPAN, lambda decision: any(span.amount == 0 for span in decision.spans))
PARTIAL_MONTH: Final = DecisionRule(
    texts.PARTIAL_MONTH,
    lambda decision: any(span.rate_type is RateType.MONTH and not _is_whole_months(span) for span in decision.spans),
)
SEVERAL_DAYS: Final = DecisionRule(
    texts.SEVERAL_DAYS, lambda decision: any(span.rate_type is RateType.ONE_OFF and span.start != span.end for span in decision.spans)
)

RULES: Final[Mapping[DecisionForm, tuple[DecisionRule, ...]]] = {
    DecisionForm.FIRST: (
        GRANTED_WITHOUT_SPANS,
        REFUSED_WITH_SPANS,
        ENDS_BEFORE,
        OVERLAPS_ANYHOW,
        NOT_POSITIVE,
        OVER_CAP,
        HOLIDAY_OF_DECEASED,
    ),
    DecisionForm.LAST: (
        CASE_ID_LENGTH,
        DECISION_ID_LENGTH,
        ENDS_BEFORE,
        OVERLAPS,
        NOT_WHOLE_MONTHS,
        ONLY_CURRENT_HAS_ID,
        ONLY_PREVIOUS_HAS_ID,
        NOT_POSITIVE,
        OVER_CAP,
        HOLIDAY_OF_DECEASED,
        OFFICE_MISSING,
        PARTIAL_MONTH,
        SEVERAL_DAYS,
    ),
    DecisionForm.V2: (
        CASE_ID_LENGTH,
        DECISION_ID_LENGTH,
        ENDS_BEFORE,
        OVERLAPS,
        NOT_WHOLE_MONTHS,
        ONLY_CURRENT_HAS_ID,
        ONLY_PREVIOUS_HAS_ID,
        HOLIDAY_OF_DECEASED,
        ZERO_AMOUNT,
        PARTIAL_MONTH,
        SEVERAL_DAYS,
    ),
    DecisionForm.SIMULATED: (
        CASE_ID_LENGTH,
        DECISION_ID_LENGTH,
        ENDS_BEFORE,
        OVERLAPS,
        NOT_WHOLE_MONTHS,
        HOLIDAY_OF_DECEASED,
        ZERO_AMOUNT,
        PARTIAL_MONTH,
        SEVERAL_DAYS,
    ),
}
"""The rules of each form in order; from the amounts on those of `/v2` are kvitt's, where the old service failed."""


def broken_rule(decision: CaseDecision, scheme: Scheme, generation: Generation) -> Refusal | None:
    """The first rule that a decision of a scheme breaks by itself, in the words of a generation; None: it keeps them all."""
    for rule in RULES[decision.form]:
        if rule.broken(decision):
            return rule.wording.refusal(generation)
    return _broken_name(decision) or _broken_benefit(decision, scheme, generation)


def _broken_name(decision: CaseDecision) -> Refusal | None:
    """The refusal of what the rail has no room for, or what hides something; it names the field (design §12)."""
    for field, text in _ids(decision):
        if flaw := flaw_of(text):
            return refusals.BLANK_AT_ENDS if flaw is Flaw.BLANK_AT_ENDS and field != "iverksettingId" else refusals.flawed_id(field, flaw)
    if len(decision.key.enactment_id or "") > ENACTMENT_ID_CHARACTERS:
        return refusals.long_id("iverksettingId", ENACTMENT_ID_CHARACTERS)
    if not _PERSON.fullmatch(decision.person):
        return refusals.BAD_PERSON
    if not 0 < len(decision.caseworker.strip()) <= len(decision.caseworker) <= _NAME_CHARACTERS:
        return refusals.BAD_CASEWORKER
    return None if 0 < len(decision.approver.strip()) <= len(decision.approver) <= _NAME_CHARACTERS else refusals.BAD_APPROVER


def _ids(decision: CaseDecision) -> Iterable[tuple[str, str]]:
    yield "sakId", decision.case_id
    yield "behandlingId", decision.decision_id
    if decision.key.enactment_id is not None:
        yield "iverksettingId", decision.key.enactment_id
    for card in sorted({span.terms.reporting_card for span in decision.spans if span.terms.reporting_card is not None}):
        yield "meldekortId", card


def _broken_benefit(decision: CaseDecision, scheme: Scheme, generation: Generation) -> Refusal | None:
    for span in decision.spans:
        if span.terms.scheme is not scheme:
            return texts.OTHER_SCHEME.refusal(generation, benefit=span.terms.name, scheme=scheme.value)
        if benefit_of(span.terms) is None:
            return refusals.no_class_code(span.terms.name)
    return None
