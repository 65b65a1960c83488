"""Rules that a payment keeps by itself, in the contract's order, the first broken one is the answer (iverksetting §3.3).

Behind them stand those that kvitt adds, so that whoever breaks one of the contract's hears of that one.
"""

from collections.abc import Callable
from datetime import date
from itertools import pairwise
from operator import attrgetter
from typing import Final

from kvitt.contracts.utbetalinger.shapes import PaidSpan, PeriodType, SinglePayment, last_of_month
from kvitt.disbursement import refusals
from kvitt.disbursement.calendar import SATURDAY, next_day
from kvitt.disbursement.instructions import MAX_DAYS, MAX_ID_CHARACTERS
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Refusal, Scheme

_PAGE: Final = "opprett_en_utbetaling"
RESERVED_RATE: Final = Refusal(400, "reservert felt for Dagpenger og AAP", _PAGE)
INCONSISTENT_DAYS: Final = Refusal(400, "inkonsistens blant datoene i periodene.", _PAGE)
ONE_OFFS_TO_JOIN: Final = Refusal(400, "Forventet kun en periode, da sammenslåing av beløp ikke er støttet", BASE)
_WITH_DECIDED_RATE: Final = frozenset({Scheme.DAGPENGER, Scheme.AAP})
_BY_DAY: Final = frozenset({PeriodType.DAG, PeriodType.UKEDAG})
_by_days = attrgetter("start", "end")


def _no_periods(payment: SinglePayment) -> Refusal | None:
    return None if payment.spans else refusals.NO_PERIODS


def _across_years(payment: SinglePayment) -> Refusal | None:
    if payment.period_type is not PeriodType.EN_GANG:
        return None
    first, last = _span(payment)
    return refusals.ONE_OFF_ACROSS_YEARS if first.year != last.year else None


def _duplicates(payment: SinglePayment) -> Refusal | None:
    count = len(payment.spans)
    unique = len({each.start for each in payment.spans}) == count == len({each.end for each in payment.spans})
    return None if unique else refusals.DUPLICATE_PERIODS


def _end_before_start(payment: SinglePayment) -> Refusal | None:
    return refusals.END_BEFORE_START if any(each.end < each.start for each in payment.spans) else None


def _reserved_rate(payment: SinglePayment) -> Refusal | None:
    if payment.benefit.scheme in _WITH_DECIDED_RATE:
        return None
    return RESERVED_RATE if any(each.decided_rate is not None for each in payment.spans) else None


def _inconsistent(payment: SinglePayment) -> Refusal | None:
    fits = _FITS[payment.period_type]
    return None if all(fits(each.start, each.end) for each in payment.spans) else INCONSISTENT_DAYS


_FITS: Final[dict[PeriodType, Callable[[date, date], bool]]] = {
    PeriodType.UKEDAG: lambda start, end: start == end and start.weekday() < SATURDAY,
    PeriodType.DAG: lambda start, end: start == end,
    PeriodType.MND: lambda start, end: start.day == 1 and end == last_of_month(start),
    PeriodType.EN_GANG: lambda start, end: start.year == end.year,
}


def _too_long(payment: SinglePayment) -> Refusal | None:
    if payment.period_type not in _BY_DAY:
        return None
    first, last = _span(payment)
    return refusals.TOO_LONG if (last - first).days >= MAX_DAYS else None


def _zero_amount(payment: SinglePayment) -> Refusal | None:
    return refusals.ZERO_AMOUNT if any(each.amount == 0 for each in payment.spans) else None


def _case_id(payment: SinglePayment) -> Refusal | None:
    return None if 1 <= len(payment.case_id) <= MAX_ID_CHARACTERS else refusals.BAD_CASE_ID


def _decision_id(payment: SinglePayment) -> Refusal | None:
    return None if 1 <= len(payment.decision_id) <= MAX_ID_CHARACTERS else refusals.BAD_DECISION_ID


def _one_offs_to_join(payment: SinglePayment) -> Refusal | None:
    """Two amounts of one size side by side would be one when they are joined, and one-off amounts are never added up."""
    if payment.period_type is not PeriodType.EN_GANG:
        return None
    ordered = sorted(payment.spans, key=_by_days)
    return ONE_OFFS_TO_JOIN if any(_joins(one, other) for one, other in pairwise(ordered)) else None


def _joins(one: PaidSpan, other: PaidSpan) -> bool:
    alike = (one.amount, one.office, one.decided_rate) == (other.amount, other.office, other.decided_rate)
    return alike and one.end < other.start == next_day(one.end)


def _overlap(payment: SinglePayment) -> Refusal | None:
    """One-off amounts whose days overlap (design §12); other periods that do break a rule before."""
    ordered = sorted(payment.spans, key=_by_days)
    return refusals.OVERLAP if any(one.end >= other.start for one, other in pairwise(ordered)) else None


def _class_code(payment: SinglePayment) -> Refusal | None:
    return None if payment.benefit.class_code else refusals.no_class_code(payment.benefit_name)


_RULES: Final = (
    _no_periods,
    _across_years,
    _duplicates,
    _end_before_start,
    _reserved_rate,
    _inconsistent,
    _too_long,
    _zero_amount,
    _case_id,
    _decision_id,
    _one_offs_to_join,
    _overlap,
    _class_code,
)


def broken_rule(payment: SinglePayment) -> Refusal | None:
    """The first broken rule, or None."""
    return next((broken for rule in _RULES if (broken := rule(payment))), None)


def _span(payment: SinglePayment) -> tuple[date, date]:
    return min(each.start for each in payment.spans), max(each.end for each in payment.spans)
