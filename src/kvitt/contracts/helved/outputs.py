"""The JSON that is published about messages, payments and cases, and the reading of it (helved §2.2, §2.7, §2.8).

Where a message has orders in several areas, `detaljer.ytelse` of its StatusReply is the umbrella's, and each line has two more members
behind those of the contract, which its readers pass over (helved §2.1): its own `ytelse` and, once its order is settled, its `status`, OK
or FEILET.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from kvitt.contracts.helved.messages import Amount
from kvitt.contracts.helved.shapes import RATE_NAMES, RateName
from kvitt.disbursement.answers import Answer, DetailLine, Details, Status
from kvitt.disbursement.catalogue import AREA_OF_NAME, AREAS
from kvitt.disbursement.values import (
    Action,
    Area,
    CaseId,
    DecisionId,
    HoldBackShape,
    LineId,
    Order,
    OrderLine,
    Payment,
    PaymentId,
    Period,
    Refusal,
    Scheme,
)
from kvitt.errors import Undecodable
from kvitt.formats import topics
from kvitt.formats.json_reading import read
from kvitt.formats.times import local_text
from kvitt.kernel.money import Kroner

_encoder = Encoder()

Word = TypeVar("Word")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ACTIONS = {"CREATE": Action.CREATE, "UPDATE": Action.UPDATE, "DELETE": Action.DELETE, "FAKE_DELETE": Action.DELETE}


class _LineShape(Struct, kw_only=True):
    decision_id: str = field(name="behandlingId")
    start: date = field(name="fom")
    end: date = field(name="tom")
    decided_rate: Amount | None = field(name="vedtakssats", default=None)
    amount: Amount = field(name="beløp")
    class_code: str = field(name="klassekode")
    scheme: str | UnsetType = field(name="ytelse", default=UNSET)
    status: Status | UnsetType = UNSET


class _DetailsShape(Struct):
    scheme: str = field(name="ytelse")
    lines: list[_LineShape] = field(name="linjer")


class _ErrorShape(Struct):
    status: int = field(name="statusCode")
    text: str = field(name="msg")
    doc: str = "https://helved-docs.ansatt.dev.nav.no"
    system: str = "HELVED"


class _StatusShape(Struct):
    status: Status
    details: _DetailsShape | None = field(name="detaljer", default=None)
    error: _ErrorShape | None = None
    dry_run: bool = field(name="simulering", default=False)


_status_decoder = Decoder(_StatusShape)


def encode_status(answer: Answer) -> bytes:
    """The answer as JSON in the contract's field order, nulls written."""
    error = answer.error
    shape = _StatusShape(
        answer.status,
        _details_shape(answer.details) if answer.details else None,
        _ErrorShape(error.status, error.text, error.doc, error.system) if error else None,
        answer.dry_run,
    )
    return _encoder.encode(shape)


def decode_status(body: bytes) -> Answer:
    """The answer that the JSON holds; the umbrella name reads as the umbrella area, also when it stood for several. Raises Undecodable."""
    shape = read(_status_decoder, body)
    error = shape.error
    return Answer(
        shape.status,
        _details(shape.details) if shape.details else None,
        Refusal(error.status, error.text, error.doc, error.system) if error else None,
        shape.dry_run,
    )


def _details_shape(details: Details) -> _DetailsShape:
    name = Scheme.TILLEGGSSTONADER.value if details.area is None else AREAS[details.area].name
    lines = [
        _LineShape(
            decision_id=line.decision_id,
            start=line.start,
            end=line.end,
            decided_rate=line.decided_rate,
            amount=line.amount,
            class_code=line.class_code,
            scheme=AREAS[line.area].name if line.area else UNSET,
            status=line.status or UNSET,
        )
        for line in details.lines
    ]
    return _DetailsShape(name, lines)


def _details(shape: _DetailsShape) -> Details:
    return Details(_area(shape.scheme, "detaljer.ytelse"), tuple([_detail_line(line) for line in shape.lines]))


def _detail_line(shape: _LineShape) -> DetailLine:
    area = None if shape.scheme is UNSET else _area(shape.scheme, "detaljer.linjer.ytelse")
    outcome = None if shape.status is UNSET else shape.status
    return DetailLine(
        DecisionId(shape.decision_id), shape.start, shape.end, shape.decided_rate, shape.amount, shape.class_code, area, outcome
    )


def _area(name: str, place: str) -> Area:
    area = AREA_OF_NAME.get(name)
    if area is None:
        raise Undecodable(place, "is not a known word")
    return area


def _detail(line: OrderLine, area: Area | None) -> DetailLine:
    amount = line.amount if line.ceased_from is None else Kroner(0)
    return DetailLine(line.decision_id, line.start, line.end, line.decided_rate, amount, line.class_code, area)


def details_of(orders: Sequence[Order]) -> Details:
    """Returns the details of the orders of one message: their lines by first day, those of a day in order of sending."""
    of_one = len(orders) == 1
    lines = sorted((_detail(line, None if of_one else order.area) for order in orders for line in order.lines), key=attrgetter("start"))
    return Details(orders[0].area if of_one else None, tuple(lines))


def with_outcome(details: Details, area: Area, status: Status | None) -> Details:
    """The lines of one of several areas with what became of their order; None: nothing certain. Of one area alone nothing changes."""
    return replace(details, lines=tuple(replace(line, status=status) if line.area == area else line for line in details.lines))


def without_outcomes(details: Details) -> Details:
    """As if no order were settled yet."""
    return replace(details, lines=tuple(replace(line, status=None) if line.area else line for line in details.lines))


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


_payment_decoder = Decoder(_PaymentShape)


def encode_payment(payment: Payment) -> bytes:
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


def decode_payment(body: bytes) -> Payment:
    """The payment that the JSON describes; unknown fields and missing optional ones are tolerated. Raises Undecodable."""
    shape = read(_payment_decoder, body)
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


class _KeyShape(Struct):
    case_id: str = field(name="sakId")
    scheme: str = field(name="fagsystem")


_key_decoder = Decoder(_KeyShape)
_ids_decoder = Decoder(list[UUID])


def encode_key(case_id: CaseId, scheme: Scheme) -> bytes:
    """The key of a case; all areas of a scheme share it."""
    return _encoder.encode(_KeyShape(case_id, scheme))


def decode_key(body: bytes) -> tuple[CaseId, Scheme]:
    """Case and scheme of a key; the name of any area reads as its scheme. Raises Undecodable."""
    shape = read(_key_decoder, body)
    area = AREA_OF_NAME.get(shape.scheme)
    if area is None:
        raise Undecodable("fagsystem", "is not a known word")
    return CaseId(shape.case_id), AREAS[area].scheme


def encode_payments(payment_ids: Sequence[PaymentId]) -> bytes:
    """The payments of a case in the given order; an emptied case is `[]`."""
    return _encoder.encode(payment_ids)


def decode_payments(body: bytes) -> tuple[PaymentId, ...]:
    """The payments of a case; raises Undecodable."""
    return tuple([PaymentId(str(payment_id)) for payment_id in read(_ids_decoder, body)])


_OURS = frozenset(
    name.casefold()
    for name in (
        *("original-key", "fagsystem", "uids", "hash_key", "reason", "event-id", "x-ts", "x-st", "x-sy"),
        *("resend", "skip-dedup", "retries", "maxRetries", "barrierStartedAt", "barrierMaxWaitMs"),
    )
)
"""Headers by which the hub tells readers something, or which they take for the hub's word; in any case of letters."""


def carried(headers: Iterable[topics.Header]) -> list[topics.Header]:
    """The sender's headers that go on with whatever its message leads to: all but those that would pass for the hub's own."""
    return [header for header in headers if header[0].casefold() not in _OURS]
