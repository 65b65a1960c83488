"""An order as a question to the rail's simulation, and the SOAP envelope that it travels in.

One form for all contracts, in the order of elements that the published schema has (helved §5.2, rapid §5.3, design §12). The schema that
guards the way out is kvitt's own, written from the contract's element tables (iverksetting §7.4).
"""

from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from lxml import etree

from kvitt.disbursement.values import ForwardedOrder, LineChange, Order, OrderLine
from kvitt.errors import InvalidOrderMessage, TooManyToSimulate
from kvitt.formats.xml_reading import parse
from kvitt.rails.oppdrag.order_xml import OWN_OFFICE, RATE_CODES, encode_line_id, escaped

SERVICE: Final = "http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt"
ENTITIES: Final = "http://nav.no/system/os/entiteter/oppdragSkjema"
ACTION: Final = f"{SERVICE}/simulerFpService/simulerBeregning"
SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
SECURITY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
MOST_LINES: Final = 1400
_LONGEST_NAME: Final = 8
_PERSON_AREA: Final = "SP"
_XSD = Path(str(resources.files("kvitt.rails.oppdrag"))) / "xsd" / "simulation.xsd"


@cache
def _schema() -> etree.XMLSchema:
    """The schema, read when it is first needed: most processes never write such a message."""
    return etree.XMLSchema(etree.parse(_XSD))


def encode_simulation(order: Order) -> bytes:
    """The order as a question, in ASCII, made from the same lines that it would leave with; byte by byte the same for the same order.

    Raises TooManyToSimulate, InvalidOrderMessage, and ValueError when a line id is too long. What the rail's simulation does not know
    (hold-backs, decisions, decided rates) is left out, and so are lines that change nothing. Names are cut, because it takes only eight
    characters of them.
    """
    lines = [line for line in order.lines if line.forwarded is None or line.forwarded.change is not LineChange.NONE]
    if len(lines) > MOST_LINES:
        raise TooManyToSimulate(f"the order has {len(lines)} lines, and the rail simulates at most {MOST_LINES}")
    question = f"""\
<ns3:simulerBeregningRequest xmlns:ns2="{ENTITIES}" xmlns:ns3="{SERVICE}">
  <request><oppdrag>
    <kodeEndring>{_change_of(order)}</kodeEndring><kodeFagomraade>{escaped(order.area)}</kodeFagomraade>\
<fagsystemId>{escaped(order.case_id)}</fagsystemId><utbetFrekvens>{escaped(order.frequency)}</utbetFrekvens>\
<oppdragGjelderId>{escaped(order.person)}</oppdragGjelderId>\
<datoOppdragGjelderFom>{"1970-01-01" if order.forwarded else "2000-01-01"}</datoOppdragGjelderFom>\
<saksbehId>{_name(order.caseworker)}</saksbehId>
{_offices(order.office)}{"".join([_line(line, order) for line in lines])}\
  </oppdrag>{_span(lines)}</request>
</ns3:simulerBeregningRequest>""".encode("ascii", "xmlcharrefreplace")
    _validate(question)
    return question


def envelope(question: bytes, *, to: str, message_id: str, assertion: bytes = b"") -> bytes:
    """The SOAP message with a question; `assertion` is the SAML assertion as it was obtained, if the rail wants one (helved §4.9)."""
    security = b""
    if assertion:
        security = b'<wsse:Security xmlns:wsse="%b" soap:mustUnderstand="1">%b</wsse:Security>' % (SECURITY.encode(), assertion)
    head = f"""\
<soap:Envelope xmlns:soap="{SOAP}"><soap:Header>\
<Action xmlns="{ADDRESSING}">{ACTION}</Action><MessageID xmlns="{ADDRESSING}">urn:uuid:{message_id}</MessageID>\
<To xmlns="{ADDRESSING}">{escaped(to)}</To><ReplyTo xmlns="{ADDRESSING}"><Address>{ADDRESSING}/anonymous</Address></ReplyTo>""".encode()
    return head + security + b"</soap:Header><soap:Body>" + question + b"</soap:Body></soap:Envelope>"


def _validate(question: bytes) -> None:
    """Raises InvalidOrderMessage unless our schema takes it; the message names elements and rules, never content."""
    try:
        root = parse(question)
    except (etree.XMLSyntaxError, ValueError):
        raise InvalidOrderMessage("the question is not well-formed XML") from None
    if not _schema().validate(root):
        first = next(iter(_schema().error_log))  # type: ignore[call-overload]  # the stubs do not know that the log has entries
        raise InvalidOrderMessage(f"{first.path} breaks {first.type_name}")


def _change_of(order: Order) -> str:
    if order.forwarded:
        return order.forwarded.change.value
    return "NY" if order.is_first_order else "ENDR"


def _span(lines: Sequence[OrderLine]) -> str:
    """All days of the lines; without them the rail may answer for the first month alone."""
    if not lines:
        return "<simuleringsPeriode/>"
    first, last = min(line.start for line in lines), max(line.end for line in lines)
    return f"<simuleringsPeriode>{_leaf('datoSimulerFom', first)}{_leaf('datoSimulerTom', last)}</simuleringsPeriode>"


def _offices(office: str | None) -> str:
    """The paying office; where it is not our own, ours is named as the handling one."""
    named = [("BOS", office or OWN_OFFICE)] + ([("BEH", OWN_OFFICE)] if office else [])
    return "".join(
        [
            f"    <ns2:enhet>{_leaf('typeEnhet', kind)}{_leaf('enhet', number)}{_leaf('datoEnhetFom', '1970-01-01')}</ns2:enhet>\n"
            for kind, number in named
        ]
    )


def _line(line: OrderLine, order: Order) -> str:
    return f"""\
    <oppdragslinje>
      {_change(line)}{_leaf("kodeKlassifik", line.class_code)}{"" if line.forwarded else _leaf("datoKlassifikFom", line.start)}\
{_leaf("datoVedtakFom", line.start)}{_leaf("datoVedtakTom", line.end)}<sats>{line.amount}</sats>
      <fradragTillegg>T</fradragTillegg><typeSats>{RATE_CODES[line.rate_type]}</typeSats><brukKjoreplan>N</brukKjoreplan>\
<saksbehId>{_name(line.caseworker)}</saksbehId>{_recipient(line, order)}
      <ns2:attestant><attestantId>{_name(line.approver)}</attestantId></ns2:attestant>
    </oppdragslinje>
"""


def _change(line: OrderLine) -> str:
    """The line's change, down to its id. A sender's own line is ceased by a date alone (rapid §5.1)."""
    own = line.forwarded
    ceased_from = own.ceased_from if own else line.ceased_from
    change = own.change.value if own else "ENDR" if ceased_from else "NY"
    status = "<kodeStatusLinje>OPPH</kodeStatusLinje>" + _leaf("datoStatusFom", ceased_from) if ceased_from else ""
    return f"{_leaf('kodeEndringLinje', change)}{status}{_leaf('delytelseId', str(own.number) if own else encode_line_id(line.line_id))}"


def _recipient(line: OrderLine, order: Order) -> str:
    """Who is paid, the line before in the chain, and for lines of a sender's own the employer and the grade.

    A refund names no recipient besides the employer, as its sender has it (design §12).
    """
    if order.forwarded is None:
        return _leaf("utbetalesTilId", order.person) + _reference(order.case_id, line)
    own = line.forwarded
    assert own is not None, "the lines of forwarded orders are their senders'"
    grade = f"<ns2:grad>{_leaf('typeGrad', 'UFOR')}{_leaf('grad', own.grade)}</ns2:grad>" if own.grade is not None else ""
    paid_to = _leaf("utbetalesTilId", order.person) if order.area == _PERSON_AREA else ""
    refund = "" if paid_to else _refund(line, order.forwarded)
    return f"{paid_to}{_leaf('refFagsystemId', (own.ref_case or '').strip())}{_leaf('refDelytelseId', own.ref_number)}{refund}{grade}"


def _reference(case_id: str, line: OrderLine) -> str:
    """A cessation changes a line that has its reference already, so it never carries one."""
    if line.refers_to is None or line.ceased_from is not None:
        return ""
    return _leaf("refFagsystemId", case_id) + _leaf("refDelytelseId", encode_line_id(line.refers_to))


def _refund(line: OrderLine, order: ForwardedOrder) -> str:
    employer = _leaf("refunderesId", order.recipient.rjust(11, "0"))
    return f"<ns2:refusjonsInfo>{employer}{_leaf('maksDato', order.last_day)}{_leaf('datoFom', line.start)}</ns2:refusjonsInfo>"


def _name(name: str) -> str:
    return escaped(name[:_LONGEST_NAME])


def _leaf(name: str, value: str | int | date | None) -> str:
    """An element with escaped text; nothing for None and for empty text."""
    return "" if value is None or value == "" else f"<{name}>{escaped(str(value))}</{name}>"
