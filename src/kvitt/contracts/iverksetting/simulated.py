"""Decisions that are simulated: the lines are those that the decision would send; who asks waits for the rail (iverksetting §4.1).

Nobody's authority matters for what only looks, and nothing of it is received: the chain stays where it stands.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from msgspec import Struct, field
from msgspec.json import Encoder
from msgspec.structs import replace

from kvitt.contracts.iverksetting.answers import (
    EMPTY_BODY,
    JSON,
    ContractBody,
    EnactmentStatus,
    StatusDocument,
    decode_document,
    refusal_body,
    unexpected_body,
)
from kvitt.contracts.iverksetting.call import enactment_call
from kvitt.contracts.iverksetting.chain import chain_wording
from kvitt.contracts.iverksetting.contract import Iverksetting, in_case, orders_of
from kvitt.contracts.iverksetting.decision import CaseDecision, EnactmentKey, Generation
from kvitt.contracts.iverksetting.reply import in_short
from kvitt.contracts.iverksetting.texts import NOT_TO_BE_SIMULATED, PREVIOUS_NOT_LATEST
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.decisions import ChainFault
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.events import Event, MessageInProgress, Refused, Reply, Simulated, SimulationEnded, Unchanged
from kvitt.disbursement.inbox import InboxMessage, Incoming, ParsedRecord, ReplyTo
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.simulation import (
    FailureReason,
    NothingComputed,
    SimulatedPayment,
    SimulatedPeriod,
    Simulation,
    SimulationFailure,
    SimulationOutcome,
)
from kvitt.disbursement.simulation_figures import MonthSummary, summaries
from kvitt.disbursement.values import Area, Order, Refusal, Scheme
from kvitt.kernel.clock import oslo
from kvitt.kernel.money import Kroner

SOURCE_OF: Final[Mapping[Scheme, str]] = {scheme: f"rest.simulering.{scheme}" for scheme in Iverksetting.sources.values()}
"""Under which questions are stored, by scheme."""
_NO_CHANGE: Final = b"null"
_FIGURES: Final = b'{"oppsummeringer"'
_RESULT_PAGE, _PAGE = "simuleringsresultat", "simulering"
_UNEXPECTED: Final = Refusal(500, "Ukjent feil, helved er varslet.", BASE)
_CLOSED: Final = Refusal(502, "simulering stengt, tilgjengelig man-fre kl 6-21", _PAGE)
_CLOSED_BEFORE: Final = 503
_AWAY: Final = Refusal(503, "Simulering er midlertidig utilgjengelig. Prøv igjen senere.", _PAGE)
_UNKNOWN: Final = Refusal(502, "Ukjent svar fra Oppdragssystemet", _PAGE)
_REFUSALS: Final[Mapping[FailureReason, Refusal]] = {
    FailureReason.CLOSED: _CLOSED,
    FailureReason.PROXY_CLOSED: _CLOSED,
    FailureReason.NOTHING_MADE: _AWAY,
    FailureReason.LOCKED: _AWAY,
    FailureReason.NO_ANSWER: _UNKNOWN,
    FailureReason.FOREIGN_PAGE: _UNKNOWN,
    FailureReason.EMPTY_ENVELOPE: _UNKNOWN,
    FailureReason.UNKNOWN_ANSWER: _UNKNOWN,
    FailureReason.UNREADABLE: Refusal(502, "Ugyldig respons fra Oppdragssystemet", _PAGE),
    FailureReason.CASE_UNKNOWN: Refusal(404, "SakId ikke funnet", _RESULT_PAGE),
    FailureReason.LINE_UNKNOWN: Refusal(
        404, "Endret utbetalingsperiode refererer ikke til en eksisterende utbetalingsperiode", _RESULT_PAGE
    ),
    FailureReason.ORDER_EXISTS: Refusal(409, "Utbetaling med SakId/BehandlingId finnes fra før", _RESULT_PAGE),
    FailureReason.LINE_EXISTS: Refusal(409, "Utbetaling med DeltytelsesId finnes fra før", _RESULT_PAGE),
}
REFUSALS: Final = (
    *dict.fromkeys(_REFUSALS.values()),
    Refusal(404, "Personen finnes ikke", _RESULT_PAGE),
    Refusal(400, "Må ha nytt vedtak når Sats/Type/Vedtak-fom endres", _RESULT_PAGE),
)
"""Refusals by what the rail answers, each once."""
_IN_ITS_WORDS: Final[Mapping[FailureReason, int]] = {
    FailureReason.PERSON_UNKNOWN: 404,
    FailureReason.INVALID: 400,
    FailureReason.NEEDS_NEW_DECISION: 400,
    FailureReason.REQUEST_NOT_TAKEN: 400,
    FailureReason.NOT_ASKED: 422,
}
"""The words of the rail, or of kvitt, are passed on; so is a rule of the rail that has no reason of its own."""
_BY_RULE: Final = 422
_KINDS: Final[Mapping[str, str]] = {
    "YTEL": "YTELSE",
    "FEIL": "FEILUTBETALING",
    "SKAT": "FORSKUDSSKATT",
    "JUST": "JUSTERING",
    "TREK": "TREKK",
    "MOTP": "MOTPOSTERING",
}
_BY_HAND, _EARLIER = "MANUELL_POSTERING", "ARENA"
AREA_NAMES: Final[Mapping[Scheme, Mapping[str, str]]] = {
    Scheme.AAP: {"AAP": "AAP"},
    Scheme.TILLEGGSSTONADER: {
        "TILLST": "TILLEGGSSTØNADER",
        "TSTARENA": f"TILLEGGSSTØNADER_{_EARLIER}",
        "MTSTAREN": f"TILLEGGSSTØNADER_{_EARLIER}_{_BY_HAND}",
    },
    Scheme.DAGPENGER: {
        "DP": "DAGPENGER",
        "MDP": f"DAGPENGER_{_BY_HAND}",
        "DPARENA": f"DAGPENGER_{_EARLIER}",
        "MDPARENA": f"DAGPENGER_{_EARLIER}_{_BY_HAND}",
    },
    Scheme.TILTAKSPENGER: {
        "TILTPENG": "TILTAKSPENGER",
        "TPARENA": f"TILTAKSPENGER_{_EARLIER}",
        "MTPARENA": f"TILTAKSPENGER_{_EARLIER}_{_BY_HAND}",
    },
}
"""The areas whose rows a scheme is shown, by what they are called there."""
_encoder = Encoder()


class SimulatedMonth(Struct, frozen=True):
    """The figures of a month."""

    start: date = field(name="fom")
    end: date = field(name="tom")
    paid_before: Kroner = field(name="tidligereUtbetalt")
    new_pay: Kroner = field(name="nyUtbetaling")
    back_pay: Kroner = field(name="totalEtterbetaling")
    recovery: Kroner = field(name="totalFeilutbetaling")


class SimulatedRow(Struct, frozen=True):
    """A row of the rail's."""

    area_name: str = field(name="fagområde")
    case_id: str = field(name="sakId")
    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Kroner = field(name="beløp")
    kind: str = field(name="type")
    class_code: str = field(name="klassekode")


class SimulatedDays(Struct, frozen=True):
    """Days of one month, with the rows of all recipients; without any where the rail pays other schemes alone."""

    start: date = field(name="fom")
    end: date = field(name="tom")
    rows: Sequence[SimulatedRow] = field(name="posteringer")


class SimulatedDetails(Struct, frozen=True):
    """The rail's account; `total` is its own, of all that it pays the person."""

    person: str = field(name="gjelderId")
    computed_on: date = field(name="datoBeregnet")
    total: Kroner = field(name="totalBeløp")
    periods: Sequence[SimulatedDays] = field(name="perioder")


class SimulatedDecision(Struct, frozen=True):
    """The outcome that a decision would have, as its caller reads it."""

    months: Sequence[SimulatedMonth] = field(name="oppsummeringer")
    details: SimulatedDetails = field(name="detaljer")


class SimulatedDecisions(Iverksetting):
    """Questions over REST what a decision would lead to."""

    sources: Mapping[str, Scheme] = {source: scheme for scheme, source in SOURCE_OF.items()}

    def read(self, record: Incoming) -> ParsedRecord:
        """The decision that a question is about."""
        return as_simulated(super().read(record))

    def refused_while_order_is_open(self, message: InboxMessage, text: str) -> Refusal:  # noqa: ARG002 - the contract has a text of its own
        """The previous decision has no receipt yet."""
        return NOT_TO_BE_SIMULATED.refusal(enactment_call(message.headers).terms.generation)

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """The lines that the decision would send today; whether the previous one has ended is looked at before that it is the latest."""
        asked = in_case(message, case)
        chain, previous = asked.case.decisions, asked.decision.previous
        assert chain is not None, "the contract keeps a chain"
        fault = chain.fault(previous.names if previous else None)
        if fault is ChainFault.NOT_NEWEST:
            return chain_wording(PREVIOUS_NOT_LATEST, asked)
        if fault is not None:
            return NOT_TO_BE_SIMULATED.refusal(asked.generation)
        return orders_of(replace(asked.decision, decided_at=f"{oslo(at).date()}T00:00:00"), message.scheme, case, at)

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:  # noqa: ARG002 - the day of an answer is the event's
        """The answer to keep: figures, that nothing would change, or a refusal."""
        match event:
            case Refused(refusal=refusal):
                return _refused(refusal)
            case Unchanged():
                return Reply(answer=_NO_CHANGE)
            case Simulated():
                return Reply(answer=_waiting(message))
            case SimulationEnded(outcome=outcome, case_id=case_id, day=day):
                said = _said(outcome, message, case_id, day)
                return _refused(said) if isinstance(said, Refusal) else Reply(answer=_encoder.encode(said))
        return Reply()

    def in_short(self, answer: bytes) -> Answer:
        """Figures, and that nothing would change, are a success."""
        if answer == _NO_CHANGE or answer.startswith(_FIGURES):
            return Answer(Status.OK, dry_run=True)
        return in_short(decode_document(answer))


def as_simulated(found: ParsedRecord) -> ParsedRecord:
    """A record that asks what its decision would lead to: it is none that is received, and so has no identity."""
    return replace(found, dry_run=True, identity=None)


def answered(kept: bytes, generation: Generation) -> tuple[int, ContractBody]:
    """The status and the body with which a kept answer is said in the words of a generation."""
    if kept == _NO_CHANGE:
        return 204, EMPTY_BODY
    if kept.startswith(_FIGURES):
        return 200, ContractBody(JSON, kept)
    refusal = decode_document(kept).error or _UNEXPECTED
    failed = refusal.status == _UNEXPECTED.status
    return refusal.status, unexpected_body(generation, BASE) if failed else refusal_body(refusal, generation)


def may_pass(kept: bytes) -> bool:
    """Whether the same question may be answered otherwise by and by: the decision before has not ended well yet, or an order is open."""
    error = None if kept == _NO_CHANGE or kept.startswith(_FIGURES) else decode_document(kept).error
    return error in [NOT_TO_BE_SIMULATED.refusal(generation) for generation in Generation]


def _refused(refusal: Refusal) -> Reply:
    return Reply(answer=StatusDocument("", EnactmentKey(""), error=refusal).encode())


def _waiting(message: ReplyTo) -> bytes:
    """Keeps whom it is about for the rail's answer: one that holds nothing does not say it."""
    decision = message.content if isinstance(message, InboxMessage) else None
    assert isinstance(decision, CaseDecision), "only what was read is simulated"
    return StatusDocument(decision.case_name, decision.key, EnactmentStatus.NOT_BEGUN, person=decision.person).encode()


def _said(outcome: SimulationOutcome, message: ReplyTo, case_id: str, today: date) -> SimulatedDecision | Refusal:
    if isinstance(outcome, SimulationFailure):
        return _refusal_of(outcome, enactment_call(message.headers).terms.generation)
    if isinstance(outcome, NothingComputed):
        assert isinstance(message, MessageInProgress), "it waited for the rail"
        assert message.answer is not None, "and had an answer meanwhile"
        person = decode_document(message.answer).person or ""
        return SimulatedDecision((), SimulatedDetails(person, today, Kroner(0), ()))
    shown = _shown(outcome, message.scheme, case_id)
    if any(row.raw_kind not in _KINDS for period in shown.periods for payment in period.payments for row in payment.postings):
        return _UNEXPECTED
    periods = [_days(period, AREA_NAMES[message.scheme]) for period in shown.periods]
    details = SimulatedDetails(shown.person, shown.computed_on, shown.total, periods)
    return SimulatedDecision([_month(each) for each in summaries(shown, today)], details)


def _refusal_of(failure: SimulationFailure, generation: Generation) -> Refusal:
    if failure.reason is FailureReason.ORDER_OPEN:
        return NOT_TO_BE_SIMULATED.refusal(generation)
    if (refusal := _REFUSALS.get(failure.reason)) is not None:
        before = refusal is _CLOSED and generation is not Generation.THIRD
        return replace(refusal, status=_CLOSED_BEFORE) if before else refusal
    status = _IN_ITS_WORDS.get(failure.reason, _BY_RULE if failure.by_rule else None)
    return _UNEXPECTED if status is None else Refusal(status, failure.text, _RESULT_PAGE)


def _shown(simulation: Simulation, scheme: Scheme, case_id: str) -> Simulation:
    """Without other schemes, and other cases of its own; areas that others keep the books of have cases of theirs. Periods stay."""
    names = AREA_NAMES[scheme]

    def is_own(payment: SimulatedPayment) -> bool:
        return payment.area in names and (payment.case_id == case_id or Area(payment.area) not in AREAS)

    periods = [replace(period, payments=tuple(filter(is_own, period.payments))) for period in simulation.periods]
    return replace(simulation, periods=tuple(periods))


def _days(period: SimulatedPeriod, names: Mapping[str, str]) -> SimulatedDays:
    rows = [
        SimulatedRow(names[payment.area], payment.case_id, row.start, row.end, row.amount, _KINDS[row.raw_kind], row.class_code)
        for payment in period.payments
        for row in payment.postings
    ]
    return SimulatedDays(period.start, period.end, rows)


def _month(figures: MonthSummary) -> SimulatedMonth:
    return SimulatedMonth(figures.start, figures.end, figures.paid_before, figures.new_pay, figures.back_pay, figures.recovery)
