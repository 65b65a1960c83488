"""The place at which the bytes of a dead letter stop being what their sender meant: JSON, in UTF-8."""

import json
from typing import Final

from msgspec import Struct

_AROUND: Final = 40
"""So many characters on either side of it are enough to find it by."""


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
