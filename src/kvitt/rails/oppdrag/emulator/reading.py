"""Bytes to an order: a parser that opens nothing and expands nothing, and the rail's own schemas.

Source: helved §5.1, iverksetting §7.1; rapid §3.1 for the form without a namespace.
"""

import re
import threading
from collections.abc import Callable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files

from lxml import etree
from msgspec import Struct

from kvitt.rails.oppdrag.emulator.order import (
    CaseAtRail,
    ChangeCode,
    ReceivedHoldBack,
    ReceivedLine,
    ReceivedOrder,
)

NAMESPACE = "http://www.trygdeetaten.no/skjema/oppdrag"
LARGEST_ORDER_BYTES = 8_000_000
PLAIN_ROOT = "Oppdrag"
PLAIN_AREAS = ("SP", "SPREF")
"""Areas whose orders come in the older form only: the rail fails on a root with a namespace there (rapid §3.1)."""


class Invalid(Struct, frozen=True):
    """Well-formed and meant as an order, but not valid: it is echoed with a rejection."""

    problem: str


class Garbled(Struct, frozen=True):
    """Begins as an order but is not well-formed: answered, but it can't be echoed."""

    problem: str


class Unreadable(Struct, frozen=True):
    """Nothing that an order could be: not answered at all."""

    problem: str


ParsedOrder = ReceivedOrder | Invalid | Garbled | Unreadable

# Atomic and possessive, so that no prolog, however long and odd, is looked at twice.
_PROLOG = rb"(?:\xef\xbb\xbf)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+"
_ATTRIBUTE = rb"""\s+[^\s=<>/"']+\s*=\s*(?:"[^"<]*"|'[^'<]*')"""
ROOT_START = re.compile(_PROLOG + rb"<(?:[A-Za-z_][\w.\-]*:)?oppdrag(?>" + _ATTRIBUTE + rb")*+\s*>", re.IGNORECASE | re.DOTALL)
"""An order from its first byte to the end of its root's start tag."""


def _schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring((files("kvitt.rails.oppdrag.emulator") / name).read_bytes()))


_SCHEMA = _schema("oppdrag.xsd")
_PLAIN_SCHEMA = _schema("oppdrag_plain.xsd")
_VALIDATING = threading.Lock()
"""A schema keeps the problems of its last validation on itself."""


def read(body: bytes) -> ParsedOrder:
    """The order in `body`, or why it is none; never raises, whatever the bytes."""
    if len(body) > LARGEST_ORDER_BYTES:
        return Unreadable(f"{len(body)} bytes is more than {LARGEST_ORDER_BYTES}")
    if b"<!DOCTYPE" in body:
        return Unreadable("a document type is not allowed")
    if ROOT_START.match(body) is None:
        return Unreadable("no order begins here")
    try:
        root = etree.fromstring(body, safe_parser())
    except etree.XMLSyntaxError as error:
        return Garbled(str(error.msg))
    if root.nsmap and (root.findtext("{*}oppdrag-110/{*}kodeFagomraade") or "").strip() in PLAIN_AREAS:
        return Garbled("Namespace på rotelementet støttes ikke")
    schema = _PLAIN_SCHEMA if root.tag == PLAIN_ROOT else _SCHEMA
    try:
        with _VALIDATING:
            schema.assertValid(root)
    except etree.DocumentInvalid as error:
        return Invalid(str(error))
    return _order(root[0])


def safe_parser() -> etree.XMLParser:
    """A parser that opens nothing and expands nothing."""
    # The encoding is fixed so that a declaration can't hide a document type from the look at the bytes.
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )


def _order(order: etree._Element) -> ReceivedOrder:
    text, key = _texts(order), _texts_of(order, "avstemming-115")
    return ReceivedOrder(
        CaseAtRail(text.get("kodeFagomraade", ""), text.get("fagsystemId", "")),
        text["kodeAksjon"],
        ChangeCode(text["kodeEndring"]),
        text["oppdragGjelderId"],
        tuple(_hold_back(_texts(element)) for element in order.iterchildren("avvent-118")),
        tuple(_line(element) for element in order.iterchildren("oppdrags-linje-150")),
        key.get("kodeKomponent", ""),
        key.get("nokkelAvstemming", ""),
        key.get("tidspktMelding", ""),
    )


def _hold_back(text: dict[str, str]) -> ReceivedHoldBack:
    return ReceivedHoldBack(
        _date(text.get("datoAvventFom")), _date(text.get("datoAvventTom")), _date(text.get("datoOverfores")), text.get("feilreg") == "J"
    )


def _line(line: etree._Element) -> ReceivedLine:
    return line_of(
        _texts(line),
        _date,
        decided_rate=_decided_rate(_texts_of(line, "vedtakssats-157").get("vedtakssats")),
        refunded=_texts_of(line, "refusjonsinfo-156").get("refunderesId", ""),
        grade=_grade(_texts_of(line, "grad-170").get("grad")),
    )


def line_of(
    text: Mapping[str, str],
    day_of: Callable[[str | None], date | None],
    *,
    decided_rate: int | None,
    refunded: str,
    grade: int | None,
) -> ReceivedLine:
    """The line that its own texts and those below it say, as orders and questions have them; `day_of` reads a day, and None of none."""
    sign = -1 if text["fradragTillegg"] == "F" else 1
    starts = day_of(text["datoVedtakFom"])
    assert starts is not None, "a line needs datoVedtakFom"
    return ReceivedLine(
        change=ChangeCode(text["kodeEndringLinje"]),
        status=text.get("kodeStatusLinje", ""),
        status_from=day_of(text.get("datoStatusFom")),
        line_id=text.get("delytelseId", ""),
        class_code=text["kodeKlassifik"],
        class_from=day_of(text.get("datoKlassifikFom")),
        starts=starts,
        ends=day_of(text.get("datoVedtakTom")),
        amount=sign * whole_kroner(text["sats"]),
        rate_code=text["typeSats"],
        decided_rate=decided_rate,
        ref_case=text.get("refFagsystemId", ""),
        ref_line=text.get("refDelytelseId", ""),
        payee=refunded or text.get("utbetalesTilId", ""),
        grade=grade,
    )


def _texts(element: etree._Element) -> dict[str, str]:
    """The texts of the leaves right below the element, trimmed; the first of a name counts."""
    found: dict[str, str] = {}
    for child in element:
        if len(child) == 0:
            found.setdefault(str(child.tag), (child.text or "").strip())
    return found


def _texts_of(element: etree._Element, name: str) -> dict[str, str]:
    """The texts of the first element of that name right below."""
    found = next(element.iterchildren(name), None)
    return {} if found is None else _texts(found)


def _grade(text: str | None) -> int | None:
    return None if text is None else int(text)


def _decided_rate(text: str | None) -> int | None:
    return None if text is None else whole_kroner(text)


def whole_kroner(text: str) -> int:
    """Whole kroner; the rail rounds what has decimals (iverksetting §1.11)."""
    return int(Decimal(text).quantize(Decimal(1), ROUND_HALF_UP))


def _date(text: str | None) -> date | None:
    """The day of an xs:date; the zone offset behind it says nothing about the day."""
    return None if text is None else date.fromisoformat(text[:10])
