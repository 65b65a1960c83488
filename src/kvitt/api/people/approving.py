"""Who sees which approval, and what it would do by now: one rule for pages and for REST (design §11, §17).

Who may approve sees all of them, who asks sees their own; for anybody else there are none.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct, json

from kvitt.api.people.claims import ConsolePerson, ConsoleRole
from kvitt.api.people.identity import RECENTLY
from kvitt.disbursement.resend_many import OrdersResent
from kvitt.errors import ApprovalNotFound, KvittError, LoginTooOld
from kvitt.kernel.approvals import Approval, Approvals, ShownEffect
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_one, fetch_value
from kvitt.kernel.money import Minor, exponent_of
from kvitt.kernel.queries import load
from kvitt.ledger.transfer import Transfer

_CLOCKS_DIFFER: Final = timedelta(seconds=30)
_SQL: Final = load("approving", "kvitt.api.people")

_TAKES_LONG: Final = frozenset({"import helved", "import iverksetting", "kafka set-start-offset"})
"""Acts whose effect takes longer to work out than anybody waits for a page."""


def visible(approvals: Approvals, approval_no: int, who: ConsolePerson) -> Approval:
    """An approval that this person may see. Raises ApprovalNotFound, also where it is not theirs to see."""
    approval = approvals.find(approval_no)
    if ConsoleRole.APPROVE not in who.roles and not is_of(approval, who):
        raise not_there(approval_no)
    return approval


def is_of(approval: Approval, who: ConsolePerson) -> bool:
    """Whether this person has asked for it, logged in as now."""
    return (approval.asked_issuer, approval.asked_by) == (who.issuer, who.person)


def not_there(approval_no: int) -> ApprovalNotFound:
    """The error of whoever may not know of an approval."""
    return ApprovalNotFound(f"there is no approval {approval_no}")


class StepUp(Struct, frozen=True):
    """From how much on whoever approves has proved who they are a few minutes ago: whole units of each currency."""

    least: Mapping[str, int] = {}

    def wants(self, connection: Connection, approval: Approval) -> bool:
        """Whether that is wanted of this approval; of one that is of no amount, where it is of any."""
        if not self.least:
            return False
        amount = amount_of(connection, approval)
        return amount is None or (amount.currency in self.least and amount.units >= self.least[amount.currency])

    def lacks(self, connection: Connection, approval: Approval, who: ConsolePerson, now: datetime) -> bool:
        """Whether this person has to log in anew before they approve it."""
        at = who.authenticated_at
        recently = at is not None and -_CLOCKS_DIFFER <= now - at <= RECENTLY
        return not recently and self.wants(connection, approval)

    def require(self, connection: Connection, approval: Approval, who: ConsolePerson, now: datetime) -> None:
        """Raises LoginTooOld where this person has to log in anew before they approve it."""
        if self.lacks(connection, approval, who, now):
            minutes = int(RECENTLY.total_seconds() / 60)
            raise LoginTooOld(f"this is about much: log in anew, and approve it within {minutes} minutes; nothing was done")


class AmountOfAct(NamedTuple):
    """How much an act is about, in whole units of a currency."""

    units: int
    currency: str


def amount_of(connection: Connection, approval: Approval) -> AmountOfAct | None:
    """How much an act is about; None: it is of no amount that anybody knows before it is done."""
    if order_id := order_of(approval):
        return _paid_by(connection, [str(order_id)])
    if approval.act == "orders resend":
        return _paid_by(connection, json.decode(approval.arguments, type=OrdersResent).order_ids)
    if approval.act.startswith("payout "):
        found = fetch_one(connection, _MinorOfPayout, _SQL.amount_of_payout, {"payout_id": approval.subject})
        return _units(found.amount_minor, found.currency) if found else None
    if approval.act == "ledger transfer":
        asked = json.decode(approval.arguments, type=Transfer)
        return _units(asked.amount, asked.currency)
    return None


def check_sum_of(connection: Connection, approval: Approval) -> AmountOfAct:
    """The check sums of the orders that are to be sent once more, added up."""
    order_ids = json.decode(approval.arguments, type=OrdersResent).order_ids
    return AmountOfAct(fetch_value(connection, _SQL.sum_of_orders, {"order_ids": list(order_ids)}), "NOK")


def _paid_by(connection: Connection, order_ids: Sequence[str]) -> AmountOfAct | None:
    kroner = fetch_value(connection, _SQL.paid_by_orders, {"order_ids": list(order_ids)})
    return None if kroner is None else AmountOfAct(kroner, "NOK")


def order_of(approval: Approval) -> UUID | None:
    """The order that an act is about, if it is about one."""
    try:
        return UUID(approval.subject) if approval.act.startswith("order ") else None
    except ValueError:
        return None


class _MinorOfPayout(NamedTuple):
    amount_minor: Minor
    currency: str


def _units(minor: Minor, currency: str) -> AmountOfAct:
    return AmountOfAct(int(minor) // 10 ** (exponent_of(currency) or 0), currency)


def effect_now(approvals: Approvals, approval: Approval) -> tuple[ShownEffect | None, str | None]:
    """The effect that it would have now, or why it could not be done."""
    if approval.act in _TAKES_LONG:
        return None, f"what it would do takes long to work out: kvitt approve show {approval.approval_no}"
    try:
        return approvals.effect_now(approval), None
    except KvittError as error:
        return None, f"by now it could not be done: {error}"
