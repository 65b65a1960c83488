"""Entity tags of what is read and changed over HTTP, and the condition that it is still as it was read (RFC 9110 §8.8, §13.1)."""

import hashlib
import re
from typing import Final

ANY: Final = "*"
_TAG: Final = re.compile(r'\s*(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"\s*')
_DIGITS: Final = 32


def etag_of(*content: bytes) -> str:
    """The strong tag of what is shown by these bytes."""
    hashed = hashlib.sha256()
    for each in content:
        hashed.update(len(each).to_bytes(8, "big"))
        hashed.update(each)
    return f'"{hashed.hexdigest()[:_DIGITS]}"'


def may_change(if_match: str | None, current: str | None) -> bool | None:
    """Whether a change is still wanted of what has this tag now; `current` None: it is not there. None: the condition can not be read.

    Without a condition it is. `*` wants anything that is there. A weak tag is equal to none.
    """
    if if_match is None:
        return True
    if if_match.strip() == ANY:
        return current is not None
    wanted = tags_in(if_match)
    return None if wanted is None else current in wanted


def tags_in(if_match: str) -> frozenset[str] | None:
    """The strong tags of a list of them; None for what is no list of tags."""
    found, place = set(), 0
    while (tag := _TAG.match(if_match, place)) is not None:
        if not tag["weak"]:
            found.add(f'"{tag["tag"]}"')
        place = tag.end()
        if place == len(if_match):
            return frozenset(found)
        if if_match[place] != ",":
            return None
        place += 1
    return None
