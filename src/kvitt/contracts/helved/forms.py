"""The six input forms to instructions: grouping into payments, ids, rate types, defaults (helved §3.3).

What a whole-case message leaves out is not here: only the stored case can say (`derive.py`).
"""

from collections.abc import Iterable, Sequence

from kvitt.contracts.helved.messages import (
    AapMessage,
    DpKind,
    DpMessage,
    Head,
    HistoriskMessage,
    Message,
    Span,
    TpMessage,
    TsMessage,
    TsPayment,
    ValpMessage,
)
from kvitt.disbursement.catalogue import (
    BENEFITS,
    SCHEMES,
    UMBRELLA_AREA,
    benefits_of,
)
from kvitt.disbursement.ids import derived_payment_id
from kvitt.disbursement.instructions import (
    Decision,
    InstructionKind,
    PaymentInstruction,
    PaymentInstructions,
)
from kvitt.disbursement.periods import Given, in_order, merge
from kvitt.disbursement.refusals import HISTORISK_FORM, daily_rate_unsupported, flawed_id, not_in_umbrella_area
from kvitt.disbursement.validation import broken_case_id
from kvitt.disbursement.values import (
    Benefit,
    CaseId,
    DecisionId,
    HoldBack,
    PaymentId,
    RateType,
    Refusal,
    Scheme,
)
from kvitt.kernel.identifiers import Flaw, flaw_of

_DP_BENEFIT = {DpKind.DAGPENGER: BENEFITS["DAGPENGER"], DpKind.HOLIDAY_SUPPLEMENT: BENEFITS["DAGPENGERFERIE"]}
_DP_RATE = {DpKind.DAGPENGER: RateType.WEEKDAY, DpKind.HOLIDAY_SUPPLEMENT: RateType.ONE_OFF}
_AAP_BENEFIT = BENEFITS["AAP_UNDER_ARBEIDSAVKLARING"]
_CHILD_TWIN = "_BARN"


def _decision(scheme: Scheme, key: str, head: Head, hold_back: HoldBack | None = None) -> Decision:
    terms = SCHEMES[scheme]
    return Decision(
        scheme=scheme,
        key=key,
        case_id=CaseId(head.case_id),
        decision_id=DecisionId(head.decision_id),
        person=head.person,
        decided_at=head.decided_at,
        caseworker=terms.default_caseworker if head.caseworker is None else head.caseworker,
        approver=terms.default_approver if head.approver is None else head.approver,
        hold_back=hold_back,
        dry_run=head.dry_run,
        whole_case=terms.whole_case,
    )


def _dagpenger(message: DpMessage, key: str) -> PaymentInstructions:
    decision = _decision(Scheme.DAGPENGER, key, message.head)
    groups: dict[tuple[str, DpKind], list[Given]] = {}
    for day in message.days:
        if day.amount > 0:
            groups.setdefault((day.reporting_period, day.kind), []).append((day.day, day.day, day.amount, None, day.decided_rate))
    payments = []
    for (reporting_period, kind), days in groups.items():
        benefit = _DP_BENEFIT[kind]
        payment_id = derived_payment_id(decision.scheme, decision.case_id, reporting_period, benefit.class_code)
        # Days of either kind join from Friday to Monday: the holiday supplement differs only in what the rail pays per period.
        payments.append(PaymentInstruction(InstructionKind.PAY, payment_id, benefit, _DP_RATE[kind], merge(days, RateType.WEEKDAY)))
    return PaymentInstructions(decision, tuple(payments))


def _aap(message: AapMessage, key: str) -> PaymentInstructions:
    decision = _decision(Scheme.AAP, key, message.head, message.hold_back)
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
    decision = _decision(Scheme.TILTAKSPENGER, key, message.head)
    groups: dict[tuple[str, str], list[Given]] = {}
    for entry in message.entries:
        name = entry.benefit + _CHILD_TWIN if entry.with_children else entry.benefit
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
    return PaymentInstructions(_decision(Scheme.TILLEGGSSTONADER, key, message.head), tuple(payments))


def _historisk(message: HistoriskMessage, key: str) -> PaymentInstructions | Refusal:
    if message.rate_type is RateType.DAY and message.spans:
        return daily_rate_unsupported("historisk", HISTORISK_FORM)
    payment = _named(str(message.payment_id), BENEFITS[message.benefit], message.rate_type, message.spans)
    return PaymentInstructions(_decision(Scheme.HISTORISK, key, message.head), (payment,))


def _valp(message: ValpMessage, key: str) -> PaymentInstructions:
    kind = InstructionKind.PAY if message.span.amount > 0 else InstructionKind.CEASE_STORED
    periods = in_order(_given((message.span,))) if kind is InstructionKind.PAY else ()
    payment = PaymentInstruction(kind, PaymentId(str(message.payment_id)), BENEFITS[message.benefit], RateType.ONE_OFF, periods)
    return PaymentInstructions(_decision(Scheme.VALP, key, message.head), (payment,))


def instructions_of(message: Message, key: str) -> PaymentInstructions | Refusal:
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


def flawed_ids(message: Message) -> Refusal | None:
    """The first id of a message that hides something, or None: it would count as another one than everybody reads.

    Blanks around the ids of case and decision, and their lengths, have texts of their own, each in its turn. The sender's key is no
    id of ours: it is its own address, and is answered to the byte.
    """
    for field, text in (("sakId", message.head.case_id), ("behandlingId", message.head.decision_id)):
        flaw = flaw_of(text)
        if flaw not in (None, Flaw.EMPTY, Flaw.BLANK_AT_ENDS) and not (field == "sakId" and broken_case_id(text)):
            return flawed_id(field, flaw)
    for period in sorted({*_reporting_periods(message)}):
        if flaw := flaw_of(period):
            return flawed_id("meldeperiode", flaw)
    return None


def _reporting_periods(message: Message) -> Iterable[str]:
    match message:
        case DpMessage():
            return [day.reporting_period for day in message.days]
        case TpMessage():
            return [entry.reporting_period for entry in message.entries]
        case _:
            return ()
