"""An order as the XML that the rail takes, to the byte as the contract shows it, and as a question to its simulation.

The text is one template, because that is several times as fast as building a tree (helved §5.1, §5.2). The schema that guards
the way out is kvitt's own, written from the contract's element tables (iverksetting §7.1).
"""

import re
from binascii import b2a_base64
from importlib import resources
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
from kvitt.formats.times import date_with_offset
from kvitt.formats.xml_reading import parse

NAMESPACE: Final = "http://www.trygdeetaten.no/skjema/oppdrag"
SIMULATION_NAMESPACE: Final = "http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt"
SIMULATED_NAMESPACE: Final = "http://nav.no/system/os/entiteter/oppdragSkjema"
OWN_OFFICE: Final = "8020"
RATE_CODES: Final = {RateType.DAY: "DAG7", RateType.WEEKDAY: "DAG", RateType.MONTH: "MND", RateType.ONE_OFF: "ENG"}
"""What the rail calls a rate type (`typeSats`)."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_LINE_ID_LIMIT = 30
CAUSE = {HoldBackCause.SETTLEMENT.value: "AVAV", HoldBackCause.REIMBURSEMENT.value: "AVRK"}
_SCHEMA = etree.XMLSchema(etree.XML((resources.files("kvitt.rails.oppdrag") / "xsd" / "oppdrag.xsd").read_bytes()))
_SPECIAL = re.compile("[&<>\r]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def encode(order: Order) -> bytes:
    """The order's XML, UTF-8. Raises ValueError when a line id is too long; other limits are the schema's. Source: helved §5.1."""
    area, case_id, person, caseworker = _text(order.area), _text(order.case_id), _text(order.person), _text(order.caseworker)
    lines = "".join([_line(line, case_id, person) for line in order.lines])
    return f"""\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:oppdrag xmlns:ns2="{NAMESPACE}">
    <oppdrag-110>
        <kodeAksjon>1</kodeAksjon>
        <kodeEndring>{"NY" if order.is_first_order else "ENDR"}</kodeEndring>
        <kodeFagomraade>{area}</kodeFagomraade>
        <fagsystemId>{case_id}</fagsystemId>
        <utbetFrekvens>{_text(order.frequency)}</utbetFrekvens>
        <oppdragGjelderId>{person}</oppdragGjelderId>
        <datoOppdragGjelderFom>2000-01-01+01:00</datoOppdragGjelderFom>
        <saksbehId>{caseworker}</saksbehId>
        <avstemming-115>
            <kodeKomponent>{area}</kodeKomponent>
            <nokkelAvstemming>{order.made_at.date().isoformat()}-10.10.00.000000</nokkelAvstemming>
            <tidspktMelding>{correlation_time(order)}</tidspktMelding>
        </avstemming-115>
{_held(order.hold_back) if order.hold_back else ""}{_offices(order.office)}{lines}    </oppdrag-110>
</ns2:oppdrag>""".encode()


def correlation_time(order: Order) -> str:
    """`tidspktMelding`: when the order was made, to the microsecond; the rail echoes it in the receipt."""
    made = order.made_at.isoformat(timespec="microseconds")
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


def encode_simulation(order: Order) -> bytes:
    """The order as a simulation request, to be put into a SOAP body. Raises ValueError like `encode`. Source: helved §5.2.

    Made from the same order, so what is simulated is what would be sent; what the rail's simulation does not know is left out.
    """
    case_id, person = _text(order.case_id), _text(order.person)
    offices = [("BOS", order.office or OWN_OFFICE)] + ([("BEH", OWN_OFFICE)] if order.office else [])
    return f"""\
<ns3:simulerBeregningRequest xmlns:ns2="{SIMULATED_NAMESPACE}" xmlns:ns3="{SIMULATION_NAMESPACE}">
  <request><oppdrag>
    <kodeEndring>{"NY" if order.is_first_order else "ENDR"}</kodeEndring><kodeFagomraade>{_text(order.area)}</kodeFagomraade>\
<fagsystemId>{case_id}</fagsystemId><utbetFrekvens>{_text(order.frequency)}</utbetFrekvens>\
<oppdragGjelderId>{person}</oppdragGjelderId><datoOppdragGjelderFom>2000-01-01</datoOppdragGjelderFom>\
<saksbehId>{_text(order.caseworker)}</saksbehId>
{"".join([_simulated_office(kind, _text(number)) for kind, number in offices])}\
{"".join([_simulated_line(line, case_id, person) for line in order.lines])}  </oppdrag></request>
</ns3:simulerBeregningRequest>""".encode()


def _line(line: OrderLine, case_id: str, person: str) -> str:
    line_id = _text(encode_line_id(line.line_id))
    start = date_with_offset(line.start)
    return f"""\
        <oppdrags-linje-150>
            <kodeEndringLinje>{_change(line)}
            <vedtakId>{_text(line.decided_on)}</vedtakId>
            <delytelseId>{line_id}</delytelseId>
            <kodeKlassifik>{_text(line.class_code)}</kodeKlassifik>
            <datoKlassifikFom>{start}</datoKlassifikFom>
            <datoVedtakFom>{start}</datoVedtakFom>
            <datoVedtakTom>{date_with_offset(line.end)}</datoVedtakTom>
            <sats>{line.amount}</sats>
            <fradragTillegg>T</fradragTillegg>
            <typeSats>{RATE_CODES[line.rate_type]}</typeSats>
            <brukKjoreplan>N</brukKjoreplan>
            <saksbehId>{_text(line.caseworker)}</saksbehId>
            <utbetalesTilId>{person}</utbetalesTilId>
            <henvisning>{_text(line.decision_id)}</henvisning>
{_reference(line, case_id)}{_rate(line)}            <attestant-180>
                <attestantId>{_text(line.approver)}</attestantId>
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
            <refDelytelseId>{_text(encode_line_id(line.refers_to))}</refDelytelseId>
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
    return _office("BOS", _text(office)) + _office("BEH", OWN_OFFICE)


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


def _simulated_office(kind: str, number: str) -> str:
    return f"    <ns2:enhet><typeEnhet>{kind}</typeEnhet><enhet>{number}</enhet><datoEnhetFom>1970-01-01</datoEnhetFom></ns2:enhet>\n"


def _simulated_line(line: OrderLine, case_id: str, person: str) -> str:
    ceased, refers_to = line.ceased_from, line.refers_to if line.ceased_from is None else None
    change = f"ENDR</kodeEndringLinje><kodeStatusLinje>OPPH</kodeStatusLinje><datoStatusFom>{ceased}</datoStatusFom>"
    reference = (
        f"<refFagsystemId>{case_id}</refFagsystemId><refDelytelseId>{_text(encode_line_id(refers_to))}</refDelytelseId>"
        if refers_to is not None
        else ""
    )
    return f"""\
    <oppdragslinje>
      <kodeEndringLinje>{change if ceased else "NY</kodeEndringLinje>"}\
<delytelseId>{_text(encode_line_id(line.line_id))}</delytelseId><kodeKlassifik>{_text(line.class_code)}</kodeKlassifik>\
<datoKlassifikFom>{line.start}</datoKlassifikFom><datoVedtakFom>{line.start}</datoVedtakFom>\
<datoVedtakTom>{line.end}</datoVedtakTom><sats>{line.amount}</sats>
      <fradragTillegg>T</fradragTillegg><typeSats>{RATE_CODES[line.rate_type]}</typeSats><brukKjoreplan>N</brukKjoreplan>\
<saksbehId>{_text(line.caseworker)}</saksbehId><utbetalesTilId>{person}</utbetalesTilId>{reference}
      <ns2:attestant><attestantId>{_text(line.approver)}</attestantId></ns2:attestant>
    </oppdragslinje>
"""


def _text(text: str) -> str:
    """Escaped content of an element."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text
