"""How ids, currencies and texts of people's own must be written, the same by every API (design §11, §12).

Ids are compared byte for byte by everybody who has them. So what can not be distinguished by eye, or is trimmed on the way, is refused
where it comes in. What is stored already is found under the id that it has. Ids of our own are
functions of content: the same content has the same id, whoever makes it, and however often (design §5).
"""

import hashlib
import unicodedata
from enum import StrEnum
from typing import Final
from urllib.parse import unquote
from uuid import UUID

_INVISIBLE: Final = frozenset(
    [
        0x34F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x2800,
        0x3164,
        0xFFA0,
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)
"""Characters that show nothing though their category is that of a letter or a mark; those of category Cf show nothing either."""
_HIDDEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
_HALF: Final = "Cs"
_IN_TEXTS: Final = frozenset("\t\n\r")


class Flaw(StrEnum):
    """Flaws of an id; the value is the rule, as the half of a sentence behind the field's name."""

    EMPTY = "must not be empty or blank"
    BLANK_AT_ENDS = "must not begin or end with a blank"
    HIDDEN = "must not have control characters, or characters that show nothing"
    HALF = "must not have half of a surrogate pair"
    NOT_NFC = "must be in Unicode's normal form C"


def is_invisible(character: str) -> bool:
    """Whether a character shows nothing, not even a blank."""
    return unicodedata.category(character) == "Cf" or ord(character) in _INVISIBLE


def flaw_of(text: str) -> Flaw | None:
    """The first flaw of an id, or None. What most ids are, printable ASCII without blanks around it, is recognised at once."""
    if not text.strip():
        return Flaw.EMPTY
    if text[0].isspace() or text[-1].isspace():
        return Flaw.BLANK_AT_ENDS
    if text.isascii():
        return None if text.isprintable() else Flaw.HIDDEN
    categories = set(map(unicodedata.category, text))
    if _HALF in categories:
        return Flaw.HALF
    if categories & _HIDDEN or any(ord(character) in _INVISIBLE for character in text):
        return Flaw.HIDDEN
    return None if unicodedata.is_normalized("NFC", text) else Flaw.NOT_NFC


def wrong_id(text: str, most: int | None = None) -> str | None:
    """The rule that an id breaks, of at most so many characters; None when it keeps them all."""
    if most is not None and not 1 <= len(text) <= most:
        return f"must have 1 to {most} characters"
    flaw = flaw_of(text)
    return flaw.value if flaw else None


def wrong_text(text: str, most: int | None = None, *, required: bool = False) -> str | None:
    """The rule that a text for people breaks; None when it keeps them all. It may have lines and tabs, and be empty unless `required`."""
    if required and not any(not character.isspace() and not is_invisible(character) for character in text):
        return Flaw.EMPTY.value
    if most is not None and len(text) > most:
        return f"must have at most {most} characters"
    if text.isascii() and text.isprintable():
        return None
    if any("\ud800" <= character <= "\udfff" for character in text):
        return Flaw.HALF.value
    controls = any(unicodedata.category(character) == "Cc" and character not in _IN_TEXTS for character in text)
    return "must not have control characters" if controls else None


def no_path_segment(text: str) -> str | None:
    """Why an id can not stand in the path of a URL by itself; None when it can.

    One that is escaped itself counts as what it stands for, since some proxies undo escapes before they look at paths.
    """
    meant = unquote(text)
    return 'must have no "/", and not be "." or "..", escaped or not' if "/" in meant or meant in (".", "..") else None


OURS = UUID("6f3c2a56-0d3b-5a7e-9a41-5d1f0f5b7c11").bytes
"""The namespace of orders, their lines, and what is published of them."""
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The seventeenth digit of a UUID keeps its two lower bits; the upper ones say which kind of UUID it is."""


def named_uuid(namespace: bytes, name: str) -> str:
    """The text of `uuid5` for the bytes of a namespace, ten times as fast as making the object first."""
    digits = hashlib.sha1(namespace + name.encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def event_id(order_id: str, kind: str) -> str:
    """The id of something published of an order, so that whoever reads it twice can drop the second."""
    return named_uuid(OURS, f"{order_id}\0{kind}")
