"""The cancelling of a payout: first why, as everyone hears it, then what it would do, then an approval (design §11, §17)."""

from typing import Final

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.pages.payouts import version
from kvitt.api.console.pages.plain_acts import payout_of, said
from kvitt.api.people.claims import ConsoleRole
from kvitt.errors import BadRequest
from kvitt.kernel.identifiers import wrong_text
from kvitt.payouts.approvable import PayoutCancelled


def read(visit: Visit) -> Values:
    """The form that asks why. Raises PayoutNotFound."""
    return {"subject": payout_of(visit), "id": said(visit, "id"), "details": ""}


def cancel(visit: Visit) -> Values | Redirect:
    """Shows what it would do, or asks for it. Raises PayoutNotFound, BadRequest."""
    subject, details = payout_of(visit), visit.form.get("details", "").strip()
    if rule := wrong_text(details, required=True):
        raise BadRequest(("details", rule))
    act = ActOnPage("payout cancel", PayoutCancelled(said(visit, "id"), details), subject.path)
    answered = offered(visit, act) if visit.form.get("step") == "look" else taken(visit, act)
    return answered if isinstance(answered, Redirect) else {**answered, "subject": subject, "id": said(visit, "id"), "details": details}


_PATH, _TITLE, _PAGE, _ROLE = "/payouts/cancel", "Cancel a payout", "payout_cancel.html", ConsoleRole.ACT
PAGES: Final = (
    ConsolePage(_PATH, _TITLE, _PAGE, read, role=_ROLE, acts=True, live="payouts", version=version),
    ConsolePage(_PATH, _TITLE, _PAGE, cancel, role=_ROLE, posted=True, acts=True),
)
