"""Answers to dry runs: the rail's simulation in the form that each scheme reads, or the refusal that stands for none.

Forms and texts are those of helved §2.10 and §4.8; the figures are the core's.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from msgspec import Struct, field
from msgspec.json import Encoder

from kvitt.disbursement.catalogue import AREAS, STREAM_BENEFITS
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.simulation import (
    FailureReason,
    FaultPart,
    NothingComputed,
    RailFault,
    SimulatedKind,
    SimulatedPayment,
    SimulatedPosting,
    Simulation,
    SimulationFailure,
)
from kvitt.disbursement.simulation_figures import MonthSummary, paid_before, recovered, summaries
from kvitt.disbursement.values import Area, Refusal, Scheme
from kvitt.kernel.money import Kroner

_WITHOUT: Final = "Simuleringen er utført uten posteringer"
_UNCHANGED: Final = f"{_WITHOUT}: det er ingen forskjell fra det som allerede er utbetalt eller godkjent."
_NOTHING_POSTED: Final = f"{_WITHOUT}: ingenting blir utbetalt, for eksempel fordi det som opphører ikke er ajourholdt ennå."
_NAMES_OF_KINDS: Final[Mapping[str, str]] = {
    "YTEL": "YTELSE",
    "FEIL": "FEILUTBETALING",
    "SKAT": "FORSKUDSSKATT",
    "JUST": "JUSTERING",
    "TREK": "TREKK",
    "MOTP": "MOTPOSTERING",
}
"""What `v1` calls the rail's kinds of rows; a row of another kind fits no form."""
_BY_PAYMENT: Final = frozenset({Scheme.AAP, Scheme.DAGPENGER})
"""Schemes that read `v2`."""
_UNEXPECTED: Final = Refusal(500, "Result.catch failed with an unknown throwable", BASE)
_CLOSED: Final = Refusal(502, "simulering stengt, tilgjengelig man-fre kl 6-21", BASE)
_PERSON_UNKNOWN: Final = Refusal(404, "Personen finnes ikke", f"{BASE}/async/kom_i_gang/simuler_en_utbetaling#personen-finnes-ikke")
_NOTHING_MADE: Final = Refusal(
    503,
    "Simulering er midlertidig utilgjengelig: Oppdragssystemet (OS) returnerte en tom SOAP Body. Prøv igjen senere.",
    BASE,
)
_REFUSALS: Final[Mapping[FailureReason, Refusal]] = {
    FailureReason.CLOSED: _CLOSED,
    FailureReason.PROXY_CLOSED: _CLOSED,
    FailureReason.PERSON_UNKNOWN: _PERSON_UNKNOWN,
    FailureReason.NOTHING_MADE: _NOTHING_MADE,
}
_BENEFITS_BY_CODE: Final = {
    code: [benefit.name for benefit in STREAM_BENEFITS.values() if benefit.class_code == code]
    for code in {benefit.class_code for benefit in STREAM_BENEFITS.values()} - {""}
}
_encoder = Encoder()


class _Info(Struct, tag="info", tag_field="@type"):
    status: str
    scheme: str = field(name="fagsystem")
    message: str


class _SummaryShape(Struct):
    start: date = field(name="fom")
    end: date = field(name="tom")
    paid_before: Kroner = field(name="tidligereUtbetalt")
    new_pay: Kroner = field(name="nyUtbetaling")
    back_pay: Kroner = field(name="totalEtterbetaling")
    recovery: Kroner = field(name="totalFeilutbetaling")


class _PostingOfMonths(Struct):
    area: str = field(name="fagområde")
    case_id: str = field(name="sakId")
    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Kroner = field(name="beløp")
    kind: str = field(name="type")
    class_code: str = field(name="klassekode")


class _PeriodOfMonths(Struct):
    start: date = field(name="fom")
    end: date = field(name="tom")
    postings: list[_PostingOfMonths] = field(name="posteringer")


class _DetailsOfMonths(Struct):
    person: str = field(name="gjelderId")
    computed_on: date = field(name="datoBeregnet")
    total: Kroner = field(name="totalBeløp")
    periods: list[_PeriodOfMonths] = field(name="perioder")


class _ByMonth(Struct, tag="v1", tag_field="@type"):
    summaries: list[_SummaryShape] = field(name="oppsummeringer")
    details: _DetailsOfMonths = field(name="detaljer")


class _PostingOfPayment(Struct):
    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Kroner = field(name="beløp")
    kind: str = field(name="type")
    class_code: str = field(name="klassekode")


class _SimulatedPaymentShape(Struct):
    scheme: str = field(name="fagsystem")
    case_id: str = field(name="sakId")
    recipient: str = field(name="utbetalesTil")
    benefit: str | None = field(name="stønadstype")
    paid_before: Kroner = field(name="tidligereUtbetalt")
    new_amount: Kroner = field(name="nyttBeløp")
    postings: list[_PostingOfPayment] = field(name="posteringer")


class _PeriodOfPayments(Struct):
    start: date = field(name="fom")
    end: date = field(name="tom")
    payments: list[_SimulatedPaymentShape] = field(name="utbetalinger")


class _ByPayment(Struct, tag="v2", tag_field="@type"):
    periods: list[_PeriodOfPayments] = field(name="perioder")


def encode_no_change(scheme: Scheme) -> bytes:
    """That a dry run succeeded and would change nothing."""
    return _info(scheme, _UNCHANGED)


def answer(scheme: Scheme, outcome: Simulation | NothingComputed | SimulationFailure, today: date) -> bytes | Refusal:
    """The record for the scheme's dry-run topic, or the refusal that its sender hears as a status. `today` is a day in Oslo.

    Other cases of the person are those of the outcome: whoever asks leaves them out before.
    """
    if isinstance(outcome, SimulationFailure):
        return refusal_of(outcome)
    if isinstance(outcome, NothingComputed) or not outcome.periods:
        return _encoder.encode(_ByPayment([])) if scheme in _BY_PAYMENT else _info(scheme, _NOTHING_POSTED)
    if any(row.raw_kind not in _NAMES_OF_KINDS for row in _rows(outcome)):
        return _UNEXPECTED
    return _encoder.encode(_by_payment(outcome) if scheme in _BY_PAYMENT else _by_month(outcome, today))


def refusal_of(failure: SimulationFailure) -> Refusal:
    """The refusal that the sender hears when there is no simulation. Source: helved §4.8."""
    if failure.reason is FailureReason.ORDER_OPEN:
        return Refusal(409, failure.text, BASE)
    if failure.by_rule or failure.reason is FailureReason.NOT_ASKED:
        return Refusal(422, failure.text, BASE)
    if failure.reason is FailureReason.REQUEST_NOT_TAKEN:
        return Refusal(400, failure.text, BASE)
    if failure.reason in _REFUSALS:
        return _REFUSALS[failure.reason]
    if failure.fault:
        return Refusal(400, f"ukjent soap feil fra Oppdragssystemet (OS): {_shown(failure.fault)}", BASE)
    return _UNEXPECTED


def _info(scheme: Scheme, text: str) -> bytes:
    return _encoder.encode(_Info("OK_UTEN_ENDRING", scheme.value, text))


def _rows(simulation: Simulation) -> Iterable[SimulatedPosting]:
    return (row for period in simulation.periods for payment in period.payments for row in payment.postings)


def _by_month(simulation: Simulation, today: date) -> _ByMonth:
    """`v1`: the summary of each month, and the rows of all payments of a period together."""
    periods = [
        _PeriodOfMonths(period.start, period.end, [_of_month(payment, row) for payment in period.payments for row in payment.postings])
        for period in simulation.periods
    ]
    details = _DetailsOfMonths(simulation.person, simulation.computed_on, simulation.total, periods)
    return _ByMonth([_summary_shape(each) for each in summaries(simulation, today)], details)


def _summary_shape(month: MonthSummary) -> _SummaryShape:
    return _SummaryShape(month.start, month.end, month.paid_before, month.new_pay, month.back_pay, month.recovery)


def _of_month(payment: SimulatedPayment, row: SimulatedPosting) -> _PostingOfMonths:
    kind = _NAMES_OF_KINDS[row.raw_kind]
    return _PostingOfMonths(payment.area, payment.case_id, row.start, row.end, row.amount, kind, row.class_code)


def _by_payment(simulation: Simulation) -> _ByPayment:
    """`v2`: each payment with its rows. What is not of an area of kvitt's has no name in it."""
    return _ByPayment(
        [
            _PeriodOfPayments(period.start, period.end, [_payment_shape(each) for each in period.payments if Area(each.area) in AREAS])
            for period in simulation.periods
        ]
    )


def _payment_shape(payment: SimulatedPayment) -> _SimulatedPaymentShape:
    """`nyttBeløp` is signed: of a reduction it is minus what was paid too much."""
    rows = payment.postings
    pay = sum(row.amount for row in rows if row.kind is SimulatedKind.PAY)
    return _SimulatedPaymentShape(
        scheme=AREAS[Area(payment.area)].name,
        case_id=payment.case_id,
        recipient=payment.recipient,
        benefit=_benefit_of(rows),
        paid_before=paid_before(rows),
        new_amount=Kroner(pay - recovered(rows)),
        postings=[_PostingOfPayment(row.start, row.end, row.amount, row.raw_kind, row.class_code) for row in rows],
    )


def _benefit_of(rows: Iterable[SimulatedPosting]) -> str | None:
    """The benefit of the first row of pay; None where its class code is that of several, or of none."""
    code = next((row.class_code for row in rows if row.kind is SimulatedKind.PAY), "")
    named = _BENEFITS_BY_CODE.get(code, ())
    return named[0] if len(named) == 1 else None


def _shown(fault: RailFault) -> str:
    return f"Fault(faultcode={fault.code}, faultstring={fault.text}, detail={_parts_shown(fault.detail)})"


def _parts_shown(parts: Iterable[FaultPart]) -> str:
    return f"{{{', '.join(f'{part.name}={_parts_shown(part.parts) if part.parts else part.text}' for part in parts)}}}"
