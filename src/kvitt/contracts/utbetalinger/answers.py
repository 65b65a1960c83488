"""Answers to calls about single payments: statuses as they are kept, and refusals as the contract's object (iverksetting §3.8, §1.13)."""

from enum import StrEnum
from typing import Final

from msgspec import Struct, field
from msgspec.json import Decoder, Encoder

from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Refusal

UNEXPECTED: Final = Refusal(500, "Ukjent feil, helved er varslet.", BASE)
_encoder = Encoder()


class PaymentStatus(StrEnum):
    """How far the last change of a payment has come."""

    NOT_BEGUN = "IKKE_PÅBEGYNT"
    WITH_RAIL = "SENDT_TIL_OPPDRAG"
    OK = "OK"
    FAILED = "FEILET_MOT_OPPDRAG"
    WITHOUT_PAYMENT = "OK_UTEN_UTBETALING"


_IN_SHORT: Final = {
    PaymentStatus.NOT_BEGUN: Status.RECEIVED,
    PaymentStatus.WITH_RAIL: Status.WITH_RAIL,
    PaymentStatus.OK: Status.OK,
    PaymentStatus.FAILED: Status.FAILED,
    PaymentStatus.WITHOUT_PAYMENT: Status.OK,
}


class KeptStatus(Struct, frozen=True, omit_defaults=True):
    """The answer that is kept with a call. `status` is None of a refused one; `error` says why it failed, or with what note it did not."""

    status: PaymentStatus | None = None
    error: Refusal | None = None

    def encode(self) -> bytes:
        """The answer as the store keeps it."""
        return _encoder.encode(self)

    def in_short(self) -> Answer:
        """The answer in the core's words."""
        return Answer(_IN_SHORT[self.status] if self.status else Status.FAILED, None, self.error)


_kept = Decoder(KeptStatus)


def decode_kept(answer: bytes) -> KeptStatus:
    """An answer that the store kept."""
    return _kept.decode(answer)


def encode_word(status: PaymentStatus) -> bytes:
    """A status as it is said: a JSON text."""
    return _encoder.encode(status)


class ErrorObject(Struct, frozen=True):
    """A refusal as callers read it."""

    status: int = field(name="statusCode")
    text: str = field(name="msg")
    doc: str
    system: str


def encode_refusal(refusal: Refusal) -> bytes:
    """A refusal as the body of an answer, all four members."""
    return _encoder.encode(ErrorObject(refusal.status, refusal.text, refusal.doc, refusal.system))
