"""Makes the answer to a need: the object under `@løsning`, its fixed texts, and what a receipt makes of it (rapid §2.3–§2.6, §3.3)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct, field

from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.rail import Observation, Severity
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Refusal
from kvitt.formats.times import mapper_text


class SolutionStatus(StrEnum):
    """The states that a sender sees for one need."""

    RECEIVED = "MOTTATT"
    TRANSFERRED = "OVERFØRT"
    ACCEPTED = "AKSEPTERT"
    ACCEPTED_WITH_NOTE = "AKSEPTERT_MED_FEIL"
    REJECTED = "AVVIST"
    FAILED = "FEIL"


class Solution(Struct, frozen=True, omit_defaults=True):
    """One answer. `key` is the reconciliation key, `sent_at` the Oslo time of the event that brought it; absent ones are left out."""

    status: SolutionStatus
    text: str = field(name="beskrivelse")
    sent_at: str | None = field(name="overføringstidspunkt", default=None)
    key: int | None = field(name="avstemmingsnøkkel", default=None)


TEXTS: Final[Mapping[SolutionStatus, str]] = {
    SolutionStatus.RECEIVED: "Oppdraget er mottatt, men ikke sendt til Oppdrag/UR",
    SolutionStatus.TRANSFERRED: "Oppdraget er sendt til Oppdrag/UR. Venter på kvittering",
    SolutionStatus.ACCEPTED: "Oppdraget ble akseptert uten feil",
    SolutionStatus.ACCEPTED_WITH_NOTE: "Oppdraget ble akseptert, men noe er feil",
    SolutionStatus.REJECTED: "Oppdraget ble avvist",
    SolutionStatus.FAILED: "Spenn forstår ikke responsen fra Oppdrag",
}
"""What a status says where nobody has said anything better."""

_TECHNICAL: Final = "Teknisk feil fra oppdrag, OS har angivelig forsøkt et par ganger og til slutt avvist. Forsøk på nytt"
_STATUS_OF: Final[Mapping[Severity, SolutionStatus]] = {
    Severity.OK: SolutionStatus.ACCEPTED,
    Severity.WARNING: SolutionStatus.ACCEPTED_WITH_NOTE,
    Severity.REJECTED: SolutionStatus.REJECTED,
    Severity.TECHNICAL: SolutionStatus.FAILED,
    Severity.UNKNOWN: SolutionStatus.FAILED,
}
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Solution)


def encode(solution: Solution) -> bytes:
    """The answer as JSON; what it does not know is left out."""
    return _encoder.encode(solution)


def decode(stored: bytes) -> Solution:
    """The answer that `encode` wrote."""
    return _decoder.decode(stored)


def of_receipt(receipt: Observation, key: int | None, at: datetime) -> Solution:
    """The answer to a receipt, published `at` that Oslo time. Source: rapid §3.3, table of severities."""
    return Solution(_STATUS_OF[receipt.severity], _words(receipt), sent_at=mapper_text(at), key=key)


class _WithSolutions(Struct):
    solutions: Mapping[str, msgspec.Raw] = field(name="@løsning", default_factory=dict)


_message_decoder = msgspec.json.Decoder(_WithSolutions)
_STATUS_IN_SHORT: Final[Mapping[SolutionStatus, Status]] = {
    SolutionStatus.RECEIVED: Status.RECEIVED,
    SolutionStatus.TRANSFERRED: Status.WITH_RAIL,
    SolutionStatus.ACCEPTED: Status.OK,
    SolutionStatus.ACCEPTED_WITH_NOTE: Status.OK,
    SolutionStatus.REJECTED: Status.FAILED,
    SolutionStatus.FAILED: Status.FAILED,
}
_HTTP_STATUS: Final[Mapping[SolutionStatus, int]] = {
    SolutionStatus.ACCEPTED_WITH_NOTE: 200,
    SolutionStatus.REJECTED: 400,
    SolutionStatus.FAILED: 500,
}


def of_message(message: bytes) -> bytes | None:
    """The answer that a message on the rapid carries; None for one that is no answer."""
    return next(iter(map(bytes, _message_decoder.decode(message).solutions.values())), None)


def in_short(solution: Solution) -> Answer:
    """The answer in the words of the case streams, for whoever looks at cases of both."""
    error = None
    if solution.status in _HTTP_STATUS:
        error = Refusal(_HTTP_STATUS[solution.status], f"{solution.status.value}: {solution.text}", BASE)
    return Answer(_STATUS_IN_SHORT[solution.status], None, error)


def code_of(receipt: Observation) -> str:
    """`feilkode_oppdrag`: the severity, or `??` for a missing or unheard-of one."""
    return "??" if receipt.severity is Severity.UNKNOWN else receipt.raw_severity


def _words(receipt: Observation) -> str:
    if receipt.severity is Severity.TECHNICAL:
        return _TECHNICAL
    if receipt.severity is Severity.UNKNOWN:
        unheard = f"{TEXTS[SolutionStatus.FAILED]}. Fikk ukjent kode: {receipt.raw_severity or 'UKJENT'}"
        return f"{unheard}. {receipt.text}" if receipt.text else unheard
    return receipt.text or TEXTS[_STATUS_OF[receipt.severity]]
