"""Instructions: what one message asks of payments, before it is compared with what is accepted.

Periods are made of the days and spans that a sender gives (helved §3.3, iverksetting §3.4), sorted first (design §12), so the order in
which they are listed never changes an order. Of the rules that are to be kept, the first broken one is the answer (helved §2.9).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from enum import Enum
from itertools import pairwise
from operator import attrgetter, itemgetter

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement import refusals
from kvitt.disbursement.calendar import first_weekday, last_weekday
from kvitt.disbursement.refusals import unchangeable
from kvitt.disbursement.values import (
    Action,
    Benefit,
    CaseId,
    DecisionId,
    HoldBack,
    Instruction,
    Payment,
    PaymentId,
    Period,
    RateType,
    Refusal,
    Scheme,
)
from kvitt.kernel.money import Kroner


class InstructionKind(Enum):
    """PAY these periods; CEASE by the message's own data; CEASE_STORED by what is stored (omitted, or amount 0)."""

    PAY = "pay"
    CEASE = "cease"
    CEASE_STORED = "cease stored"


class Decision(Struct, frozen=True):
    """Who decided what about which case; `key` is the sender's key, under which every answer goes back.

    `decided_at` is an ISO date, maybe with a time; `whole_case`: the message holds the whole case, so a payment that it omits ceases.
    """

    scheme: Scheme
    key: str
    case_id: CaseId
    decision_id: DecisionId
    person: str
    decided_at: str
    caseworker: str
    approver: str
    hold_back: HoldBack | None
    dry_run: bool
    whole_case: bool


class PaymentInstruction(Struct, frozen=True, gc=False):
    """An instruction for one payment. `benefit` is None only for CEASE_STORED of something omitted."""

    kind: InstructionKind
    payment_id: PaymentId
    benefit: Benefit | None
    rate_type: RateType
    periods: tuple[Period, ...]


class PaymentInstructions(Instruction, frozen=True):
    """One message as a decision and its instructions, in the order in which the sender names them."""

    decision: Decision
    payments: tuple[PaymentInstruction, ...]

    @property
    def payee(self) -> str:
        """The person of the case."""
        return self.decision.person


Given = tuple[date, date, Kroner, str | None, Kroner | None]
"""First day, last day, amount, office and decided rate, as a sender gives them; a tuple, for a case may have thousands."""

_by_days, _by_start = itemgetter(0, 1), attrgetter("start")
_FRIDAY, _SATURDAY = 4, 5
_NONE_YET = Kroner(-1)
Follows = Callable[[date, date], bool]


def _follows_by_day(end: date, start: date) -> bool:
    return start.toordinal() - end.toordinal() == 1


def _follows_by_weekday(end: date, start: date) -> bool:
    """The day after, or the first weekday after; public holidays count as weekdays here."""
    gap = start.toordinal() - end.toordinal()
    return gap == 1 or (gap == 3 and end.weekday() == _FRIDAY) or (gap == 2 and end.weekday() == _SATURDAY)


_FOLLOWS: dict[RateType, Follows] = {
    RateType.WEEKDAY: _follows_by_weekday,
    RateType.DAY: _follows_by_day,
    RateType.MONTH: _follows_by_day,
}


def in_order(given: Iterable[Given]) -> tuple[Period, ...]:
    """As given, sorted by days and not joined: one-off amounts are never added up."""
    return tuple(Period(*each) for each in sorted(given, key=_by_days))


def merge(given: Iterable[Given], rate_type: RateType, *, office_of_last: bool = True) -> tuple[Period, ...]:
    """The fewest periods that say the same, sorted by first day.

    Neighbours of equal amount and decided rate are joined when the rate type lets one follow the other: by day, or
    from Friday to Monday for weekday rates. A joined run carries the office of its last span, or of its first.
    A span that ends before it starts is joined with nothing, so that it is seen and refused.
    """
    follows = _FOLLOWS[rate_type]
    merged: list[Period] = []
    start, end, amount, office, rate, forward = date.min, date.min, _NONE_YET, None, None, False
    for first, last, each_amount, each_office, each_rate in sorted(given, key=_by_days):
        if forward and each_amount == amount and each_rate == rate and first <= last and follows(end, first):
            end = last
            if office_of_last:
                office = each_office
            continue
        if amount >= 0:
            merged.append(Period(start, end, amount, office, rate))
        start, end, amount, office, rate, forward = first, last, each_amount, each_office, each_rate, first <= last
    if amount >= 0:
        merged.append(Period(start, end, amount, office, rate))
    return tuple(merged)


def joined(given: Iterable[Given], rate_type: RateType) -> tuple[Period, ...]:
    """The fewest periods that say the same; neighbours with different offices stay apart, and one-off amounts too (iverksetting §3.4)."""
    if rate_type is RateType.ONE_OFF:
        return in_order(given)
    by_office: dict[str | None, list[Given]] = {}
    for each in given:
        by_office.setdefault(each[3], []).append(each)
    return tuple(sorted((period for each in by_office.values() for period in merge(each, rate_type)), key=_by_start))


def as_called(periods: Iterable[Period], rate_type: RateType) -> tuple[Period, ...]:
    """The same days as a caller of single payments gives them: joined, and by weekday none begins or ends at a weekend.

    What has but weekends stays as it is: it pays nothing, and can be changed.
    """
    found = [*periods]
    if rate_type is RateType.WEEKDAY:
        found = [within for each in found if (within := _on_weekdays(each))] or found
    return joined([(each.start, each.end, each.amount, each.office, each.decided_rate) for each in found], rate_type)


def _on_weekdays(period: Period) -> Period | None:
    """A period from its first weekday to its last one; None: it has none."""
    start, end = first_weekday(period.start), last_weekday(period.end)
    return replace(period, start=start, end=end) if start <= end else None


MAX_DAYS = 1100
MAX_ID_CHARACTERS = 30
_CASEWORKER_CHARACTERS = 8
_PERSON = re.compile(r"[0-9]{11}|[0-9]{9}")
OFFICE = re.compile(r"[0-9]{4}")
"""What the number of an office looks like."""

Rule = Callable[[Decision, PaymentInstruction], Refusal | None]


def _periods_missing(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    return None if instruction.periods else refusals.NO_PERIODS


def _one_off_across_years(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    if instruction.rate_type is not RateType.ONE_OFF:
        return None
    years = min(period.start for period in instruction.periods).year, max(period.end for period in instruction.periods).year
    return refusals.ONE_OFF_ACROSS_YEARS if years[0] != years[1] else None


def _duplicate_periods(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    count = len(instruction.periods)
    if count == 1:
        return None
    unique = len({period.start for period in instruction.periods}) == count == len({period.end for period in instruction.periods})
    return None if unique else refusals.DUPLICATE_PERIODS


def _end_before_start(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    return refusals.END_BEFORE_START if any(period.start > period.end for period in instruction.periods) else None


def _overlap(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    return refusals.OVERLAP if any(one.end >= other.start for one, other in pairwise(instruction.periods)) else None


def _too_long(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    if instruction.rate_type not in (RateType.DAY, RateType.WEEKDAY):
        return None
    return refusals.TOO_LONG if (instruction.periods[-1].end - instruction.periods[0].start).days >= MAX_DAYS else None


def _zero_amount(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    return refusals.ZERO_AMOUNT if any(period.amount == 0 for period in instruction.periods) else None


def _office(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    bad = any(period.office is not None and not OFFICE.fullmatch(period.office) for period in instruction.periods)
    return refusals.BAD_OFFICE if bad else None


def _class_code(_: Decision, instruction: PaymentInstruction) -> Refusal | None:
    return None if instruction.benefit is None or instruction.benefit.class_code else refusals.no_class_code(instruction.benefit.name)


_OF_PERIODS: tuple[Rule, ...] = (
    _periods_missing,
    _one_off_across_years,
    _duplicate_periods,
    _end_before_start,
    _overlap,
    _too_long,
    _zero_amount,
)
_OF_FIELDS: tuple[Rule, ...] = (_office, _class_code)


def broken_case_id(case_id: str) -> Refusal | None:
    """Ids are 1 to 30 characters; the rail's fields are no longer (design §12)."""
    if not case_id.strip() or len(case_id) > MAX_ID_CHARACTERS:
        return refusals.BAD_CASE_ID
    # The rail trims what it echoes, so a receipt of such a case could not be matched; the byte order mark is trimmed, too.
    return None if case_id == case_id.strip().strip("\ufeff") else refusals.BLANK_AT_ENDS


def broken_decision(decision: Decision) -> Refusal | None:
    """The first broken rule of what a whole message shares, or None."""
    if broken := broken_case_id(decision.case_id):
        return broken
    if not decision.decision_id.strip() or len(decision.decision_id) > MAX_ID_CHARACTERS:
        return refusals.BAD_DECISION_ID
    if decision.decision_id != decision.decision_id.strip():
        return refusals.BLANK_AT_ENDS
    if not _PERSON.fullmatch(decision.person):
        return refusals.BAD_PERSON
    if not 0 < len(decision.caseworker.strip()) <= len(decision.caseworker) <= _CASEWORKER_CHARACTERS:
        return refusals.BAD_CASEWORKER
    if not 0 < len(decision.approver.strip()) <= len(decision.approver) <= _CASEWORKER_CHARACTERS:
        return refusals.BAD_APPROVER
    if decision.hold_back and decision.hold_back.end < decision.hold_back.start:
        return refusals.BAD_HOLD_BACK
    return None


def broken_instruction(decision: Decision, instruction: PaymentInstruction) -> Refusal | None:
    """The first broken rule of one changed payment, or None."""
    if instruction.kind is InstructionKind.PAY:
        for check in _OF_PERIODS:
            if broken := check(decision, instruction):
                return broken
    if broken := broken_decision(decision):
        return broken
    for check in _OF_FIELDS:
        if broken := check(decision, instruction):
            return broken
    return None


def repeated_payment(instructions: tuple[PaymentInstruction, ...]) -> Refusal | None:
    """One payment named twice in one message: there is no saying which is meant."""
    counts = Counter(instruction.payment_id for instruction in instructions)
    return refusals.REPEATED_PAYMENT if len(counts) < len(instructions) else None


def changed_for_life(decision: Decision, instruction: PaymentInstruction, stored: Payment) -> Refusal | None:
    """Person and rate type belong to a payment for life, its benefit until it has ceased; its case is looked at elsewhere."""
    if instruction.kind is InstructionKind.CEASE_STORED:
        return None
    if decision.person != stored.person:
        return unchangeable("personident")
    if instruction.rate_type is not stored.rate_type:
        return unchangeable("periodetype")
    if instruction.benefit and stored.action is not Action.DELETE and instruction.benefit.name != stored.benefit:
        return unchangeable("stønad")
    return None
