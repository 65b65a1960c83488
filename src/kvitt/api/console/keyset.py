"""Pages through lists by key: the address holds the place of the last row that was shown, and nothing is counted (design §17)."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from kvitt.errors import BadRequest

PAGE_ROWS: Final = 50
AFTER: Final = "after"
_BETWEEN: Final = "~"
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
        return tuple(kind(part) for kind, part in zip(kinds, parts, strict=True))
    except ValueError:
        raise BadRequest((AFTER, "is no place in this list")) from None


def listed(
    rows: Sequence[ListedRow], place: Callable[[ListedRow], Sequence[object]], after: object, limit: int = PAGE_ROWS
) -> ListedRows[ListedRow]:
    """A page of what was found by asking for one row more than `limit` behind `after`."""
    shown = rows[:limit]
    return ListedRows(shown, place_text(place(shown[-1])) if len(rows) > limit else None, after is None)


def place_text(parts: Sequence[object]) -> str:
    """A place as it stands in an address."""
    return _BETWEEN.join(map(str, parts))
