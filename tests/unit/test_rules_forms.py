"""Each of the six forms as instructions: grouping, ids, rates, defaults, guards, zero amounts, cessations (helved §2.6, §3.2, §3.3)."""

from datetime import date
from uuid import UUID

import pytest
from msgspec.structs import replace

from kvitt.contracts.helved.messages import (
    AapEntry,
    AapMessage,
    DpDay,
    DpKind,
    DpMessage,
    HistoriskMessage,
    Span,
    StreamMessage,
    TpEntry,
    TpMessage,
    TsMessage,
    TsPayment,
    ValpMessage,
)
from kvitt.contracts.helved.read import derived_payment_id, instructions_of
from kvitt.disbursement.derive.micro_chained import NEW_CASE, derive
from kvitt.disbursement.instructions import InstructionKind, PaymentInstructions
from kvitt.disbursement.refusals import REPEATED_PAYMENT
from kvitt.disbursement.values import (
    CaseId,
    HoldBack,
    RateType,
    Refusal,
    Scheme,
)
from support.strategies import HEAD, MADE_AT, june

ONE, OTHER = UUID("11111111-2222-4333-8444-555555555555"), UUID("66666666-7777-4888-8999-000000000000")
DAGPENGER, HOLIDAY = DpKind.DAGPENGER, DpKind.HOLIDAY_SUPPLEMENT
FORTNIGHT, NEXT_FORTNIGHT = "2026-06-01/2026-06-14", "2026-06-15/2026-06-28"
BASE = "https://helved-docs.ansatt.dev.nav.no"


def day(number: int, amount: int, kind: DpKind = DAGPENGER, rate: int = 1077, fortnight: str = FORTNIGHT) -> DpDay:
    return DpDay(fortnight, date(2026, 6, number), rate, amount, kind)


def card(first: int, last: int, amount: int, payment_id: UUID = ONE) -> AapEntry:
    return AapEntry(payment_id, date(2026, 6, first), date(2026, 6, last), 1077, amount)


def span(first: int, last: int, amount: int, office: str | None = None) -> Span:
    return Span(date(2026, 6, first), date(2026, 6, last), amount, office)


def measure(
    first: int, last: int, amount: int, *, benefit: str = "ARBEIDSTRENING", children: bool = False, office: str = "0220"
) -> TpEntry:
    return TpEntry(FORTNIGHT, date(2026, 6, first), date(2026, 6, last), amount, office, children, benefit)


def ts(rate: RateType, *payments: TsPayment) -> TsMessage:
    return TsMessage(HEAD, rate, payments)


def instructions(message: StreamMessage) -> PaymentInstructions:
    found = instructions_of(message, "key-1")
    assert isinstance(found, PaymentInstructions)
    return found


def test_dagpenger_is_grouped_by_reporting_period_and_kind_in_order_of_appearance() -> None:
    days = (
        day(15, 553, fortnight=NEXT_FORTNIGHT),
        day(5, 553),
        day(1, 100, HOLIDAY),
        day(8, 553),
        day(2, 100, HOLIDAY),
        day(9, 553, rate=900),
        day(4, 0),
    )
    new, old, holiday = instructions(DpMessage(HEAD, days)).payments
    assert [new.periods, old.periods, holiday.periods] == [
        (june(15, 15, 553, rate=1077),),
        (june(5, 8, 553, rate=1077), june(9, 9, 553, rate=900)),
        (june(1, 2, 100, rate=1077),),
    ]
    assert [each.rate_type for each in (new, old, holiday)] == [RateType.WEEKDAY, RateType.WEEKDAY, RateType.ONE_OFF]
    assert [each.benefit.name for each in (old, holiday) if each.benefit] == ["DAGPENGER", "DAGPENGERFERIE"]
    assert holiday.payment_id == derived_payment_id(Scheme.DAGPENGER, CaseId("SAK-1"), FORTNIGHT, "DAGPENGERFERIE")
    assert new.payment_id == derived_payment_id(Scheme.DAGPENGER, CaseId("SAK-1"), NEXT_FORTNIGHT, "DAGPENGER")


def test_aap_is_grouped_by_payment_and_holds_back() -> None:
    held = HoldBack(date(2026, 6, 1), date(2026, 6, 12), date(2026, 8, 11), "AVVENT_REFUSJONSKRAV")
    found = instructions(AapMessage(HEAD, (card(8, 12, 553), card(1, 5, 553), card(1, 5, 400, OTHER), card(15, 19, 0)), held))
    one, other = found.payments
    assert (one.payment_id, one.periods) == (str(ONE), (june(1, 12, 553, rate=1077),))
    assert (other.payment_id, other.periods) == (str(OTHER), (june(1, 5, 400, rate=1077),))
    assert {each.rate_type for each in found.payments} == {RateType.WEEKDAY}
    assert found.decision.hold_back == held


def test_tiltakspenger_pays_for_children_apart_and_keeps_zero_amounts_to_be_refused() -> None:
    entries = (
        measure(5, 5, 285, office="0315"),
        measure(8, 8, 285),
        measure(5, 5, 53, children=True),
        measure(1, 2, 0, benefit="GRUPPE_AMO"),
    )
    message = TpMessage(HEAD, entries)
    alone, children, nothing = instructions(message).payments
    assert alone.periods == (june(5, 8, 285, office="0220"),), "the office of the last"
    assert [each.benefit.name for each in (alone, children) if each.benefit] == ["ARBEIDSTRENING", "ARBEIDSTRENING_BARN"]
    assert children.payment_id == derived_payment_id(Scheme.TILTAKSPENGER, CaseId("SAK-1"), FORTNIGHT, "TPBTATTILT")
    assert nothing.periods == (june(1, 2, 0, office="0220"),)
    refused = derive(instructions(message), NEW_CASE, MADE_AT)
    assert isinstance(refused, Refusal)
    assert refused.text == "Beløp må være > 0"


@pytest.mark.parametrize(
    ("rate", "spans", "periods"),
    [
        (RateType.WEEKDAY, (span(8, 8, 90), span(5, 5, 90, "0315")), (june(5, 8, 90, office="0315"),)),
        (RateType.MONTH, (span(5, 5, 90), span(8, 8, 90)), (june(5, 5, 90), june(8, 8, 90))),
        (RateType.MONTH, (span(6, 8, 90), span(1, 5, 90, "0315")), (june(1, 8, 90, office="0315"),)),
        (RateType.ONE_OFF, (span(2, 2, 90), span(1, 1, 90)), (june(1, 1, 90), june(2, 2, 90))),
    ],
)
def test_named_payments_are_joined_as_their_rate_type_allows(rate: RateType, spans: tuple[Span, ...], periods: object) -> None:
    (supplement,) = instructions(ts(rate, TsPayment(ONE, "TILSYN_BARN_AAP", spans, False))).payments
    (old,) = instructions(HistoriskMessage(HEAD, ONE, "ORTOSE", rate, spans)).payments
    assert supplement.periods == old.periods == periods
    assert supplement.rate_type is old.rate_type is rate
    assert supplement.payment_id == old.payment_id == str(ONE)


def test_no_spans_are_a_cessation_in_the_senders_words() -> None:
    paid, ceased = instructions(
        ts(RateType.ONE_OFF, TsPayment(ONE, "TILSYN_BARN_AAP", (span(2, 2, 800),), False), TsPayment(OTHER, "TILSYN_BARN_AAP", (), False))
    ).payments
    (old,) = instructions(HistoriskMessage(HEAD, ONE, "ORTOSE", RateType.ONE_OFF, ())).payments
    assert [paid.kind, ceased.kind, old.kind] == [InstructionKind.PAY, InstructionKind.CEASE, InstructionKind.CEASE]
    assert ceased.periods == old.periods == ()


def test_valp_pays_one_period_at_once_or_ceases_from_what_is_stored() -> None:
    message = ValpMessage(HEAD, ONE, "HOYERE_UTDANNING_SKOLEPENGER", span(1, 30, 12500, "0315"))
    (paid,) = instructions(message).payments
    assert (paid.kind, paid.rate_type, paid.periods) == (InstructionKind.PAY, RateType.ONE_OFF, (june(1, 30, 12500, office="0315"),))
    (ceased,) = instructions(replace(message, span=span(1, 30, 0))).payments
    assert (ceased.kind, ceased.periods) == (InstructionKind.CEASE_STORED, ())


DP = DpMessage(HEAD, (day(1, 553),))
AAP = AapMessage(HEAD, (card(1, 5, 553),), None)
TS = ts(RateType.ONE_OFF, TsPayment(ONE, "TILSYN_BARN_AAP", (span(1, 1, 90),), False))
TP = TpMessage(HEAD, (measure(1, 5, 285),))
OLD = HistoriskMessage(HEAD, ONE, "ORTOSE", RateType.ONE_OFF, (span(1, 1, 90),))
VALP = ValpMessage(HEAD, ONE, "HOYERE_UTDANNING_SKOLEPENGER", span(1, 30, 12500))


@pytest.mark.parametrize(
    ("message", "scheme", "default", "whole_case", "area", "frequency"),
    [
        (DP, Scheme.DAGPENGER, "dp", True, "DP", "MND"),
        (AAP, Scheme.AAP, "kelvin", True, "AAP", "MND"),
        (TS, Scheme.TILLEGGSSTONADER, "ts", False, "TILLSTPB", "MND"),
        (TP, Scheme.TILTAKSPENGER, "tp", True, "TILTPENG", "MND"),
        (OLD, Scheme.HISTORISK, "hist", False, "HELSREF", "ENG"),
        (VALP, Scheme.VALP, "teamvalp", False, "TILSOPP", "MND"),
    ],
)
def test_a_decision_carries_the_senders_people_or_those_of_the_scheme(
    message: StreamMessage, scheme: Scheme, *, default: str, whole_case: bool, area: str, frequency: str
) -> None:
    named = instructions(message).decision
    assert (named.scheme, named.key, named.case_id, named.decision_id) == (scheme, "key-1", "SAK-1", "BEH-1")
    assert (named.person, named.decided_at, named.dry_run, named.whole_case) == (HEAD.person, HEAD.decided_at, False, whole_case)
    assert (named.caseworker, named.approver) == ("Z900001", "Z900002")
    assert named.hold_back is None
    nameless = instructions(replace(message, header=replace(HEAD, caseworker=None, approver=None, dry_run=True)))
    assert (nameless.decision.caseworker, nameless.decision.approver, nameless.decision.dry_run) == (default, default, True)
    orders = derive(nameless, NEW_CASE, MADE_AT)
    assert not isinstance(orders, Refusal)
    (order,) = orders
    assert (order.area, order.frequency, order.is_first_order, order.caseworker) == (area, frequency, True, default)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(DpMessage(HEAD, ()), id="dagpenger, no days"),
        pytest.param(DpMessage(HEAD, (day(1, 0), day(2, 0, HOLIDAY))), id="dagpenger, no paid days"),
        pytest.param(AapMessage(HEAD, (), None), id="aap, no entries"),
        pytest.param(AapMessage(HEAD, (card(1, 5, 0),), None), id="aap, no paid entries"),
        pytest.param(TpMessage(HEAD, ()), id="tiltakspenger, no entries"),
        pytest.param(ts(RateType.DAY), id="tilleggsstønader, no payments"),
    ],
)
def test_nothing_to_pay_on_an_unknown_case_is_no_order_and_no_error(message: StreamMessage) -> None:
    assert instructions(message).payments == ()
    assert derive(instructions(message), NEW_CASE, MADE_AT) == ()


ALLOWED = (
    "TILSYN_BARN_ENSLIG_FORSØRGER, TILSYN_BARN_AAP, TILSYN_BARN_ETTERLATTE, LÆREMIDLER_ENSLIG_FORSØRGER, LÆREMIDLER_AAP, "
    "LÆREMIDLER_ETTERLATTE, BOUTGIFTER_AAP, BOUTGIFTER_ENSLIG_FORSØRGER, BOUTGIFTER_ETTERLATTE, DAGLIG_REISE_TILTAK_ARBEIDSFORBEREDENDE, "
    "DAGLIG_REISE_TILTAK_ARBEIDSRETTET_REHAB, DAGLIG_REISE_TILTAK_ARBEIDSTRENING, DAGLIG_REISE_TILTAK_AVKLARING, "
    "DAGLIG_REISE_TILTAK_DIGITAL_JOBBKLUBB, DAGLIG_REISE_TILTAK_ENKELTPLASS_AMO, DAGLIG_REISE_TILTAK_ENKELTPLASS_FAG_YRKE_HOYERE_UTD, "
    "DAGLIG_REISE_TILTAK_FORSØK_OPPLÆRINGSTILTAK_LENGER_VARIGHET, DAGLIG_REISE_TILTAK_GRUPPE_AMO, "
    "DAGLIG_REISE_TILTAK_GRUPPE_FAG_YRKE_HOYERE_UTD, DAGLIG_REISE_TILTAK_HØYERE_UTDANNING, DAGLIG_REISE_TILTAK_INDIVIDUELL_JOBBSTØTTE, "
    "DAGLIG_REISE_TILTAK_INDIVIDUELL_JOBBSTØTTE_UNG, DAGLIG_REISE_TILTAK_JOBBKLUBB, DAGLIG_REISE_TILTAK_OPPFØLGING, "
    "DAGLIG_REISE_TILTAK_UTVIDET_OPPFØLGING_I_NAV, DAGLIG_REISE_TILTAK_UTVIDET_OPPFØLGING_I_OPPLÆRING"
)


def test_the_umbrella_area_is_for_the_marked_benefits_only() -> None:
    (allowed,) = instructions(ts(RateType.ONE_OFF, TsPayment(ONE, "LÆREMIDLER_AAP", (span(1, 1, 90),), True))).payments
    assert allowed.benefit
    assert (allowed.benefit.name, allowed.benefit.area, allowed.benefit.class_code) == ("LÆREMIDLER_AAP", "TILLST", "TSLMASISP3-OP")
    refused = instructions_of(ts(RateType.ONE_OFF, TsPayment(ONE, "DAGLIG_REISE_AAP", (span(1, 1, 90),), True)), "key-1")
    text = f"Fant stønadstype DAGLIG_REISE_AAP ved bruk av fagområde TILLST. Tillater bare en av: [{ALLOWED}]"
    assert refused == Refusal(400, text, BASE)


@pytest.mark.parametrize(
    ("message", "name", "page"),
    [
        (ts(RateType.DAY, TsPayment(ONE, "TILSYN_BARN_AAP", (span(1, 1, 90),), False)), "tilleggsstønader", ""),
        (replace(OLD, rate_type=RateType.DAY), "historisk", "/async/api#Historisk"),
    ],
)
def test_the_rate_for_all_seven_days_is_refused_with_a_page_of_the_senders_own_form(message: StreamMessage, name: str, page: str) -> None:
    text = f"periodetype 'DAG' for {name} er ikke implementert"
    assert instructions_of(message, "key-1") == Refusal(400, text, BASE + page)


def test_an_id_that_is_named_twice_is_refused() -> None:
    twice = TsPayment(ONE, "TILSYN_BARN_AAP", (span(1, 1, 90),), False)
    assert derive(instructions(ts(RateType.ONE_OFF, twice, replace(twice, spans=()))), NEW_CASE, MADE_AT) == REPEATED_PAYMENT


def test_a_day_that_is_named_twice_is_refused() -> None:
    refused = derive(instructions(DpMessage(HEAD, (day(1, 553), day(1, 553), day(2, 553)))), NEW_CASE, MADE_AT)
    assert isinstance(refused, Refusal)
    assert refused.text == "Kan ikke sende inn duplikate perioder"


def test_a_span_that_ends_before_it_starts_is_refused_even_beside_another() -> None:
    refused = derive(instructions(AapMessage(HEAD, (card(1, 5, 553), card(6, 4, 553)), None)), NEW_CASE, MADE_AT)
    assert isinstance(refused, Refusal)
    assert refused.text == "Tom må være >= fom"
