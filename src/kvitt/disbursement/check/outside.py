"""Findings outside a case, in a replay: each a fact of that day, of which the case's own part is proved (design §8, §13)."""

from collections.abc import Mapping, Sequence

from kvitt.disbursement.case import Case
from kvitt.disbursement.holding import HoldKind, HoldReason, OwnPay, decode_all
from kvitt.disbursement.outside import OutsideFinding, OutsideFindings
from kvitt.disbursement.rows import OutsideFindingRow
from kvitt.disbursement.values import Order


class FoundBefore:
    """Finds what was found when an order was made, as far as the order pays what it says."""

    def __init__(self, stored: Mapping[str, Sequence[OutsideFindingRow]]) -> None:
        self._stored = stored

    def findings(self, case: Case, order: Order, own: OwnPay) -> OutsideFindings:  # noqa: ARG002 - the rows say which case
        """The stored reasons of the order; one that says of it what is not so is left out, and then the order differs."""
        found = [OutsideFinding(_reason(row), row.other_case_no) for row in self._stored.get(order.order_id, ())]
        return tuple(each for each in found if _is_so(each.reason, own))

    def made(self, case: Case, order: Order, own: OwnPay) -> None:
        """Keeps nothing: nobody else is looked at."""


def _reason(row: OutsideFindingRow) -> HoldReason:
    (reason,) = decode_all(f"[{row.reason}]")
    return reason


def _is_so(reason: HoldReason, own: OwnPay) -> bool:
    """Whether the order pays the days that it was held for, as much as it says."""
    if reason.kind is not HoldKind.PAID_ELSEWHERE:
        return True
    if reason.first_day is None or reason.last_day is None:
        return False
    first, last = reason.first_day.toordinal(), reason.last_day.toordinal()
    says = dict(zip(reason.sources, reason.amounts_kroner, strict=True))
    return any(
        paid.class_code == reason.class_code and paid.start <= first and last <= paid.end and says.get(paid.source) == paid.amount
        for paid in own.after
    )
