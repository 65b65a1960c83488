"""Reads what benefit systems send: JSON to the values of a form, and those to instructions (helved §2.1, §2.6, §3.3).

Decoding checks that a message is what its contract says, no more: whether it may be paid is for the derivation. What a whole-case message
leaves out is not here either: only the stored case can say.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter

from msgspec.json import Decoder

from kvitt.contracts.helved.messages import (
    AapMessage,
    DpKind,
    DpMessage,
    HistoriskMessage,
    MessageHeader,
    Span,
    StreamMessage,
    TpEntry,
    TpMessage,
    TsMessage,
    TsPayment,
    ValpMessage,
)
from kvitt.contracts.helved.shapes import AapShape, DpShape, HistoriskShape, TpShape, TsShape, ValpShape
from kvitt.disbursement.catalogue import BENEFITS, SCHEMES, UMBRELLA_AREA, benefits_of
from kvitt.disbursement.editions import CURRENT, Edition
from kvitt.disbursement.instructions import (
    Decision,
    Given,
    InstructionKind,
    PaymentInstruction,
    PaymentInstructions,
    broken_case_id,
    in_order,
    merge,
)
from kvitt.disbursement.refusals import HISTORISK_FORM, daily_rate_unsupported, flawed_id, not_in_umbrella_area
from kvitt.disbursement.values import Benefit, CaseId, DecisionId, HoldBack, PaymentId, RateType, Refusal, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read
from kvitt.formats.times import local_text, local_text_of_instant
from kvitt.kernel.identifiers import Flaw, flaw_of

_TWIN = "_BARN"

_dp_decoder = Decoder(DpShape)
_aap_decoder = Decoder(AapShape)
_ts_decoder = Decoder(TsShape)
_tp_decoder = Decoder(TpShape)
_historisk_decoder = Decoder(HistoriskShape)
_valp_decoder = Decoder(ValpShape)
_DP_BENEFIT = {DpKind.DAGPENGER: BENEFITS["DAGPENGER"], DpKind.HOLIDAY_SUPPLEMENT: BENEFITS["DAGPENGERFERIE"]}
_DP_RATE = {DpKind.DAGPENGER: RateType.WEEKDAY, DpKind.HOLIDAY_SUPPLEMENT: RateType.ONE_OFF}
_AAP_BENEFIT = BENEFITS["AAP_UNDER_ARBEIDSAVKLARING"]


def decode(scheme: Scheme, body: bytes, edition: Edition = CURRENT) -> StreamMessage:
    """The message that a scheme sent; raises Undecodable with the path and the rule, never with content."""
    message = _READERS[scheme](body)
    if edition >= Edition.ONE_OF_EACH:
        refuse_repeated(body)
    return message


def _read_dp(body: bytes) -> DpMessage:
    shape = read(_dp_decoder, body)
    return DpMessage(_header(shape, "vedtakstidspunktet"), shape.days)


def _read_aap(body: bytes) -> AapMessage:
    shape = read(_aap_decoder, body)
    return AapMessage(_header(shape, "vedtakstidspunktet"), shape.entries, shape.hold_back.value() if shape.hold_back else None)


def _read_ts(body: bytes) -> TsMessage:
    shape = read(_ts_decoder, body)
    for position, payment in enumerate(shape.payments):
        _refuse_unknown(payment.benefit, Scheme.TILLEGGSSTONADER, f"utbetalinger[{position}].stønad")
    return TsMessage(_header(shape, "vedtakstidspunkt"), shape.rate_name.rate_type, shape.payments)


def _read_tp(body: bytes) -> TpMessage:
    shape = read(_tp_decoder, body)
    for position, entry in enumerate(shape.entries):
        _refuse_unknown_tp(entry.benefit, entry.with_children, f"perioder[{position}].stønad")
    entries = [
        TpEntry(entry.reporting_period, entry.start, entry.end, entry.amount, entry.office, entry.with_children, entry.benefit)
        for entry in shape.entries
    ]
    return TpMessage(_header(shape, "vedtakstidspunkt"), tuple(entries))


def _read_historisk(body: bytes) -> HistoriskMessage:
    shape = read(_historisk_decoder, body)
    _refuse_unknown(shape.benefit, Scheme.HISTORISK, "stønad")
    spans = tuple([Span(span.start, span.end, span.amount) for span in shape.spans])
    return HistoriskMessage(_header(shape, "vedtakstidspunkt"), shape.payment_id, shape.benefit, shape.rate_name.rate_type, spans)


def _read_valp(body: bytes) -> ValpMessage:
    shape = read(_valp_decoder, body)
    benefit = f"{shape.measure}_{shape.grant_kind}"
    _refuse_unknown(benefit, Scheme.VALP, "tiltakskode")
    span = Span(shape.days.start, shape.days.end, shape.amount, shape.office)
    return ValpMessage(_header(shape, "besluttetTidspunkt", local_text_of_instant), shape.payment_id, benefit, span)


_Headed = DpShape | AapShape | TsShape | TpShape | HistoriskShape | ValpShape


def _header(shape: _Headed, when_field: str, canonical: Callable[[str], str] = local_text) -> MessageHeader:
    try:
        decided_at = canonical(shape.decided_at)
    except ValueError:
        raise Undecodable(when_field, "is not a date-time of the contract's form") from None
    return MessageHeader(shape.case_id, shape.decision_id, shape.person, decided_at, shape.dry_run, shape.caseworker, shape.approver)


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
    Scheme.DAGPENGER: _read_dp,
    Scheme.AAP: _read_aap,
    Scheme.TILLEGGSSTONADER: _read_ts,
    Scheme.TILTAKSPENGER: _read_tp,
    Scheme.HISTORISK: _read_historisk,
    Scheme.VALP: _read_valp,
}
_JAVA_BITS = 32
_period_and_kind = attrgetter("reporting_period", "kind")


def _decision(scheme: Scheme, key: str, header: MessageHeader, hold_back: HoldBack | None = None) -> Decision:
    terms = SCHEMES[scheme]
    return Decision(
        scheme=scheme,
        key=key,
        case_id=CaseId(header.case_id),
        decision_id=DecisionId(header.decision_id),
        person=header.person,
        decided_at=header.decided_at,
        caseworker=terms.default_caseworker if header.caseworker is None else header.caseworker,
        approver=terms.default_approver if header.approver is None else header.approver,
        hold_back=hold_back,
        dry_run=header.dry_run,
        whole_case=terms.whole_case,
    )


def _dagpenger(message: DpMessage, key: str) -> PaymentInstructions:
    decision = _decision(Scheme.DAGPENGER, key, message.header)
    groups: dict[tuple[str, DpKind], list[Given]] = {}
    paid = [day for day in message.days if day.amount > 0]
    for period_and_kind, days in groupby(paid, _period_and_kind):
        groups.setdefault(period_and_kind, []).extend([(day.day, day.day, day.amount, None, day.decided_rate) for day in days])
    payments = []
    for (reporting_period, kind), given in groups.items():
        benefit = _DP_BENEFIT[kind]
        payment_id = derived_payment_id(decision.scheme, decision.case_id, reporting_period, benefit.class_code)
        # Days of either kind join from Friday to Monday: the holiday supplement differs only in what the rail pays per period.
        payments.append(PaymentInstruction(InstructionKind.PAY, payment_id, benefit, _DP_RATE[kind], merge(given, RateType.WEEKDAY)))
    return PaymentInstructions(decision, tuple(payments))


def _aap(message: AapMessage, key: str) -> PaymentInstructions:
    decision = _decision(Scheme.AAP, key, message.header, message.hold_back)
    groups: dict[PaymentId, list[Given]] = {}
    for entry in message.entries:
        if entry.amount > 0:
            given = (entry.start, entry.end, entry.amount, None, entry.decided_rate)
            groups.setdefault(PaymentId(str(entry.payment_id)), []).append(given)
    payments = (
        PaymentInstruction(InstructionKind.PAY, payment_id, _AAP_BENEFIT, RateType.WEEKDAY, merge(entries, RateType.WEEKDAY))
        for payment_id, entries in groups.items()
    )
    return PaymentInstructions(decision, tuple(payments))


def _tiltakspenger(message: TpMessage, key: str) -> PaymentInstructions:
    decision = _decision(Scheme.TILTAKSPENGER, key, message.header)
    groups: dict[tuple[str, str], list[Given]] = {}
    for entry in message.entries:
        name = entry.benefit + _TWIN if entry.with_children else entry.benefit
        given = (entry.start, entry.end, entry.amount, entry.office, None)
        groups.setdefault((entry.reporting_period, name), []).append(given)
    payments = []
    for (reporting_period, name), entries in groups.items():
        benefit = BENEFITS[name]
        payment_id = derived_payment_id(decision.scheme, decision.case_id, reporting_period, benefit.class_code)
        payments.append(PaymentInstruction(InstructionKind.PAY, payment_id, benefit, RateType.WEEKDAY, merge(entries, RateType.WEEKDAY)))
    return PaymentInstructions(decision, tuple(payments))


def _given(spans: Iterable[Span]) -> list[Given]:
    return [(span.start, span.end, span.amount, span.office, None) for span in spans]


def _named(payment_id: str, benefit: Benefit, rate_type: RateType, spans: Sequence[Span]) -> PaymentInstruction:
    if not spans:
        return PaymentInstruction(InstructionKind.CEASE, PaymentId(payment_id), benefit, rate_type, ())
    given = _given(spans)
    merged = in_order(given) if rate_type is RateType.ONE_OFF else merge(given, rate_type, office_of_last=False)
    return PaymentInstruction(InstructionKind.PAY, PaymentId(payment_id), benefit, rate_type, merged)


def _ts_benefit(payment: TsPayment) -> Benefit | Refusal:
    benefit = BENEFITS[payment.benefit]
    if not payment.use_umbrella_area:
        return benefit
    if not benefit.may_use_umbrella_area:
        allowed = (each.name for each in benefits_of(Scheme.TILLEGGSSTONADER) if each.may_use_umbrella_area)
        return not_in_umbrella_area(benefit.name, allowed)
    return Benefit(benefit.scheme, benefit.name, benefit.class_code, UMBRELLA_AREA, True)


def _tilleggsstonader(message: TsMessage, key: str) -> PaymentInstructions | Refusal:
    if message.rate_type is RateType.DAY and any(payment.spans for payment in message.payments):
        return daily_rate_unsupported("tilleggsstønader")
    payments = []
    for payment in message.payments:
        benefit = _ts_benefit(payment)
        if isinstance(benefit, Refusal):
            return benefit
        payments.append(_named(str(payment.payment_id), benefit, message.rate_type, payment.spans))
    return PaymentInstructions(_decision(Scheme.TILLEGGSSTONADER, key, message.header), tuple(payments))


def _historisk(message: HistoriskMessage, key: str) -> PaymentInstructions | Refusal:
    if message.rate_type is RateType.DAY and message.spans:
        return daily_rate_unsupported("historisk", HISTORISK_FORM)
    payment = _named(str(message.payment_id), BENEFITS[message.benefit], message.rate_type, message.spans)
    return PaymentInstructions(_decision(Scheme.HISTORISK, key, message.header), (payment,))


def _valp(message: ValpMessage, key: str) -> PaymentInstructions:
    kind = InstructionKind.PAY if message.span.amount > 0 else InstructionKind.CEASE_STORED
    periods = in_order(_given((message.span,))) if kind is InstructionKind.PAY else ()
    payment = PaymentInstruction(kind, PaymentId(str(message.payment_id)), BENEFITS[message.benefit], RateType.ONE_OFF, periods)
    return PaymentInstructions(_decision(Scheme.VALP, key, message.header), (payment,))


def instructions_of(message: StreamMessage, key: str) -> PaymentInstructions | Refusal:
    """Returns what a message instructs, or why it cannot be read as instructions. `key` is the sender's key."""
    match message:
        case DpMessage():
            return _dagpenger(message, key)
        case AapMessage():
            return _aap(message, key)
        case TsMessage():
            return _tilleggsstonader(message, key)
        case TpMessage():
            return _tiltakspenger(message, key)
        case HistoriskMessage():
            return _historisk(message, key)
        case ValpMessage():
            return _valp(message, key)


def flawed_ids(message: StreamMessage) -> Refusal | None:
    """The first id of a message that hides something, or None: it would count as another one than everybody reads.

    Blanks around the ids of case and decision, and their lengths, have texts of their own, each in its turn. The sender's key is no
    id of ours: it is its own address, and is answered to the byte.
    """
    for field, text in (("sakId", message.header.case_id), ("behandlingId", message.header.decision_id)):
        flaw = flaw_of(text)
        if flaw not in (None, Flaw.EMPTY, Flaw.BLANK_AT_ENDS) and not (field == "sakId" and broken_case_id(text)):
            return flawed_id(field, flaw)
    for period in sorted({*_reporting_periods(message)}):
        if flaw := flaw_of(period):
            return flawed_id("meldeperiode", flaw)
    return None


def _reporting_periods(message: StreamMessage) -> Iterable[str]:
    match message:
        case DpMessage():
            return [day.reporting_period for day in message.days]
        case TpMessage():
            return [entry.reporting_period for entry in message.entries]
        case _:
            return ()


def _java_hash(text: str) -> int:
    """Java's `String.hashCode`: 32-bit signed, over UTF-16 units."""
    value = 0
    if text.isascii():
        for unit in text.encode("ascii"):
            value = (31 * value + unit) & 0xFFFFFFFF
    else:
        units = text.encode("utf-16-be")
        for index in range(0, len(units), 2):
            value = (31 * value + (units[index] << 8 | units[index + 1])) & 0xFFFFFFFF
    return value - (1 << _JAVA_BITS) if value >> (_JAVA_BITS - 1) else value


@lru_cache(maxsize=16_384)
def derived_payment_id(scheme: Scheme, case_id: CaseId, reporting_period: str, class_code: str) -> PaymentId:
    """The payment id that dagpenger and tiltakspenger depend on; only 2^32 different ones exist (helved §2.3)."""
    content = _java_hash(f"{scheme.value}{case_id}{reporting_period}{class_code}")
    digits = hashlib.sha256(content.to_bytes(8, "big", signed=True)).hexdigest()
    return PaymentId(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}")
