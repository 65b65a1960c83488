"""Chained derivation: from the complete state that a decision wants to one order, by chains that go on across decisions (iverksetting §2).

A chain is a payment of the case: all periods of one class code, or of one class code and reporting card. Accepted and wanted periods of
each chain are compared by their days and amounts. What comes before the first difference stays, what comes after it is sent anew, and days
that shall stop before that are cut with the chain's last line, as that was made. Lines are `<case>#<number>`, from one counter for all
chains of a case. No number is ever used again, whatever became of its order: the rail may have a line of an order that counts as rejected,
and would take a second line of that name for the first.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from operator import attrgetter
from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

from kvitt.disbursement import refusals
from kvitt.disbursement.calendar import next_day
from kvitt.disbursement.catalogue import BENEFITS, DECISION_AREAS, SCHEMES, benefits_of
from kvitt.disbursement.derive.micro_chained import MAX_LINES, ORDER_BEGINS, CaseState, last_sent, order_id
from kvitt.disbursement.instructions import OFFICE, Decision, as_called, broken_decision
from kvitt.disbursement.values import (
    Action,
    Area,
    Benefit,
    CaseId,
    LineId,
    Order,
    OrderLine,
    Payment,
    PaymentId,
    Period,
    RateType,
    Refusal,
    Scheme,
)
from kvitt.kernel.identifiers import OURS, named_uuid

LAST_NUMBER: Final = 9999
MAX_CASE_ID_CHARACTERS: Final = 25
"""So that a line's id has at most 30 characters, which is what the rail takes."""
_BY_REPORTING_CARD: Final = frozenset({Scheme.DAGPENGER, Scheme.TILTAKSPENGER})
_by_start = attrgetter("start")


class ChainKey(Struct, frozen=True):
    """By what the periods of a case belong to one chain: the class code, and a reporting card where the scheme chains by cards."""

    class_code: str
    reporting_card: str | None = None


class WantedPeriod(Struct, frozen=True, gc=False):
    """One period of the complete state that a decision wants. `period` has days, amount, office and decided rate."""

    benefit: Benefit
    reporting_card: str | None
    rate_type: RateType
    period: Period

    @property
    def chain(self) -> ChainKey:
        """The chain that it belongs to."""
        return ChainKey(self.benefit.class_code, self.reporting_card if self.benefit.scheme in _BY_REPORTING_CARD else None)


class ContinuedChain(Struct, frozen=True):
    """The change that a chain needs: what stays of it (`kept`), a cut from `cease_from` (if any), then a line for each of `new`."""

    kept: tuple[Period, ...]
    cease_from: date | None
    new: tuple[Period, ...]


def chain_payment_id(scheme: Scheme, case_id: CaseId, chain: ChainKey) -> PaymentId:
    """The id under which a chain of a case is a payment."""
    parts = [scheme.value, case_id, chain.class_code, *([] if chain.reporting_card is None else [chain.reporting_card])]
    return PaymentId(named_uuid(OURS, "\0".join(parts)))


def is_chain(payment: Payment) -> bool:
    """Whether a payment has the id of its chain: then decisions change it, or it has not moved since they did."""
    benefit = BENEFITS[payment.benefit]
    card = payment.reporting_card if benefit.scheme in _BY_REPORTING_CARD else None
    chain = ChainKey(benefit.class_code, None if card is UNSET else card)
    return payment.payment_id == chain_payment_id(benefit.scheme, payment.case_id, chain)


def single_payment(payment: Payment) -> Payment | None:
    """The payment of a chain as one that is corrected by itself, day by day the same; None where its periods have rate types of their own.

    Its periods are as callers of single payments give them. The last line stays as it was made, with the rate type that it was made with.
    """
    rates = {payment.rate_of(each) for each in payment.periods} or {payment.rate_type}
    if len(rates) > 1:
        return None
    (rate,) = rates
    last = payment.last_sent
    if last is not None:
        last = replace(last, rate_type=None if payment.rate_of(last) is rate else payment.rate_of(last), line=None)
    return replace(payment, rate_type=rate, last_sent=last, periods=as_called(payment.periods, rate), reporting_card=UNSET)


def continue_chain(accepted: Sequence[Period], wanted: Sequence[Period]) -> ContinuedChain:
    """The change from `accepted` to `wanted`, both sorted by first day; `kept` is all of `accepted` when nothing differs.

    Only days and amounts are compared. A period that just ends earlier stays the one that it was, with the new end.
    Source: iverksetting §2.3.
    """
    first = _first_difference(accepted, wanted)
    kept, new = tuple(accepted[:first]), tuple(wanted[first:])
    if first == len(accepted):
        return ContinuedChain(kept, None, new)
    old = accepted[first]
    if not new or old.start < new[0].start:
        return ContinuedChain(kept, old.start, new)
    if (old.start, old.amount) == (new[0].start, new[0].amount) and old.end > new[0].end:
        cut = next_day(new[0].end)
        goes_on = len(new) > 1 and new[1].start == cut
        return ContinuedChain((*kept, replace(old, end=new[0].end)), None if goes_on else cut, new[1:])
    return ContinuedChain(kept, None, new)


def _first_difference(accepted: Sequence[Period], wanted: Sequence[Period]) -> int:
    for index, (old, new) in enumerate(zip(accepted, wanted, strict=False)):
        if (old.start, old.end, old.amount) != (new.start, new.end, new.amount):
            return index
    return min(len(accepted), len(wanted))


def derive(decision: Decision, wanted: Sequence[WantedPeriod], state: CaseState, made_at: datetime) -> tuple[Order, ...] | Refusal:
    """The order that turns the accepted state of a case into the complete state that a decision wants, in a tuple; empty: nothing differs.

    `wanted` may come in any order, but chains are numbered as they first occur in it. `made_at` is the clock in Oslo local time.
    An order that was rejected leaves nothing behind but its numbers: compared is what is accepted, and a new line refers to the last line
    that is. Source: iverksetting §2.3.
    """
    if broken := _broken(decision, wanted, state):
        return broken
    builder = _ChainedOrder(decision, state)
    chains = _by_chain(decision, wanted)
    if broken := _overlapping(chains.values()):
        return broken
    ceased = (payment_id for payment_id, stored in state.payments.items() if stored.action is not Action.DELETE)
    for payment_id in dict.fromkeys([*chains, *ceased]):
        builder.add(payment_id, chains.get(payment_id, ()), state.payments.get(payment_id))
    if not builder.payments:
        return ()
    if builder.number > LAST_NUMBER + 1:
        return refusals.LINE_NUMBERS_USED_UP
    order = builder.order(_office(wanted), made_at)
    return refusals.TOO_MANY_LINES if len(order.lines) > MAX_LINES else (order,)


def _broken(decision: Decision, wanted: Sequence[WantedPeriod], state: CaseState) -> Refusal | None:
    """The first broken rule of a decision, by itself or against its case."""
    if len(decision.case_id) > MAX_CASE_ID_CHARACTERS or not decision.case_id:
        return refusals.BAD_CASE_ID_OF_CHAINS
    if broken := broken_decision(decision) or next((broken for each in wanted if (broken := _broken_period(each))), None):
        return broken
    if state.person is not None and state.person != decision.person:
        return refusals.unchangeable("personident")
    if state.left_out:
        return refusals.NOT_TAKEN_OVER
    if state.unknown:
        return refusals.nothing_to_cease(state.unknown[0])
    area = DECISION_AREAS[decision.scheme]
    other = (each.area for each in state.payments.values() if each.action is not Action.DELETE and each.area != area)
    return next((refusals.pays_in_other_area(each, area) for each in other), None)


def _broken_period(wanted: WantedPeriod) -> Refusal | None:
    period = wanted.period
    if period.end < period.start:
        return refusals.END_BEFORE_START
    if period.amount == 0:
        return refusals.ZERO_AMOUNT
    if wanted.rate_type is RateType.MONTH and not _is_whole_months(period):
        return refusals.PART_OF_MONTH
    if not _has_area(wanted.benefit):
        allowed = (each.name for each in benefits_of(wanted.benefit.scheme) if _has_area(each))
        return refusals.not_in_umbrella_area(wanted.benefit.name, allowed)
    if period.office is not None and not OFFICE.fullmatch(period.office):
        return refusals.BAD_OFFICE
    return None if wanted.benefit.class_code else refusals.no_class_code(wanted.benefit.name)


def _has_area(benefit: Benefit) -> bool:
    """Of tilleggsstønader only some are posted in the one area of their decisions; the others have areas of their own (helved §2.4)."""
    return benefit.may_use_umbrella_area or benefit.area == DECISION_AREAS[benefit.scheme]


def _is_whole_months(period: Period) -> bool:
    return period.start.day == 1 and (period.end == date.max or next_day(period.end).day == 1)


def _by_chain(decision: Decision, wanted: Iterable[WantedPeriod]) -> Mapping[PaymentId, Sequence[WantedPeriod]]:
    """The wanted periods of each chain, sorted by first day; the chains in the order in which they first occur."""
    found: dict[ChainKey, list[WantedPeriod]] = {}
    for each in wanted:
        found.setdefault(each.chain, []).append(each)
    for chain in found.values():
        chain.sort(key=lambda each: each.period.start)
    return {chain_payment_id(decision.scheme, decision.case_id, key): chain for key, chain in found.items()}


def _overlapping(chains: Iterable[Sequence[WantedPeriod]]) -> Refusal | None:
    """On one day only one line of a chain can be valid, so the other would not be paid."""
    overlap = any(one.period.end >= other.period.start for chain in chains for one, other in pairwise(chain))
    return refusals.OVERLAP if overlap else None


def _office(wanted: Iterable[WantedPeriod]) -> str | None:
    """The office of the newest period that names one (iverksetting §1.11)."""
    named = [each.period for each in wanted if each.period.office is not None]
    return max(named, key=_by_start).office if named else None


def numbers_up_to(case_id: str, line: str) -> int:
    """How many numbers of a case are used up by this line and those before it; 0 for a line with an id of another kind."""
    of_case, _, number = line.rpartition("#")
    return int(number) + 1 if of_case == case_id and number.isascii() and number.isdigit() else 0


def _first_free_number(decision: Decision, state: CaseState) -> int:
    """One more than the highest number of a line that the rail has or may have, or that an order of the case has used up."""
    lines = [*(each.last_line for each in state.payments.values()), *(each.payment.last_line for each in state.at_rail)]
    return max([state.numbered, *(numbers_up_to(decision.case_id, line) for line in lines)])


class _ChainedOrder:
    """Collects the lines and payments of one order: cessations and new lines apart, because all cessations stand first."""

    def __init__(self, decision: Decision, state: CaseState) -> None:
        self._decision, self._order_number = decision, state.orders_made + 1
        self._area: Area = DECISION_AREAS[decision.scheme]
        self._first = self._area not in state.areas
        self._ceased: list[OrderLine] = []
        self._new: list[OrderLine] = []
        self.number = _first_free_number(decision, state)
        self.payments: list[Payment] = []

    def add(self, payment_id: PaymentId, wanted: Sequence[WantedPeriod], stored: Payment | None) -> None:
        """Adds what one chain needs, if anything; `wanted` is sorted by first day."""
        if stored is not None and stored.area != self._area:
            stored = None
        if stored is not None and stored.periods_unknown:
            change = ContinuedChain((), ORDER_BEGINS, tuple([each.period for each in wanted]))
        else:
            change = continue_chain(stored.wanted if stored else (), [each.period for each in wanted])
        if change.cease_from is None and not change.new:
            return
        target = self._target(payment_id, wanted, stored)
        if change.cease_from is not None:
            assert stored is not None, "only what is accepted can be cut"
            self._ceased.append(self._line(stored.last_line, None, target, last_sent(stored), change.cease_from))
        rates = [each.rate_type for each in wanted[len(wanted) - len(change.new) :]]
        new = self._add_new(target, stored.last_line if stored else None, change.new, rates)
        if new:
            target = replace(target, last_line=new[-1].line or target.last_line, last_sent=replace(new[-1], office=None, line=None))
        if wanted:
            target = replace(target, periods=(*change.kept, *new))
        self.payments.append(target)

    def _target(self, payment_id: PaymentId, wanted: Sequence[WantedPeriod], stored: Payment | None) -> Payment:
        """The payment as the decision has it, but for its periods and last line."""
        decision = self._decision
        lives = stored is not None and stored.action is not Action.DELETE
        return replace(
            stored or self._begun(payment_id, wanted[0]),
            action=Action.DELETE if not wanted else Action.UPDATE if lives else Action.CREATE,
            original_key=decision.key,
            decision_id=decision.decision_id,
            decided_at=decision.decided_at,
            caseworker=decision.caseworker,
            approver=decision.approver,
            hold_back=decision.hold_back,
        )

    def _begun(self, payment_id: PaymentId, first: WantedPeriod) -> Payment:
        """A payment for a chain that begins. It keeps the rate type that it begins with."""
        decision, card = self._decision, first.chain.reporting_card
        return Payment(
            original_key=decision.key,
            area=self._area,
            payment_id=payment_id,
            action=Action.CREATE,
            first_of_case=self._first,
            case_id=decision.case_id,
            decision_id=decision.decision_id,
            last_line=LineId(""),
            last_sent=None,
            person=decision.person,
            decided_at=decision.decided_at,
            benefit=first.benefit.name,
            approver=decision.approver,
            caseworker=decision.caseworker,
            rate_type=first.rate_type,
            hold_back=decision.hold_back,
            periods=(),
            reporting_card=UNSET if card is None else card,
        )

    def _add_new(self, target: Payment, refers_to: LineId | None, periods: Sequence[Period], rates: Sequence[RateType]) -> list[Period]:
        """A new line for each of the periods, each after the one before; returns the periods with the lines that pay them."""
        made = []
        for period, rate in zip(periods, rates, strict=True):
            line = LineId(f"{self._decision.case_id}#{self.number}")
            made.append(replace(period, rate_type=None if rate is target.rate_type else rate, line=line))
            self._new.append(self._line(line, refers_to, target, made[-1], None))
            refers_to, self.number = line, self.number + 1
        return made

    def _line(self, own: LineId, refers_to: LineId | None, target: Payment, period: Period, ceased_from: date | None) -> OrderLine:
        decision = self._decision
        return OrderLine(
            line_id=own,
            refers_to=refers_to,
            payment_id=target.payment_id,
            class_code=BENEFITS[target.benefit].class_code,
            start=period.start,
            end=period.end,
            amount=period.amount,
            decided_rate=period.decided_rate,
            rate_type=target.rate_of(period),
            ceased_from=ceased_from,
            decided_on=decision.decided_at[:10],
            caseworker=decision.caseworker,
            approver=decision.approver,
            decision_id=decision.decision_id,
        )

    def order(self, office: str | None, made_at: datetime) -> Order:
        """The order of all that was added."""
        decision = self._decision
        return Order(
            order_id=order_id(decision.scheme, self._area, decision.case_id, self._order_number),
            scheme=decision.scheme,
            area=self._area,
            case_id=decision.case_id,
            number=self._order_number,
            is_first_order=self._first,
            frequency=SCHEMES[decision.scheme].frequency,
            person=decision.person,
            caseworker=decision.caseworker,
            office=office,
            hold_back=decision.hold_back,
            made_at=made_at,
            lines=(*self._ceased, *self._new),
            payments=tuple(self.payments),
            numbered=self.number,
        )
