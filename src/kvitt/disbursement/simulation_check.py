"""Checked before sending: an order's simulation compared with what the derivation expects, day by day and by class code (design §14).

Compared is the resulting pay of the own case and area, never what was paid before and never totals: those hold what the rail has not
posted, what came back from a bank, taxes, and the person's other cases.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.compared_pay import (
    MOST_DIFFERENCES,
    ComparedPay,
    DifferenceKind,
    PayDifference,
    PicturePart,
    alike,
    compared_pay,
    differences_in,
)
from kvitt.disbursement.expected_pay import ExpectedPay
from kvitt.disbursement.holding import NAMED_ALONE, UNCHECKED, HoldKind, HoldReason
from kvitt.disbursement.simulation import (
    FailureReason,
    NothingComputed,
    SimulatedPeriod,
    Simulation,
    SimulationFailure,
    SimulationOutcome,
)
from kvitt.disbursement.simulation_figures import SimulatedFigures, figures
from kvitt.disbursement.values import Order
from kvitt.kernel.money import Kroner

_FIRST_RULES: Final = 1
_SECOND_RULES: Final = 2
RULES: Final = 3
"""By which orders are compared now; a check that was made by earlier ones stands as it was."""


class CheckMode(StrEnum):
    """Modes of a check; the values stand in the store."""

    WARN = "warn"
    """What is found is logged and counted, and the order leaves."""
    BLOCK = "block"
    """What is found holds the order for an operator."""


class CheckPolicy(Struct, frozen=True):
    """How the orders of a scheme are checked before they leave. `most_recovered` None: any recovery.

    `waits`: an order waits as long as the rail does not say what it would lead to; else it leaves unchecked.
    """

    mode: CheckMode
    most_recovered: Kroner | None = None
    waits: bool = True


class CheckFinding(StrEnum):
    """Ends of a check; the values stand in the store."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NOT_COMPARED = "not_compared"
    """Nothing differs for certain, and what the order changes, or what another hub had of the case, can not be compared."""
    REFUSED = "refused"
    """The rail refuses to simulate the order by a rule, or the order has no form as a question."""
    UNAVAILABLE = "unavailable"
    """The rail does not say: it is closed, does not answer, or has not posted what the case had before."""


class SimulationCheck(Struct, frozen=True):
    """The outcome of a check. `recovered` is net, of the order's case and area; `picture` is what was compared, side by side.

    `text` is why there is no comparison.
    """

    finding: CheckFinding
    differences: tuple[PayDifference, ...] = ()
    recovered: Kroner = Kroner(0)
    picture: tuple[PicturePart, ...] = ()
    text: str = ""


class CheckedOrder(Struct, frozen=True):
    """An order as its simulation names it, and whether it is the first of its case and area."""

    area: str
    case_id: str
    is_first_order: bool


class CheckCircumstances(Struct, frozen=True):
    """When an order is checked, and what of it is allowed.

    `most_recovered` None: any recovery. Not `posted`: the rail may not have posted what the case had before, and simulates without it.
    `rules`: by which it is compared. By the first, what can not be compared was no difference; until the second, the last day of a single
    payment was a change of what is paid.
    """

    today: date
    most_recovered: Kroner | None = None
    posted: bool = True
    rules: int = RULES


_NOT_COMPARED: Final = frozenset({DifferenceKind.NOT_SIMULATED, DifferenceKind.NOT_KNOWN})
"""Of these nobody knows whether the rail would pay other than is expected."""


NOT_POSTED: Final = "the rail may not have posted the order before this one; it does so on the next working day"


def check_order(
    order: CheckedOrder | Order, expected: ExpectedPay, outcome: SimulationOutcome, when: CheckCircumstances
) -> SimulationCheck:
    """Compares what the rail says of an order with what is expected of it.

    A refusal, a difference or an empty answer says nothing while the rail has not posted what the case had before.
    """
    found = _checked(order, expected, outcome, when)
    if when.posted or (found.finding is CheckFinding.AGREES and isinstance(outcome, Simulation)) or _says_nothing(outcome):
        return found
    return replace(found, finding=CheckFinding.UNAVAILABLE, text=NOT_POSTED)


def _says_nothing(outcome: SimulationOutcome) -> bool:
    return isinstance(outcome, SimulationFailure) and not is_refusal(outcome)


def is_refusal(failure: SimulationFailure) -> bool:
    """Whether it says something about the order, and not only about the rail at that moment."""
    return failure.reason is not FailureReason.CLOSED and (failure.by_rule or failure.reason in _ABOUT_THE_ORDER)


_ABOUT_THE_ORDER: Final = frozenset(
    {
        FailureReason.NOT_ASKED,
        FailureReason.PERSON_UNKNOWN,
        FailureReason.NEEDS_NEW_DECISION,
        FailureReason.INVALID,
        FailureReason.REQUEST_NOT_TAKEN,
    }
)


def _checked(order: CheckedOrder | Order, expected: ExpectedPay, outcome: SimulationOutcome, when: CheckCircumstances) -> SimulationCheck:
    if isinstance(outcome, SimulationFailure):
        finding = CheckFinding.REFUSED if is_refusal(outcome) else CheckFinding.UNAVAILABLE
        return SimulationCheck(finding, text=outcome.text or outcome.reason.value)
    own = own_figures(outcome, order)
    today = max(when.today, outcome.computed_on) if isinstance(outcome, Simulation) else when.today
    recovered = Kroner(sum(each.recovered for each in own))
    limit = Kroner(0) if order.is_first_order else when.most_recovered
    compared = compared_pay(expected, own, today, single_ends=when.rules <= _SECOND_RULES)
    differences = [*_recoveries(own, recovered, limit), *differences_in(compared)]
    if when.rules == _FIRST_RULES:
        differences = [each for each in differences if each.kind is not DifferenceKind.NOT_KNOWN]
    finding = _finding(differences, compared, when.rules)
    picture = tuple(alike(compared))[:MOST_DIFFERENCES]
    return SimulationCheck(finding, tuple(differences[:MOST_DIFFERENCES]), recovered, picture)


def _finding(differences: Sequence[PayDifference], compared: Sequence[ComparedPay], rules: int) -> CheckFinding:
    """Days beyond the turn of the year may be missing, as long as something that the order changes is compared."""
    kinds = {each.kind for each in differences}
    if kinds - _NOT_COMPARED:
        return CheckFinding.DIFFERS
    changed = {each.kind for each in compared if each.changed}
    if rules > _FIRST_RULES and (DifferenceKind.NOT_KNOWN in kinds or changed == {DifferenceKind.NOT_SIMULATED}):
        return CheckFinding.NOT_COMPARED
    return CheckFinding.AGREES


def own_figures(outcome: Simulation | NothingComputed, order: CheckedOrder | Order) -> tuple[SimulatedFigures, ...]:
    """The figures of the case and area of an order; an answer may hold other cases of the person, and other areas of the case."""
    if isinstance(outcome, NothingComputed):
        return ()
    periods = [_own(period, order) for period in outcome.periods]
    return figures(replace(outcome, periods=tuple(periods)))


def _own(period: SimulatedPeriod, order: CheckedOrder | Order) -> SimulatedPeriod:
    return replace(period, payments=tuple([each for each in period.payments if (each.area, each.case_id) == (order.area, order.case_id)]))


def _recoveries(own: Sequence[SimulatedFigures], recovered: Kroner, limit: Kroner | None) -> Iterator[PayDifference]:
    if limit is None or recovered <= limit:
        return
    days = [each for each in own if each.recovered]
    codes = ", ".join(sorted({each.class_code for each in days}))
    first, last = min(each.start for each in days), max(each.end for each in days)
    yield PayDifference(DifferenceKind.RECOVERS, codes, first, last, limit, recovered)


class Staleness(StrEnum):
    """Reasons why a simulation is nothing to lean on any more."""

    CASE_MOVED = "the case has had another order since"
    TOO_OLD = "it is too old"


def staleness(now: datetime, until: datetime, *, orders_then: int, orders_now: int) -> Staleness | None:
    """Why a simulation that holds until a moment, of a case that had so many orders, is stale; None when it is not."""
    if orders_then != orders_now:
        return Staleness.CASE_MOVED
    return Staleness.TOO_OLD if now > until else None


def reasons_of(check: SimulationCheck, mode: CheckMode) -> tuple[HoldReason, ...]:
    """Why a checked order is held; nothing where only a warning is wanted, or where the rail did not say anything."""
    if mode is CheckMode.WARN:
        return ()
    if check.finding is CheckFinding.REFUSED:
        return (HoldReason(HoldKind.SIMULATION_REFUSED, f"it can not be simulated: {check.text}"),)
    if check.finding not in (CheckFinding.DIFFERS, CheckFinding.NOT_COMPARED):
        return ()
    # Of what differs for certain a person need not hear what else can not be compared.
    only_differing = check.finding is CheckFinding.DIFFERS
    found = [each for each in check.differences if not only_differing or each.kind not in _NOT_COMPARED]
    reasons = [_reason(each) for each in found[:NAMED_ALONE]]
    if more := len(found[NAMED_ALONE:]):
        reasons.append(HoldReason(_kind(found[-1]), f"and {more} more like these, or more than that", more=more))
    return tuple(reasons)


def held_after(held: Sequence[HoldReason], reasons: Sequence[HoldReason]) -> tuple[HoldReason, ...]:
    """Returns what holds an order once it is checked: the reasons of the check in place of its being unchecked."""
    return tuple([each for reason in held for each in (reasons if reason == UNCHECKED else (reason,))])


def _kind(difference: PayDifference) -> HoldKind:
    if difference.kind in _NOT_COMPARED:
        return HoldKind.NOT_COMPARED
    return HoldKind.RECOVERS if difference.kind is DifferenceKind.RECOVERS else HoldKind.SIMULATED_OTHERWISE


def _reason(difference: PayDifference) -> HoldReason:
    return HoldReason(
        _kind(difference),
        str(difference),
        class_code=difference.class_code,
        first_day=difference.first_day,
        last_day=difference.last_day,
        sources=("expected", "simulated"),
        amounts_kroner=(difference.expected_kroner, difference.simulated_kroner),
    )
