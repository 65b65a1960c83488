"""Dead letters: records that could not be read or handled, with the reason; one of them with its bytes, and where these stop being JSON."""

import json
from datetime import datetime
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.errors import DeadLetterNotFound
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("dead_letters", "kvitt.api.console.pages")
_AROUND: Final = 40
"""So many characters on either side of it are enough to find it by."""


class DeadLetterOnPage(NamedTuple):
    """A dead letter without its bytes."""

    dead_no: int
    source: str
    partition: int
    position: int
    at: datetime
    reason: str
    size: int
    message_no: int | None
    state: str
    closed_at: datetime | None
    closed_by: str | None
    note: str | None


class DeadLetterText(NamedTuple):
    """Its bytes."""

    key: bytes | None
    headers: bytes | None
    body: bytes


def read_all(visit: Visit) -> Values:
    """A page of dead letters, newest first; those that are open, unless all are asked for."""
    after = place_in(visit.query.get(AFTER), int)
    everything = visit.query.get("state") == "all"
    asked = {"before": after[0] if after else None, "limit": visit.page_rows + 1}
    rows = fetch(visit.connection, DeadLetterOnPage, _SQL.all_letters if everything else _SQL.open_letters, asked)
    return {"letters": listed(rows, lambda each: (each.dead_no,), after, visit.page_rows), "everything": everything}


def letter_on_page(visit: Visit) -> DeadLetterOnPage:
    """The dead letter that the address names. Raises DeadLetterNotFound."""
    asked = {"dead_no": visit.path["dead_no"]}
    letter = fetch_one(visit.connection, DeadLetterOnPage, _SQL.letter, asked)
    if letter is None:
        raise DeadLetterNotFound(f"there is no dead letter {asked['dead_no']}")
    return letter


def text_of(visit: Visit) -> DeadLetterText | None:
    """The bytes of the dead letter that the address names."""
    return fetch_one(visit.connection, DeadLetterText, _SQL.letter_text, {"dead_no": visit.path["dead_no"]})


def read_one(visit: Visit) -> Values:
    """One dead letter. Raises DeadLetterNotFound."""
    letter = letter_on_page(visit)
    visit.look(f"dead letter {letter.dead_no}")
    text = text_of(visit)
    return {"letter": letter, "text": text, "place": place_of_fault(text.body) if text else None}


def version(visit: Visit) -> str:
    """That of a dead letter: its state."""
    return fetch_value(visit.connection, _SQL.letter_version, {"dead_no": visit.path["dead_no"]}) or ""


class FaultPlace(Struct, frozen=True):
    """A place in a text, both counted from one, and what stands `before` and `after` it."""

    line: int
    character: int
    before: str
    after: str


def place_of_fault(body: bytes) -> FaultPlace | None:
    """Returns where it stops being JSON; None where all of it is, or where it can not be read for another reason."""
    try:
        text = body.decode()
    except UnicodeDecodeError as broken:
        return _place(body[: broken.start].decode(), body[broken.start :].decode(errors="replace"))
    try:
        json.loads(text)
    except json.JSONDecodeError as broken:
        return _place(text[: broken.pos], text[broken.pos :])
    except (ValueError, RecursionError):
        return None
    return None


def _place(before: str, after: str) -> FaultPlace:
    line = before.rpartition("\n")[2]
    return FaultPlace(before.count("\n") + 1, len(line) + 1, before[-_AROUND:], after[:_AROUND])


PAGES: Final = (
    ConsolePage("/dead-letters", "Dead letters", "dead_letters.html", read_all, nav="Dead letters", key="d", live="messages"),
    ConsolePage("/dead-letters/{dead_no:int}", "Dead letter", "dead_letter.html", read_one, live="messages", version=version),
)
