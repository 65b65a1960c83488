"""Members of JSON objects that are there twice: parsers keep the last in silence, so whoever wrote one may mean another (design §12).

Names are the same when they are the same text, whatever escapes they are written with.
"""

import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Final

import msgspec

from kvitt.errors import Undecodable

REPEATED: Final = "is there more than once"
_HOLDABLE_BYTES: Final = 1024 * 1024
_SHOWN: Final = re.compile(r"(?!.*[0-9]{6})[\w@.-]{1,64}")
"""Names that may be shown: a field's, and not a text or a number in its place, which may be a person's."""
_decoder, _encoder = msgspec.json.Decoder(), msgspec.json.Encoder()


class _RepeatedMember(Exception):
    """Some object has a member twice."""


class _Object(tuple[tuple[str, object], ...]):
    """The members of an object as they stand there."""

    __slots__ = ()


def refuse_repeated(body: bytes) -> None:
    """Raises Undecodable with the path of the first member that its object has already, and for bytes that are no JSON."""
    if _is_plain(body) and _keeps_all(body):
        return
    try:
        path = _repeated_path(body.decode())
    except RecursionError:
        raise Undecodable("", "is nested too deep") from None
    except ValueError:
        raise Undecodable("", "is not JSON") from None
    if path is not None:
        raise Undecodable(path, REPEATED)


def _is_plain(body: bytes) -> bool:
    """Whether it can be held as values cheaply, and every text in it stands there as it will be written again."""
    return len(body) <= _HOLDABLE_BYTES and b"\\" not in body


def _keeps_all(body: bytes) -> bool:
    """Whether the values that are made of it have all its members: each has a colon, and those in texts stay."""
    try:
        again = _encoder.encode(_decoder.decode(body))
    except (msgspec.MsgspecError, RecursionError, OverflowError, ValueError):
        return False  # such as a number beyond all that can be counted, where nobody reads it: looked at in the slow way
    return again.count(b":") == body.count(b":")


def _once_each(members: list[tuple[str, object]]) -> None:
    if len({name for name, _ in members}) != len(members):
        raise _RepeatedMember


# Numbers stay as they stand there: only names count here.
_scan = JSONDecoder(object_pairs_hook=_once_each, parse_int=str, parse_float=str, parse_constant=str)
_hold = JSONDecoder(object_pairs_hook=_Object, parse_int=str, parse_float=str, parse_constant=str)


def _repeated_path(text: str) -> str | None:
    """Only what has a member twice is held as a whole."""
    try:
        _scan.decode(text)
    except _RepeatedMember:
        return next(_repeated_in(_hold.decode(text), ""))
    return None


def _repeated_in(value: object, path: str) -> Iterator[str]:
    """The paths of all repeated members, in the order of the document."""
    if isinstance(value, _Object):
        seen: set[str] = set()
        for name, inner in value:
            place = f"{path}.{_shown(name)}" if path else _shown(name)
            if name in seen:
                yield place
            seen.add(name)
            yield from _repeated_in(inner, place)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _repeated_in(item, f"{path}[{position}]")


def _shown(name: str) -> str:
    return name if _SHOWN.fullmatch(name) else "?"
