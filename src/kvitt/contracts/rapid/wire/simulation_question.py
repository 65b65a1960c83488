"""Questions about simulations, as needs of the rapid and as requests over HTTP: what they ask, or everything that is wrong with them.

Either becomes a need whose order is asked about and never sent; it has no payment id (rapid §5.1, §5.2).
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from kvitt.contracts.rapid.needs import MAX_NEED_LINES, MAX_RATE, Need, NeedKind, NeedLine, Rate
from kvitt.contracts.rapid.wire.fields import Fields, Problems
from kvitt.contracts.rapid.wire.need import AREAS, document_of
from kvitt.disbursement.simulation import FailureReason, SimulationFailure
from kvitt.disbursement.values import Area, CaseId, LineChange, PaymentId
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read
from kvitt.kernel.money import Kroner

NEED: Final = "Simulering"
_NO_PAYMENT: Final = PaymentId("")
_MOST_GRADE: Final = 100
_GREATEST_NUMBER: Final = 2**63 - 1
_NOT_THE_FORM: Final = "Ugyldig simulering request, oppfyller ikke kontrakten"
_NO_LINES: Final = "Ugyldig simulering request, nytteløst å simulere oppdrag uten linjer"
_CHANGES: Final = tuple(change.value for change in LineChange)
_RATES: Final[tuple[Rate, ...]] = ("DAG", "ENG")
CLASS_CODES: Final[Mapping[str, str]] = {
    "SYKEPENGER_ARBEIDSTAKER_ORDINÆR": "SPATORD",
    "SYKEPENGER_ARBEIDSTAKER_FERIEPENGER": "SPATFER",
    "REFUSJON_IKKE_OPPLYSNINGSPLIKTIG": "SPREFAG-IOP",
    "REFUSJON_FERIEPENGER_IKKE_OPPLYSNINGSPLIKTIG": "SPREFAGFER-IOP",
    "SELVSTENDIG_NÆRINGSDRIVENDE": "SPSND-OP",
    "SELVSTENDIG_NÆRINGSDRIVENDE_FISKER": "SPSNDFISK",
    "SELVSTENDIG_NÆRINGSDRIVENDE_JORDBRUK": "SPSNDJORD",
    "BARNEPASSER": "SPSNDDM-OP",
}
"""The class codes that can be asked about, by their names over HTTP."""
_AREAS: Final[Mapping[str, str]] = {"ARBEIDSGIVERREFUSJON": "SPREF", "BRUKERUTBETALING": "SP"}
_CHANGES_OVER_HTTP: Final[Mapping[str, LineChange]] = {
    "NY": LineChange.NEW,
    "ENDRET": LineChange.CHANGE,
    "IKKE_ENDRET": LineChange.NONE,
}
_RATES_OVER_HTTP: Final[Mapping[str, Rate]] = {"DAGLIG": "DAG", "ENGANGS": "ENG"}
_Number = Annotated[int, Meta(ge=-_GREATEST_NUMBER, le=_GREATEST_NUMBER)]
_ChangeWord = Literal["NY", "ENDRET", "IKKE_ENDRET"]


class InvalidQuestion(Struct, frozen=True):
    """A question that can not be asked: every problem as a text, without values."""

    problems: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of them, as a request's caller hears of them."""
        return "; ".join(self.problems)

    @property
    def failure(self) -> SimulationFailure:
        """The outcome that a need's sender hears of."""
        return SimulationFailure(FailureReason.NOT_ASKED, self.text)


def read_need(body: bytes) -> Need | InvalidQuestion | None:
    """The question that a record of the rapid is; None for what is none: other events, other needs, answered ones, other JSON.

    Raises Undecodable for bytes that are no JSON and yet name the need. Extra fields do not count, and neither does `statuskode`.
    """
    if NEED.encode() not in body and b"\\u" not in body:
        return None
    try:
        document = document_of(body)
    except Undecodable:
        if NEED.encode() in body:
            raise
        return None
    if not isinstance(document, dict) or not _is_asked(document):
        return None
    problems = Problems()
    try:
        refuse_repeated(body)
    except Undecodable as repeated:
        problems.note(repeated.field, "forekommer mer enn én gang")
    asked = _need(Fields(document, "", problems))
    return InvalidQuestion(problems.listed()) if problems.listed() else asked


def _is_asked(document: Mapping[str, object]) -> bool:
    names = document.get("@behov")
    return document.get("@event_name") == "behov" and isinstance(names, list) and NEED in names and document.get("@løsning") is None


def _need(top: Fields) -> Need:
    """The question; worth something only when no problem was noted on the way. Source: rapid §5.1."""
    top.text("@id", most=200)
    section = top.section(NEED)
    return Need(
        kind=NeedKind.PAYMENT,
        person=top.digits("fødselsnummer", (11,)),
        organisation=top.text("organisasjonsnummer", most=100),
        payment_id=_NO_PAYMENT,
        case_id=CaseId(section.trimmed("fagsystemId", most=30)),
        area=Area(section.word("fagområde", AREAS)),
        change=LineChange(section.word("endringskode", _CHANGES)),
        caseworker=section.text("saksbehandler", most=50),
        recipient=section.digits("mottaker", (9, 11)),
        last_day=section.day("maksdato"),
        lines=tuple([_line(line) for line in section.sections("linjer", most=MAX_NEED_LINES)]),
    )


def _line(line: Fields) -> NeedLine:
    rate = next(known for known in _RATES if known == line.word("satstype", _RATES))
    ceased_from = line.optional_day("datoStatusFom")
    return NeedLine(
        start=line.day("fom"),
        end=line.day("tom"),
        change=LineChange(line.word("endringskode", _CHANGES)),
        amount=Kroner(line.whole("sats", -MAX_RATE, MAX_RATE)),
        rate=rate,
        line_id=line.whole("delytelseId", -_GREATEST_NUMBER, _GREATEST_NUMBER),
        ref_line=line.optional_whole("refDelytelseId", -_GREATEST_NUMBER, _GREATEST_NUMBER),
        ref_case=line.optional_text("refFagsystemId", most=30),
        class_code=line.word("klassekode", tuple(CLASS_CODES.values())),
        class_from=line.optional_day("datoKlassifikFom"),
        ceased_from=ceased_from,
        ceased=ceased_from is not None,
        grade=line.optional_whole("grad", 0, _MOST_GRADE),
    )


class _LineOverHttp(Struct, forbid_unknown_fields=True):
    change: _ChangeWord = field(name="endringskode")
    start: date = field(name="fom")
    end: date = field(name="tom")
    rate: Literal["DAGLIG", "ENGANGS"] = field(name="satstype")
    amount: Annotated[int, Meta(ge=-MAX_RATE, le=MAX_RATE)] = field(name="sats")
    line_id: _Number = field(name="delytelseId")
    class_code: str = field(name="klassekode")
    grade: Annotated[int, Meta(ge=0, le=_MOST_GRADE)] | None = field(name="grad", default=None)
    ref_line: _Number | None = field(name="refDelytelseId", default=None)
    ref_case: Annotated[str, Meta(max_length=30)] | None = field(name="refFagsystemId", default=None)
    class_from: date | None = field(name="klassekodeFom", default=None)
    ceased_from: date | None = field(name="opphørerFom", default=None)


class _OrderOverHttp(Struct, forbid_unknown_fields=True):
    area: Literal["ARBEIDSGIVERREFUSJON", "BRUKERUTBETALING"] = field(name="fagområde")
    case_id: Annotated[str, Meta(min_length=1, max_length=30)] = field(name="fagsystemId")
    change: _ChangeWord = field(name="endringskode")
    recipient: Annotated[str, Meta(pattern="^([0-9]{9}|[0-9]{11})$")] = field(name="mottakerAvUtbetalingen")
    lines: Annotated[list[_LineOverHttp], Meta(max_length=MAX_NEED_LINES)] = field(name="linjer")


class _Request(Struct):
    person: Annotated[str, Meta(pattern="^[0-9]{11}$")] = field(name="fødselsnummer")
    order: _OrderOverHttp = field(name="oppdrag")
    caseworker: Annotated[str, Meta(min_length=1, max_length=50)] = field(name="saksbehandler")
    last_day: date | None = field(name="maksdato", default=None)


_request_decoder = msgspec.json.Decoder(_Request | None)


def read_request(body: bytes) -> Need | InvalidQuestion:
    """The question that the body of a request is. Unknown members are passed over at the top and refused further in. Source: rapid §5.2."""
    try:
        request = read(_request_decoder, body)
        refuse_repeated(body)
    except Undecodable as wrong:
        return InvalidQuestion((str(wrong),))
    if request is None:
        return InvalidQuestion((_NOT_THE_FORM,))
    order = request.order
    unknown = [index for index, line in enumerate(order.lines) if line.class_code not in CLASS_CODES]
    if unknown or not order.lines:
        return InvalidQuestion(tuple([f"oppdrag.linjer[{index}].klassekode is not a known word" for index in unknown]) or (_NO_LINES,))
    return Need(
        kind=NeedKind.PAYMENT,
        person=request.person,
        organisation="",
        payment_id=_NO_PAYMENT,
        case_id=CaseId(order.case_id.strip()),
        area=Area(_AREAS[order.area]),
        change=_CHANGES_OVER_HTTP[order.change],
        caseworker=request.caseworker,
        recipient=order.recipient,
        last_day=request.last_day,
        lines=tuple([_line_over_http(line) for line in order.lines]),
    )


def _line_over_http(line: _LineOverHttp) -> NeedLine:
    return NeedLine(
        start=line.start,
        end=line.end,
        change=_CHANGES_OVER_HTTP[line.change],
        amount=Kroner(line.amount),
        rate=_RATES_OVER_HTTP[line.rate],
        line_id=line.line_id,
        ref_line=line.ref_line,
        ref_case=line.ref_case,
        class_code=CLASS_CODES[line.class_code],
        class_from=line.class_from,
        ceased_from=line.ceased_from,
        ceased=line.ceased_from is not None,
        grade=line.grade,
    )
