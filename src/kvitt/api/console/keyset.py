"""Pages through lists by key: the address holds the place of the last row that was shown, and nothing is counted (design §17)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from kvitt.api.people.masking import masked
from kvitt.errors import BadRequest

PAGE_ROWS: Final = 50
AFTER: Final = "after"
TRAIL: Final = "trail"
_BETWEEN: Final = "~"
_FORWARD: Final = "!"
_FIRST: Final = "-"
_LONGEST_TRAIL: Final = 20
_LARGEST: Final = 9_223_372_036_854_775_807
_KEYS: Final = frozenset({AFTER, TRAIL, "caller", "id", "position", "topic"})
"""What an address asks by that others chose freely, or that is a place: it may look like anything."""
ListedRow = TypeVar("ListedRow")


class ListedRows(Struct, Generic[ListedRow], frozen=True):
    """A page of a list: its rows, and the place behind the last one, if there are more; `is_first`: nothing newer was left out."""

    rows: Sequence[ListedRow]
    older: str | None
    is_first: bool


def place_in(after: str | None, *kinds: Callable[[str], Any]) -> tuple[Any, ...] | None:
    """The place that an address names, made of its parts; None: the beginning. Raises BadRequest for one that was never given out."""
    if after is None:
        return None
    parts = after.split(_BETWEEN)
    try:
        place = tuple(kind(part) for kind, part in zip(kinds, parts, strict=True))
    except ValueError:
        place = ()
    if not place or any(isinstance(part, int) and abs(part) > _LARGEST for part in place):
        raise BadRequest((AFTER, "is no place in this list"))
    return place


def listed(
    rows: Sequence[ListedRow], place: Callable[[ListedRow], Sequence[object]], after: object, limit: int = PAGE_ROWS
) -> ListedRows[ListedRow]:
    """A page of what was found by asking for one row more than `limit` behind `after`."""
    shown = rows[:limit]
    return ListedRows(shown, place_text(place(shown[-1])) if len(rows) > limit else None, after is None)


class Trail(Struct, frozen=True):
    """The places of the pages by which somebody has come to this one: the way back, on which nothing is left out or asked anew."""

    here: str
    places: tuple[str, ...]

    def onward(self, older: str) -> Mapping[str, str]:
        """The place behind this page, as an address asks for it; of a long way the beginning is forgotten."""
        return {AFTER: older, TRAIL: _FORWARD.join([*self.places, self.here][-_LONGEST_TRAIL:])}

    @property
    def back(self) -> Mapping[str, str] | None:
        """The page before this one, as an address asks for it; None where the way here is not known."""
        if not self.places:
            return None
        *rest, last = self.places
        asked = {AFTER: "" if last == _FIRST else last, TRAIL: _FORWARD.join(rest)}
        return {name: text for name, text in asked.items() if text}


def trail_in(query: Mapping[str, str]) -> Trail:
    """The way to this page, as its address has it."""
    way = query.get(TRAIL)
    return Trail(query.get(AFTER, _FIRST), tuple(way.split(_FORWARD)[-_LONGEST_TRAIL:]) if way else ())


def kept_of(query: Mapping[str, str]) -> Mapping[str, str]:
    """All that an address asks beside the place in a list."""
    return {name: text for name, text in query.items() if name not in (AFTER, TRAIL)}


def place_text(parts: Sequence[object]) -> str:
    """A place as it stands in an address."""
    return _BETWEEN.join(map(str, parts))


def text_in_place(text: str) -> str:
    """A text of somebody else as a part of a place, where no sign of it may be taken for what stands between the parts."""
    return text.encode().hex()


def text_of_place(part: str) -> str:
    """That text again. Raises ValueError for what is none, or can be in no column."""
    text = bytes.fromhex(part).decode()
    if "\0" in text:
        raise ValueError("a text in the store has no NUL")
    return text


def refuse_persons(query: Mapping[str, str]) -> None:
    """Raises BadRequest where an address asks for what looks like somebody's national id; keys that others chose may look like one."""
    if wrong := sorted(name for name, text in query.items() if name not in _KEYS and masked(text) != text):
        raise BadRequest(*((name, "looks like a person, who stands in no address: the search finds persons") for name in wrong))


def text_asked(query: Mapping[str, str], name: str) -> str | None:
    """The text that an address asks for under a name, if anything. Raises BadRequest for what can be in no column."""
    text = query.get(name)
    if text is not None and "\0" in text:
        raise BadRequest((name, "has a sign that no text here has"))
    return text
