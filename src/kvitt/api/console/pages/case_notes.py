"""Notes on a case: words that people leave each other, such as who is on it. No act, of no chain, and kept as they were written."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Redirect, Visit
from kvitt.api.console.pages.case_head import case_of
from kvitt.api.people.claims import ConsoleRole
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("case_notes", "kvitt.api.console.pages")
_MOST: Final = 50
_LONGEST: Final = 1000


class NoteOnCase(NamedTuple):
    """A note."""

    note_no: int
    order_id: UUID | None
    written_at: datetime
    written_by: str
    name: str
    text: str


def notes_of(visit: Visit, case_no: int, order_id: UUID | None = None) -> Sequence[NoteOnCase]:
    """The newest notes on a case, or those on one of its orders."""
    return fetch(visit.connection, NoteOnCase, _SQL.notes, {"case_no": case_no, "order_id": order_id, "limit": _MOST})


class NoteInShort(NamedTuple):
    """Who left the newest note on a case, and when."""

    case_no: int
    written_at: datetime
    name: str


def newest_notes(visit: Visit, case_nos: Sequence[int]) -> Mapping[int, NoteInShort]:
    """Who left the newest note on each of some cases."""
    return {each.case_no: each for each in fetch(visit.connection, NoteInShort, _SQL.newest_notes, {"case_nos": list(case_nos)})}


def write(visit: Visit) -> Redirect:
    """Leaves a note on a case, or on one of its orders, and leads back to it. Raises NotFound, BadRequest."""
    case, text, order = case_of(visit), visit.form.get("text", "").strip(), visit.form.get("order", "")
    if not text or len(text) > _LONGEST or "\0" in text:
        raise BadRequest(("text", f"is a note of at most {_LONGEST} characters"))
    who = visit.who
    note = {"case_no": case.case_no, "now": visit.now, "issuer": who.issuer, "person": who.person, "name": who.name, "text": text}
    if fetch_value(visit.connection, _SQL.add_note, {**note, "order_id": _order(order)}) is None:
        raise BadRequest(("order", "is no order of this case"))
    return Redirect(f"/orders/{order}/whereabouts" if order else f"/cases/{case.case_no}")


def _order(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise BadRequest(("order", "is no id of an order")) from None


PAGES: Final = (ConsolePage("/cases/{case_no:int}/notes", "Note", "case.html", write, role=ConsoleRole.ACT, posted=True, acts=True),)
