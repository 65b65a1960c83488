"""Who sees which approval, and what it would do by now: one rule for pages and for REST (design §11, §17).

Who may approve sees all of them, who asks sees their own; for anybody else there are none.
"""

from typing import Final

from kvitt.api.console.people import ConsolePerson, ConsoleRole
from kvitt.errors import ApprovalNotFound, KvittError
from kvitt.kernel.approvals import Approval, Approvals, ShownEffect

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


def effect_now(approvals: Approvals, approval: Approval) -> tuple[ShownEffect | None, str | None]:
    """The effect that it would have now, or why it could not be done."""
    if approval.act in _TAKES_LONG:
        return None, f"what it would do takes long to work out: kvitt approve show {approval.approval_no}"
    try:
        return approvals.effect_now(approval), None
    except KvittError as error:
        return None, f"by now it could not be done: {error}"
