"""Input messages: the JSON that benefit systems send, as values of `rules.messages` (helved §2.1, §2.6).

Decoding checks that a message is what its contract says, no more: whether it may be paid is for the derivation.
"""

from collections.abc import Callable

from msgspec.json import Decoder

from kvitt.contracts.helved.messages import (
    AapEntry,
    AapMessage,
    DpDay,
    DpMessage,
    Head,
    HistoriskMessage,
    Span,
    StreamMessage,
    TpEntry,
    TpMessage,
    TsMessage,
    TsPayment,
    ValpMessage,
)
from kvitt.contracts.helved.shapes import (
    AapShape,
    DpShape,
    HistoriskShape,
    TpShape,
    TsShape,
    ValpShape,
)
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.editions import CURRENT, Edition
from kvitt.disbursement.values import Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read
from kvitt.formats.times import local_text, local_text_of_instant

_TWIN = "_BARN"

_dp_decoder = Decoder(DpShape)
_aap_decoder = Decoder(AapShape)
_ts_decoder = Decoder(TsShape)
_tp_decoder = Decoder(TpShape)
_historisk_decoder = Decoder(HistoriskShape)
_valp_decoder = Decoder(ValpShape)


def decode(scheme: Scheme, body: bytes, edition: Edition = CURRENT) -> StreamMessage:
    """The message that a scheme sent; raises Undecodable with the path and the rule, never with content."""
    message = _READERS[scheme](body)
    if edition >= Edition.ONE_OF_EACH:
        refuse_repeated(body)
    return message


def _dp(body: bytes) -> DpMessage:
    shape = read(_dp_decoder, body)
    days = tuple([DpDay(day.reporting_period, day.day, day.decided_rate, day.amount, day.kind) for day in shape.days])
    return DpMessage(_head(shape, "vedtakstidspunktet"), days)


def _aap(body: bytes) -> AapMessage:
    shape = read(_aap_decoder, body)
    entries = tuple([AapEntry(entry.payment_id, entry.start, entry.end, entry.decided_rate, entry.amount) for entry in shape.entries])
    return AapMessage(_head(shape, "vedtakstidspunktet"), entries, shape.hold_back.value() if shape.hold_back else None)


def _ts(body: bytes) -> TsMessage:
    shape = read(_ts_decoder, body)
    for position, payment in enumerate(shape.payments):
        _refuse_unknown(payment.benefit, Scheme.TILLEGGSSTONADER, f"utbetalinger[{position}].stønad")
    payments = [
        TsPayment(
            payment.payment_id,
            payment.benefit,
            tuple([Span(span.start, span.end, span.amount, span.office) for span in payment.spans]),
            payment.use_umbrella_area,
        )
        for payment in shape.payments
    ]
    return TsMessage(_head(shape, "vedtakstidspunkt"), shape.rate_name.rate_type, tuple(payments))


def _tp(body: bytes) -> TpMessage:
    shape = read(_tp_decoder, body)
    for position, entry in enumerate(shape.entries):
        _refuse_unknown_tp(entry.benefit, entry.with_children, f"perioder[{position}].stønad")
    entries = [
        TpEntry(entry.reporting_period, entry.start, entry.end, entry.amount, entry.office, entry.with_children, entry.benefit)
        for entry in shape.entries
    ]
    return TpMessage(_head(shape, "vedtakstidspunkt"), tuple(entries))


def _historisk(body: bytes) -> HistoriskMessage:
    shape = read(_historisk_decoder, body)
    _refuse_unknown(shape.benefit, Scheme.HISTORISK, "stønad")
    spans = tuple([Span(span.start, span.end, span.amount) for span in shape.spans])
    return HistoriskMessage(_head(shape, "vedtakstidspunkt"), shape.payment_id, shape.benefit, shape.rate_name.rate_type, spans)


def _valp(body: bytes) -> ValpMessage:
    shape = read(_valp_decoder, body)
    benefit = f"{shape.measure}_{shape.grant_kind}"
    _refuse_unknown(benefit, Scheme.VALP, "tiltakskode")
    span = Span(shape.days.start, shape.days.end, shape.amount, shape.office)
    return ValpMessage(_head(shape, "besluttetTidspunkt", local_text_of_instant), shape.payment_id, benefit, span)


_Headed = DpShape | AapShape | TsShape | TpShape | HistoriskShape | ValpShape


def _head(shape: _Headed, when_field: str, canonical: Callable[[str], str] = local_text) -> Head:
    try:
        decided_at = canonical(shape.decided_at)
    except ValueError:
        raise Undecodable(when_field, "is not a date-time of the contract's form") from None
    return Head(shape.case_id, shape.decision_id, shape.person, decided_at, shape.dry_run, shape.caseworker, shape.approver)


def _refuse_unknown(benefit: str, scheme: Scheme, field: str) -> None:
    known = BENEFITS.get(benefit)
    if known is None or known.scheme is not scheme:
        raise Undecodable(field, "is not in the scheme's catalogue")


def _refuse_unknown_tp(benefit: str, with_children: bool, field: str) -> None:
    """The wire names the benefit itself; its twin for child supplement is reached by the flag only (helved §2.5)."""
    if benefit.endswith(_TWIN):
        raise Undecodable(field, "names a twin, which `barnetillegg` chooses")
    _refuse_unknown(benefit + _TWIN if with_children else benefit, Scheme.TILTAKSPENGER, field)


_READERS: dict[Scheme, Callable[[bytes], StreamMessage]] = {
    Scheme.DAGPENGER: _dp,
    Scheme.AAP: _aap,
    Scheme.TILLEGGSSTONADER: _ts,
    Scheme.TILTAKSPENGER: _tp,
    Scheme.HISTORISK: _historisk,
    Scheme.VALP: _valp,
}
