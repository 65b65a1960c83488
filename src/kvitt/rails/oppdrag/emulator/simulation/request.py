"""A request to simulate, read from its envelope: a parser that opens nothing and expands nothing, and the lengths that the rail keeps.

Members are found by their local names, in whatever order, as the rail takes them from different senders; only who gets the money must
stand before the grade. Source: helved §5.2.
"""

import re
from datetime import date, datetime
from typing import Final

from lxml import etree
from msgspec import Struct

from kvitt.rails.oppdrag.emulator.order import CaseAtRail, ChangeCode, ReceivedLine, ReceivedOrder
from kvitt.rails.oppdrag.emulator.reading import line_of
from kvitt.rails.oppdrag.emulator.simulation.faults import SoapFault, conversion_fault, malformed_fault

SERVICE: Final = "http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt"
MOST_LINES: Final = 1400
_OPERATION = f"{{{SERVICE}}}simulerBeregningRequest"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_AMOUNT = re.compile(r"-?\d{1,11}(\.\d{1,2})?", re.ASCII)
_CHANGES = ("NY", "ENDR", "UEND")
_ONE_OF: Final = {
    "kodeEndring": _CHANGES,
    "kodeEndringLinje": _CHANGES,
    "kodeStatusLinje": ("OPPH", "HVIL", "SPER", "REAK"),
    "fradragTillegg": ("T", "F"),
    "typeSats": ("DAG", "DAG7", "UKE", "14DB", "MND", "AAR", "ENG", "AKTO"),
    "utbetFrekvens": ("DAG", "UKE", "MND", "14DG", "ENG"),
}
_LENGTHS: Final = {
    "kodeFagomraade": (1, 8),
    "fagsystemId": (0, 30),
    "oppdragGjelderId": (9, 11),
    "saksbehId": (0, 8),
    "delytelseId": (0, 30),
    "kodeKlassifik": (1, 50),
    "brukKjoreplan": (1, 1),
    "utbetalesTilId": (9, 11),
    "refFagsystemId": (0, 30),
    "refDelytelseId": (0, 30),
    "attestantId": (1, 8),
    "refunderesId": (9, 11),
    "typeEnhet": (1, 4),
    "enhet": (4, 13),
    "henvisning": (0, 30),
    "vedtakId": (0, 10),
}
_DAYS: Final = frozenset(
    {
        "datoStatusFom",
        "datoOppdragGjelderFom",
        "datoKlassifikFom",
        "datoVedtakFom",
        "datoVedtakTom",
        "datoEnhetFom",
        "maksDato",
        "datoFom",
        "datoSimulerFom",
        "datoSimulerTom",
    }
)
_AMOUNTS: Final = frozenset({"sats", "vedtakssats"})
_ORDER_NEEDS: Final = ("kodeEndring", "kodeFagomraade", "oppdragGjelderId", "datoOppdragGjelderFom", "saksbehId")
_LINE_NEEDS: Final = (
    "kodeEndringLinje",
    "kodeKlassifik",
    "datoVedtakFom",
    "sats",
    "fradragTillegg",
    "typeSats",
    "brukKjoreplan",
    "saksbehId",
)
_MOST_GRADE = 100


class SimulationQuestion(Struct, frozen=True):
    """A request to simulate. `first` and `last` are the span that it asks for, where it does; `assertion_id` is of the SAML assertion in
    it, "" where there is none."""

    message_id: str
    assertion_id: str
    order: ReceivedOrder
    caseworker: str
    first: date | None
    last: date | None


class _Unfit(Exception):
    """A field that the rail can not convert, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field)
        self.field, self.reason = field, reason


class ReadEnvelope(Struct, frozen=True):
    """An envelope as it was read: its head, and the request or why there is none."""

    message_id: str
    assertion_id: str
    found: SimulationQuestion | SoapFault


def read_request(body: bytes, moment: datetime) -> ReadEnvelope:
    """The request in `body`, or the fault that it gets; never raises, whatever the bytes. `moment` is local time."""
    if b"<!DOCTYPE" in body:
        return ReadEnvelope("", "", malformed_fault("a document type is not allowed"))
    try:
        root = etree.fromstring(body, _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        return ReadEnvelope("", "", malformed_fault(str(error)))
    message_id, assertion_id = _head(root)
    envelope_body = _child(root, "Body") if _name(root) == "Envelope" else None
    if envelope_body is None or len(envelope_body) == 0:
        return ReadEnvelope(message_id, assertion_id, malformed_fault("no SOAP body"))
    if envelope_body[0].tag != _OPERATION:
        return ReadEnvelope(message_id, assertion_id, conversion_fault(_name(envelope_body[0]), moment, "UNDEFINED_ELEMENT"))
    try:
        return ReadEnvelope(message_id, assertion_id, _asked(envelope_body[0], message_id, assertion_id))
    except _Unfit as unfit:
        return ReadEnvelope(message_id, assertion_id, conversion_fault(unfit.field, moment, unfit.reason))


def _parser() -> etree.XMLParser:
    # The encoding is fixed so that a declaration can't hide a document type from the look at the bytes.
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )


def _head(root: etree._Element) -> tuple[str, str]:
    """The message id, and the id of the assertion."""
    message_id = assertion_id = ""
    head = _child(root, "Header")
    for each in () if head is None else head.iter("{*}MessageID", "{*}Assertion"):
        if _name(each) == "MessageID":
            message_id = (each.text or "").strip()[:200]
        else:
            assertion_id = each.get("ID", "")[:200]
    return message_id, assertion_id


def _asked(operation: etree._Element, message_id: str, assertion_id: str) -> SimulationQuestion:
    request = _needed(operation, "request")
    element = _needed(request, "oppdrag")
    order = _texts(element, _ORDER_NEEDS)
    for unit in element.iterchildren("{*}enhet"):
        _texts(unit, ("typeEnhet", "datoEnhetFom"))
    lines = list(element.iterchildren("{*}oppdragslinje"))
    if len(lines) > MOST_LINES:
        raise _Unfit("oppdragslinje", "OUTPUT_OVERFLOW")
    span = _child(request, "simuleringsPeriode")
    spanned = {} if span is None else _texts(span, ())
    received = ReceivedOrder(
        CaseAtRail(order["kodeFagomraade"], order.get("fagsystemId", "")),
        "1",
        ChangeCode(order["kodeEndring"]),
        order["oppdragGjelderId"],
        (),
        tuple(map(_line, lines)),
    )
    first, last = _day(spanned.get("datoSimulerFom")), _day(spanned.get("datoSimulerTom"))
    return SimulationQuestion(message_id, assertion_id, received, order["saksbehId"], first, last)


def _line(line: etree._Element) -> ReceivedLine:
    text = _texts(line, _LINE_NEEDS)
    names = [_name(child) for child in line]
    if "grad" in names and "utbetalesTilId" in names[names.index("grad") :]:
        raise _Unfit("utbetalesTilId", "UNDEFINED_ELEMENT")
    for attested in line.iterchildren("{*}attestant"):
        _texts(attested, ("attestantId",))
    return line_of(text, _day, decided_rate=None, refunded=_refunded(line), grade=_grade(line))


def _refunded(line: etree._Element) -> str:
    refund = _child(line, "refusjonsInfo")
    return "" if refund is None else _texts(refund, ()).get("refunderesId", "")


def _grade(line: etree._Element) -> int | None:
    graded = _child(line, "grad")
    if graded is None:
        return None
    text = _texts(graded, ("typeGrad", "grad"))["grad"]
    if not text.isdecimal() or len(text) > len("100") or int(text) > _MOST_GRADE:
        raise _Unfit("grad", "INPUT_CONVERSION_ERROR")
    return int(text)


def _texts(element: etree._Element, needed: tuple[str, ...]) -> dict[str, str]:
    """The texts of the leaves right below the element by local name, trimmed, each within what the rail keeps of it."""
    found: dict[str, str] = {}
    for child in element:
        if len(child) == 0:
            name = _name(child)
            found.setdefault(name, _fit(name, (child.text or "").strip()))
    for name in needed:
        if name not in found:
            raise _Unfit(name, "MISSING_ELEMENT")
    return found


def _fit(name: str, text: str) -> str:
    if name in _ONE_OF and text not in _ONE_OF[name]:
        raise _Unfit(name, "UNDEFINED_VALUE")
    if name in _DAYS:
        _day(text, name)
    if name in _AMOUNTS and not _AMOUNT.fullmatch(text):
        raise _Unfit(name, "INPUT_CONVERSION_ERROR")
    if (limits := _LENGTHS.get(name)) and not limits[0] <= len(text) <= limits[1]:
        raise _Unfit(name, "OUTPUT_OVERFLOW" if len(text) > limits[1] else "INPUT_UNDERFLOW")
    return text


def _day(text: str | None, name: str = "") -> date | None:
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _Unfit(name, "OUTPUT_OVERFLOW" if len(text) > len("yyyy-mm-dd") else "INPUT_CONVERSION_ERROR")


def _needed(element: etree._Element, name: str) -> etree._Element:
    found = _child(element, name)
    if found is None:
        raise _Unfit(name, "MISSING_ELEMENT")
    return found


def _child(element: etree._Element, name: str) -> etree._Element | None:
    return next(element.iterchildren(f"{{*}}{name}"), None)


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname
