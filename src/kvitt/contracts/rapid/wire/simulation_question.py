"""Questions about simulations, as needs of the rapid and as requests over HTTP: what they ask, or everything that is wrong with them.

Either becomes a need whose order is asked about and never sent; it has no payment id (rapid §5.1, §5.2).
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from kvitt.contracts.rapid.needs import MAX_NEED_LINES, MAX_RATE, Need, NeedKind, NeedLine, Rate
from kvitt.contracts.rapid.wire.fields import Fields, Problems
from kvitt.contracts.rapid.wire.need import AREAS, document_of
from kvitt.disbursement.simulation import FailureReason, SimulationFailure
from kvitt.disbursement.values import Area, CaseId, LineChange, PaymentId
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.kernel.money import Kroner

NEED: Final = "Simulering"
_NO_PAYMENT: Final = PaymentId("")
MOST_GRADE: Final = 100
GREATEST_NUMBER: Final = 2**63 - 1
_NOT_THE_FORM: Final = "Ugyldig simulering request, oppfyller ikke kontrakten"
_NO_OBJECT: Final = f"{_NOT_THE_FORM}: må være et objekt"
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
AREAS_OVER_HTTP: Final[Mapping[str, str]] = {"ARBEIDSGIVERREFUSJON": "SPREF", "BRUKERUTBETALING": "SP"}
CHANGES_OVER_HTTP: Final[Mapping[str, LineChange]] = {
    "NY": LineChange.NEW,
    "ENDRET": LineChange.CHANGE,
    "IKKE_ENDRET": LineChange.NONE,
}
RATES_OVER_HTTP: Final[Mapping[str, Rate]] = {"DAGLIG": "DAG", "ENGANGS": "ENG"}
_ORDER_MEMBERS: Final = frozenset({"fagområde", "fagsystemId", "endringskode", "mottakerAvUtbetalingen", "linjer"})
_LINE_MEMBERS: Final = frozenset(
    {
        "endringskode",
        "fom",
        "tom",
        "satstype",
        "sats",
        "grad",
        "delytelseId",
        "refDelytelseId",
        "refFagsystemId",
        "klassekode",
        "klassekodeFom",
        "opphørerFom",
    }
)
_MOST_PROBLEMS: Final = 100
"""As many as anybody reads."""


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
    _note_repeated(body, problems)
    asked = _need(Fields(document, "", problems))
    return InvalidQuestion(problems.listed()) if problems.listed() else asked


def _note_repeated(body: bytes, problems: Problems) -> None:
    try:
        refuse_repeated(body)
    except Undecodable as repeated:
        problems.note(repeated.field, "forekommer mer enn én gang")


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
        line_id=line.whole("delytelseId", -GREATEST_NUMBER, GREATEST_NUMBER),
        ref_line=line.optional_whole("refDelytelseId", -GREATEST_NUMBER, GREATEST_NUMBER),
        ref_case=line.optional_text("refFagsystemId", most=30),
        class_code=line.word("klassekode", tuple(CLASS_CODES.values())),
        class_from=line.optional_day("datoKlassifikFom"),
        ceased_from=ceased_from,
        ceased=ceased_from is not None,
        grade=line.optional_whole("grad", 0, MOST_GRADE),
    )


def read_request(body: bytes) -> Need | InvalidQuestion:
    """The question that the body of a request is, or everything that is wrong with it. Source: rapid §5.2.

    Unknown members are passed over at the top and refused further in; numbers are numbers and no texts.
    """
    try:
        document = document_of(body)
    except Undecodable as wrong:
        return InvalidQuestion((str(wrong),))
    if document is None:
        return InvalidQuestion((_NOT_THE_FORM,))
    if not isinstance(document, dict):
        return InvalidQuestion((_NO_OBJECT,))
    problems = Problems()
    _note_repeated(body, problems)
    asked = _request(Fields(document, "", problems, numbers_as_text=False))
    if noted := problems.listed():
        return InvalidQuestion(noted[:_MOST_PROBLEMS])
    return asked if asked.lines else InvalidQuestion((_NO_LINES,))


def _request(top: Fields) -> Need:
    """The question; worth something only when no problem was noted on the way."""
    order = top.section("oppdrag")
    order.refuse_others(_ORDER_MEMBERS)
    return Need(
        kind=NeedKind.PAYMENT,
        person=top.digits("fødselsnummer", (11,)),
        organisation="",
        payment_id=_NO_PAYMENT,
        case_id=CaseId(order.trimmed("fagsystemId", most=30)),
        area=Area(AREAS_OVER_HTTP[order.word("fagområde", tuple(AREAS_OVER_HTTP))]),
        change=CHANGES_OVER_HTTP[order.word("endringskode", tuple(CHANGES_OVER_HTTP))],
        caseworker=top.text("saksbehandler", most=50),
        recipient=order.digits("mottakerAvUtbetalingen", (9, 11)),
        last_day=top.optional_day("maksdato"),
        lines=tuple([_line_over_http(line) for line in order.sections("linjer", most=MAX_NEED_LINES)]),
    )


def _line_over_http(line: Fields) -> NeedLine:
    line.refuse_others(_LINE_MEMBERS)
    ceased_from = line.optional_day("opphørerFom")
    return NeedLine(
        start=line.day("fom"),
        end=line.day("tom"),
        change=CHANGES_OVER_HTTP[line.word("endringskode", tuple(CHANGES_OVER_HTTP))],
        amount=Kroner(line.whole("sats", -MAX_RATE, MAX_RATE)),
        rate=RATES_OVER_HTTP[line.word("satstype", tuple(RATES_OVER_HTTP))],
        line_id=line.whole("delytelseId", -GREATEST_NUMBER, GREATEST_NUMBER),
        ref_line=line.optional_whole("refDelytelseId", -GREATEST_NUMBER, GREATEST_NUMBER),
        ref_case=line.optional_text("refFagsystemId", most=30),
        class_code=CLASS_CODES[line.word("klassekode", tuple(CLASS_CODES))],
        class_from=line.optional_day("klassekodeFom"),
        ceased_from=ceased_from,
        ceased=ceased_from is not None,
        grade=line.optional_whole("grad", 0, MOST_GRADE),
    )
