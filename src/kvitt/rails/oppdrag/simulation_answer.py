"""Reads answers of the rail's simulation, by local names, into values; whatever the bytes are, the outcome is a value.

Prefixes and namespaces differ from answer to answer, texts are padded with blanks, and faults come with the HTTP status 500. So none of
them is relied on, and nothing is checked against a schema, which the rail's own answers break (helved §4.8, iverksetting §4.7).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from lxml import etree

from kvitt.disbursement.simulation import (
    FailureReason,
    FaultPart,
    NothingComputed,
    RailFault,
    SimulatedKind,
    SimulatedPayment,
    SimulatedPeriod,
    SimulatedPosting,
    Simulation,
    SimulationFailure,
    SimulationOutcome,
)
from kvitt.disbursement.values import RateType
from kvitt.formats.xml_reading import parse, text_of
from kvitt.kernel.money import Kroner, Minor
from kvitt.rails.oppdrag.order_xml import RATE_CODES

MAX_BYTES: Final = 16 * 1024 * 1024
"""More than the longest answer to the longest question."""
MAX_TAGS: Final = 1_000_000
"""Elements cost memory far beyond their bytes; an answer of the greatest length has fewer tags than these."""
BAD_GATEWAY: Final = 502
_READ_AS_SOAP: Final = (200, 500)
_PADDING = " \t\r\n\x00"
_AMOUNT = re.compile(r"([+-]?)(\d{1,13})(?:\.(\d{1,9}))?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_RATE_TYPES: Final[Mapping[str, RateType]] = {code: rate for rate, code in RATE_CODES.items()}
_KINDS: Final[Mapping[str, SimulatedKind]] = {
    "YTEL": SimulatedKind.PAY,
    "MOTP": SimulatedKind.COUNTER,
    "SKAT": SimulatedKind.TAX,
    "TREK": SimulatedKind.DEDUCTION,
}
_OF_FEIL: Final = (("KL_KODE_FEIL", SimulatedKind.RECOVERY), ("KL_KODE_JUST", SimulatedKind.ADJUSTMENT))
"""Rows of the class type FEIL are distinguished by how their class code begins."""
_BUSINESS: Final = "simulerBeregningFeilUnderBehandling"
_NEEDS_NEW_DECISION: Final = "Må ha nytt vedtak når Sats/Type/Vedtak-fom endres"
_SAID_BY_FAULTS: Final = (
    ("Personen finnes ikke", FailureReason.PERSON_UNKNOWN),
    ("ugyldig", FailureReason.INVALID),
    (_NEEDS_NEW_DECISION, FailureReason.NEEDS_NEW_DECISION),
    ("did not create a new SOAP Body", FailureReason.NOTHING_MADE),
)
_SAID_BY_RULES: Final = (
    ("OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før", FailureReason.CASE_UNKNOWN),
    ("Oppdraget finnes fra før", FailureReason.ORDER_EXISTS),
    ("Referert vedtak/linje ikke funnet", FailureReason.LINE_UNKNOWN),
    ("Navn på person ikke funnet i PDL", FailureReason.PERSON_UNKNOWN),
    ("Personen finnes ikke i PDL", FailureReason.PERSON_UNKNOWN),
    ("DELYTELSE-ID finnes i oppdragsbasen fra før", FailureReason.LINE_EXISTS),
    ("utenfor åpningstid", FailureReason.CLOSED),
    ("jøreplan", FailureReason.NO_PAYMENT_RUN),
)
"""By which words the rail says what (iverksetting §4.7); the last two only sort what every contract passes on as it is."""


class _HasDocumentType(Exception):
    """As pages of proxies have; no answer of the rail does."""


class _WrongElement(Exception):
    """An element is missing, or not what it has to be; the text names it, and never its content."""


def read_simulation(status: int, answer: bytes) -> SimulationOutcome:
    """The outcome that an answer is, which came with this HTTP status. An envelope is read whatever the status is."""
    if len(answer) > MAX_BYTES:
        return SimulationFailure(FailureReason.UNREADABLE, f"the answer is larger than {MAX_BYTES} bytes")
    if answer.count(b"<") > MAX_TAGS:
        return SimulationFailure(FailureReason.UNREADABLE, f"the answer has more than {MAX_TAGS} tags")
    if not answer.strip(_PADDING.encode()):
        return _foreign(status) or SimulationFailure(FailureReason.NO_ANSWER, "the answer is empty")
    try:
        return _outcome(status, _parsed(answer))
    except etree.XMLSyntaxError:
        return _foreign(status) or SimulationFailure(FailureReason.UNREADABLE, "the answer is not XML, or was cut off")
    except _HasDocumentType:
        return _foreign(status) or SimulationFailure(FailureReason.UNREADABLE, "the answer has a document type")
    except _WrongElement as wrong:
        return SimulationFailure(FailureReason.UNREADABLE, str(wrong))


def _parsed(answer: bytes) -> etree._Element:
    """The root. What claims an encoding that it does not have is read by what it is."""
    try:
        try:
            return parse(answer)
        except etree.XMLSyntaxError:
            return parse(text_of(answer).encode())
    except ValueError:
        raise _HasDocumentType from None


def _outcome(status: int, root: etree._Element) -> SimulationOutcome:
    if _name(root) != "Envelope":
        return _foreign(status) or SimulationFailure(FailureReason.FOREIGN_PAGE, "the answer is no SOAP envelope")
    body = root.find("{*}Body")
    if body is None:
        return SimulationFailure(FailureReason.EMPTY_ENVELOPE, "the answer has no SOAP Body")
    fault = body.find("{*}Fault")
    if fault is not None:
        return _failure(_fault(fault))
    if body.find("{*}simulerBeregningResponse") is None:
        return SimulationFailure(FailureReason.UNKNOWN_ANSWER, "the answer is neither a fault nor a simulation")
    computed = body.find("{*}simulerBeregningResponse/{*}response/{*}simulering")
    if computed is None:
        return NothingComputed(_text(body, "{*}simulerBeregningResponse/{*}response/{*}infomelding/{*}beskrMelding"))
    return _simulation(computed)


def _foreign(status: int) -> SimulationFailure | None:
    """The failure that a page which is no envelope stands for by its status; None where only the rail itself could have sent it."""
    if status == BAD_GATEWAY:
        return SimulationFailure(FailureReason.PROXY_CLOSED, "the proxy answers that the rail is not there")
    if status not in _READ_AS_SOAP:
        return SimulationFailure(FailureReason.OTHER_STATUS, f"the answer has HTTP status {status}")
    return None


def _fault(element: etree._Element) -> RailFault:
    detail = element.find("{*}detail")
    return RailFault(_text(element, "{*}faultcode"), _text(element, "{*}faultstring"), () if detail is None else _parts(detail))


def _parts(parent: etree._Element) -> tuple[FaultPart, ...]:
    return tuple([FaultPart(_name(child), (child.text or "").strip(_PADDING), _parts(child)) for child in parent])


def _failure(fault: RailFault) -> SimulationFailure:
    """A fault by what the rail says in it."""
    if "FailedAuthentication" in fault.code:
        return SimulationFailure(FailureReason.NOT_AUTHENTICATED, fault.text, fault)
    if fault.text == _BUSINESS and (said := _rule_of(fault)):
        return SimulationFailure(_reason(said, _SAID_BY_RULES, FailureReason.BROKEN_RULE), said, fault, by_rule=True)
    cics = fault.part("CICSFault")
    if fault.text == "Conversion from SOAP failed" and cics:
        return SimulationFailure(FailureReason.REQUEST_NOT_TAKEN, cics.text, fault)
    if fault.text == "Conversion to SOAP failed" and cics:
        locked = "DFHPI1008" in cics.text
        return SimulationFailure(FailureReason.LOCKED if locked else FailureReason.RAIL_FAILED, cics.text, fault)
    return SimulationFailure(_reason(fault.text, _SAID_BY_FAULTS, FailureReason.UNKNOWN_FAULT), fault.text, fault)


def _rule_of(fault: RailFault) -> str:
    """The rail's words about the rule that the order breaks."""
    return next((part.text for top in fault.detail for part in top.parts if part.name == "errorMessage"), "")


def _reason(text: str, said: Sequence[tuple[str, FailureReason]], otherwise: FailureReason) -> FailureReason:
    return next((reason for words, reason in said if words in text), otherwise)


def _simulation(element: etree._Element) -> Simulation:
    leaves = _leaves(element)
    return Simulation(
        person=leaves.get("gjelderId", ""),
        person_name=leaves.get("gjelderNavn", ""),
        computed_on=_day(leaves, "datoBeregnet"),
        total=_kroner(leaves, "belop"),
        periods=tuple([_period(child) for child in element.iterchildren("{*}beregningsPeriode")]),
    )


def _period(element: etree._Element) -> SimulatedPeriod:
    leaves = _leaves(element)
    payments = tuple([_payment(child) for child in element.iterchildren("{*}beregningStoppnivaa")])
    return SimulatedPeriod(_day(leaves, "periodeFom"), _day(leaves, "periodeTom"), payments)


def _payment(element: etree._Element) -> SimulatedPayment:
    leaves = _leaves(element)
    return SimulatedPayment(
        area=leaves.get("kodeFagomraade", ""),
        case_id=leaves.get("fagsystemId", ""),
        recipient=_party(leaves, "utbetalesTilId"),
        recipient_name=leaves.get("utbetalesTilNavn", ""),
        due_on=_day(leaves, "forfall") if leaves.get("forfall") else None,
        on_error_account=_flag(leaves, "feilkonto"),
        postings=tuple([_posting(child) for child in element.iterchildren("{*}beregningStoppnivaaDetaljer")]),
    )


def _posting(element: etree._Element) -> SimulatedPosting:
    leaves = _leaves(element)
    raw_kind, class_code, raw_rate = leaves.get("typeKlasse", ""), leaves.get("klassekode", ""), leaves.get("typeSats", "")
    return SimulatedPosting(
        start=_day(leaves, "faktiskFom"),
        end=_day(leaves, "faktiskTom"),
        amount=_kroner(leaves, "belop"),
        kind=_kind(raw_kind, class_code),
        raw_kind=raw_kind,
        class_code=class_code,
        class_text=leaves.get("klasseKodeBeskrivelse", ""),
        account=leaves.get("kontoStreng", ""),
        is_reversal=_flag(leaves, "tilbakeforing"),
        rate=Minor(_hundredths(leaves, "sats")),
        rate_type=_RATE_TYPES.get(raw_rate),
        raw_rate_type=raw_rate,
        rate_count=_kroner(leaves, "antallSats", missing="0"),
        grade=_kroner(leaves, "uforeGrad", missing="0"),
        refunded_to=_party(leaves, "refunderesOrgNr"),
    )


def _kind(raw: str, class_code: str) -> SimulatedKind:
    if raw == "FEIL":
        return next((kind for prefix, kind in _OF_FEIL if class_code.startswith(prefix)), SimulatedKind.OTHER)
    return _KINDS.get(raw, SimulatedKind.OTHER)


def _leaves(parent: etree._Element) -> dict[str, str]:
    """The texts of an element's children by local name, without the blanks around them."""
    return {child.tag.rpartition("}")[2]: (child.text or "").strip(_PADDING) for child in parent if not len(child)}


def _day(leaves: Mapping[str, str], name: str) -> date:
    written = leaves.get(name, "")
    try:
        return date.fromisoformat(written if _DAY.fullmatch(written) else "")
    except ValueError:
        raise _WrongElement(f"{name} is no day" if written else f"{name} is missing") from None


def _kroner(leaves: Mapping[str, str], name: str, *, missing: str = "") -> Kroner:
    """Whole kroner, decimals cut (helved §2.10)."""
    hundredths = _hundredths(leaves, name, missing=missing)
    return Kroner(abs(hundredths) // 100 * (1 if hundredths >= 0 else -1))


def _hundredths(leaves: Mapping[str, str], name: str, *, missing: str = "0") -> int:
    written = leaves.get(name) or missing
    found = _AMOUNT.fullmatch(written)
    if found is None:
        raise _WrongElement(f"{name} is no amount" if written else f"{name} is missing")
    sign, whole, fraction = found.groups()
    return int(f"{sign}{whole}{(fraction or '')[:2].ljust(2, '0')}")


def _party(leaves: Mapping[str, str], name: str) -> str:
    """A person or an organisation; the rail fills up the shorter numbers of the latter."""
    return leaves.get(name, "").removeprefix("00")


def _flag(leaves: Mapping[str, str], name: str) -> bool:
    return leaves.get(name, "").lower() in ("true", "1")


def _text(parent: etree._Element, path: str) -> str:
    return (parent.findtext(path) or "").strip(_PADDING)


def _name(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2]
