"""Answers to questions about simulations: the solution of a need, and the HTTP answer of the service that it stands in for.

Forms and texts are those of rapid §5.1, §5.2 and §5.4.
"""

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct, field

from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.inbox import FAILURE
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.simulation import (
    Again,
    FailureReason,
    NothingComputed,
    RailFault,
    SimulatedPayment,
    SimulatedPeriod,
    SimulatedPosting,
    Simulation,
    SimulationFailure,
    SimulationOutcome,
)
from kvitt.disbursement.values import Refusal
from kvitt.kernel.money import Kroner

PATH: Final = "/api/simulering"
_MEMBERS: Final = frozenset({"errorMessage", "errorSource", "rootCause", "dateTimeStamp"})
_LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?", re.ASCII)
_FAILED: Final = "Feil fra Spenn Simulering (http 500): Uventet feil: "
_encoder = msgspec.json.Encoder()


class SimulationStatus(StrEnum):
    """How a question ended, as its sender sees it."""

    OK = "OK"
    CLOSED = "OPPDRAG_UR_ER_STENGT"
    REFUSED = "FUNKSJONELL_FEIL"
    FAILED = "TEKNISK_FEIL"


_STATUSES: Final[Mapping[FailureReason, SimulationStatus]] = {
    FailureReason.NOT_ASKED: SimulationStatus.REFUSED,
    FailureReason.ORDER_OPEN: SimulationStatus.REFUSED,
    FailureReason.CLOSED: SimulationStatus.CLOSED,
    FailureReason.UNREACHABLE: SimulationStatus.CLOSED,
    FailureReason.TIMED_OUT: SimulationStatus.CLOSED,
    FailureReason.NO_ANSWER: SimulationStatus.CLOSED,
    FailureReason.BROKEN_OFF: SimulationStatus.CLOSED,
    FailureReason.NO_TOKEN: SimulationStatus.CLOSED,
}
"""Of failures without a fault; all others have failed."""
_HTTP: Final[Mapping[SimulationStatus, HTTPStatus]] = {
    SimulationStatus.CLOSED: HTTPStatus.SERVICE_UNAVAILABLE,
    SimulationStatus.REFUSED: HTTPStatus.BAD_REQUEST,
    SimulationStatus.FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_UNREAD: Final = "Klarte ikke tolke SOAP-responsen"
_NO_BODY: Final = "SOAP Body er null"
_CLOSED: Final = "Oppdrag/UR er stengt"


class _PostingShape(Struct):
    start: date = field(name="faktiskFom")
    end: date = field(name="faktiskTom")
    account: str = field(name="konto")
    amount: Kroner = field(name="belop")
    is_reversal: bool = field(name="tilbakeforing")
    rate: float = field(name="sats")
    rate_type: str = field(name="typeSats")
    rate_count: int = field(name="antallSats")
    grade: int = field(name="uforegrad")
    class_code: str = field(name="klassekode")
    class_text: str = field(name="klassekodeBeskrivelse")
    kind: str = field(name="utbetalingsType")
    refunded_to: str = field(name="refunderesOrgNr")


class _RecipientShape(Struct):
    case_id: str = field(name="fagSystemId")
    recipient: str = field(name="utbetalesTilId")
    recipient_name: str = field(name="utbetalesTilNavn")
    due_on: date | None = field(name="forfall")
    on_error_account: bool = field(name="feilkonto")
    postings: list[_PostingShape] = field(name="detaljer")


class _SimulatedDaysShape(Struct):
    start: date = field(name="fom")
    end: date = field(name="tom")
    payments: list[_RecipientShape] = field(name="utbetaling")


class SimulationShape(Struct):
    """The rail's answer, as the service tells it; amounts are whole kroner."""

    person: str = field(name="gjelderId")
    person_name: str = field(name="gjelderNavn")
    computed_on: date = field(name="datoBeregnet")
    total: Kroner = field(name="totalBelop")
    periods: list[_SimulatedDaysShape] = field(name="periodeList")


class _SolutionShape(Struct):
    status: SimulationStatus
    text: str | None = field(name="feilmelding")
    simulation: SimulationShape | None = field(name="simulering")


class ServiceProblem(Struct):
    """The service's answer to a question of which it has no simulation."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    call_id: str = field(name="callId")
    stacktrace: str | None


class SaidOfSimulation(Struct, frozen=True):
    """A solution as far as it is a status and a text."""

    status: SimulationStatus
    text: str | None = field(name="feilmelding", default=None)


class HttpAnswer(Struct, frozen=True):
    """Status, content type and body; no content type where there is no body."""

    status: int
    content_type: str | None = None
    body: bytes = b""


def solution(outcome: SimulationOutcome) -> bytes:
    """The object under `@løsning.Simulering`, with exactly three keys. Source: rapid §5.1."""
    status, why = _classified(outcome)
    text = _text_of(status, why)
    return _encoder.encode(_SolutionShape(status, text, _shape(outcome) if text is None and isinstance(outcome, Simulation) else None))


def decode(stored: bytes) -> SaidOfSimulation | None:
    """The solution that `solution` wrote, without the simulation in it; None for the solution of another need."""
    try:
        return _decoder.decode(stored)
    except msgspec.ValidationError:
        return None


def in_short(said: SaidOfSimulation) -> Answer:
    """The solution in the words of the case streams, for whoever looks at cases of both."""
    if said.status is SimulationStatus.OK:
        return Answer(Status.OK, dry_run=True)
    return Answer(Status.FAILED, None, Refusal(_HTTP[said.status], said.text or "", BASE), dry_run=True)


def failure_in(said: SaidOfSimulation) -> Refusal | None:
    """The refusal in a solution which says that kvitt itself failed on the need."""
    text = (said.text or "").removeprefix(_FAILED)
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, text, BASE) if text.startswith(FAILURE) else None


def refusal_as_outcome(refusal: Refusal) -> SimulationFailure:
    """A refusal of a need as the outcome that its sender hears of: kvitt's own fault is named as such."""
    ours = refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR and refusal.text.startswith(FAILURE)
    return SimulationFailure(FailureReason.OUR_FAULT if ours else FailureReason.NOT_ASKED, refusal.text)


def http_answer(outcome: SimulationOutcome, call_id: str) -> HttpAnswer:
    """The service's answer to a question. Source: rapid §5.2."""
    if isinstance(outcome, SimulationFailure) and outcome.reason is FailureReason.ORDER_OPEN:
        return problem(HTTPStatus.CONFLICT, outcome.text, call_id)
    status, why = _classified(outcome)
    if status is not SimulationStatus.OK:
        return problem(_HTTP[status], _detail_of(status, why), call_id)
    if isinstance(outcome, Simulation):
        return HttpAnswer(HTTPStatus.OK, "application/json", _encoder.encode(_shape(outcome)))
    return HttpAnswer(HTTPStatus.NO_CONTENT)


def problem(status: HTTPStatus, detail: str, call_id: str) -> HttpAnswer:
    """An answer that says what is wrong; the call's id is its sender's, if there was one."""
    kind = "internal_error" if status is HTTPStatus.INTERNAL_SERVER_ERROR else status.name.lower()
    shape = ServiceProblem(f"urn:error:{kind}", status.phrase, status, detail, PATH, call_id, None)
    return HttpAnswer(status, "application/problem+json", _encoder.encode(shape))


def _is_technical(outcome: SimulationOutcome) -> bool:
    return _classified(outcome)[0] is SimulationStatus.FAILED


_decoder = msgspec.json.Decoder(SaidOfSimulation)
AGAIN: Final = Again((0.5, 1.5, 3.0), _is_technical)
"""A need is asked about three times more after a technical failure, and after no other (rapid §5.1)."""


def _classified(outcome: SimulationOutcome) -> tuple[SimulationStatus, str]:
    """How it ended, and why in the words of the contract."""
    if isinstance(outcome, NothingComputed):
        return SimulationStatus.OK, ""
    if isinstance(outcome, Simulation):
        complete = all(payment.due_on for period in outcome.periods for payment in period.payments)
        return (SimulationStatus.OK, "") if complete else (SimulationStatus.FAILED, "forfall mangler")
    if outcome.fault:
        return _of_fault(outcome.fault)
    status = _STATUSES.get(outcome.reason, SimulationStatus.FAILED)
    if outcome.reason is FailureReason.OUR_FAULT:
        return SimulationStatus.FAILED, outcome.text
    if status is SimulationStatus.FAILED:
        return status, _NO_BODY if outcome.reason is FailureReason.EMPTY_ENVELOPE else _UNREAD
    return status, outcome.text


def _of_fault(fault: RailFault) -> tuple[SimulationStatus, str]:
    """Source: rapid §5.4; the detail is read strictly."""
    if cics := fault.part("CICSFault"):
        return SimulationStatus.FAILED, cics.text
    if len(fault.detail) == 1:
        texts = {part.name: part.text for part in fault.detail[0].parts}
        plain = len(texts) == len(fault.detail[0].parts) and texts.keys() == _MEMBERS
        if plain and _LOCAL_TIME.fullmatch(texts["dateTimeStamp"]):
            return SimulationStatus.REFUSED, texts["errorMessage"]
    return SimulationStatus.REFUSED, f"SOAP fault: {fault.code} - {fault.text}"


def _detail_of(status: SimulationStatus, why: str) -> str:
    """The service's words about it."""
    if status is SimulationStatus.CLOSED:
        return HTTPStatus.SERVICE_UNAVAILABLE.phrase
    return f"Simulering feilet på grunn av funksjonell feil. {why}" if status is SimulationStatus.REFUSED else f"Uventet feil: {why}"


def _text_of(status: SimulationStatus, why: str) -> str | None:
    """The words that the sender of a need hears about it; None: all is well."""
    if status is SimulationStatus.OK:
        return None
    if status is SimulationStatus.CLOSED:
        return _CLOSED
    detail = _detail_of(status, why)
    if status is SimulationStatus.REFUSED:
        return f"Feil i requesten vår til Spenn Simulering: {detail}"
    return f"Feil fra Spenn Simulering (http {_HTTP[status].value}): {detail}"


def _shape(simulation: Simulation) -> SimulationShape:
    return SimulationShape(
        simulation.person, simulation.person_name, simulation.computed_on, simulation.total, [_days(each) for each in simulation.periods]
    )


def _days(period: SimulatedPeriod) -> _SimulatedDaysShape:
    return _SimulatedDaysShape(period.start, period.end, [_recipient(each) for each in period.payments])


def _recipient(payment: SimulatedPayment) -> _RecipientShape:
    return _RecipientShape(
        payment.case_id,
        payment.recipient,
        payment.recipient_name,
        payment.due_on,
        payment.on_error_account,
        [_posting(row) for row in payment.postings],
    )


def _posting(row: SimulatedPosting) -> _PostingShape:
    return _PostingShape(
        start=row.start,
        end=row.end,
        account=row.account,
        amount=row.amount,
        is_reversal=row.is_reversal,
        rate=row.rate / 100,
        rate_type=row.raw_rate_type,
        rate_count=row.rate_count,
        grade=row.grade,
        class_code=row.class_code,
        class_text=row.class_text,
        kind=row.raw_kind,
        refunded_to=row.refunded_to,
    )
