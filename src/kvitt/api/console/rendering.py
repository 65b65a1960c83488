"""Makes pages of templates: whatever a template prints is escaped, made visible, and masked unless the page may show the person.

No template can leave that out: it happens where Jinja prints a value, and nothing may be marked as safe but markup made in Python.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from lxml import etree
from markupsafe import Markup, escape

from kvitt.api.console import showing
from kvitt.api.console.words import ends, shown_state
from kvitt.api.people import masking

STATIC_TYPES: Final[Mapping[str, str]] = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_LONGEST_SHOWN: Final = 262_144
_BRIEF: Final = 160


@pass_context
def _printed(context: Context, value: Any) -> Any:
    """The text that stands for a value: a number as it is, markup as it was made, any other text without persons."""
    if isinstance(value, Markup | int):
        return value
    if value is None:
        return ""
    text = showing.visible(str(value))
    return text if context.get("reveals") is True else masking.masked(text, context.get("persons") or ())


@pass_context
def brief(context: Context, text: str | None) -> str:
    """As much of a text as a row of a list has room for; persons are masked before it is cut, or a half of one would stand."""
    shown = str(_printed(context, text))
    return shown if len(shown) <= _BRIEF else f"{shown[:_BRIEF].rpartition(' ')[0] or shown[:_BRIEF]} …"


@pass_context
def fingerprint(context: Context, content: bytes) -> str:
    """How many bytes these are, and their SHA-256; not of what names a person who is not shown, who could be guessed by it."""
    size = f"{showing.grouped(len(content))} bytes"
    hides = _hides(context) and (_names(context, raw(content)) or _names(context, pretty(content)))
    return f"{size}; their SHA-256 is shown with the person" if hides else f"{size}, SHA-256 {hashlib.sha256(content).hexdigest()}"


@pass_context
def byte_for_byte(context: Context, content: bytes) -> str:
    """The bytes as they are; not where an escape in them spells a person who is not shown."""
    if _hides(context) and _names(context, pretty(content)) > _names(context, raw(content)):
        return "shown with the person"
    return cut(raw(content))


def _hides(context: Context) -> bool:
    return context.get("reveals") is not True


def _names(context: Context, text: str) -> int:
    return masking.masked(text, context.get("persons") or ()).count(masking.MASK)


@cache
def templates() -> Environment:
    """The environment of all templates."""
    made = Environment(
        loader=PackageLoader("kvitt.api.console.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "kroner": showing.kroner,
        "minor": showing.minor,
        "moment": showing.moment,
        "day": showing.day,
        "clock_time": lambda at: escape(showing.clock_time(at)),
        "span": showing.span,
        "suffixed": lambda text, suffix: f"{text}{suffix}",
        "grouped": lambda number: escape(showing.grouped(number)),
        "plain": plain,
        "plain_attribute": plain_attribute,
        "pretty": pretty,
        "brief": brief,
        "byte_for_byte": byte_for_byte,
        "fingerprint": fingerprint,
    }
    made.globals |= {"shown_state": shown_state, "static": static_path, "age": showing.age, "ends": ends}
    return made


def rendered(template: str, values: Mapping[str, Any]) -> bytes:
    """A page."""
    return templates().get_template(template).render(values).encode("utf-8", "replace")


def plain(text: object) -> Markup:
    """An id of ours that is no person's, however it looks: escaped, and not masked."""
    return Markup(f"<bdi>{escape(showing.visible(str(text)))}</bdi>")  # noqa: S704 - what is not ours is escaped


def plain_attribute(text: object) -> Markup:
    """The same for a place where no markup may stand: an attribute, or the title."""
    return escape(showing.visible(str(text)))


def pretty(content: bytes | None) -> str:
    """JSON and XML with indents, anything else as the text that it is; what would be too long for a page is cut, and not laid out anew."""
    if not content:
        return ""
    laid_out = (_pretty_json(content) or _pretty_xml(content)) if len(content) <= _LONGEST_SHOWN else None
    return cut(laid_out or raw(content))


def raw(content: bytes) -> str:
    """The bytes as text, one that is no text by its number."""
    return content.decode("utf-8", "backslashreplace")


def cut(text: str) -> str:
    """As much of a text as a page shows."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}\n… cut here"


def _pretty_json(content: bytes) -> str | None:
    if content.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return json.dumps(json.loads(content), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def _pretty_xml(content: bytes) -> str | None:
    if content.lstrip()[:1] != b"<":
        return None
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_blank_text=True)
        return str(etree.tostring(etree.fromstring(content, parser), pretty_print=True, encoding="unicode"))
    except (etree.XMLSyntaxError, ValueError):
        return None


@cache
def static_file(name: str) -> bytes:
    """A file that browsers fetch. Raises KeyError for a name that is none."""
    if name not in STATIC_TYPES:
        raise KeyError(name)
    return (files("kvitt.api.console") / "static" / name).read_bytes()


@cache
def static_path(name: str) -> Markup:
    """Where browsers fetch a file; another content has another address, so that it can be kept for ever."""
    return Markup(f"/static/{name}?v={hashlib.sha256(static_file(name)).hexdigest()[:12]}")  # noqa: S704 - both are ours
