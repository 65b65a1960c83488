"""What the pattern of the orders' schema matches is valid by the schema itself, so that it need not be asked about each order."""

import re
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kvitt.disbursement.values import Order
from kvitt.errors import InvalidOrderMessage
from kvitt.formats.schema_pattern import pattern_of
from kvitt.rails.oppdrag import order_xml
from support.tried import tried
from support.wire_values import orders
from unit.test_wire_order_xml import CONTRACT, NO_ORDERS

TEXT = (resources.files("kvitt.rails.oppdrag") / "xsd" / "oppdrag.xsd").read_bytes()
TREE = etree.XML(TEXT)
XS = "{http://www.w3.org/2001/XMLSchema}"
PATTERN = pattern_of(TEXT, "oppdrag", "o")
TYPES = [*(f"o:{each.get('name')}" for each in TREE if each.tag == f"{XS}simpleType"), "xs:string", "xs:date"]
TEXTS = [
    *(
        "",
        " ",
        "1",
        "3",
        "A",
        "J",
        "T",
        "00",
        "NY",
        "ENDR",
        "OPPH",
        "DAG",
        "FAKT",
        "NOK",
        "0220",
        "+1",
        "-1",
        "01",
        "0.5",
        ".5",
        "5.",
        "1e3",
    ),
    *("9" * digits for digits in (2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 20)),
    *("x" * length for length in (3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 26, 27, 30, 31, 40, 41, 50, 51)),
    *("2024-02-29+01:00", "2025-02-29+01:00", "2025-04-31+02:00", "2025-12-31+01:00", "2025-13-01+01:00", "2025-00-10+01:00"),
    *("2025-06-02", "2025-06-02Z", "2025-06-02+2:00", "2025-06-02-02:00", "2025-06-02+02:60", "0000-01-01+01:00", "25-06-02+01:00"),
    *("x\ty", "\n", "a&amp;b", "a&b", "<b/>", "a]]>b", "æ", "\x7f", "\u2028"),
]
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


class Probe:
    """The schema with one more element, `root`, of a type."""

    def __init__(self, kind: str) -> None:
        text = TEXT.replace(b"</xs:schema>", f'<xs:element name="root" type="{kind}"/></xs:schema>'.encode())
        self._schema, self._pattern = etree.XMLSchema(etree.XML(text)), pattern_of(text, "root", "o")

    def asked(self, content: str) -> tuple[bool, bool]:
        """Whether the pattern matches what has this content, and whether the schema takes it."""
        xml = f'{HEAD}<o:root xmlns:o="{order_xml.NAMESPACE}">{content}</o:root>'.encode()
        return bool(self._pattern.fullmatch(xml)), self._takes(xml)

    def _takes(self, xml: bytes) -> bool:
        try:
            return self._schema.validate(etree.fromstring(xml))
        except etree.XMLSyntaxError:
            return False


PROBES = {kind: Probe(kind) for kind in TYPES}
GOOD = {kind: [text for text in TEXTS if probe.asked(text) == (True, True)] for kind, probe in PROBES.items()}


@pytest.mark.parametrize("kind", TYPES)
def test_a_text_that_the_pattern_matches_is_one_that_the_schema_takes(kind: str) -> None:
    found = [PROBES[kind].asked(text) for text in TEXTS]
    assert (True, False) not in found
    assert (False, False) in found, "some texts are no such type's"


@pytest.mark.parametrize("kind", TYPES)
def test_plain_texts_of_each_type_match(kind: str) -> None:
    assert GOOD[kind]


def parts(sequence: etree._Element) -> Iterator[etree._Element]:
    """The elements of a sequence, those of its groups in their places."""
    for each in sequence:
        name = each.get("ref", "").removeprefix("o:")
        yield from parts(TREE.find(f"{XS}group[@name='{name}']")[0]) if name else [each]  # type: ignore[index]


def whole(element: etree._Element) -> str:
    """An element with everything in it that the pattern knows, once."""
    kind, name = element.get("type"), element.get("name")
    if kind in GOOD:
        return f"<{name}>{GOOD[kind][0]}</{name}>"
    named = TREE.find(f"{XS}complexType[@name='{(kind or '').removeprefix('o:')}']")
    within = (element[0] if named is None else named)[0]
    return f"<{name}>{''.join(whole(each) for each in parts(within))}</{name}>"


def without_each(xml: str) -> Iterator[str]:
    """The document without one of its elements, with one twice, and with one behind its neighbour, in turn."""
    places = [(found.start(), found.end()) for found in re.finditer(r"<([\w-]+)>[^<]*</\1>", xml)]
    for start, end in places:
        yield xml[:start] + xml[end:]
        yield xml[:end] + xml[start:]
    for (start, end), (_, last) in pairwise(places):
        yield xml[:start] + xml[end:last] + xml[start:end] + xml[last:]


def test_elements_that_the_pattern_matches_are_those_that_the_schema_takes() -> None:
    order = whole(TREE[0]).removeprefix("<oppdrag>").removesuffix("</oppdrag>")
    full = f'{HEAD}<o:oppdrag xmlns:o="{order_xml.NAMESPACE}">{order}</o:oppdrag>'
    assert is_valid(full.encode())
    assert PATTERN.fullmatch(full.encode())
    different = [each.encode() for each in without_each(full)]
    assert [bool(PATTERN.fullmatch(each)) for each in different] == [is_valid(each) for each in different]
    assert {is_valid(each) for each in different} == {True, False}


def is_valid(message: bytes) -> bool:
    try:
        order_xml.validate(message)
    except InvalidOrderMessage:
        return False
    return True


OF_ORDERS = pattern_of(TEXT, "oppdrag", "ns2")


def changed(message: bytes, place: int, into: bytes) -> bytes:
    """The message with some bytes in the place of one."""
    place %= len(message)
    return message[:place] + into + message[place + 1 :]


MARKS = [b"", b" ", b"\n", b"\t", b"<", b">", b"&", b"&lt;", b"\0", b"-", b"0", b"9", b"A", b"NY", b"\xc3\xa6", b"x" * 31]


@tried(300)
@given(orders.map(order_xml.encode), st.lists(st.tuples(st.integers(0), st.sampled_from(MARKS)), max_size=2))
def test_what_the_schemas_pattern_matches_is_valid(message: bytes, changes: list[tuple[int, bytes]]) -> None:
    for place, into in changes:
        message = changed(message, place, into)
    if OF_ORDERS.fullmatch(message):
        order_xml.validate(message)


@tried(100)
@given(orders)
def test_an_order_without_marks_and_letters_of_its_own_matches_the_schemas_pattern(order: Order) -> None:
    text = order_xml.encode(order).decode()
    plain = re.sub("&[a-z]+;", "+", text).translate({ord(each): "o" for each in "æøåÆØÅ"})
    assert OF_ORDERS.fullmatch(plain.encode())


@pytest.mark.parametrize("xml", NO_ORDERS)
def test_what_is_no_order_does_not_match_the_schemas_pattern(xml: bytes) -> None:
    assert not OF_ORDERS.fullmatch(xml)


def test_of_orders_that_are_known_to_be_valid_the_schema_reads_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(order_xml, "_validate_read", read.extend)
    monkeypatch.setattr(order_xml, "sampled_every", 10)
    good, marked, bad = CONTRACT.encode(), CONTRACT.replace("BEH-B", "&amp;").encode(), NO_ORDERS[4]
    order_xml.validate_all([good] * 100)
    assert read == [good] * 10
    order_xml.validate_all([good, marked, bad])
    assert read[10:] in ([marked, bad], [good, marked, bad])
