"""An order as the XML that the rail takes, to the byte as the contract shows it.

The text is one template, because that is several times as fast as building a tree (helved §5.1). The schema that guards
the way out is kvitt's own, written from the contract's element tables (iverksetting §7.1).
"""

import re
from binascii import b2a_base64
from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from importlib import resources
from itertools import count
from typing import Final

from lxml import etree

from kvitt.disbursement.values import (
    HoldBack,
    HoldBackCause,
    LineId,
    Order,
    OrderLine,
    RateType,
)
from kvitt.errors import InvalidOrderMessage
from kvitt.formats.schema_pattern import pattern_of
from kvitt.formats.times import date_with_offset
from kvitt.formats.xml_reading import parse

NAMESPACE: Final = "http://www.trygdeetaten.no/skjema/oppdrag"
OWN_OFFICE: Final = "8020"
RATE_CODES: Final = {RateType.DAY: "DAG7", RateType.WEEKDAY: "DAG", RateType.MONTH: "MND", RateType.ONE_OFF: "ENG"}
"""What the rail calls a rate type (`typeSats`)."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_LINE_ID_LIMIT = 30
CAUSE = {HoldBackCause.SETTLEMENT.value: "AVAV", HoldBackCause.REIMBURSEMENT.value: "AVRK"}
_TEXT: Final = (resources.files("kvitt.rails.oppdrag") / "xsd" / "oppdrag.xsd").read_bytes()
_SCHEMA = etree.XMLSchema(etree.XML(_TEXT))
_OF_SEVERAL: Final = b"""
  <xs:element name="several">
    <xs:complexType><xs:sequence><xs:element ref="o:oppdrag" maxOccurs="unbounded"/></xs:sequence></xs:complexType>
  </xs:element>
</xs:schema>"""
_SCHEMA_OF_SEVERAL = etree.XMLSchema(etree.XML(_TEXT.replace(b"</xs:schema>", _OF_SEVERAL)))
_MOST_BYTES: Final = 1_000_000
"""So much is validated at once, or a single order that is longer."""
sampled_every = 64
"""Of so many messages that are known to be valid, one is read all the same."""
_numbers = count()
_SPECIAL = re.compile("[&<>\r]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def encode(order: Order) -> bytes:
    """The order's XML, UTF-8. Raises ValueError when a line id is too long; other limits are the schema's. Source: helved §5.1."""
    area, case_id, person, caseworker = escaped(order.area), escaped(order.case_id), escaped(order.person), escaped(order.caseworker)
    lines = "".join([_line(line, case_id, person) for line in order.lines])
    # An order without lines corrects a hold-back: it has neither a key of reconciliation nor an office (iverksetting §3.7).
    key, offices = (_key(order, area), _offices(order.office)) if order.lines else ("", "")
    return f"""\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:oppdrag xmlns:ns2="{NAMESPACE}">
    <oppdrag-110>
        <kodeAksjon>1</kodeAksjon>
        <kodeEndring>{"NY" if order.is_first_order else "ENDR"}</kodeEndring>
        <kodeFagomraade>{area}</kodeFagomraade>
        <fagsystemId>{case_id}</fagsystemId>
        <utbetFrekvens>{escaped(order.frequency)}</utbetFrekvens>
        <oppdragGjelderId>{person}</oppdragGjelderId>
        <datoOppdragGjelderFom>2000-01-01+01:00</datoOppdragGjelderFom>
        <saksbehId>{caseworker}</saksbehId>
{key}{_held(order.hold_back) if order.hold_back else ""}{offices}{lines}    </oppdrag-110>
</ns2:oppdrag>""".encode()


def _key(order: Order, area: str) -> str:
    return f"""\
        <avstemming-115>
            <kodeKomponent>{area}</kodeKomponent>
            <nokkelAvstemming>{order.made_at.date().isoformat()}-10.10.00.000000</nokkelAvstemming>
            <tidspktMelding>{correlation_time(order)}</tidspktMelding>
        </avstemming-115>
"""


def correlation_time(order: Order) -> str:
    """`tidspktMelding`: when the order was made, to the microsecond; the rail echoes it in the receipt."""
    return _moment_text(order.made_at)


@lru_cache(maxsize=64)
def _moment_text(at: datetime) -> str:
    """Orders of a batch are made at one moment."""
    made = at.isoformat(timespec="microseconds")
    return f"{made[:10]}-{made[11:13]}.{made[14:16]}.{made[17:26]}"


def encode_line_id(line_id: LineId) -> str:
    """Base64 of the sixteen bytes of a UUID, because the rail allows 30 characters; any other text as it is. Source: helved §2.2.

    Raises ValueError with the contract's text when such a text is longer than 30.
    """
    if _UUID.fullmatch(line_id):
        return b2a_base64(bytes.fromhex(line_id.replace("-", "")), newline=False).decode()
    if len(line_id) > _LINE_ID_LIMIT:
        raise ValueError("gammelt format av periodeid er over 30 tegn.")
    return line_id


def validate(xml: bytes) -> None:
    """Raises InvalidOrderMessage unless the schema takes the XML; its message names elements and rules, never content."""
    try:
        root = parse(xml)
    except etree.XMLSyntaxError:
        raise InvalidOrderMessage("not well-formed XML") from None
    except ValueError as error:
        raise InvalidOrderMessage(str(error)) from None
    if not _SCHEMA.validate(root):
        first = next(iter(_SCHEMA.error_log))  # type: ignore[call-overload]  # the stubs do not know that the log has entries
        raise InvalidOrderMessage(f"{first.path} breaks {first.type_name}")


def validate_all(messages: Sequence[bytes]) -> None:
    """Raises InvalidOrderMessage, as `validate`, unless the schema takes every one.

    Most are seen to be valid by the schema's pattern alone; the schema itself is asked about the others, and about a sample.
    """
    fits = _pattern().fullmatch
    _validate_read([each for number, each in enumerate(messages, next(_numbers)) if number % sampled_every == 0 or not fits(each)])


@cache
def _pattern() -> re.Pattern[bytes]:
    """Made when it is needed first: it takes a tenth of a second."""
    return pattern_of(_TEXT, "oppdrag", "ns2")


def _validate_read(messages: Sequence[bytes]) -> None:
    """While XML is read other threads go on, and each time its own has to wait for its turn; so it is better read once."""
    gathered: list[bytes] = []
    size = 0
    for each in messages:
        if gathered and size + len(each) > _MOST_BYTES:
            _validate_at_once(gathered)
            gathered, size = [], 0
        gathered.append(each)
        size += len(each)
    _validate_at_once(gathered)


def _validate_at_once(messages: Sequence[bytes]) -> None:
    if len(messages) > 1:
        bodies = b"".join([each.partition(b"?>")[2] for each in messages])
        try:
            root = parse(b'<o:several xmlns:o="%b">%b</o:several>' % (NAMESPACE.encode(), bodies))
        except (etree.XMLSyntaxError, ValueError):
            root = None
        if root is not None and len(root) == len(messages) and _SCHEMA_OF_SEVERAL.validate(root):
            return
    for each in messages:
        validate(each)


def _line(line: OrderLine, case_id: str, person: str) -> str:
    line_id = escaped(encode_line_id(line.line_id))
    start = date_with_offset(line.start)
    return f"""\
        <oppdrags-linje-150>
            <kodeEndringLinje>{_change(line)}
            <vedtakId>{escaped(line.decided_on)}</vedtakId>
            <delytelseId>{line_id}</delytelseId>
            <kodeKlassifik>{escaped(line.class_code)}</kodeKlassifik>
            <datoKlassifikFom>{start}</datoKlassifikFom>
            <datoVedtakFom>{start}</datoVedtakFom>
            <datoVedtakTom>{date_with_offset(line.end)}</datoVedtakTom>
            <sats>{line.amount}</sats>
            <fradragTillegg>T</fradragTillegg>
            <typeSats>{RATE_CODES[line.rate_type]}</typeSats>
            <brukKjoreplan>N</brukKjoreplan>
            <saksbehId>{escaped(line.caseworker)}</saksbehId>
            <utbetalesTilId>{person}</utbetalesTilId>
            <henvisning>{escaped(line.decision_id)}</henvisning>
{_reference(line, case_id)}{_rate(line)}            <attestant-180>
                <attestantId>{escaped(line.approver)}</attestantId>
            </attestant-180>
        </oppdrags-linje-150>
"""


def _change(line: OrderLine) -> str:
    """Returns what a line does, from the content of its first element on: a new line, or the end of one as it was sent."""
    if line.ceased_from is None:
        return "NY</kodeEndringLinje>"
    return f"""\
ENDR</kodeEndringLinje>
            <kodeStatusLinje>OPPH</kodeStatusLinje>
            <datoStatusFom>{date_with_offset(line.ceased_from)}</datoStatusFom>"""


def _reference(line: OrderLine, case_id: str) -> str:
    """The line before in the chain; a cessation changes a line that has its reference already, so it never carries one."""
    if line.refers_to is None or line.ceased_from is not None:
        return ""
    return f"""\
            <refFagsystemId>{case_id}</refFagsystemId>
            <refDelytelseId>{escaped(encode_line_id(line.refers_to))}</refDelytelseId>
"""


def _rate(line: OrderLine) -> str:
    if line.decided_rate is None:
        return ""
    return f"""\
            <vedtakssats-157>
                <vedtakssats>{line.decided_rate}</vedtakssats>
            </vedtakssats-157>
"""


def _offices(office: str | None) -> str:
    """The paying office; where it is not our own, ours is named as the handling one."""
    if office is None:
        return _office("BOS", OWN_OFFICE)
    return _office("BOS", escaped(office)) + _office("BEH", OWN_OFFICE)


def _office(kind: str, number: str) -> str:
    return f"""\
        <oppdrags-enhet-120>
            <typeEnhet>{kind}</typeEnhet>
            <enhet>{number}</enhet>
            <datoEnhetFom>1970-01-01+01:00</datoEnhetFom>
        </oppdrags-enhet-120>
"""


def _held(held: HoldBack) -> str:
    cause = f"            <kodeArsak>{CAUSE[held.cause]}</kodeArsak>\n" if held.cause else ""
    transferred = f"            <datoOverfores>{date_with_offset(held.transferred_on)}</datoOverfores>\n" if held.transferred_on else ""
    return f"""\
        <avvent-118>
            <datoAvventFom>{date_with_offset(held.start)}</datoAvventFom>
            <datoAvventTom>{date_with_offset(held.end)}</datoAvventTom>
{cause}{transferred}            <feilreg>{"J" if held.registered_by_mistake else "N"}</feilreg>
        </avvent-118>
"""


def escaped(text: str) -> str:
    """The text as content of an element."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text
