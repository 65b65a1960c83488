"""The rail's answers, which come damaged: read by what they say, whatever their namespace, case, padding or end (helved §4.4).

A receipt is the order's XML with an `mmel` in front. What arrives may lack its last tag, carry blanks or NULs behind it, spell its root
in capitals, or claim an encoding it does not have; all that is put right here, and only what has lost content is refused.
XML is read in one hardened way: no document types, no entities, no network, bounded depth and size (design §11).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree
from msgspec import Struct

from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.rail import Observation, Reason, Severity
from kvitt.disbursement.values import Area
from kvitt.errors import UnreadableReceipt

_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True
)


def parse(xml: bytes) -> etree._Element:
    """The root element; raises lxml's XMLSyntaxError for what is not well-formed, ValueError for any document type."""
    if b"<!DOCTYPE" in xml:
        raise ValueError("a document type is not allowed")
    root = etree.fromstring(xml, _PARSER)
    if root.getroottree().docinfo.internalDTD is not None:  # reached in encodings that hide the word from the search above
        raise ValueError("a document type is not allowed")
    return root


MAX_BYTES: Final = 8 * 1024 * 1024
LEAVES: Final = (
    *("systemId", "kodeMelding", "alvorlighetsgrad", "beskrMelding", "sqlKode", "sqlState", "sqlMelding"),
    *("mqCompletionKode", "mqReasonKode", "programId", "sectionNavn"),
)
"""Everything that an `mmel` may hold, in the order in which it stands there; all of it optional."""
SEVERITIES: Final[Mapping[str, Severity]] = {
    "00": Severity.OK,
    "04": Severity.WARNING,
    "08": Severity.REJECTED,
    "12": Severity.TECHNICAL,
}
ORDER_EXISTS: Final = "Oppdraget finnes fra før"
LINE_EXISTS: Final = "DELYTELSE-ID finnes i oppdragsbasen fra før"
_SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.NOTHING_TO_CHANGE: "OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før",
    Reason.ORDER_EXISTS: ORDER_EXISTS,
    Reason.LINE_EXISTS: LINE_EXISTS,
}
"""By which words the rail says so, somewhere in its text."""
FORWARDED_ROOT: Final = b"<Oppdrag>"
"""The root of an order whose lines its sender made, because the rail fails on one with a namespace there (rapid §3.1)."""

_PADDING = "\ufeff\x00 \t\r\n"
_DECLARATION = re.compile(r"<\?xml\b[^>]{0,200}\?>", re.IGNORECASE)
_ENCODING = re.compile(rb"""<\?xml\b[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""", re.IGNORECASE)
_LATIN = {"iso-8859-15": "iso-8859-15", "latin-9": "iso-8859-15", "windows-1252": "cp1252", "cp1252": "cp1252"}
_ROOT = re.compile(r"<((?:([A-Za-z_][\w.-]*):)?oppdrag)(?=[\s>])([^>]*)>", re.IGNORECASE)
_ROOT_END = re.compile(r"</(?:[A-Za-z_][\w.-]*:)?oppdrag\s*>\Z", re.IGNORECASE)
_OTHERS = tuple([name for name in LEAVES if name not in ("kodeMelding", "alvorlighetsgrad", "beskrMelding")])
_END_OF_ROOT_TAG = b'oppdrag">'
_NO_REASONS: frozenset[Reason] = frozenset()


class LineKey(Struct, frozen=True):
    """What a receipt says of one line, trimmed: enough to know which order it answers, whatever the echo looks like."""

    line_id: str
    ceased_from: str | None


def correlation_key(lines: Iterable[LineKey]) -> bytes:
    """By what a receipt finds its order: the lines it names, whatever else the echo looks like."""
    return hashlib.sha256("\n".join([f"{key.line_id} {key.ceased_from or ''}" for key in lines]).encode()).digest()


def decode(body: bytes) -> Observation:
    """What a receipt says, its texts trimmed and its dates without offset; raises UnreadableReceipt.

    A missing or unheard-of severity is UNKNOWN. The rail's answer to XML that it could not read has an empty order: it names no case.
    """
    root = _root(body)
    order = root.find("{*}oppdrag-110")
    if order is None:
        raise UnreadableReceipt("has no oppdrag-110")
    area, severity = Area(_leaf(order, "{*}kodeFagomraade")), _leaf(root, "{*}mmel/{*}alvorlighetsgrad")
    text = _leaf(root, "{*}mmel/{*}beskrMelding")
    return Observation(
        case=(AREAS[area].scheme, _leaf(order, "{*}fagsystemId")) if area in AREAS else None,
        area=area,
        correlation_key=correlation_key([_line(line) for line in order.iterchildren("{*}oppdrags-linje-150")]),
        correlation_time=_leaf(order, "{*}avstemming-115/{*}tidspktMelding"),
        severity=SEVERITIES.get(severity, Severity.UNKNOWN),
        raw_severity=severity,
        code=_leaf(root, "{*}mmel/{*}kodeMelding"),
        text=text,
        reasons=reasons_in(text) if text else _NO_REASONS,
        others=_others(root),
    )


def reasons_in(text: str) -> frozenset[Reason]:
    """What the rail's words mean for the core."""
    return frozenset([reason for reason, sentence in _SENTENCES.items() if sentence in text])


def with_acknowledgement(xml: bytes, said: Observation) -> bytes:
    """An order's own bytes with the rail's answer first (helved §1.2, §5.1); well-formed however damaged the echo was."""
    texts = dict(said.others) | {"kodeMelding": said.code, "alvorlighetsgrad": said.raw_severity, "beskrMelding": said.text}
    leaves = "".join(f"\n        <{name}>{escape(texts[name])}</{name}>" for name in LEAVES if texts.get(name))
    mmel = f"\n    <mmel>{leaves}\n    </mmel>".encode()
    head, separator, rest = xml.partition(FORWARDED_ROOT)
    if not separator:
        head, separator, rest = xml.partition(_END_OF_ROOT_TAG)
    return head + separator + mmel + rest


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
    text = text_of(body)
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


def text_of(body: bytes) -> str:
    """The document that the bytes are, whatever encoding they claim, without its declaration and what pads it."""
    return _without_declaration(_text(body))


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
