"""Checks before sending, in a replay: each is ended again by what the rail said, and by what the case paid then (design §14)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from kvitt.disbursement import payment_document
from kvitt.disbursement.check.known import forwarded_lines, look_at_rail
from kvitt.disbursement.check.made import MadeOrder
from kvitt.disbursement.check.report import Kind
from kvitt.disbursement.compared_pay import PayDifference, PicturePart
from kvitt.disbursement.expected_pay import pay_by_lines, pay_by_payments
from kvitt.disbursement.holding import UNCHECKED, HoldReason, without_releasable
from kvitt.disbursement.rail import SimulatingRail
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.simulation import FailureReason, SimulationFailure, SimulationOutcome
from kvitt.disbursement.simulation_check import (
    CheckCircumstances,
    CheckedOrder,
    CheckMode,
    CheckPolicy,
    SimulationCheck,
    check_order,
    held_after,
    reasons_of,
)
from kvitt.disbursement.states import OPEN_ORDER, What
from kvitt.disbursement.values import Refusal, Scheme
from kvitt.kernel.audit import AuditRow, digest
from kvitt.kernel.money import Kroner

if TYPE_CHECKING:
    from kvitt.disbursement.check.replay import Replay


class StoredCheck(Struct, frozen=True):
    """A check as it is stored, `of` which case, with what the rail said. An order that was asked about again has several."""

    of: int
    order_id: str
    message_no: int
    made_at: datetime
    mode: CheckMode
    most_recovered: int | None
    waits: bool
    question: bytes
    finding: str | None
    checked_on: date | None
    posted: bool | None
    compared_by: int
    recovered: int | None
    differences: tuple[PayDifference, ...]
    picture: tuple[PicturePart, ...]
    note: str | None
    refusal: str | None
    status: int | None
    answer: bytes | None
    reason: str | None
    said: str | None
    by_rule: bool

    @property
    def policy(self) -> CheckPolicy:
        """The policy by which it was made."""
        return CheckPolicy(self.mode, None if self.most_recovered is None else Kroner(self.most_recovered), self.waits)

    def outcome(self, rail: SimulatingRail) -> SimulationOutcome | None:
        """The outcome that the rail's answer is, read again; None where there is none."""
        if self.reason is not None:
            return SimulationFailure(FailureReason(self.reason), self.said or "", by_rule=self.by_rule)
        return None if self.status is None else rail.read_simulation(self.status, self.answer or b"")


def refusal_of(replay: "Replay", order_id: str) -> Refusal | None:
    """By what an order was refused because its approver saw another simulation; None: an operator took it back."""
    stored = replay.stored.checks.get(order_id, ())
    return Refusal(409, stored[-1].refusal, BASE) if stored and stored[-1].refusal is not None else None


def policies(scheme: Scheme, checks: Mapping[str, Sequence[StoredCheck]]) -> Mapping[tuple[int, datetime], Mapping[Scheme, CheckPolicy]]:
    """By what policy the orders of each message were made, at each time at which it was derived."""
    return {(each.message_no, each.made_at): {scheme: each.policy} for each, *_ in checks.values()}


def _check_again(replay: "Replay", entry: AuditRow) -> None:
    """An entry about a check that ended: the rail's answer is compared again, with the case as it was then."""
    order, stored = _checked_order(replay, entry)
    if order is None or stored is None:
        replay.differs(Kind.ENTRY, entry.seq, f"checks order {entry.order_id}, which is not open, or not to be checked")
        return
    found = _compared(replay, order, stored)
    order.checked = () if found is None else reasons_of(found, stored.mode)
    if found is None or (found.finding, found.recovered, found.differences, found.picture, found.text) != (
        stored.finding,
        stored.recovered,
        stored.differences,
        stored.picture,
        stored.note,
    ):
        replay.differs(Kind.ORDER, order.made.order_id, "was checked otherwise than the rail's answer says")
    content = digest((stored.finding or "").encode(), stored.answer or b"")
    if (content, order.made.message_no) != (entry.digest, entry.message_no):
        replay.differs(Kind.ENTRY, entry.seq, "is not what the check of the order gives")


def _outdated(replay: "Replay", entry: AuditRow) -> None:
    """An entry about a check that is too old: the rail is asked about the order once more."""
    order, stored = _checked_order(replay, entry)
    if order is None or stored is None or order.checked != ():
        replay.differs(Kind.ENTRY, entry.seq, f"has order {entry.order_id} checked again, which does not leave by a check")
        return
    if (digest(order.made.order_id.encode()), order.made.message_no) != (entry.digest, entry.message_no):
        replay.differs(Kind.ENTRY, entry.seq, "is not what asking again about the order gives")
    order.checked, order.checks_before = None, order.checks_before + 1


def _checked_order(replay: "Replay", entry: AuditRow) -> tuple[MadeOrder | None, StoredCheck | None]:
    """The open order that an entry is about, and the check of it that is the last one by then."""
    order = replay.orders.get(entry.order_id or "")
    if order is None or order.state not in OPEN_ORDER:
        return None, None
    return order, next(iter(replay.stored.checks.get(order.made.order_id, ())[order.checks_before :]), None)


def _compared(replay: "Replay", order: MadeOrder, stored: StoredCheck) -> SimulationCheck | None:
    rail = replay.rail
    outcome = stored.outcome(rail) if isinstance(rail, SimulatingRail) else None
    if outcome is None or stored.checked_on is None:
        return None
    look_at_rail(replay)
    made = order.made
    if replay.forwards:
        pay = pay_by_lines(forwarded_lines(replay, order), replay.case.forwarded)
    else:
        changed = [payment_document.decode(each.made.document) for each in replay.by_order.get(made.order_id, ())]
        pay = pay_by_payments(made.area, changed, replay.case.state())
    checked = CheckedOrder(made.area, replay.case.case_id, made.is_first_order)
    when = CheckCircumstances(stored.checked_on, stored.policy.most_recovered, posted=bool(stored.posted), rules=stored.compared_by)
    return check_order(checked, pay, outcome, when)


def possible_holds(
    reasons: Sequence[HoldReason], checked: Sequence[HoldReason] | None, *, released: bool
) -> tuple[tuple[HoldReason, ...], ...]:
    """All that may hold an order that was made with these reasons: checked or not, released once or twice, before the check or after."""
    found = [tuple(reasons)] if checked is None else [held_after(reasons, checked)]
    if released and UNCHECKED in reasons and checked is not None:
        found.append(held_after(without_releasable(reasons), checked))
    if released:
        found += [without_releasable(each) for each in found]
        found += [without_releasable(each) for each in found]
    return tuple(found)


CHECKING: Final[Mapping[str, Callable[["Replay", AuditRow], None]]] = {
    What.CHECKED: _check_again,
    What.CHECK_OUTDATED: _outdated,
}
"""What each of these entries does to a replay."""
