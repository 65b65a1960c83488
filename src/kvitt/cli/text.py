"""Text from data, made fit for a terminal: the one way by which what others wrote reaches a page, a list or an error.

What moves the cursor, changes colours, reverses the direction of reading or can not be seen is written as an escape. Whoever wants the
bytes themselves asks for them (`--raw`, `--message`, `receipt show`): those are for pipes and are left as they came.
Amounts are written in their currency's own unit (ISO 4217).
"""

import unicodedata
from datetime import datetime
from typing import Final

from kvitt.kernel.money import Kroner, Minor, exponent_of

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


def shown_json(text: str) -> str:
    """A JSON text with the same meaning, in which such characters are escapes of JSON's own."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(each if each == "\n" or not _is_unseen(each) else _json_escape(each) for each in text)


def moment(at: datetime | None) -> str:
    """A moment to the second, UTC; empty for none."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _is_unseen(character: str) -> bool:
    return not character.isprintable() and unicodedata.category(character) in _UNSEEN


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def _visible(character: str) -> str:
    if not _is_unseen(character):
        return character
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code <= _BYTE else f"\\u{code:04x}" if code <= _PLANE else f"\\U{code:08x}"


def kroner(amount: Kroner) -> str:
    """Whole kroner, as the payment rail has them."""
    return f"{amount:,}"


def minor(amount: Minor, currency: str) -> str:
    """Whole minor units, as ledger and payouts have them, in the currency's own unit."""
    return in_units(amount, currency)


def in_units(amount_minor: Minor, currency: str) -> str:
    """Whole minor units as a grouped amount in the currency's unit: 248000 of RUB are `2,480.00`.

    Of a code that ISO 4217 does not have nobody knows how many make one, so the amount stays as it is and says so: `248,000 minor`.
    """
    exponent = exponent_of(currency)
    if exponent is None:
        return f"{amount_minor:,} minor"
    if exponent == 0:
        return f"{amount_minor:,}"
    whole, rest = divmod(abs(amount_minor), 10**exponent)
    return f"{'-' if amount_minor < 0 else ''}{whole:,}.{rest:0{exponent}d}"
