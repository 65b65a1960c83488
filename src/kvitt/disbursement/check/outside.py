"""Findings outside a case, in a replay: each a fact of that day, of which the case's own part is proved (design §8, §13).

So is what an order counts on the limit of its source: that it counts, and in which hour, is a fact; how much is not.
"""

from collections.abc import Mapping, Sequence

from kvitt.disbursement.holding import HoldKind, HoldReason, decode_all
from kvitt.disbursement.outside import AskedFor, OutsideFinding, OutsideFindings, counted_in
from kvitt.disbursement.rows import OutsideFindingRow, SourceHourRow
from kvitt.disbursement.source_limits import kroner_of


class FoundBefore:
    """Finds what was found when an order was made, as far as the order pays what it says; counts those orders that counted."""

    def __init__(self, stored: Mapping[str, Sequence[OutsideFindingRow]], counted: Mapping[str, SourceHourRow]) -> None:
        self._stored, self._counted = stored, counted
        self.counts: dict[str, SourceHourRow] = {}
        """By order, as the replay makes it."""

    def findings(self, asked: AskedFor) -> OutsideFindings:
        """The stored reasons of the order; one that says of it what is not so is left out, and then the order differs."""
        found = [OutsideFinding(_reason(row), row.other_case_no) for row in self._stored.get(asked.order.order_id, ())]
        return tuple(each for each in found if _is_so(each.reason, asked))

    def made(self, asked: AskedFor, found: OutsideFindings) -> Sequence[SourceHourRow]:
        """Keeps what the order counts on the limit of its source, where it did; one that is held for the limit does not."""
        counted = self._counted.get(asked.order.order_id)
        if counted and not any(each.reason.kind is HoldKind.OVER_LIMIT for each in found):
            self.counts[counted.order_id] = counted_in(counted.hour, asked)
        return ()


def _reason(row: OutsideFindingRow) -> HoldReason:
    (reason,) = decode_all(f"[{row.reason}]")
    return reason


def _is_so(reason: HoldReason, asked: AskedFor) -> bool:
    """Whether the order pays the days that it was held for, as much as it says; or as much more as was counted."""
    if reason.kind is HoldKind.OVER_LIMIT:
        return (asked.source, kroner_of(asked.own, asked.order.made_at.date())) == (*reason.sources, *reason.amounts_kroner[:1])
    if reason.first_day is None or reason.last_day is None:
        return False
    first, last = reason.first_day.toordinal(), reason.last_day.toordinal()
    says = dict(zip(reason.sources, reason.amounts_kroner, strict=True))
    return any(
        paid.class_code == reason.class_code and paid.start <= first and last <= paid.end and says.get(paid.source) == paid.amount
        for paid in asked.own.after
    )
