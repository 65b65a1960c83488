"""The rail's answers, which come damaged: read by what they say, whatever their namespace, case, padding or end (helved §4.4).

A receipt is the order's XML with an `mmel` in front. What arrives may lack its last tag, carry blanks or NULs behind it, spell its root
in capitals, or claim an encoding it does not have; all that is put right here, and only what has lost content is refused.
"""

import re
from typing import Final

from lxml import etree

from kvitt.errors import UnreadableReceipt
from kvitt.rules.answers import Grade, LineKey, Receipt
from kvitt.rules.values import Area
from kvitt.wire.receipted import LEAVES
from kvitt.wire.xml_reading import parse

MAX_BYTES: Final = 8 * 1024 * 1024

_PADDING = "\ufeff\x00 \t\r\n"
_DECLARATION = re.compile(r"<\?xml\b[^>]{0,200}\?>", re.IGNORECASE)
_ENCODING = re.compile(rb"""<\?xml\b[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""", re.IGNORECASE)
_LATIN = {"iso-8859-15": "iso-8859-15", "latin-9": "iso-8859-15", "windows-1252": "cp1252", "cp1252": "cp1252"}
_ROOT = re.compile(r"<((?:([A-Za-z_][\w.-]*):)?oppdrag)(?=[\s>])([^>]*)>", re.IGNORECASE)
_ROOT_END = re.compile(r"</(?:[A-Za-z_][\w.-]*:)?oppdrag\s*>\Z", re.IGNORECASE)
_OTHERS = tuple([name for name in LEAVES if name not in ("kodeMelding", "alvorlighetsgrad", "beskrMelding")])
_GRADES = {grade.value: grade for grade in Grade if grade is not Grade.UNKNOWN}


def decode(body: bytes) -> Receipt:
    """The receipt, its texts trimmed and its dates without offset; raises UnreadableReceipt.

    A missing or unheard-of severity gives grade UNKNOWN. The rail's answer to XML that it could not read has an empty order: it
    gives a receipt that names no case.
    """
    root = _root(body)
    order = root.find("{*}oppdrag-110")
    if order is None:
        raise UnreadableReceipt("has no oppdrag-110")
    severity = _leaf(root, "{*}mmel/{*}alvorlighetsgrad")
    return Receipt(
        area=Area(_leaf(order, "{*}kodeFagomraade")),
        case_id=_leaf(order, "{*}fagsystemId"),
        stamp=_leaf(order, "{*}avstemming-115/{*}tidspktMelding"),
        lines=tuple([_line(line) for line in order.iterchildren("{*}oppdrags-linje-150")]),
        grade=_GRADES.get(severity, Grade.UNKNOWN),
        grade_text=severity,
        code=_leaf(root, "{*}mmel/{*}kodeMelding"),
        text=_leaf(root, "{*}mmel/{*}beskrMelding"),
        others=_others(root),
    )


def _others(root: etree._Element) -> tuple[tuple[str, str], ...]:
    texts = [(name, (root.findtext(f"{{*}}mmel/{{*}}{name}") or "").rstrip(_PADDING)) for name in _OTHERS]
    return tuple([(name, text) for name, text in texts if text])


def _line(line: etree._Element) -> LineKey:
    ceased_from = _leaf(line, "{*}datoStatusFom")[:10]  # what follows the day is its offset
    return LineKey(_leaf(line, "{*}delytelseId"), ceased_from or None)


def _leaf(parent: etree._Element, path: str) -> str:
    return (parent.findtext(path) or "").strip(_PADDING)


def _root(body: bytes) -> etree._Element:
    if len(body) > MAX_BYTES:
        raise UnreadableReceipt(f"is larger than {MAX_BYTES} bytes")
    text = _without_declaration(_text(body))
    try:
        root = _parse(text)
    except etree.XMLSyntaxError:
        root = _parse_repaired(text)
    if etree.QName(root).localname.lower() != "oppdrag":
        raise UnreadableReceipt("has another root than oppdrag")
    return root


def _parse(text: str) -> etree._Element:
    try:
        return parse(text.encode())
    except ValueError:
        raise UnreadableReceipt("has a document type") from None


def _parse_repaired(text: str) -> etree._Element:
    try:
        return _parse(_with_end(text))
    except etree.XMLSyntaxError:
        raise UnreadableReceipt("is not XML, or was cut off inside") from None


def _text(body: bytes) -> str:
    """The characters of the body. Bytes that are UTF-8 are read as that, whatever they claim: no other encoding looks like it."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode()
    except UnicodeDecodeError:
        claim = _ENCODING.search(body[:300])
        name = claim[1].decode("ascii").lower() if claim else ""
        return body.decode(_LATIN.get(name, "iso-8859-1"), errors="replace")


def _without_declaration(text: str) -> str:
    text = text.strip(_PADDING)
    declaration = _DECLARATION.match(text)
    return text[declaration.end() :].lstrip(_PADDING) if declaration else text


def _with_end(text: str) -> str:
    """The text with an end tag that fits its root, and with the root's prefix declared; everything inside stays as it is."""
    start = _ROOT.match(text)
    if start is None:
        return text
    name, prefix, attributes = start.groups()
    content = _ROOT_END.sub("", text[start.end() :])
    last = content.rfind("<")
    if last >= 0 and f"</{name}>".lower().startswith(content[last:].lower()):  # cut off inside its very last tag
        content = content[:last]
    if prefix and f"xmlns:{prefix}" not in attributes:
        attributes += f' xmlns:{prefix}="undeclared"'
    return f"<{name}{attributes}>{content}</{name}>"
