"""The JSON of single payments, field by field in the contract's order, with the wire's names (iverksetting §3.1, §1.12).

Unknown members are ignored, and what may be null may be missing; what is written has all members, nulls too.
"""

import calendar
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct, field
from msgspec.json import Decoder, Encoder

from kvitt.disbursement.calendar import SATURDAY, next_day
from kvitt.disbursement.catalogue import STREAM_BENEFITS
from kvitt.disbursement.values import Benefit, HoldBackShape, Payment, RateType, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read
from kvitt.formats.times import local_text
from kvitt.kernel.money import Kroner

SCHEMES: Final = (Scheme.DAGPENGER, Scheme.AAP, Scheme.TILLEGGSSTONADER, Scheme.TILTAKSPENGER, Scheme.HISTORISK)
"""The schemes whose payments are called singly."""
Amount = Annotated[Kroner, Meta(ge=0, le=4_294_967_295)]
"""An amount in whole kroner; the contract's type has no sign."""
_SHORTEST_WITH_SECONDS: Final = len("2026-01-01T00:00:00")


class PeriodType(StrEnum):
    """`periodeType`."""

    UKEDAG = "UKEDAG"
    DAG = "DAG"
    MND = "MND"
    EN_GANG = "EN_GANG"

    @property
    def rate_type(self) -> RateType:
        """The rate that the name stands for."""
        return _RATES[self]


_RATES: Final = {
    PeriodType.UKEDAG: RateType.WEEKDAY,
    PeriodType.DAG: RateType.DAY,
    PeriodType.MND: RateType.MONTH,
    PeriodType.EN_GANG: RateType.ONE_OFF,
}
_PERIOD_TYPES: Final = {rate_type: name for name, rate_type in _RATES.items()}


class PaidSpan(Struct, frozen=True, gc=False):
    """An entry of `perioder`."""

    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Amount = field(name="beløp")
    office: str | None = field(name="betalendeEnhet", default=None)
    decided_rate: Amount | None = field(name="fastsattDagsats", default=None)


class SinglePayment(Struct, frozen=True, kw_only=True):
    """UtbetalingApi: the whole of one payment, as POST, PUT and DELETE have it and GET returns it."""

    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    first_of_case: bool | None = field(name="erFørsteUtbetaling", default=None)
    person: str = field(name="personident")
    decided_at: str = field(name="vedtakstidspunkt")
    benefit_name: str = field(name="stønad")
    approver: str = field(name="beslutterId")
    caseworker: str = field(name="saksbehandlerId")
    period_type: PeriodType = field(name="periodeType")
    spans: tuple[PaidSpan, ...] = field(name="perioder")
    avvent: HoldBackShape | None = None

    @property
    def benefit(self) -> Benefit:
        """The benefit of the catalogue; it is there, or the payment had not been read."""
        return STREAM_BENEFITS[self.benefit_name]

    @property
    def rate_type(self) -> RateType:
        """The rate by which all of it is paid."""
        return self.period_type.rate_type


class AvventCorrection(Struct, frozen=True):
    """The body of `/avvent`: a hold-back of a case that was registered by mistake."""

    benefit_name: str = field(name="stønad")
    case_id: str = field(name="sakId")
    person: str = field(name="personident")
    caseworker: str = field(name="saksbehandlerId")
    avvent: HoldBackShape

    @property
    def benefit(self) -> Benefit:
        """The benefit of the catalogue; it is there, or the correction had not been read."""
        return STREAM_BENEFITS[self.benefit_name]


_payments, _corrections, _encoder = Decoder(SinglePayment), Decoder(AvventCorrection), Encoder()


def read_payment(body: bytes) -> SinglePayment:
    """The payment that a body is. Raises Undecodable with the path and the rule."""
    found = read(_payments, body)
    refuse_repeated(body)
    _require_benefit(found.benefit_name)
    _require_time(found.decided_at)
    return found


def read_correction(body: bytes) -> AvventCorrection:
    """The correction that a body is. Raises Undecodable with the path and the rule."""
    found = read(_corrections, body)
    refuse_repeated(body)
    _require_benefit(found.benefit_name)
    return found


def _require_benefit(name: str) -> None:
    if name not in STREAM_BENEFITS or STREAM_BENEFITS[name].scheme not in SCHEMES:
        raise Undecodable("stønad", "is not a known word")


def _require_time(text: str) -> None:
    try:
        local_text(text)
    except ValueError:
        raise Undecodable("vedtakstidspunkt", "is not a date-time of the contract's form") from None


def shape_of(payment: Payment) -> SinglePayment:
    """A stored payment as it may be put again: its joined periods as the days, months or single amounts that a caller gives."""
    return SinglePayment(
        case_id=payment.case_id,
        decision_id=payment.decision_id,
        person=payment.person,
        decided_at=_with_seconds(payment.decided_at),
        benefit_name=payment.benefit,
        approver=payment.approver,
        caseworker=payment.caseworker,
        period_type=_PERIOD_TYPES[payment.rate_type],
        spans=tuple(
            [
                PaidSpan(start, end, period.amount, period.office, period.decided_rate)
                for period in payment.wanted
                for start, end in days_of(period.start, period.end, payment.rate_type)
            ]
        ),
        avvent=HoldBackShape.of(payment.hold_back) if payment.hold_back else None,
    )


def encode_payment_shape(payment: Payment) -> bytes:
    """The body of GET: all members in the contract's order, nulls written."""
    return _encoder.encode(shape_of(payment))


def _with_seconds(text: str) -> str:
    """A date-time as the contract's writer has it: seconds always, and no zeros at the end of their fraction."""
    whole, dot, fraction = text.partition(".")
    if len(whole) < _SHORTEST_WITH_SECONDS:
        whole = f"{whole}:00"
    return f"{whole}.{fraction.rstrip('0')}" if dot else whole


def days_of(start: date, end: date, rate_type: RateType) -> Iterator[tuple[date, date]]:
    """Every weekday, every day, or every month of a period, each by itself; a one-off amount stays whole."""
    match rate_type:
        case RateType.ONE_OFF:
            yield start, end
        case RateType.MONTH:
            yield from _months(start, end)
        case _:
            weekdays_only = rate_type is RateType.WEEKDAY
            yield from ((day, day) for day in _days(start, end) if not weekdays_only or day.weekday() < SATURDAY)


def _days(start: date, end: date) -> Iterator[date]:
    return (date.fromordinal(each) for each in range(start.toordinal(), end.toordinal() + 1))


def _months(start: date, end: date) -> Iterator[tuple[date, date]]:
    """The months of a period, its first and last one only as far as they are in it."""
    ends = min(end, last_of_month(start))
    yield start, ends
    while ends < end:
        begins = next_day(ends)
        ends = min(end, last_of_month(begins))
        yield begins, ends


def last_of_month(day: date) -> date:
    """The last day of the month that a day is in."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
