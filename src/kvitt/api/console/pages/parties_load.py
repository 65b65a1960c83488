"""The loading of a file of parties: pasted, shown with what would change, and loaded when another person approves (design §11, §17)."""

from typing import Final

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.people.claims import ConsoleRole
from kvitt.errors import BadRequest
from kvitt.payouts.approvable import PartiesLoaded

_LONGEST: Final = 20_000
"""As much as a form has room for, whatever the characters."""


def read(visit: Visit) -> Values:
    """The form for the file."""
    visit.look("the form by which parties are loaded")
    return {"file": "", "longest": _LONGEST, "effect": None, "why_not": None, "refusal": None, "given": ""}


def load(visit: Visit) -> Values | Redirect:
    """Shows what would change, or asks for it. Raises BadRequest."""
    file = visit.form.get("file", "").replace("\r\n", "\n")
    if not 0 < len(file) <= _LONGEST:
        raise BadRequest(("file", f"has 1 to {_LONGEST} characters"))
    act = ActOnPage("party load", PartiesLoaded(file), "/parties")
    answered = taken(visit, act) if visit.form.get("step") == "ask" else offered(visit, act)
    return answered if isinstance(answered, Redirect) else {**answered, "file": file, "longest": _LONGEST}


_PATH, _TITLE, _PAGE, _ROLE = "/parties/load", "Load parties", "parties_load.html", ConsoleRole.ACT
PAGES: Final = (
    ConsolePage(_PATH, _TITLE, _PAGE, read, role=_ROLE, acts=True),
    ConsolePage(_PATH, _TITLE, _PAGE, load, role=_ROLE, posted=True, acts=True),
)
