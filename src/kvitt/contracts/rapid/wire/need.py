"""Bytes of the rapid to a need: whether the record is a question for us, what it asks, and everything that is wrong with it.

Most records are for others and are let go after one look. Source: rapid §1.4 (relevance), §2.1 and §2.2 (rules), design §12.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from kvitt.contracts.rapid.needs import (
    MAX_GRADE,
    MAX_NEED_LINES,
    MAX_RATE,
    RATE_OF,
    Need,
    NeedKind,
    NeedLine,
)
from kvitt.contracts.rapid.wire.fields import Fields, Fractional, Problems
from kvitt.disbursement.editions import CURRENT, Edition
from kvitt.disbursement.refusals import rule_of
from kvitt.disbursement.values import (
    Area,
    CaseId,
    LineChange,
    PaymentId,
)
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.kernel.identifiers import flaw_of
from kvitt.kernel.money import Kroner

AREAS: Final = ("SPREF", "SP")
MAX_BYTES: Final = 16 * 1024 * 1024

_CHANGES: Final = tuple(change.value for change in LineChange)
_NAMES: Final = tuple(kind.value.encode() for kind in NeedKind)
_LEAST_LONG, _GREATEST_LONG = -(2**63), 2**63 - 1
_ONE_NEED_ONLY: Final = "@behov: kan bare nevne ett av behovene Utbetaling og Feriepengeutbetaling"
_decoder = msgspec.json.Decoder(float_hook=Fractional)


class InvalidNeed(Struct, frozen=True):
    """A need that is for us and breaks rules: the needs of ours that it names, and every problem as `path: rule`, without values."""

    kinds: tuple[NeedKind, ...]
    problems: tuple[str, ...]


def read(body: bytes, edition: Edition = CURRENT) -> Need | InvalidNeed | None:
    """The need, what is wrong with it, or None for what is not for us: other events, other needs, answered ones, other JSON.

    Raises Undecodable for bytes that are no JSON and yet name a need of ours, because nobody can be answered. Raises nothing else.
    """
    if not _may_name(body):
        return None
    try:
        document = document_of(body)
    except Undecodable:
        if any(name in body for name in _NAMES):
            raise
        return None
    if not isinstance(document, dict) or not (kinds := _asked(document)):
        return None
    if len(kinds) > 1:
        return InvalidNeed(kinds, (_ONE_NEED_ONLY,))
    problems = Problems()
    if edition >= Edition.ONE_OF_EACH:
        _note_repeated(body, problems)
    need = _need(kinds[0], Fields(document, "", problems))
    if edition >= Edition.PLAIN_IDS:
        _note_flawed(need, problems)
    return InvalidNeed(kinds, problems.listed()) if problems.listed() else need


def _may_name(body: bytes) -> bool:
    """Whether it is worth reading: a name may also stand there in escapes."""
    return any(name in body for name in _NAMES) or b"\\u" in body


def document_of(body: bytes) -> object:
    """The JSON that bytes are, its fractional numbers to the letter. Raises Undecodable."""
    if len(body) > MAX_BYTES:
        raise Undecodable("", f"is larger than {MAX_BYTES} bytes")
    try:
        body.decode()
        document: object = _decoder.decode(body)
    except UnicodeDecodeError:
        raise Undecodable("", "is not UTF-8") from None
    except msgspec.DecodeError:
        raise Undecodable("", "is not JSON") from None
    except RecursionError:
        raise Undecodable("", "is nested too deep") from None
    return document


def _note_repeated(body: bytes, problems: Problems) -> None:
    try:
        refuse_repeated(body)
    except Undecodable as repeated:
        problems.note(repeated.field, "forekommer mer enn én gang")


def _note_flawed(need: Need, problems: Problems) -> None:
    """Blanks around these ids do not count, and what is missing was noted before."""
    section = need.kind.value
    named: list[tuple[str, str]] = [(f"{section}.fagsystemId", need.case_id)]
    named += [
        (f"{section}.linjer[{place}].refFagsystemId", line.ref_case.strip()) for place, line in enumerate(need.lines) if line.ref_case
    ]
    for path, text in named:
        if text and (flaw := flaw_of(text)):
            problems.note(path, rule_of(flaw))


def _asked(document: Mapping[str, object]) -> tuple[NeedKind, ...]:
    """The needs of ours that an unanswered question names; none for anything else (rapid §2.1, preconditions)."""
    names = document.get("@behov")
    if document.get("@event_name") != "behov" or not isinstance(names, list) or document.get("@løsning") is not None:
        return ()
    return tuple(kind for kind in NeedKind if kind.value in names)


def _need(kind: NeedKind, top: Fields) -> Need:
    """The need; worth something only when no problem was noted on the way."""
    section = top.section(kind.value)
    area = section.word("fagområde", AREAS)
    return Need(
        kind=kind,
        person=top.digits("fødselsnummer", (11,)),
        organisation=top.text("organisasjonsnummer", most=100),
        payment_id=PaymentId(top.uuid("utbetalingId")),
        case_id=CaseId(section.trimmed("fagsystemId", most=30)),
        area=Area(area),
        change=LineChange(section.word("endringskode", _CHANGES)),
        caseworker=section.text("saksbehandler", most=50),
        recipient=section.digits("mottaker", (9, 11)),
        last_day=section.optional_day("maksdato") if kind is NeedKind.PAYMENT else None,
        lines=_lines(kind, section),
    )


def _lines(kind: NeedKind, section: Fields) -> tuple[NeedLine, ...]:
    return tuple([_line(kind, line) for line in section.sections("linjer", most=MAX_NEED_LINES)])


def _line(kind: NeedKind, line: Fields) -> NeedLine:
    line.word("satstype", (RATE_OF[kind],))
    grade = line.whole("grad", 0, MAX_GRADE) if kind is NeedKind.PAYMENT else line.optional_whole("grad", 0, MAX_GRADE)
    return NeedLine(
        start=line.day("fom"),
        end=line.day("tom"),
        change=LineChange(line.word("endringskode", _CHANGES)),
        amount=Kroner(line.whole("sats", -MAX_RATE, MAX_RATE)),
        rate=RATE_OF[kind],
        line_id=line.whole("delytelseId", _LEAST_LONG, _GREATEST_LONG),
        ref_line=line.optional_whole("refDelytelseId", _LEAST_LONG, _GREATEST_LONG),
        ref_case=line.optional_text("refFagsystemId", most=30),
        class_code=line.text("klassekode", most=50),
        class_from=line.optional_day("datoKlassifikFom"),
        ceased_from=line.optional_day("datoStatusFom"),
        ceased=line.optional_word("statuskode", ("OPPH",)),
        grade=grade,
    )
