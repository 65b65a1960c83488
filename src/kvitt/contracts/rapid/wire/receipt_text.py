"""A receipt as the rapid passes it on: its root spelt one way, its end put back, otherwise as the rail wrote it (rapid §3.3 step 1).

The text is for people and for other systems to keep; what a receipt means is read from its bytes, by the rail.
"""

import re
from typing import Final

_START: Final = re.compile(r"<oppdrag", re.IGNORECASE)
_END: Final = re.compile(r"</oppdrag\s*>", re.IGNORECASE)
_EMPTY_ORDER: Final = re.compile(r"<oppdrag-110></oppdrag-110>", re.IGNORECASE)
_PREFIXED_START: Final = re.compile(r"<([A-Za-z_][\w.-]{0,40}):oppdrag(?=[\s/>])", re.IGNORECASE)


def normalised(body: bytes) -> str:
    """The receipt's text with a lower-case root that ends, and without an empty order; never raises.

    Bytes that are no UTF-8 are taken for Latin-1, as the mainframe writes. A root with a prefix gets the same care under its own
    name, so that nothing is put behind its end.
    """
    text = _START.sub("<oppdrag", _characters(body))
    prefix = _prefix(text)
    text = _prefixed(text, prefix) if prefix else _ended(text, "</oppdrag>", _END)
    return _EMPTY_ORDER.sub("", text)


def _characters(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("iso-8859-1")


def _prefix(text: str) -> str:
    """The prefix of the root; empty when the root has none, or when there is none."""
    start = _PREFIXED_START.search(text)
    plain = text.find("<oppdrag")
    return start[1] if start and (plain < 0 or start.start() < plain) else ""


def _prefixed(text: str, prefix: str) -> str:
    name = re.escape(prefix)
    lowered = re.sub(f"<{name}:oppdrag(?=[\\s/>])", f"<{prefix}:oppdrag", text, flags=re.IGNORECASE)
    return _ended(lowered, f"</{prefix}:oppdrag>", re.compile(f"</(?:{name}:)?oppdrag\\s*>", re.IGNORECASE))


def _ended(text: str, end: str, any_case: re.Pattern[str]) -> str:
    return any_case.sub(end, text) if any_case.search(text) else text + end
