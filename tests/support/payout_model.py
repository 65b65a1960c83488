"""Payouts as anybody would write them who needs no database: a dict of what each is, and three sums that follow from it."""

from dataclasses import dataclass, field

FIXED, FEE = 20, 5
Published = list[tuple[int, str]]


@dataclass
class Known:
    """A payout: what was asked for, where it is, and what was published about it."""

    amount: int
    status: str = "unpaid"
    details: str | None = None
    published: Published = field(default_factory=lambda: [(0, "unpaid")])

    def go(self, status: str) -> str:
        self.status = status
        self.published.append((len(self.published), status))
        return status


class Model:
    """A shop that has earned `earned`; every method gives the status that a payout has afterwards, or the name of the refusal."""

    def __init__(self, earned: int) -> None:
        self.earned = earned
        self.payouts: dict[str, Known] = {}

    def create(self, payout_id: str, amount: int) -> str:
        """Refusals in the order of the contract: the amount, the id, what is left, what there is."""
        if amount <= 0:
            return "InsufficientFunds"
        if payout_id in self.payouts:
            return "PayoutAlreadyExists"
        if amount - FIXED <= 0 or amount + FEE > self.free():
            return "InsufficientFunds"
        self.payouts[payout_id] = Known(amount)
        return "unpaid"

    def confirm(self, payout_id: str) -> str:
        """From unpaid and paid; nothing to do for a confirmed one."""
        return self._move(payout_id, "confirmed", ("unpaid", "paid"))

    def cancel(self, payout_id: str, details: str) -> str:
        """From everywhere; the first details stay."""
        known = self.payouts.get(payout_id)
        if known and known.status != "cancelled":
            known.details = details
        return self._move(payout_id, "cancelled", ("unpaid", "paid", "confirmed"))

    def paid(self, payout_id: str) -> str:
        """From unpaid only; a second time is refused."""
        known = self.payouts.get(payout_id)
        if known and known.status == "paid":
            return "PayoutInOtherState"
        return self._move(payout_id, "paid", ("unpaid",))

    def _move(self, payout_id: str, status: str, sources: tuple[str, ...]) -> str:
        known = self.payouts.get(payout_id)
        if known is None:
            return "PayoutNotFound"
        if known.status == status:
            return status
        return known.go(status) if known.status in sources else "PayoutInOtherState"

    def _sum(self, *statuses: str) -> tuple[int, int]:
        chosen = [known.amount for known in self.payouts.values() if known.status in statuses]
        return sum(chosen), len(chosen)

    def free(self) -> int:
        """What may still be held."""
        amount, count = self._sum("unpaid", "paid", "confirmed")
        return self.earned - amount - FEE * count

    def totals(self) -> tuple[tuple[int, int, int], ...]:
        """posted, available min and max of the settlement, payout and system accounts."""
        gone, ended = self._sum("confirmed")
        going, still_open = self._sum("unpaid", "paid")
        posted = self.earned - gone - FEE * ended
        out, coming = gone - FIXED * ended, going - FIXED * still_open
        ours, more = (FIXED + FEE) * ended, (FIXED + FEE) * still_open
        return (posted, posted - going - FEE * still_open, posted), (out, out, out + coming), (ours, ours, ours + more)
