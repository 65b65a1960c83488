"""Messages of reconciliation as the rail reads them: interface (iverksetting §5.5, rapid §4.5) and consistency (iverksetting §5.6).

The root is known by its local name, because one sender writes it without a namespace and with a capital. Nothing here raises: what can
not be read has a problem, and whatever of it could be read beside.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from lxml import etree
from msgspec import Struct

from kvitt.rails.oppdrag.emulator.reading import LARGEST_ORDER_BYTES, safe_parser

BUCKETS: Final = ("godkjent", "varsel", "avvist", "mangler")
"""The groups in which orders are counted: accepted, accepted with a note, rejected, without an answer."""
_NAMESPACES: Final = ("", "http://nav.no/virksomhet/tjenester/avstemming/meldinger/v1", "http://nav.no/virksomhet/tjenester/avstemming/v1")
_INTERFACE, _CONSISTENCY = "avstemmingsdata", "sendasynkronkonsistensavstemmingsdata"
_KINDS: Final = {_INTERFACE: "GRSN", _CONSISTENCY: "KONS"}
_ACTION: Final = (
    *("aksjonType", "kildeType", "avstemmingType", "avleverendeKomponentKode", "mottakendeKomponentKode", "underkomponentKode"),
    *("nokkelFom", "nokkelTom", "tidspunktAvstemmingTom", "avleverendeAvstemmingId", "brukerId"),
)
_TOTAL: Final = ("totalAntall", "totalBelop", "fortegn")
_PERIOD: Final = ("datoAvstemtFom", "datoAvstemtTom")
_BASIS: Final = tuple(prefix + name for prefix in BUCKETS for name in ("Antall", "Belop", "Fortegn"))
_DETAIL: Final = {
    "detaljType": "kind",
    "offnr": "person",
    "avleverendeTransaksjonNokkel": "case_id",
    "meldingKode": "code",
    "alvorlighetsgrad": "severity",
    "tekstMelding": "text",
    "tidspunkt": "made",
}
_LINE: Final = ("delytelseId", "sats", "satstypeKode", "fradragTillegg")
_PARTS: Final = ("aksjon", "total", "periode", "grunnlag", "detalj")
_HOUR: Final = re.compile(r"[0-9]{10}")
_MOMENT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[-T]([0-9]{2})[.:]([0-9]{2})[.:]([0-9]{2})(?:\.([0-9]{1,6}))?")
_KRONER: Final = re.compile(r"-?[0-9]{1,18}(\.0+)?")
_NO_END: Final = date(9999, 12, 31)


class StatedTotal(Struct, frozen=True):
    """A count, a sum with its sign (None where there is none), and how the sign was written."""

    count: int
    kroner: int | None = None
    sign: str = ""


class StatedDetail(Struct, frozen=True):
    """An order of which there is something to say; texts that are absent are empty."""

    kind: str
    person: str
    case_id: str
    code: str
    severity: str
    text: str
    made: str


class StatedLine(Struct, frozen=True):
    """A line that a sender believes to be in force; `kroner` is negative for a deduction."""

    case_id: str
    line_id: str
    starts: date
    ends: date
    kroner: int
    rate_code: str


class StatedMessage(Struct, frozen=True):
    """A message. `fields` are those that all messages of a run share, `action` is START, DATA or AVSL; `totals` has the whole ("total")
    and the groups, and is empty in most messages; `items` counts details, or cases; `problem` is empty where all of it could be read.
    """

    kind: str = ""
    run_id: str = ""
    action: str = ""
    fields: Mapping[str, str] = {}
    totals: Mapping[str, StatedTotal] = {}
    items: int = 0
    details: tuple[StatedDetail, ...] = ()
    lines: tuple[StatedLine, ...] = ()
    problem: str = ""


class _CanNotRead(Exception):
    """A message breaks the rules of its kind."""


def read_reported(body: bytes) -> StatedMessage:
    """The message in `body`; never raises, whatever the bytes."""
    try:
        kind, root = _root(body)
    except _CanNotRead as problem:
        return StatedMessage(problem=str(problem))
    shared: dict[str, str] = {}
    try:
        return _interface(root, shared) if kind == "GRSN" else _consistency(root, shared)
    except _CanNotRead as problem:
        action = shared.pop("aksjonType", "")
        return StatedMessage(kind, shared.get("avleverendeAvstemmingId", ""), action, shared, problem=str(problem))


def moment(text: str) -> str:
    """A time in the one form in which times are compared; what is no time stays as it is."""
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        return text.strip()
    day, hour, minute, second, fraction = found.groups()
    return f"{day}-{hour}.{minute}.{second}.{(fraction or '').ljust(6, '0')}"


def key_rank(key: str) -> str:
    """A key in a form that sorts: numbers as numbers, times as texts, and never one among the others."""
    return f"n{int(key):020}" if re.fullmatch("[0-9]{1,20}", key) else f"t{key}"


def _root(body: bytes) -> tuple[str, etree._Element]:
    """The kind of a message, and the element that has its parts."""
    if len(body) > LARGEST_ORDER_BYTES:
        raise _CanNotRead(f"{len(body)} bytes is more than {LARGEST_ORDER_BYTES}")
    if b"<!DOCTYPE" in body:
        raise _CanNotRead("a document type is not allowed")
    try:
        root = etree.fromstring(body, safe_parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _CanNotRead(f"no XML: {error}") from None
    name = etree.QName(root)
    kind = _KINDS.get(name.localname.lower())
    if kind is None or (name.namespace or "") not in _NAMESPACES:
        raise _CanNotRead(f"no reconciliation: {root.tag}")
    if kind == "GRSN":
        return kind, root
    inner = root.find("request/konsistensavstemmingsdata")
    if inner is None:
        raise _CanNotRead("no request/konsistensavstemmingsdata")
    return kind, inner


def _interface(root: etree._Element, shared: dict[str, str]) -> StatedMessage:
    parts = _parts(root, _PARTS)
    _read_action(parts.get("aksjon", ()), "aksjonType", "GRSN", shared)
    details = tuple(_detail(_leaves(each, (*_DETAIL,))) for each in parts.get("detalj", ()))
    totals = _totals(parts)
    action = shared.pop("aksjonType")
    if action != "DATA" and len(parts) > 1:
        raise _CanNotRead(f"a message {action} has content")
    return StatedMessage("GRSN", shared["avleverendeAvstemmingId"], action, shared, totals, len(details), details)


def _consistency(root: etree._Element, shared: dict[str, str]) -> StatedMessage:
    parts = _parts(root, ("aksjonsdata", "oppdragsdataListe", "totaldata"))
    _read_action(parts.get("aksjonsdata", ()), "aksjonsType", "KONS", shared)
    cases = parts.get("oppdragsdataListe", ())
    lines = tuple(line for case in cases for line in _lines(case, shared["underkomponentKode"]))
    totals = {"total": _total(_leaves(parts["totaldata"][0], _TOTAL))} if "totaldata" in parts else {}
    action = shared.pop("aksjonType")
    if action != "DATA" and len(parts) > 1:
        raise _CanNotRead(f"a message {action} has content")
    return StatedMessage("KONS", shared["avleverendeAvstemmingId"], action, shared, totals, len(cases), lines=lines)


def _parts(root: etree._Element, names: Sequence[str]) -> dict[str, list[etree._Element]]:
    """The children by name, which stand in this order; only what is listed more than once in messages may be so."""
    found: dict[str, list[etree._Element]] = {}
    last = 0
    for child in root:
        if child.tag not in names or names.index(child.tag) < last:
            raise _CanNotRead(f"{child.tag} is unknown, or not in its place")
        last = names.index(child.tag)
        found.setdefault(child.tag, []).append(child)
    for name, each in found.items():
        if len(each) > 1 and name not in {"detalj", "oppdragsdataListe"}:
            raise _CanNotRead(f"{name} stands twice")
    return found


def _leaves(element: etree._Element, names: Sequence[str]) -> dict[str, str]:
    """The texts of the leaves, which stand in this order, each at most once."""
    found: dict[str, str] = {}
    last = -1
    for child in element:
        place = names.index(child.tag) if child.tag in names else -1
        if place <= last or len(child):
            raise _CanNotRead(f"{element.tag}/{child.tag} is unknown, or not in its place")
        last = place
        found[child.tag] = (child.text or "").strip()
    return found


def _read_action(elements: Sequence[etree._Element], action: str, kind: str, shared: dict[str, str]) -> None:
    """Reads the fields of the action into `shared`, those too that are before the one that breaks a rule."""
    if not elements:
        raise _CanNotRead("no action")
    names = [action, *_ACTION[1:]]
    for name, text in _leaves(elements[0], names).items():
        shared["aksjonType" if name == action else name] = text
    wanted = {"kildeType": "AVLEV", "avstemmingType": kind, "mottakendeKomponentKode": "OS"}
    for name, value in wanted.items():
        if shared.get(name) != value:
            raise _CanNotRead(f"{name} is {shared.get(name)}, and not {value}")
    needed = ["aksjonType", "avleverendeKomponentKode", "underkomponentKode", "avleverendeAvstemmingId", "brukerId"]
    needed += ["nokkelFom", "nokkelTom"] if kind == "GRSN" else []
    if lacking := [name for name in needed if not shared.get(name)]:
        raise _CanNotRead(f"no {', '.join(lacking)}")
    if shared["aksjonType"] not in {"START", "DATA", "AVSL"}:
        raise _CanNotRead(f"{action} is {shared['aksjonType']}")


def _totals(parts: Mapping[str, Sequence[etree._Element]]) -> dict[str, StatedTotal]:
    """The whole and the groups; they come together with the period, or not at all."""
    given = [name for name in ("total", "periode", "grunnlag") if name in parts]
    if not given:
        return {}
    if len(given) < 3:
        raise _CanNotRead(f"{' and '.join(given)} without the other totals")
    period = _leaves(parts["periode"][0], _PERIOD)
    first, last = period.get("datoAvstemtFom", ""), period.get("datoAvstemtTom", "")
    if not (_HOUR.fullmatch(first) and _HOUR.fullmatch(last) and first <= last):
        raise _CanNotRead(f"the period {first} to {last} is none")
    basis = _leaves(parts["grunnlag"][0], _BASIS)
    groups = {prefix: _total(basis, f"{prefix}Antall", f"{prefix}Belop", f"{prefix}Fortegn") for prefix in BUCKETS}
    return {"total": _total(_leaves(parts["total"][0], _TOTAL)), **groups}


def _total(text: Mapping[str, str], count: str = "totalAntall", kroner: str = "totalBelop", sign: str = "fortegn") -> StatedTotal:
    """A sum that is printed with its minus keeps it; else the sign decides."""
    written = text.get(sign, "")
    if written not in {"", "T", "F"} or (written == "") != (text.get(kroner) is None):
        raise _CanNotRead(f"{kroner} and {sign} do not go together")
    if not re.fullmatch(r"[0-9]{1,18}", text.get(count, "")):
        raise _CanNotRead(f"{count} is no number")
    amount = _whole(text[kroner], kroner) if kroner in text else None
    return StatedTotal(int(text[count]), -amount if amount is not None and written == "F" and amount > 0 else amount, written)


def _detail(text: Mapping[str, str]) -> StatedDetail:
    if text.get("detaljType") not in {"VARS", "AVVI", "MANG"}:
        raise _CanNotRead(f"detaljType is {text.get('detaljType')}")
    if lacking := [name for name in ("offnr", "avleverendeTransaksjonNokkel", "tidspunkt") if not text.get(name)]:
        raise _CanNotRead(f"a detail has no {', '.join(lacking)}")
    texts = {field: text.get(name, "") for name, field in _DETAIL.items()}
    return StatedDetail(**{**texts, "made": moment(texts["made"])})


def _lines(case: etree._Element, area: str) -> Iterator[StatedLine]:
    case_id = case.findtext("fagsystemId", "").strip()
    if not case_id or case.findtext("fagomradeKode", "").strip() != area:
        raise _CanNotRead(f"the case {case_id} is not one of {area}")
    for line in case.iterchildren("oppdragslinjeListe"):
        yield _line(line, case_id)


def _line(line: etree._Element, case_id: str) -> StatedLine:
    name, amount, rate_code, sign = (line.findtext(each, "").strip() for each in _LINE)
    if not name or sign not in {"T", "F"}:
        raise _CanNotRead(f"a line of {case_id} has no delytelseId, or no fradragTillegg")
    first, last = line.findtext("vedtakPeriode/fom", "").strip(), line.findtext("vedtakPeriode/tom", "").strip()
    kroner = _whole(amount, f"sats of {case_id} {name}")
    return StatedLine(case_id, name, _day(first), _day(last) if last else _NO_END, kroner if sign == "T" else -kroner, rate_code)


def _whole(text: str, name: str) -> int:
    if not _KRONER.fullmatch(text):
        raise _CanNotRead(f"{name} is not in whole kroner: {text}")
    return int(text.partition(".")[0])


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise _CanNotRead(f"{text} is no day") from None
