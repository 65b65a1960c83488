"""The state rail: chains of lines as XML over a queue, one order to a message, each with its receipt (helved §4.4, §5.1; rapid §3.1).

A receipt is the order's XML with an `mmel` in front, read by what it says. What arrives may lack its last tag, carry blanks or NULs
behind it, spell its root in capitals, or claim an encoding it does not have; all that is put right here, and only what has lost content is
refused.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from html import escape
from typing import ClassVar, Final

import msgspec
from lxml import etree
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.rail import (
    Candidate,
    Capabilities,
    Encoded,
    Observation,
    OrderToSend,
    Reason,
    ReceiptOutcome,
    Severity,
    TransportFile,
)
from kvitt.disbursement.reconciliation import ActiveCase, ConsistencyRun, ConsistencyTotal, InterfaceRun, ReportedOrder
from kvitt.disbursement.simulation import SimulationOutcome
from kvitt.disbursement.values import Area, HoldBack, Order, OrderLine
from kvitt.errors import UnreadableReceipt
from kvitt.formats.xml_reading import PADDING, parse, text_of
from kvitt.rails.oppdrag import consistency, forwarded_xml, order_xml, reconciliation, simulation_answer, simulation_request
from kvitt.rails.oppdrag.opening_hours import OpeningHours
from kvitt.rails.oppdrag.order_xml import encode_line_id

MAX_BYTES: Final = 8 * 1024 * 1024
LEAVES: Final = (
    *("systemId", "kodeMelding", "alvorlighetsgrad", "beskrMelding", "sqlKode", "sqlState", "sqlMelding"),
    *("mqCompletionKode", "mqReasonKode", "programId", "sectionNavn"),
)
"""Everything that an `mmel` may hold, in the order in which it stands there; all of it optional."""
_WARNED: Final = "04"
SEVERITIES: Final[Mapping[str, Severity]] = {
    "00": Severity.OK,
    _WARNED: Severity.WARNING,
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

_ROOT = re.compile(r"<((?:([A-Za-z_][\w.-]*):)?oppdrag)(?=[\s>])([^>]*)>", re.IGNORECASE)
_ROOT_END = re.compile(r"</(?:[A-Za-z_][\w.-]*:)?oppdrag\s*>\Z", re.IGNORECASE)
_OTHERS = tuple([name for name in LEAVES if name not in ("kodeMelding", "alvorlighetsgrad", "beskrMelding")])
_END_OF_ROOT_TAG = b'oppdrag">'
_NO_REASONS: frozenset[Reason] = frozenset()
_ACCEPTED, _REJECTED = "00", "08"
_encoder = msgspec.json.Encoder()
_CODE_OF_OPERATORS = "KVITT"


class _HeldBack(Struct, frozen=True, omit_defaults=True):
    """Money that the rail keeps for now, with the code of its cause."""

    start: date
    end: date
    transferred_on: date | None = None
    cause: str | None = None
    by_mistake: bool = False


class _Document(Struct, frozen=True, omit_defaults=True):
    """The part that the rail keeps of an order beside its message; its own migration writes the same bytes for older ones."""

    frequency: str
    hold_back: _HeldBack | None = None


class Oppdrag(Struct, frozen=True):
    """The rail, as it keeps open; `schedule` are its hours unless set otherwise."""

    schedule: OpeningHours = OpeningHours()
    name: ClassVar[str] = "oppdrag"
    """As in the store."""
    capabilities: ClassVar[Capabilities] = Capabilities(chains=True, simulates=True, reconciles=True, answers_duplicates=True)
    """It keeps chains, and refuses a line or a new order that it has already."""

    def encode(self, order: Order) -> Encoded:
        """Its XML, or that of the older form where the sender made the lines. Raises ValueError when a line id is too long."""
        if order.forwarded:
            message, time = forwarded_xml.encode(order), forwarded_xml.correlation_time(order.made_at)
        else:
            message, time = order_xml.encode(order), order_xml.correlation_time(order)
        return Encoded(self.name, message, correlation_key(line_keys(order)), time, _document(order.frequency, order.hold_back))

    def validate(self, made: Sequence[tuple[Order, Encoded]]) -> None:
        """The schema takes all of it but the older form, which it does not know. Raises InvalidOrderMessage."""
        order_xml.validate_all([encoded.message for order, encoded in made if not order.forwarded])

    def encode_simulation(self, order: Order) -> bytes:
        """The body of a SOAP message. Raises TooManyToSimulate, InvalidOrderMessage, and ValueError when a line id is too long."""
        return simulation_request.encode_simulation(order)

    def read_simulation(self, status: int, answer: bytes) -> SimulationOutcome:
        """The simulation that a SOAP answer holds, or why it holds none."""
        return simulation_answer.read_simulation(status, answer)

    @property
    def warned_by(self) -> Sequence[str]:
        """An answer with this severity accepts with a note."""
        return (_WARNED,)

    def encode_interface(self, run: InterfaceRun, details: Iterable[ReportedOrder]) -> Iterator[bytes]:
        """START, DATA with at most 70 orders each, AVSL. Raises InvalidOrderMessage."""
        return reconciliation.encode_interface(run, details)

    def encode_consistency(
        self, run: ConsistencyRun, cases: Iterable[ActiveCase], *, starts: bool = True, ends: bool = True, before: ConsistencyTotal
    ) -> Iterator[bytes]:
        """START, DATA for each case, DATA with the total, AVSL. Raises InvalidOrderMessage, and ValueError when a line id is too long."""
        return consistency.encode_consistency(run, cases, starts=starts, ends=ends, before=before)

    def day_key(self, day: date) -> tuple[str, str]:
        """The first and the last microsecond of a day."""
        return reconciliation.day_key(day)

    def under_day(self, message: bytes, day: date) -> bytes:
        """The message with another `nokkelAvstemming`; one that is not reconciled has none, and stays. Raises ValueError for several."""
        return message if b"<avstemming-115>" not in message else reconciliation.under_day(message, day)

    def files_of(self, orders: Sequence[OrderToSend]) -> Sequence[TransportFile]:
        """Each order is a message of its own."""
        return [TransportFile.of([order], order.message) for order in orders]

    def read(self, answer: bytes) -> Sequence[Observation]:
        """The one thing that a receipt says. Raises UnreadableReceipt."""
        return (decode(answer),)

    def match(self, observation: Observation, candidates: Sequence[Candidate]) -> Candidate | None:
        """The order with its time, else the open one, else the newest; None without candidates.

        Two orders of a case can name the same lines (the same line cut twice), so the lines alone do not say which.
        """
        found = [each for each in candidates if each.correlation_time == observation.correlation_time]
        found = found or [each for each in candidates if not each.is_settled] or [*candidates]
        return found[-1] if found else None

    def decide(self, observation: Observation, order: Candidate) -> ReceiptOutcome:
        """Returns what a receipt says of an order by itself.

        A rejection because a line of ours exists already means that an earlier copy was accepted: our line ids are made once. A sender's
        own ids prove nothing, and neither does it that the order exists, when a copy may be on its way.
        """
        if observation.severity in (Severity.OK, Severity.WARNING):
            return ReceiptOutcome.ACCEPTED
        if observation.severity is Severity.UNKNOWN:
            return ReceiptOutcome.UNCLEAR
        if Reason.LINE_EXISTS in observation.reasons and not _is_forwarded(order.message):
            return ReceiptOutcome.ACCEPTED
        return ReceiptOutcome.UNCLEAR if order.may_have_copies and observation.answers_copy else ReceiptOutcome.REJECTED

    def with_acknowledgement(self, message: bytes, observation: Observation) -> bytes:
        """The order's own XML with the rail's answer first."""
        return with_acknowledgement(message, observation)

    def words_of_operator(self, message: bytes, *, accepted: bool, text: str) -> bytes:
        """A receipt with severity 00 or 08, and a code that the rail has not."""
        echo = decode(message)
        raw_severity = _ACCEPTED if accepted else _REJECTED
        return with_acknowledgement(message, replace(echo, raw_severity=raw_severity, code=_CODE_OF_OPERATORS, text=text))


@lru_cache(maxsize=64)
def _document(frequency: str, held: HoldBack | None) -> str:
    cause = order_xml.CAUSE.get(held.cause) if held and held.cause else None
    kept = _HeldBack(held.start, held.end, held.transferred_on, cause, held.registered_by_mistake) if held else None
    return _encoder.encode(_Document(frequency, kept)).decode()


def _is_forwarded(message: bytes) -> bool:
    """Whether the lines of an order are its sender's own."""
    return FORWARDED_ROOT in message[:100]


class LineKey(Struct, frozen=True):
    """Holds what a receipt says of one line, trimmed: enough to know which order it answers, whatever the echo looks like."""

    line_id: str
    ceased_from: str | None


def correlation_key(lines: Iterable[LineKey]) -> bytes:
    """By what a receipt finds its order: the lines it names, whatever else the echo looks like."""
    return hashlib.sha256("\n".join([f"{key.line_id} {key.ceased_from or ''}" for key in lines]).encode()).digest()


def line_keys(order: Order) -> tuple[LineKey, ...]:
    """Returns what a receipt of this order says of its lines, in their order; a line that its sender made goes by its number.

    An order that corrects a hold-back has none, and its receipt has no time: it goes by the days that were held back (iverksetting §3.7).
    """
    if not order.lines and order.hold_back:
        return (_hold_back_key(order.hold_back.start.isoformat(), order.hold_back.end.isoformat()),)
    return tuple([_line_key(line) for line in order.lines])


def _hold_back_key(start: str, end: str) -> LineKey:
    return LineKey(f"avvent-118 {start}", end)


def _line_key(line: OrderLine) -> LineKey:
    ceased_from = line.forwarded.ceased_from if line.forwarded else line.ceased_from
    line_id = str(line.forwarded.number) if line.forwarded else encode_line_id(line.line_id)
    return LineKey(line_id, ceased_from.isoformat() if ceased_from else None)


def decode(body: bytes) -> Observation:
    """Returns what a receipt says, its texts trimmed and its dates without offset; raises UnreadableReceipt.

    A missing or unheard-of severity is UNKNOWN. The rail's answer to XML that it could not read has an empty order: it names no case.
    """
    root = _root(body)
    order = root.find("{*}oppdrag-110")
    if order is None:
        raise UnreadableReceipt("has no oppdrag-110")
    area, said = Area(_leaf(order, "{*}kodeFagomraade")), _acknowledgement(root)
    severity, code, text = (said.get(name, "").strip(PADDING) for name in ("alvorlighetsgrad", "kodeMelding", "beskrMelding"))
    return Observation(
        case=(AREAS[area].scheme, _leaf(order, "{*}fagsystemId")) if area in AREAS else None,
        area=area,
        correlation_key=correlation_key(_lines(order)),
        correlation_time=_leaf(order, "{*}avstemming-115/{*}tidspktMelding"),
        severity=SEVERITIES.get(severity, Severity.UNKNOWN),
        raw_severity=severity,
        code=code,
        text=text,
        reasons=reasons_in(text) if text else _NO_REASONS,
        others=_others(said),
    )


def reasons_in(text: str) -> frozenset[Reason]:
    """Returns what the rail's words mean for the core."""
    return frozenset([reason for reason, sentence in _SENTENCES.items() if sentence in text])


def with_acknowledgement(xml: bytes, said: Observation) -> bytes:
    """An order's own bytes with the rail's answer first (helved §1.2, §5.1); well-formed however damaged the echo was."""
    texts = dict(said.others) | {"kodeMelding": said.code, "alvorlighetsgrad": said.raw_severity, "beskrMelding": said.text}
    leaves = "".join(f"\n        <{name}>{escape(texts[name], quote=False)}</{name}>" for name in LEAVES if texts.get(name))
    mmel = f"\n    <mmel>{leaves}\n    </mmel>".encode()
    head, separator, rest = xml.partition(FORWARDED_ROOT)
    if not separator:
        head, separator, rest = xml.partition(_END_OF_ROOT_TAG)
    return head + separator + mmel + rest


def _acknowledgement(root: etree._Element) -> dict[str, str]:
    """The texts of the rail's answer by the names of their elements; of several of one name it is the first."""
    texts: dict[str, str] = {}
    for mmel in root.iterchildren("{*}mmel"):
        for leaf in mmel.iterchildren("{*}*"):
            texts.setdefault(str(leaf.tag).rpartition("}")[2], leaf.text or "")
    return texts


def _others(said: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple([(name, text) for name in _OTHERS if (text := said.get(name, "").rstrip(PADDING))])


def _lines(order: etree._Element) -> list[LineKey]:
    lines = [_line(line) for line in order.iterchildren("{*}oppdrags-linje-150")]
    if lines or (held := order.find("{*}avvent-118")) is None:
        return lines
    return [_hold_back_key(_day(held, "{*}datoAvventFom"), _day(held, "{*}datoAvventTom"))]


def _line(line: etree._Element) -> LineKey:
    return LineKey(_leaf(line, "{*}delytelseId"), _day(line, "{*}datoStatusFom") or None)


def _day(parent: etree._Element, path: str) -> str:
    """The day in a leaf, without the offset that follows it."""
    return _leaf(parent, path)[:10]


def _leaf(parent: etree._Element, path: str) -> str:
    return (parent.findtext(path) or "").strip(PADDING)


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
