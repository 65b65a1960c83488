"""Text from data, made fit for a terminal: the one way by which what others wrote reaches a page, a list or an error.

What moves the cursor, changes colours, reverses the direction of reading or can not be seen is written as an escape. Whoever wants the
bytes themselves asks for them (`--raw`, `--xml`, `receipt show`): those are for pipes and are left as they came.
"""

import unicodedata
from datetime import datetime
from typing import Final

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of controls, of formats (bidi, zero-width, tags), of halves of pairs, and of line and paragraph ends."""
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BYTE, _PLANE = 0xFF, 0xFFFF


def shown(text: object) -> str:
    """The text on one line, with nothing in it that a terminal obeys or an eye does not see."""
    return "".join(map(_visible, str(text)))


def shown_bytes(content: bytes | None) -> str:
    """Bytes as the text that they are, on one line; what is no UTF-8 is shown byte by byte, and - stands for none."""
    return "-" if content is None else shown(content.decode(errors="backslashreplace"))


def shown_lines(content: bytes | str) -> str:
    """A body over as many lines as it has, each of them as `shown` makes it."""
    text = content.decode(errors="backslashreplace") if isinstance(content, bytes) else content
    return "\n".join(shown(line.removesuffix("\r").expandtabs(4)) for line in text.split("\n"))


def moment(at: datetime | None) -> str:
    """A moment to the second, UTC; empty for none."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _visible(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) not in _UNSEEN:
        return character
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code <= _BYTE else f"\\u{code:04x}" if code <= _PLANE else f"\\U{code:08x}"
