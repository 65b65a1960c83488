"""Answers: status documents as they are kept, the words of a status, and refusals as bodies (iverksetting §1.9, §1.13)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct, field

from kvitt.contracts.iverksetting.decision import EnactmentKey, Generation
from kvitt.disbursement.values import Refusal

JSON: Final = "application/json"
UNEXPECTED: Final = "Ukjent feil, helved er varslet."
_UNEXPECTED_BEFORE: Final = "Uventet feil"
_FAILED: Final = "FEILET"
_INTERNAL = 500


class EnactmentStatus(StrEnum):
    """Statuses of a decision as the newest form has them."""

    NOT_BEGUN = "IKKE_PÅBEGYNT"
    SENT = "SENDT_TIL_OPPDRAG"
    OK = "OK"
    FAILED = "FEILET_MOT_OPPDRAG"
    OK_WITHOUT_PAYMENT = "OK_UTEN_UTBETALING"


FIRST_WORDS: Final[Mapping[EnactmentStatus, str]] = {
    EnactmentStatus.NOT_BEGUN: "IKKE_PAABEGYNT",
    EnactmentStatus.OK_WITHOUT_PAYMENT: "OK",
}
"""The words of the first generation, where they are others (iverksetting §1.9)."""


class StatusDocument(Struct, frozen=True, omit_defaults=True):
    """The answer that is kept of a decision: what it is, how far it has come, and what it said, in short digests by field.

    `status` is None for one that was refused: `error` says why. Of one of whose orders the rail took none or not all, `failed`, and of one
    that it took with a note, `error` has its words. `person` is whom the status topic names, where a status is published.
    """

    case_name: str
    key: EnactmentKey
    status: EnactmentStatus | None = None
    error: Refusal | None = None
    failed: bool = False
    previous: EnactmentKey | None = None
    meaning: Mapping[str, str] = field(default_factory=dict)
    person: str | None = None

    def encode(self) -> bytes:
        """The document as it is kept."""
        return msgspec.json.encode(self)


_document = msgspec.json.Decoder(StatusDocument)


def decode_document(kept: bytes) -> StatusDocument:
    """A document as it is kept."""
    return _document.decode(kept)


class ContractBody(Struct, frozen=True):
    """A body of an answer, with its type; an empty one has none."""

    content_type: str | None
    body: bytes


EMPTY_BODY: Final = ContractBody(None, b"")


def status_body(status: EnactmentStatus, generation: Generation) -> ContractBody:
    """A status as a JSON text, in the words of a generation."""
    word = FIRST_WORDS.get(status, status.value) if generation is Generation.FIRST else status.value
    return ContractBody(JSON, msgspec.json.encode(word))


def refusal_body(refusal: Refusal, generation: Generation) -> ContractBody:
    """A refusal as a generation writes it down. A text in quotes is written as JSON writes one, quotes inside it with a backslash."""
    if generation is Generation.THIRD:
        return _object({"statusCode": refusal.status, "msg": refusal.text, "doc": refusal.doc, "system": refusal.system})
    if generation is Generation.FIRST:
        return _object({"data": None, "status": _FAILED, "melding": refusal.text, "frontendFeilmelding": None, "stacktrace": None})
    return ContractBody(JSON, refusal.text.encode() if generation is Generation.SECOND_PLAIN else msgspec.json.encode(refusal.text))


def unexpected_body(generation: Generation, doc: str) -> ContractBody:
    """The body of an answer that kvitt failed."""
    if generation in (Generation.SECOND_PLAIN, Generation.SECOND):
        return EMPTY_BODY
    text = UNEXPECTED if generation is Generation.THIRD else _UNEXPECTED_BEFORE
    return refusal_body(Refusal(_INTERNAL, text, doc), generation)


def stopped_body(refusal: Refusal) -> ContractBody:
    """The body of the refusal while a scheme is switched off: a JSON text in all generations."""
    return ContractBody(JSON, msgspec.json.encode(refusal.text))


def _object(members: Mapping[str, object]) -> ContractBody:
    return ContractBody(JSON, msgspec.json.encode(members))
