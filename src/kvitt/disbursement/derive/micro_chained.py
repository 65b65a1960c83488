"""Micro-chaining: from instructions to the fewest lines that turn each payment's chain at the rail into what is wanted (design §7).

What is accepted is compared with what is wanted, what changed is validated, and one order per area is built. The rail's rule: on each day
of a chain one line is valid; a new line overwrites the chain from its first day on, without end; a cessation cuts it from its date. So
everything after the first difference is sent again, and days that shall stop before the first new line need a cessation of the last line,
as that line was sent (helved §3.5). The same function serves orders and simulations, so that a preview is what would be sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement import refusals
from kvitt.disbursement.calendar import DAYS_OF_WEEK, SATURDAY, next_day
from kvitt.disbursement.catalogue import BENEFITS, SCHEMES
from kvitt.disbursement.decisions import DecisionChain, Frame
from kvitt.disbursement.instructions import (
    Decision,
    InstructionKind,
    PaymentInstruction,
    PaymentInstructions,
    broken_decision,
    broken_instruction,
    changed_for_life,
    repeated_payment,
)
from kvitt.disbursement.values import (
    Action,
    Area,
    CaseId,
    LineAtRail,
    LineId,
    Order,
    OrderId,
    OrderLine,
    Payment,
    PaymentId,
    Period,
    RateType,
    Refusal,
    Scheme,
)
from kvitt.kernel.identifiers import OURS, named_uuid
from kvitt.kernel.money import Kroner

ORDER_BEGINS = date(2000, 1, 1)
"""The day from which every order says that it holds (`datoOppdragGjelderFom`): no chain has a day before it (helved §5.1)."""


class ChainChange(Struct, frozen=True):
    """The change that a chain needs: a cut from `cease_from` (if any), then `new` periods, each a line that refers to the one before."""

    cease_from: date | None
    new: tuple[Period, ...]


def _first_difference(accepted: Sequence[Period], wanted: Sequence[Period]) -> int:
    for index, (old, new) in enumerate(zip(accepted, wanted, strict=False)):
        if old != new:
            return index
    return min(len(accepted), len(wanted))


def _only_ends_earlier(old: Period, new: Period) -> bool:
    """Everything but the end is equal: the line at the rail stays and is cut, nothing is sent anew for it."""
    return (
        old.start == new.start
        and old.end > new.end
        and old.amount == new.amount
        and old.decided_rate == new.decided_rate
        and old.office == new.office
    )


def _all_weekend(start: date, end: date) -> bool:
    """No day from `start` up to but not including `end` is a weekday."""
    return start.weekday() >= SATURDAY and (end - start).days <= DAYS_OF_WEEK - start.weekday()


def extend(accepted: Sequence[Period], wanted: Sequence[Period], *, weekdays_only: bool = False) -> ChainChange:
    """The change from `accepted` to `wanted`, both sorted and free of overlap; nothing at all when they are equal.

    An empty `wanted` cuts the chain from its first day. With `weekdays_only` weekend days pay nothing, so days that stop need no
    cut when only a weekend lies between them and the first new line (docs/decisions/36-no-cessation-for-a-weekend.md).
    Source: helved §3.5 and the table M1-M20 of iverksetting §3.6.
    """
    if not wanted:
        return ChainChange(accepted[0].start if accepted else None, ())
    first = _first_difference(accepted, wanted)
    if first == len(accepted):
        return ChainChange(None, tuple(wanted[first:]))
    if first == len(wanted):
        return ChainChange(next_day(wanted[-1].end), ())
    if _only_ends_earlier(accepted[first], wanted[first]):
        cease_from, new = next_day(wanted[first].end), tuple(wanted[first + 1 :])
    else:
        cease_from, new = accepted[first].start, tuple(wanted[first:])
    overwritten_anyway = bool(new) and (new[0].start <= cease_from or (weekdays_only and _all_weekend(cease_from, new[0].start)))
    return ChainChange(None if overwritten_anyway else cease_from, new)


def extend_unknown(last_sent: Period | None, wanted: Sequence[Period], *, weekdays_only: bool = False) -> ChainChange:
    """The change from a chain of which only the last line is known, as it was sent if even that is, to `wanted`.

    Nothing of it is left as it is: an empty `wanted` cuts the whole chain, from the first day that an order can have; anything else is sent
    whole and overwrites the chain from its first day on. Days before that are cut where the last line is known to have some.
    """
    if not wanted:
        return ChainChange(ORDER_BEGINS, ())
    begins = wanted[0].start
    earlier = last_sent is not None and last_sent.start < begins and not (weekdays_only and _all_weekend(last_sent.start, begins))
    return ChainChange(ORDER_BEGINS if earlier else None, tuple(wanted))


MAX_LINES = 5000
"""Of one order: more would make XML that neither the rail nor its receipts can carry (8 MB), and no answer would ever come."""


class AtRail(Struct, frozen=True):
    """A payment as an order wanted it that counts as rejected, and that the rail may have all the same: by an operator's word, or by the
    answer to one of its copies. `continues`: its lines go on from a line that the rail had, and are no chain of their own.
    """

    number: int
    payment: Payment
    continues: bool


class CaseState(Struct, frozen=True):
    """The accepted state of a case: its payments by id in case-list order (ceased ones too), its person, the areas the rail knows it in.

    Of the named ids `ids_of_other_cases` belong to other cases, `pending` to payments of an open order of this one. `unknown` are payments
    that the hub before us had on its list, and of which nothing else was taken over; `left_out`: nothing of the case was. `at_rail` is what
    the rail may have besides. `lines` stand in place of payments where senders make the lines. `open`: nothing may be ordered now.
    `numbered` numbers of lines are used up. `opened_for` is the person of what was received last.
    """

    payments: Mapping[PaymentId, Payment]
    person: str | None
    areas: frozenset[Area]
    orders_made: int
    ids_of_other_cases: frozenset[PaymentId] = frozenset()
    unknown: tuple[PaymentId, ...] = ()
    left_out: bool = False
    at_rail: tuple[AtRail, ...] = ()
    lines: tuple[LineAtRail, ...] = ()
    open: bool = False
    contract: str | None = None
    decisions: DecisionChain | None = None
    frame: Frame | None = None
    pending: frozenset[PaymentId] = frozenset()
    numbered: int = 0
    opened_for: str | None = None


NEW_CASE = CaseState({}, None, frozenset(), 0)
_NOT_KNOWN = (ORDER_BEGINS, ORDER_BEGINS)
"""The days of a line that nobody knows the days of."""


class Change(Struct, frozen=True):
    """One payment that differs from what is accepted: its instruction and what is stored of it."""

    instruction: PaymentInstruction
    stored: Payment | None
    area: Area


def _with_omitted(instructions: PaymentInstructions, state: CaseState) -> tuple[PaymentInstruction, ...]:
    if not instructions.decision.whole_case:
        return instructions.payments
    named = {instruction.payment_id for instruction in instructions.payments}
    omitted = (
        PaymentInstruction(InstructionKind.CEASE_STORED, payment_id, None, stored.rate_type, ())
        for payment_id, stored in state.payments.items()
        if payment_id not in named and stored.action is not Action.DELETE
    )
    return (*instructions.payments, *omitted)


def _differs(instruction: PaymentInstruction, stored: Payment | None) -> bool:
    """Whether the accepted state is not yet what is asked for; a cessation of what pays nothing is no difference (design §12)."""
    if stored is None:
        return True
    if instruction.kind is InstructionKind.PAY:
        return stored.action is Action.DELETE or instruction.periods != stored.periods or stored.periods_unknown
    return bool(stored.wanted) or stored.periods_unknown


def _area(instruction: PaymentInstruction, stored: Payment | None) -> Area:
    """A payment keeps its area while it lives; a revived one may come back in another."""
    if stored is not None and (
        stored.action is not Action.DELETE or instruction.benefit is None or instruction.benefit.name == stored.benefit
    ):
        return stored.area
    assert instruction.benefit is not None, "only what is stored can be omitted"
    return instruction.benefit.area


def _locked(decision: Decision, instructions: Sequence[PaymentInstruction], state: CaseState) -> Refusal | None:
    if any(instruction.payment_id in state.ids_of_other_cases for instruction in instructions):
        return refusals.unchangeable("sakId")
    if state.person is not None and state.person != decision.person:
        return refusals.unchangeable("personident")
    for instruction in instructions:
        stored = state.payments.get(instruction.payment_id)
        if stored is not None and (broken := changed_for_life(decision, instruction, stored)):
            return broken
    return None


def _unknown(instructions: PaymentInstructions, state: CaseState) -> Refusal | None:
    """Returns what would cease, were anything known of it: as if a payment were ceased that nobody has heard of (helved §3.4)."""
    if state.left_out:
        return refusals.NOT_TAKEN_OVER
    if not state.unknown or not instructions.decision.whole_case:
        return None
    named = {instruction.payment_id for instruction in instructions.payments}
    return next((refusals.nothing_to_cease(payment_id) for payment_id in state.unknown if payment_id not in named), None)


def _unbuildable(decision: Decision, change: Change, *, offices: bool) -> Refusal | None:
    if broken := broken_instruction(decision, change.instruction):
        return broken
    if change.instruction.kind is not InstructionKind.PAY:
        return refusals.nothing_to_cease(change.instruction.payment_id) if change.stored is None else None
    if not offices and change.stored is not None and _same_money(change.instruction.periods, change.stored.wanted):
        return refusals.NO_REAL_CHANGE
    return None


def _same_money(wanted: Sequence[Period], accepted: Sequence[Period]) -> bool:
    """Only the paying office differs: the rail would see no difference."""
    return len(wanted) == len(accepted) and all(
        (new.start, new.end, new.amount, new.decided_rate) == (old.start, old.end, old.amount, old.decided_rate)
        for new, old in zip(wanted, accepted, strict=True)
    )


def order_id(scheme: Scheme, area: Area, case_id: CaseId, number: int) -> OrderId:
    """The id of the n-th order of a case; a separator that no id can hold keeps different contents apart."""
    return OrderId(named_uuid(OURS, f"{scheme.value}\0{area}\0{case_id}\0{number}"))


def line_id(order: OrderId, position: int) -> LineId:
    """The id of the line at `position` (from 0) of an order."""
    return LineId(named_uuid(OURS, f"{order}\0{position}"))


class _OrderBuilder:
    """Collects the lines and payments of one order; line ids follow from the order's id and their position."""

    def __init__(self, decision: Decision, area: Area, number: int, first: bool) -> None:
        self.decision, self.area, self.first = decision, area, first
        self.number = number
        self.order_id: OrderId = order_id(decision.scheme, area, decision.case_id, number)
        self.lines: list[OrderLine] = []
        self.payments: list[Payment] = []

    def add(self, change: Change) -> None:
        instruction, stored = change.instruction, change.stored
        target = self._target(instruction, stored)
        weekdays_only = instruction.rate_type is RateType.WEEKDAY
        if stored is not None and stored.periods_unknown:
            chain = extend_unknown(stored.last_sent, instruction.periods, weekdays_only=weekdays_only)
        else:
            chain = extend(stored.wanted if stored else (), instruction.periods, weekdays_only=weekdays_only)
        joined = stored if stored is not None and stored.area == self.area else None
        if chain.cease_from is not None and joined is not None:
            # The last line of the chain again, as it was sent, ended from a date; never with a reference.
            by = self._by_sender(target) if instruction.kind is InstructionKind.CEASE else target
            self.lines.append(self._line(joined.last_line, None, by, last_sent(joined), chain.cease_from))
        refers_to = joined.last_line if joined else None
        for period in chain.new:
            fresh = line_id(self.order_id, len(self.lines))
            self.lines.append(self._line(fresh, refers_to, target, period, None))
            refers_to = fresh
        last = self.lines[-1]
        sent = None if (last.start, last.end) == _NOT_KNOWN else Period(last.start, last.end, last.amount, None, last.decided_rate)
        self.payments.append(replace(target, last_line=last.line_id, last_sent=sent))

    def _target(self, instruction: PaymentInstruction, stored: Payment | None) -> Payment:
        if instruction.kind is not InstructionKind.PAY:
            assert stored is not None, "checked before building"
            return replace(stored, action=Action.DELETE, decision_id=self.decision.decision_id)
        assert instruction.benefit is not None, "paid instructions name their benefit"
        revived = stored is None or stored.action is Action.DELETE
        return Payment(
            original_key=self.decision.key,
            area=self.area,
            payment_id=instruction.payment_id,
            action=Action.CREATE if revived else Action.UPDATE,
            first_of_case=self.first,
            case_id=self.decision.case_id,
            decision_id=self.decision.decision_id,
            last_line=LineId(""),
            last_sent=None,
            person=self.decision.person,
            decided_at=self.decision.decided_at,
            benefit=instruction.benefit.name,
            approver=self.decision.approver,
            caseworker=self.decision.caseworker,
            rate_type=instruction.rate_type,
            hold_back=self.decision.hold_back,
            periods=instruction.periods,
        )

    def _by_sender(self, target: Payment) -> Payment:
        """A cessation in the sender's own words names the sender's people; an omission those that are stored."""
        names = self.decision
        return replace(target, decided_at=names.decided_at, caseworker=names.caseworker, approver=names.approver)

    def _line(self, own: LineId, refers_to: LineId | None, by: Payment, period: Period, ceased_from: date | None) -> OrderLine:
        return OrderLine(
            line_id=own,
            refers_to=refers_to,
            payment_id=by.payment_id,
            class_code=BENEFITS[by.benefit].class_code,
            start=period.start,
            end=period.end,
            amount=period.amount,
            decided_rate=period.decided_rate,
            rate_type=period.rate_type or by.rate_type,
            ceased_from=ceased_from,
            decided_on=by.decided_at[:10],
            caseworker=by.caseworker,
            approver=by.approver,
            decision_id=self.decision.decision_id,
        )

    def order(self, made_at: datetime) -> Order:
        first_line = self.lines[0]
        return Order(
            order_id=self.order_id,
            scheme=self.decision.scheme,
            area=self.area,
            case_id=self.decision.case_id,
            number=self.number,
            is_first_order=self.first,
            frequency=SCHEMES[self.decision.scheme].frequency,
            person=self.payments[0].person,
            caseworker=first_line.caseworker,
            office=_office(self.payments),
            hold_back=self.decision.hold_back,
            made_at=made_at,
            lines=tuple(self.lines),
            payments=tuple(self.payments),
        )


def last_sent(payment: Payment) -> Period:
    """The last line as it was sent, for a cessation of it; where nobody knows that, the least that the rail's form takes.

    Its id says which line is meant, so the rail may take it all the same; if not, its refusal is what the sender hears.
    """
    if payment.last_sent is not None:
        return payment.last_sent
    return payment.periods[-1] if payment.periods else Period(*_NOT_KNOWN, amount=Kroner(1))


def _office(payments: Iterable[Payment]) -> str | None:
    """The office of the earliest-ending period that names one, in the first payment that has any (helved §5.1)."""
    ended = (period for payment in payments for period in sorted(payment.periods, key=lambda each: each.end))
    return next((period.office for period in ended if period.office is not None), None)


def derive(instructions: PaymentInstructions, state: CaseState, made_at: datetime, *, offices: bool = False) -> tuple[Order, ...] | Refusal:
    """The orders that turn the accepted state of a case into what a message instructs; none when nothing differs.

    One order per area, in the order in which the areas first occur; the first broken rule refuses the whole message.
    `made_at` is the clock in Oslo; `offices`: another paying office alone is a change. Source: helved §3.4, design §12.
    """
    decision = instructions.decision
    if broken := repeated_payment(instructions.payments):
        return broken
    payments = _with_omitted(instructions, state)
    if broken := _locked(decision, payments, state) or _unknown(instructions, state):
        return broken
    pairs = ((instruction, state.payments.get(instruction.payment_id)) for instruction in payments)
    changes = [Change(instruction, stored, _area(instruction, stored)) for instruction, stored in pairs if _differs(instruction, stored)]
    for change in changes:
        if broken := _unbuildable(decision, change, offices=offices):
            return broken
    if not changes:
        return broken_decision(decision) or ()
    orders = _build(decision, changes, state, made_at)
    return refusals.TOO_MANY_LINES if any(len(order.lines) > MAX_LINES for order in orders) else orders


def _build(decision: Decision, changes: Sequence[Change], state: CaseState, made_at: datetime) -> tuple[Order, ...]:
    builders: dict[Area, _OrderBuilder] = {}
    for change in changes:
        if change.area not in builders:
            number = state.orders_made + len(builders) + 1
            builders[change.area] = _OrderBuilder(decision, change.area, number, change.area not in state.areas)
        builders[change.area].add(change)
    return tuple(builder.order(made_at) for builder in builders.values())
