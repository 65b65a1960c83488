"""Reads bodies by their forms, and says of a wrong one all that is wrong with it: here a body is what the description says."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from msgspec import Struct

from kvitt.errors import BadRequest, Undecodable
from kvitt.formats.json_members import refuse_repeated

_MOST_WRONGS: Final = 100
_PLACE = re.compile(r"(?P<rule>.*?)(?: - at `\$\.?(?P<field>.*)`)?", re.DOTALL)
_NAMED = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL)
WrongField = tuple[str, str]


def body_reader(check: Callable[[bytes], None] | None, form: Any) -> Callable[[bytes], Any] | None:
    """Returns what reads the bodies of a route, by its own check or by the form in which the route gets them; None: it takes none."""
    return check or (None if form is None else partial(read_body, form=form))


def read_body(body: bytes, form: Any) -> Any:
    """The body as a value of its form. Raises BadRequest with all that is wrong, up to a bound; or with the rule of JSON that it breaks."""
    try:
        value = _decoder(form).decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(*_all_wrong(body, form) or [_said(str(error))]) from None
    except msgspec.DecodeError as error:
        raise BadRequest(("", str(error))) from None
    except UnicodeDecodeError:
        raise BadRequest(("", "the JSON is not UTF-8")) from None
    try:
        refuse_repeated(body)
    except Undecodable as repeated:
        raise BadRequest((repeated.field, repeated.rule)) from None
    return value


@cache
def _decoder(form: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(form)


def _all_wrong(body: bytes, form: Any) -> list[WrongField]:
    """Nothing for what can't be read without its form: then the first thing wrong must do."""
    try:
        return list(islice(_wrongs(form, msgspec.json.decode(body), ""), _MOST_WRONGS))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _wrongs(form: Any, value: object, field: str) -> Iterator[WrongField]:
    """msgspec stops at the first; so each field and item is looked at by itself."""
    bare, *limits = get_args(form) if get_origin(form) is Annotated else (form,)
    if isinstance(bare, type) and issubclass(bare, Struct) and isinstance(value, dict):
        yield from _wrong_fields(bare, value, field)
        return
    items: Sequence[object] = ()
    if get_origin(bare) is Sequence and isinstance(value, list):
        items, form = value, Annotated[list[Any], *limits] if limits else list[Any]
    try:
        msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        inner, rule = _said(str(error))
        yield f"{field}.{inner}".strip("."), rule
    for number, item in enumerate(items):
        yield from _wrongs(get_args(bare)[0], item, f"{field}[{number}]")


def _wrong_fields(form: type[Struct], value: Mapping[str, object], field: str) -> Iterator[WrongField]:
    known = {each.encode_name: each for each in msgspec.structs.fields(form)}
    for name in (name for name in value if name not in known):
        yield f"{field}.{name}".lstrip("."), "is no field here"
    for name, each in known.items():
        place = f"{field}.{name}".lstrip(".")
        if name in value:
            yield from _wrongs(each.type, value[name], place)
        elif each.required:
            yield place, "is required"


def _said(text: str) -> WrongField:
    """Field and rule of a text such as ``Expected `int`, got `str` - at `$.cash.amount` ``."""
    found = _PLACE.fullmatch(text)
    assert found is not None, "anything matches"
    rule, field = found["rule"], found["field"] or ""
    if (named := _NAMED.fullmatch(rule)) is not None:
        field = f"{field}.{named['name']}".lstrip(".")
    return field, rule
