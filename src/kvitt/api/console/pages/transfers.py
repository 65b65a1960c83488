"""A transfer between two accounts: typed, shown with what both would have, done when another person approves (design §9, §17)."""

from collections.abc import Mapping
from typing import Final

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.people.claims import ConsoleRole
from kvitt.errors import BadRequest
from kvitt.kernel.identifiers import wrong_id, wrong_text
from kvitt.kernel.money import Minor
from kvitt.ledger.transfer import Transfer

_FIELDS: Final = ("plan_id", "source", "target", "amount", "currency", "description")
_DIGITS: Final = 18


def read(visit: Visit) -> Values:
    """The form, with what the query says of it."""
    return {**_typed(visit.query), "effect": None, "why_not": None, "refusal": None, "given": ""}


def transfer(visit: Visit) -> Values | Redirect:
    """Shows what both accounts would have, or asks for it. Raises BadRequest."""
    act = ActOnPage("ledger transfer", _wanted(visit), "/ledger")
    answered = taken(visit, act) if visit.form.get("step") == "ask" else offered(visit, act)
    return answered if isinstance(answered, Redirect) else {**_typed(visit.form), **answered}


def _typed(said: Mapping[str, str]) -> dict[str, object]:
    return {"typed": {name: said.get(name, "") for name in _FIELDS}}


def _wanted(visit: Visit) -> Transfer:
    said = {name: visit.form.get(name, "").strip() for name in _FIELDS}
    rules = {
        "plan_id": wrong_id(said["plan_id"]),
        "currency": wrong_id(said["currency"]),
        "description": wrong_text(said["description"], required=True),
    }
    if wrong := [(name, rule) for name, rule in rules.items() if rule]:
        raise BadRequest(*wrong)
    source, target, amount = (_number(name, said[name]) for name in ("source", "target", "amount"))
    return Transfer(said["plan_id"], source, target, Minor(amount), said["currency"], said["description"])


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and int(text) > 0):
        raise BadRequest((name, "is a whole number above zero"))
    return int(text)


_PATH, _TITLE, _PAGE, _ROLE = "/ledger/transfer", "Transfer", "transfer.html", ConsoleRole.ACT
PAGES: Final = (
    ConsolePage(_PATH, _TITLE, _PAGE, read, role=_ROLE, acts=True),
    ConsolePage(_PATH, _TITLE, _PAGE, transfer, role=_ROLE, posted=True, acts=True),
)
