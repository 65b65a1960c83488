"""Utbetaling JSON: what is pending and what is true about one payment, as other systems read it (helved §2.7)."""

import re
from datetime import date
from typing import TypeVar

from msgspec import Struct, field
from msgspec.json import Decoder, Encoder

from kvitt.contracts.helved.shapes import (
    RATE_NAMES,
    Amount,
    HoldBackShape,
    RateName,
)
from kvitt.disbursement.catalogue import AREA_OF_NAME, AREAS
from kvitt.disbursement.values import (
    Action,
    CaseId,
    DecisionId,
    LineId,
    Payment,
    PaymentId,
    Period,
)
from kvitt.errors import Undecodable
from kvitt.formats.json_reading import read
from kvitt.formats.times import local_text

Word = TypeVar("Word")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ACTIONS = {"CREATE": Action.CREATE, "UPDATE": Action.UPDATE, "DELETE": Action.DELETE, "FAKE_DELETE": Action.DELETE}


class _PeriodShape(Struct):
    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: Amount = field(name="beløp")
    office: str | None = field(name="betalendeEnhet", default=None)
    decided_rate: Amount | None = field(name="vedtakssats", default=None)


class _PaymentShape(Struct, kw_only=True):
    """Declared in the contract's order, which is the order of writing; defaults are for old data that lacks a field."""

    dryrun: bool = False
    original_key: str = field(name="originalKey")
    scheme: str = field(name="fagsystem")
    payment_id: str = field(name="uid")
    action: str
    first_of_case: bool = field(name="førsteUtbetalingPåSak", default=False)
    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    last_line: str = field(name="lastPeriodeId")
    last_sent: _PeriodShape | None = field(name="sistePeriode", default=None)
    person: str = field(name="personident")
    decided_at: str = field(name="vedtakstidspunkt")
    benefit: str = field(name="stønad")
    approver: str = field(name="beslutterId")
    caseworker: str = field(name="saksbehandlerId")
    rate_name: RateName = field(name="periodetype")
    hold_back: HoldBackShape | None = field(name="avvent", default=None)
    periods: list[_PeriodShape] = field(name="perioder")


_decoder = Decoder(_PaymentShape)
_encoder = Encoder()


def encode(payment: Payment) -> bytes:
    """The payment as JSON in the contract's field order, defaults and nulls written."""
    shape = _PaymentShape(
        original_key=payment.original_key,
        scheme=AREAS[payment.area].name,
        payment_id=payment.payment_id,
        action=payment.action,
        first_of_case=payment.first_of_case,
        case_id=payment.case_id,
        decision_id=payment.decision_id,
        last_line=payment.last_line,
        last_sent=_period_shape(payment.last_sent) if payment.last_sent else None,
        person=payment.person,
        decided_at=payment.decided_at,
        benefit=payment.benefit,
        approver=payment.approver,
        caseworker=payment.caseworker,
        rate_name=RATE_NAMES[payment.rate_type],
        hold_back=HoldBackShape.of(payment.hold_back) if payment.hold_back else None,
        periods=[_period_shape(period) for period in payment.periods],
    )
    return _encoder.encode(shape)


def decode(body: bytes) -> Payment:
    """The payment that the JSON describes; unknown fields and missing optional ones are tolerated. Raises Undecodable."""
    shape = read(_decoder, body)
    return Payment(
        original_key=shape.original_key,
        area=_known(AREA_OF_NAME, shape.scheme, "fagsystem"),
        payment_id=_payment_id(shape.payment_id),
        action=_known(_ACTIONS, shape.action, "action"),
        first_of_case=shape.first_of_case,
        case_id=CaseId(shape.case_id),
        decision_id=DecisionId(shape.decision_id),
        last_line=LineId(shape.last_line),
        last_sent=_period(shape.last_sent) if shape.last_sent else None,
        person=shape.person,
        decided_at=_decided_at(shape.decided_at),
        benefit=shape.benefit,
        approver=shape.approver,
        caseworker=shape.caseworker,
        rate_type=shape.rate_name.rate_type,
        hold_back=shape.hold_back.value() if shape.hold_back else None,
        periods=tuple([_period(period) for period in shape.periods]),
    )


def _period_shape(period: Period) -> _PeriodShape:
    return _PeriodShape(period.start, period.end, period.amount, period.office, period.decided_rate)


def _period(shape: _PeriodShape) -> Period:
    return Period(shape.start, shape.end, shape.amount, shape.office, shape.decided_rate)


def _known(words: dict[str, Word], word: str, wire_name: str) -> Word:
    try:
        return words[word]
    except KeyError:
        raise Undecodable(wire_name, "is not a known word") from None


def _payment_id(text: str) -> PaymentId:
    lower = text.lower()
    if _UUID.fullmatch(lower) is None:
        raise Undecodable("uid", "must be a UUID")
    return PaymentId(lower)


def _decided_at(text: str) -> str:
    try:
        return local_text(text)
    except ValueError:
        raise Undecodable("vedtakstidspunkt", "is not a date-time of the contract's form") from None
