"""Bounded, typed reading of JSON: every way in which bytes can fail to be a value ends in `Undecodable`, none in a crash.

Size and depth have limits (design §11); what is refused is named by its path, never by its content.
"""

import re
from typing import TypeVar

import msgspec
from msgspec.json import Decoder

from kvitt.errors import Undecodable
from kvitt.formats.times import date_of_parts, local_of_parts

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64

T = TypeVar("T")

# A quote inside a string is escaped, so `name":[` is always a member's name, or the end of one that nobody reads.
_DATE_ARRAY = re.compile(
    rb'"(dato|fom|tom|overf(?:\xc3\xb8|\\u00[fF]8)res|vedtakstidspunkt(?:et)?)"[ \t\r\n]*:[ \t\r\n]*(\[[-0-9, \t\r\n]{1,120}\])'
)

_RULES = (
    ("Object missing required field", "is missing"),
    ("Object contains unknown field", "has a member that is not known"),
    ("Expected `int` ", "must be whole kroner from 0 to 4294967295"),
    ("Number out of range", "must be whole kroner from 0 to 4294967295"),
    ("Invalid RFC3339 encoded date", "must be a date, yyyy-MM-dd"),
    ("Invalid UUID", "must be a UUID"),
    ("Invalid enum value", "is not a known word"),
)
_WRONG_TYPE = re.compile(r"Expected `([a-z | ]+)`, got `([a-z]+)`")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_TOO_DEEP = b"[" * (MAX_DEPTH + 1)
# Raw control characters are no JSON, so unfit ones come as escapes, or are U+FFFE and U+FFFF themselves.
_MAY_BE_UNFIT = re.compile(rb"\\[bf]|\\u00[01]|\\u[fF]{3}[eEfF]|\xef\xbf[\xbe\xbf]")
# What XML 1.0 can not carry and PostgreSQL can not store; lone surrogates never get past the decoder.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def read(decoder: Decoder[T], body: bytes) -> T:
    """The value that `body` is by the decoder's type; dates may also be arrays of numbers. Raises Undecodable."""
    if len(body) > MAX_BYTES:
        raise Undecodable("", f"is larger than {MAX_BYTES} bytes")
    try:
        body.decode()
        value = _decode(decoder, body)
    except UnicodeDecodeError:
        raise Undecodable("", "is not UTF-8") from None
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except msgspec.DecodeError:
        raise Undecodable("", "is not JSON") from None
    except RecursionError:
        raise Undecodable("", f"is nested deeper than {MAX_DEPTH}") from None
    _refuse_depth(body)
    if (b"\\" in body or b"\xef\xbf" in body) and _MAY_BE_UNFIT.search(body):
        refuse_unfit_text(value, "")
    return value


def _decode(decoder: Decoder[T], body: bytes) -> T:
    """Arrays as dates are rare, so they are looked for only when the plain way met an array where it wanted text."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        if "got `array`" not in str(error):
            raise
    return decoder.decode(_DATE_ARRAY.sub(_with_iso_text, body))


def _with_iso_text(found: re.Match[bytes]) -> bytes:
    """The member with ISO text for its array; an array that is no date stays, and the decoder then refuses it by its path."""
    name, array = found.groups()
    try:
        numbers = msgspec.json.decode(array, type=list[int])
        text = local_of_parts(numbers) if name.startswith(b"vedtak") else date_of_parts(numbers)
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError):
        return found[0]
    return b'"%b":"%b"' % (name, text.encode())


def _refuse_depth(body: bytes) -> None:
    """Refuses valid JSON that is nested too deep anywhere, also in fields that nobody reads.

    Each round removes the innermost pairs, so a document of depth n is empty after n rounds.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    brackets = _brackets(body)
    rounds = 0
    while brackets and rounds < MAX_DEPTH and _TOO_DEEP not in brackets:
        brackets = brackets.replace(b"[]", b"")
        rounds += 1
    if brackets:
        raise Undecodable("", f"is nested deeper than {MAX_DEPTH}")


def _brackets(body: bytes) -> bytes:
    """The brackets of valid JSON outside its strings, braces as brackets.

    Without escaped quotes, a quote that finds no neighbour once all else is deleted shows that a string holds brackets. Both
    are rare, and only they need the slow way of cutting out the strings one by one.
    """
    if b'\\"' not in body:
        marks = body.translate(_ONE_KIND, _NOT_MARKS).replace(b'""', b"")
        if b'"' not in marks:
            return marks
    return _STRING.sub(b"", body).translate(_ONE_KIND, _NOT_MARKS)


def refuse_unfit_text(value: object, path: str) -> None:
    """Raises Undecodable for the first text in a shape that XML 1.0 can not carry."""
    if isinstance(value, str):
        if _UNFIT.search(value):
            raise Undecodable(path, "holds a character that XML can not carry")
    elif isinstance(value, msgspec.Struct):
        for name, wire_name in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            refuse_unfit_text(getattr(value, name), f"{path}.{wire_name}" if path else wire_name)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            refuse_unfit_text(item, f"{path}[{position}]")


def _named(text: str) -> Undecodable:
    """The decoder's complaint as path and rule. Its own text is not passed on, because it may quote values."""
    what, _, path = text.rpartition(" - at `") if text.endswith("`") and " - at `" in text else (text, "", "")
    field = path.removesuffix("`").removeprefix("$").removeprefix(".")
    if what.startswith("Object missing"):
        missing = what.partition("`")[2].rstrip("`")
        field = f"{field}.{missing}" if field else missing
    for start, rule in _RULES:
        if what.startswith(start):
            return Undecodable(field, rule)
    wrong = _WRONG_TYPE.fullmatch(what)
    return Undecodable(field, f"must be {wrong[1]}, not {wrong[2]}" if wrong else "can not be read")
