"""Search: one box for every id. What is asked for never stands in an address; one hit leads to its page, several are listed.

A person is found by the whole id only, by those who may see persons, and the look is noted.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.people import ConsoleRole
from kvitt.kernel.fetch import fetch
from kvitt.kernel.identifiers import flaw_of
from kvitt.kernel.queries import load

_SQL: Final = load("search", "kvitt.api.console.pages")
_MOST: Final = 50
_LONGEST: Final = 100
_MESSAGES: Final = 5_000
_LARGEST: Final = 9_223_372_036_854_775_807
_PERSON: Final = re.compile(r"\d{6}[ .-]?\d{5}")
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{4,32}")
_TOO_LONG: Final = f"An id has at most {_LONGEST} characters: nothing was looked for."
_NO_PERSON: Final = "This looks like a person, whom your groups do not let you search by: it was looked for as an id alone."
SEARCHED: Final = (
    "case ids, order ids and ids of payments by their beginning",
    "line ids as a whole, and persons by those who may see them",
    "ids of payouts, parties and plans, and keys of ledger accounts, as a whole",
    "numbers of messages, receipts, dead letters, simulations and ledger accounts",
    "keys of the newest 5,000 messages, as a whole",
)
"""What was looked through, as the page says it."""


class SearchHit(NamedTuple):
    """Something that was found: its kind, its name, and where it is shown."""

    kind: str
    name: str
    path: str

    def whole(self) -> "SearchHit":
        """With the name at the end of a path that asks for it."""
        return self._replace(path=self.path + quote(self.name, safe="")) if self.path.endswith("=") else self


def read(_visit: Visit) -> Values:
    """The empty box."""
    return {"asked": None, "why": "", "hits": (), "searched": SEARCHED, "most": _MOST}


def found(visit: Visit) -> Values | Redirect:
    """All that was found; the page of it, where it is one."""
    text = visit.form.get("q", "").strip()
    if not text or len(text) > _LONGEST or flaw_of(text):
        return {**read(visit), "asked": text[:_LONGEST], "why": _TOO_LONG if len(text) > _LONGEST else ""}
    is_like_one = bool(_PERSON.fullmatch(text))
    person = re.sub(r"[ .-]", "", text) if is_like_one and visit.may(ConsoleRole.PERSONS) else None
    if person:
        visit.look("searched for a person")
    # A key may be a person, so who may not see persons finds none by what looks like one.
    key = text if person or not is_like_one else None
    asked = {**_arguments(text), "person": person, "key": key, "messages": _MESSAGES, "limit": _MOST + 1}
    hits = fetch(visit.connection, SearchHit, _SQL.search, asked)
    hits = [each.whole() for each in hits]
    if len(hits) == 1:
        return Redirect(hits[0].path)
    why = _NO_PERSON if is_like_one and not person else ""
    return {"asked": text, "why": why, "hits": hits[:_MOST], "searched": SEARCHED, "most": _MOST if len(hits) > _MOST else None}


def _arguments(text: str) -> dict[str, object]:
    digits = text.isascii() and text.isdecimal() and int(text) <= _LARGEST
    escaped = re.sub(r"([%_\\])", r"\\\1", text)
    low, high = _span_of_ids(text)
    return {"text": text, "beginning": f"{escaped}%", "number": int(text) if digits else None, "low": low, "high": high}


def _span_of_ids(text: str) -> tuple[UUID | None, UUID | None]:
    """The first and the last UUID that begin so, if any can."""
    bare = text.lower().replace("-", "")
    if not _HEXADECIMAL.fullmatch(bare):
        return None, None
    return UUID(bare.ljust(32, "0")), UUID(bare.ljust(32, "f"))


PAGES: Final = (
    ConsolePage("/search", "Search", "search.html", read, nav="Search", key="s"),
    ConsolePage("/search", "Search", "search.html", found, posted=True),
)
