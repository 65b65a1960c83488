"""What a instruction must keep to be ordered, in the contract's order; the first broken rule is told (helved §2.9)."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from kvitt.disbursement import refusals
from kvitt.disbursement.instructions import Decision, InstructionKind, PaymentInstruction
from kvitt.disbursement.refusals import unchangeable
from kvitt.disbursement.values import (
    Action,
    Payment,
    RateType,
    Refusal,
)

MAX_DAYS = 1100
MAX_ID_CHARACTERS = 30
_CASEWORKER_CHARACTERS = 8
_PERSON = re.compile(r"[0-9]{11}|[0-9]{9}")
_OFFICE = re.compile(r"[0-9]{4}")

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
    bad = any(period.office is not None and not _OFFICE.fullmatch(period.office) for period in instruction.periods)
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
