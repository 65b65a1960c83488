"""For whom a case was opened: until the rail has accepted something of it, it is opened anew for anybody else (iverksetting §1.1)."""

from kvitt.disbursement.case import Case
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.inbox import InboxMessage
from kvitt.disbursement.values import Refusal


def note_opening(case: Case, message: InboxMessage) -> None:
    """A message that is received, whatever it pays, is for its person."""
    if message.edition >= Edition.OPENED_FOR and not message.dry_run and not isinstance(message.content, Refusal):
        case.opened_for = message.content.payee or case.opened_for


def is_opened_for_another(case: CaseState, person: str, edition: int) -> bool:
    """Whether a case of which nothing was accepted is not this person's: it was opened for somebody else, or nobody knows for whom."""
    return edition >= Edition.OPENED_FOR and case.contract is not None and case.person is None and case.opened_for != person
