"""A schema of XML as one regular expression: what it matches as a whole is valid by the schema, and is known to be so without being read.

It knows elements in sequences and texts of the kinds below, as far as they are written plainly: ASCII without escapes, no attributes,
blanks and line ends between elements. What is written otherwise it does not match, nor what the schema restricts in another way: of that
only the schema itself can say whether it is valid.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lxml import etree

_XS: Final = "{http://www.w3.org/2001/XMLSchema}"
_NEVER: Final = "(?!)"
_BETWEEN: Final = r"[ \n]*+"
_CHARACTER: Final = "[ -%'-;=?-~]"
"""Printable ASCII, but what may have a meaning in XML."""
_DAY: Final = "(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
"""A month and a day of it that there is in every year."""
_PLAIN_TYPES: Final = {"xs:string": f"{_CHARACTER}*+", "xs:date": rf"[12][0-9]{{3}}-{_DAY}\+0[0-9]:00"}


def pattern_of(schema: bytes, root: str, prefix: str) -> re.Pattern[bytes]:
    """Matches documents whose root is the global element `root`, under `prefix`; the elements within have no namespace.

    Types that contain themselves raise RecursionError.
    """
    tree = etree.XML(schema)
    described = _Schema(tree)
    content, name = described.content(described.globals[root]), f"{prefix}:{root}"
    space = re.escape(tree.get("targetNamespace") or "")
    text = rf'<\?xml version="1\.0" encoding="UTF-8" standalone="yes"\?>\n<{name} xmlns:{prefix}="{space}">{content}</{name}>'
    return re.compile(text.encode("ascii"))


class _Schema:
    """Makes the parts of the expression of a schema's components."""

    def __init__(self, tree: etree._Element) -> None:
        self.globals = {str(each.get("name")): each for each in tree}

    def content(self, element: etree._Element) -> str:
        """Everything between the tags of an element."""
        named = element.get("type")
        if named in _PLAIN_TYPES:
            return _PLAIN_TYPES[named]
        kind = self.globals[_local(named)] if named else element[0]
        return _text(kind[0]) if kind.tag == f"{_XS}simpleType" else _BETWEEN + self._sequence(kind[0])

    def _sequence(self, sequence: etree._Element) -> str:
        if sequence.tag != f"{_XS}sequence":
            return _NEVER
        return "".join(map(self._particle, sequence))

    def _particle(self, particle: etree._Element) -> str:
        if particle.tag == f"{_XS}group":
            return self._sequence(self.globals[_local(particle.get("ref"))][0])
        name = particle.get("name")
        one = f"<{name}>{self.content(particle)}</{name}>{_BETWEEN}"
        least, most = particle.get("minOccurs", "1"), particle.get("maxOccurs", "1").replace("unbounded", "")
        # Each element is known by its first tag: once taken it stays, and nothing is tried again in another way.
        return one if least == most == "1" else f"(?:{one}){{{least},{most}}}+"


def _local(name: str | None) -> str:
    return (name or "").rpartition(":")[2]


Facets = Mapping[str, Sequence[str]]


def _text(restriction: etree._Element) -> str:
    """The expression of a simple type, by the facets that restrict its base."""
    facets: dict[str, list[str]] = {}
    for each in restriction:
        facets.setdefault(str(each.tag).removeprefix(_XS), []).append(str(each.get("value")))
    make = _TEXTS.get((restriction.get("base"), *sorted(facets)))
    return make(facets) if make else _NEVER


def _words(facets: Facets) -> str:
    return f"(?:{'|'.join(map(re.escape, facets['enumeration']))})"


def _listed(facets: Facets) -> str:
    """A pattern that does nothing but list words."""
    listed = facets["pattern"][0]
    return f"(?:{listed})" if re.fullmatch("[0-9A-Z|]+", listed) else _NEVER


def _of_length(facets: Facets) -> str:
    exact = facets.get("length")
    least, most = exact or facets.get("minLength", "0"), exact or facets["maxLength"]
    return f"{_CHARACTER}{{{least[0]},{most[0]}}}+"


def _whole(facets: Facets) -> str:
    """Fewer digits than the greatest number has, or as many as there may be."""
    most = len(facets["maxInclusive"][0]) - 1 if "maxInclusive" in facets else int(facets["totalDigits"][0])
    return f"[0-9]{{1,{most}}}+"


_TEXTS: Final[Mapping[tuple[str | None, ...], Callable[[Facets], str]]] = {
    ("xs:string", "enumeration"): _words,
    ("xs:string", "pattern"): _listed,
    ("xs:string", "length"): _of_length,
    ("xs:string", "maxLength"): _of_length,
    ("xs:string", "maxLength", "minLength"): _of_length,
    ("xs:decimal", "fractionDigits", "totalDigits"): _whole,
    ("xs:integer", "maxInclusive"): _whole,
    ("xs:long", "maxInclusive"): _whole,
}
