"""Search: one box for every id. What is asked for never stands in an address; one hit leads to its page, several are listed.

A person is found by the whole id only, by those who may see persons, and the look is noted.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.people.claims import ConsoleRole
from kvitt.kernel.fetch import fetch
from kvitt.kernel.identifiers import flaw_of
from kvitt.kernel.queries import load

_SQL: Final = load("search", "kvitt.api.console.pages")
_MOST: Final = 20
"""So many of a kind are shown."""
_LONGEST: Final = 100
_MESSAGES: Final = 1_000
_LARGEST: Final = 9_223_372_036_854_775_807
_PERSON: Final = re.compile(r"\d{6}[ .-]?\d{5}")
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{4,32}")
_TOO_LONG: Final = f"An id has at most {_LONGEST} characters: nothing was looked for."
_NO_PERSON: Final = "This looks like a person, whom your groups do not let you search by: it was looked for as an id alone."
SEARCHED: Final = (
    "ids of cases, lines, payouts and parties, and keys of ledger accounts, by their beginning",
    "ids of orders, and of payments whose senders chose the id, by their beginning, from four characters on",
    "keys of messages as a whole, however old they are",
    "numbers of messages, receipts, dead letters, simulations and ledger accounts, and ids of ledger plans, as a whole",
    "persons by their whole number, by those who may see them",
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
    return {"asked": None, "why": "", "hits": (), "searched": SEARCHED, "cut": (), "most": _MOST}


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
    hits = [each.whole() for each in _hits(visit, {**_arguments(text), "person": person, "key": key, "limit": _MOST + 1})]
    if len(hits) == 1:
        return Redirect(hits[0].path)
    why = _NO_PERSON if is_like_one and not person else ""
    shown, cut = _cut(hits)
    return {"asked": text, "why": why, "hits": shown, "searched": SEARCHED, "cut": cut, "most": _MOST}


def _hits(visit: Visit, asked: dict[str, object]) -> Sequence[SearchHit]:
    found = fetch(visit.connection, SearchHit, _SQL.search, asked)
    if asked["key"] is not None:
        visit.connection.execute(_SQL.by_index_alone)
        found += fetch(visit.connection, SearchHit, _SQL.messages_of_key, {**asked, "messages": _MESSAGES})
    return found


def _cut(hits: Sequence[SearchHit]) -> tuple[Sequence[SearchHit], Sequence[str]]:
    """So many of each kind as there is room for, and the kinds of which there are more."""
    found: dict[str, list[SearchHit]] = {}
    for each in hits:
        found.setdefault(each.kind, []).append(each)
    return [each for of_kind in found.values() for each in of_kind[:_MOST]], [kind for kind in found if len(found[kind]) > _MOST]


def _arguments(text: str) -> dict[str, object]:
    digits = text.isascii() and text.isdecimal() and int(text) <= _LARGEST
    low, high = _span_of_ids(text)
    case_of_line = _escaped(text.rpartition("#")[0]) or None
    number = int(text) if digits else None
    return {"text": text, "beginning": f"{_escaped(text)}%", "case_of_line": case_of_line, "number": number, "low": low, "high": high}


def _escaped(text: str) -> str:
    return re.sub(r"([%_\\])", r"\\\1", text)


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
