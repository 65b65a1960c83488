"""Chains across the decisions of a case: the worked examples of iverksetting §2.4, and what a decision leaves for the next one."""

from datetime import date

import pytest
from lxml import etree
from msgspec.structs import replace

from kvitt.disbursement import payment_document, refusals
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.derive import micro_chained
from kvitt.disbursement.derive.chained import ChainKey, WantedPeriod, chain_payment_id, derive, single_payment
from kvitt.disbursement.derive.micro_chained import NEW_CASE, AtRail, CaseState
from kvitt.disbursement.holding import HoldKind, reasons_to_hold
from kvitt.disbursement.instructions import InstructionKind, PaymentInstruction, PaymentInstructions, merge
from kvitt.disbursement.values import Action, Area, CaseId, LineId, Order, Payment, Period, RateType, Refusal, Scheme
from kvitt.rails.oppdrag import order_xml
from support.decided_case import TILTAK, DecidedCase, read_state, said_of, wanting
from support.strategies import MADE_AT, june, paying
from unit.test_wire_order_xml import published_schema

# id: decisions, each the complete state and the lines that come of it. A period is `first-last@amount` in June 2026, `b:` stands for
# a second chain; `#1>#0` is line 1 behind line 0, `#0!13` line 0 as it was made, ended from the 13th.
EXAMPLES = """
W1: 1-12@640 = #0 1-12@640
W2: 1-12@640 = #0 1-12@640 | 1-12@640 =
W3: 1-12@640 = #0 1-12@640 | 1-12@640 15-26@655 = #1>#0 15-26@655
W4: 1-12@640 = #0 1-12@640 | 1-19@640 = #1>#0 1-19@640
W5: 8-19@640 = #0 8-19@640 | 1-19@640 = #1>#0 1-19@640
W6: 1-5@640 15-26@640 = #0 1-5@640 #1>#0 15-26@640 | 1-12@640 15-26@640 = #2>#1 1-12@640 #3>#2 15-26@640
W7: 1-26@640 = #0 1-26@640 | 1-12@640 13-26@320 = #1>#0 13-26@320
W8: 1-26@640 = #0 1-26@640 | 1-12@700 13-26@640 = #1>#0 1-12@700 #2>#1 13-26@640
W9: 1-26@640 = #0 1-26@640 | 1-12@700 = #1>#0 1-12@700
W10: 1-26@640 = #0 1-26@640 | 1-12@640 = #0!13 1-26@640
W11: 1-26@640 = #0 1-26@640 | 1-12@640 = #0!13 1-26@640 | 1-5@640 = #0!6 1-26@640
W12: 1-26@640 = #0 1-26@640 | 15-26@640 = #0!1 1-26@640 #1>#0 15-26@640
W13: 1-26@640 = #0 1-26@640 | 1-5@640 15-26@640 = #0!6 1-26@640 #1>#0 15-26@640
W14: 1-12@640 15-26@655 = #0 1-12@640 #1>#0 15-26@655 | 1-5@640 15-26@655 = #1!6 15-26@655 #2>#1 15-26@655
W15: 1-12@640 = #0 1-12@640 | = #0!1 1-12@640 | 1-12@640 = #1>#0 1-12@640
W16: 1-5@640 8-12@650 15-19@660 = #0 1-5@640 #1>#0 8-12@650 #2>#1 15-19@660 | 1-5@640 8-12@650 = #2!15 15-19@660 | 1-5@640 = #2!8 15-19@660
W17: 1-5@640 8-12@650 = #0 1-5@640 #1>#0 8-12@650 | 1-5@640 = #1!8 8-12@650 | 1-5@640 8-12@650 = #2>#1 8-12@650
W18: 1-5@640 = #0 1-5@640 | 15-19@640 = #0!1 1-5@640 #1>#0 15-19@640
W19: 1-12@640 b:1-12@72 = #0 1-12@640 #1 1-12@72 | 1-12@660 b:1-12@80 = #2>#0 1-12@660 #3>#1 1-12@80
W20: 1-12@640 b:1-12@72 = #0 1-12@640 #1 1-12@72 | 1-12@640 15-19@640 = #1!1 1-12@72 #2>#0 15-19@640
"""


def examples(*, one_chain: bool = False) -> list[object]:
    rows = [line.partition(":") for line in EXAMPLES.strip().splitlines()]
    return [pytest.param(text, id=name) for name, _, text in rows if not one_chain or "b:" not in text]


def run(text: str, case: DecidedCase, scheme: Scheme = Scheme.TILTAKSPENGER) -> None:
    for step in text.split("|"):
        wanted, _, lines = step.partition("=")
        order = case.decides(read_state(wanted, scheme))
        assert said_of(order.lines if order else ()) == " ".join(lines.split())
        if order:
            known_rates = order_xml.encode(order).replace(b"<typeSats>DAG7<", b"<typeSats>DAG<")
            published_schema().assertValid(etree.fromstring(known_rates))


@pytest.mark.parametrize("text", examples())
def test_the_worked_examples_give_the_lines_of_the_contract(text: str) -> None:
    run(text, DecidedCase())


@pytest.mark.parametrize("scheme", [Scheme.DAGPENGER, Scheme.TILLEGGSSTONADER])
@pytest.mark.parametrize("text", examples())
def test_they_do_in_every_scheme_with_more_than_one_class_code(text: str, scheme: Scheme) -> None:
    run(text, DecidedCase(replace(TILTAK, scheme=scheme)), scheme)


@pytest.mark.parametrize("text", examples(one_chain=True))
def test_aap_has_one_chain(text: str) -> None:
    run(text, DecidedCase(replace(TILTAK, scheme=Scheme.AAP)), Scheme.AAP)


@pytest.mark.parametrize(
    ("scheme", "area"),
    [(Scheme.DAGPENGER, "DP"), (Scheme.TILTAKSPENGER, "TILTPENG"), (Scheme.TILLEGGSSTONADER, "TILLST"), (Scheme.AAP, "AAP")],
)
def test_a_decision_is_one_order_in_the_area_of_its_scheme(scheme: Scheme, area: str) -> None:
    case = DecidedCase(replace(TILTAK, scheme=scheme))
    first = case.decides(read_state("1-12@640 b:15-19@72", scheme)[: 2 if scheme is not Scheme.AAP else 1])
    second = case.decides(read_state("1-12@650", scheme))
    assert first
    assert second
    assert [(each.area, each.is_first_order) for each in (first, second)] == [(area, True), (area, False)]
    assert first.office is None


def shown(payment: Payment) -> list[tuple[int, int, str | None]]:
    return [(each.start.day, each.end.day, each.line) for each in payment.periods]


def only(order: Order | None) -> Payment:
    assert order
    (payment,) = order.payments
    return payment


def ordered(case: DecidedCase, wanted: list[WantedPeriod]) -> Order:
    order = case.decides(wanted)
    assert order
    return order


def test_a_period_names_the_line_that_pays_it_and_a_shortened_one_keeps_its_line() -> None:
    case = DecidedCase()
    case.decides(read_state("1-26@640"))
    assert shown(only(case.decides(read_state("1-12@640")))) == [(1, 12, "SAK-1#0")]
    assert shown(only(case.decides(read_state("1-5@640 15-26@640")))) == [(1, 5, "SAK-1#0"), (15, 26, "SAK-1#1")]


def test_the_last_line_is_kept_as_it_was_made_even_where_the_chain_has_ceased() -> None:
    case = DecidedCase()
    case.decides([wanting(june(1, 26, 640, rate=700), "ARBEIDSTRENING")])
    ceased = only(case.decides([]))
    assert (ceased.action, ceased.wanted, ceased.last_line) == (Action.DELETE, (), "SAK-1#0")
    assert ceased.last_sent == june(1, 26, 640, rate=700)
    revived = case.decides(read_state("1-5@640"))
    assert only(revived).action is Action.CREATE
    assert revived
    assert said_of(revived.lines) == "#1>#0 1-5@640"


def test_only_chains_that_change_are_in_the_order() -> None:
    case = DecidedCase()
    case.decides(read_state("1-12@640 b:1-12@72"))
    assert [each.benefit for each in case.decides(read_state("1-12@640 b:1-12@80")).payments] == ["ARBEIDSTRENING_BARN"]  # type: ignore[union-attr]


def test_periods_of_one_chain_may_have_rate_types_of_their_own() -> None:
    case = DecidedCase(replace(TILTAK, scheme=Scheme.TILLEGGSSTONADER))
    month = Period(date(2026, 7, 1), date(2026, 7, 31), 4000)
    wanted = [
        wanting(june(1, 12, 150), "TILSYN_BARN_AAP"),
        wanting(june(15, 15, 900), "TILSYN_BARN_AAP", rate=RateType.ONE_OFF),
        wanting(month, "TILSYN_BARN_AAP", rate=RateType.MONTH),
    ]
    order = case.decides(wanted)
    payment = only(order)
    assert order
    assert [line.rate_type for line in order.lines] == [RateType.WEEKDAY, RateType.ONE_OFF, RateType.MONTH]
    assert [payment.rate_of(each) for each in payment.periods] == [RateType.WEEKDAY, RateType.ONE_OFF, RateType.MONTH]
    cut = case.decides(wanted[:2])
    assert cut
    assert cut.lines[0].rate_type is RateType.MONTH, "a cessation repeats the line as it was made"
    assert {each.rate_code for each in case.rail.pays()} == {"DAG", "ENG"}


@pytest.mark.parametrize("other", [{"rate": RateType.DAY}, {}])
def test_another_rate_type_office_or_decided_rate_alone_sends_nothing(other: dict[str, RateType]) -> None:
    case = DecidedCase()
    case.decides([wanting(june(1, 12, 640, office="0301", rate=700))])
    assert case.decides([wanting(june(1, 12, 640, office="0219", rate=710), **other)]) is None


def test_what_stays_is_kept_as_the_rail_has_it() -> None:
    case = DecidedCase()
    case.decides([wanting(june(1, 12, 640, office="0301", rate=700))])
    payment = only(case.decides([wanting(june(1, 12, 640, office="0219", rate=710)), wanting(june(15, 19, 640, rate=710))]))
    assert [(each.office, each.decided_rate) for each in payment.periods] == [("0301", 700), (None, 710)]


def test_the_order_names_the_office_of_the_newest_period_that_has_one() -> None:
    order = DecidedCase().decides(
        [wanting(june(15, 19, 640, office="0219")), wanting(june(1, 12, 640, office="0301")), wanting(june(22, 23, 1))]
    )
    assert order
    assert order.office == "0219"


def test_periods_may_come_in_any_order_and_chains_are_numbered_as_they_first_occur() -> None:
    order = DecidedCase().decides(read_state("b:8-9@72 15-19@640 1-5@640 b:1-2@72"))
    assert order
    assert said_of(order.lines) == "#0 1-2@72 #1>#0 8-9@72 #2 1-5@640 #3>#2 15-19@640"


def test_cards_part_chains_of_one_class_code_where_the_scheme_has_cards() -> None:
    wanted = [wanting(june(1, 5, 640), card="card-1"), wanting(june(8, 12, 640), card="card-2")]
    order = DecidedCase().decides(wanted)
    assert order
    assert said_of(order.lines) == "#0 1-5@640 #1 8-12@640"
    assert [each.reporting_card for each in order.payments] == ["card-1", "card-2"]
    of_aap = [replace(each, benefit=BENEFITS["AAP_UNDER_ARBEIDSAVKLARING"]) for each in wanted]
    order = DecidedCase(replace(TILTAK, scheme=Scheme.AAP)).decides(of_aap)
    assert order
    assert said_of(order.lines) == "#0 1-5@640 #1>#0 8-12@640"


def test_a_chain_without_a_card_is_no_other_chain_with_an_empty_one() -> None:
    ids = {chain_payment_id(Scheme.DAGPENGER, CaseId("S"), ChainKey("DPORAS", card)) for card in (None, "", "1")}
    assert len(ids) == 3


def test_a_payment_of_a_chain_stands_in_the_store_as_it_is() -> None:
    payment = only(DecidedCase().decides(read_state("1-12@640")))
    assert payment_document.decode(payment_document.encode(payment)) == payment
    assert b'"reporting_card":"card-1"' in payment_document.encode(payment)


def test_after_a_rejected_order_the_next_one_builds_on_what_is_accepted_and_uses_no_number_again() -> None:
    case = DecidedCase()
    case.decides(read_state("1-12@640"))
    case.decides(read_state("1-19@640 22-23@640"), accepted=False)
    order = case.decides(read_state("1-19@640"))
    assert order
    assert said_of(order.lines) == "#3>#0 1-19@640"


def test_the_first_order_of_a_case_is_first_until_one_is_accepted() -> None:
    case = DecidedCase()
    assert case.decides(read_state("1-12@640"), accepted=False)
    again = case.decides(read_state("1-12@640"))
    assert again
    assert (again.is_first_order, said_of(again.lines)) == (True, "#1 1-12@640")


def test_numbers_that_the_rail_may_have_are_not_used_again() -> None:
    payment = replace(only(DecidedCase().decides(read_state("1-12@640"))), last_line=LineId("SAK-1#7"))
    state = replace(NEW_CASE, at_rail=(AtRail(1, payment, continues=False),))
    order = DecidedCase(state=state).decides(read_state("1-12@640"))
    assert order
    assert said_of(order.lines) == "#8 1-12@640"


def taken_over(**changes: object) -> CaseState:
    """A case with one chain whose last line is number 41, as another hub left it; it knows nothing of lines by period."""
    made = only(DecidedCase().decides(read_state("1-12@640 15-26@640")))
    periods = tuple([replace(each, line=None) for each in made.periods])
    payment = replace(made, **{"last_line": LineId("SAK-1#41"), "periods": periods, **changes})
    return CaseState({payment.payment_id: payment}, payment.person, frozenset({Area("TILTPENG")}), 0)


def test_a_chain_that_was_taken_over_goes_on_from_its_last_line() -> None:
    found = derive(TILTAK, read_state("1-12@640 15-19@640"), taken_over(), MADE_AT)
    assert not isinstance(found, Refusal)
    assert said_of(found[0].lines) == "#41!20 15-26@640"
    found = derive(TILTAK, read_state("1-12@640 15-26@640 29-30@640"), taken_over(), MADE_AT)
    assert not isinstance(found, Refusal)
    assert said_of(found[0].lines) == "#42>#41 29-30@640"
    assert [each.line for each in found[0].payments[0].periods] == [None, None, "SAK-1#42"]


def test_a_chain_of_which_nobody_knows_what_it_pays_is_cut_whole() -> None:
    found = derive(TILTAK, read_state("1-12@640"), taken_over(periods=()), MADE_AT)
    assert not isinstance(found, Refusal)
    assert [line.ceased_from for line in found[0].lines] == [date(2000, 1, 1), None]


def test_line_ids_of_another_kind_stay_and_are_referred_to() -> None:
    uuid = "850a4857-fa4e-4d0d-934a-240f7c76c8a4"
    found = derive(TILTAK, read_state("1-12@650"), taken_over(last_line=LineId(uuid)), MADE_AT)
    assert not isinstance(found, Refusal)
    assert [(line.line_id, line.refers_to) for line in found[0].lines] == [("SAK-1#0", uuid)]


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ([wanting(june(1, 5, 0))], refusals.ZERO_AMOUNT),
        ([wanting(june(5, 1, 640))], refusals.END_BEFORE_START),
        ([wanting(june(1, 5, 640)), wanting(june(5, 9, 640))], refusals.OVERLAP),
        ([wanting(june(1, 29, 640), rate=RateType.MONTH)], refusals.PART_OF_MONTH),
        ([wanting(june(1, 5, 640, office="12"))], refusals.BAD_OFFICE),
        ([wanting(june(1, 5, 640), "ARBEIDSSØKER_ORDINÆR")], refusals.no_class_code("ARBEIDSSØKER_ORDINÆR")),
    ],
)
def test_what_can_not_be_paid_is_refused(wanted: list[WantedPeriod], refusal: Refusal) -> None:
    assert derive(TILTAK, wanted, NEW_CASE, MADE_AT) == refusal


@pytest.mark.parametrize("name", ["DAGLIG_REISE_AAP", "REISE_TIL_SAMLING_AAP"])
def test_what_has_an_area_of_its_own_is_refused_by_name(name: str) -> None:
    decision = replace(TILTAK, scheme=Scheme.TILLEGGSSTONADER)
    refused = derive(decision, [wanting(june(1, 5, 640), name)], NEW_CASE, MADE_AT)
    assert isinstance(refused, Refusal)
    assert (refused.status, name in refused.text, "TILSYN_BARN_AAP" in refused.text) == (400, True, True)


def test_two_cards_that_pay_one_day_are_held() -> None:
    case = DecidedCase()
    case.decides([wanting(june(1, 5, 640))])
    before = case.state
    order = ordered(case, [wanting(june(1, 5, 640)), wanting(june(5, 9, 640), card="card-2")])
    ((reason,),) = reasons_to_hold([order], before)
    assert (reason.kind, reason.first_day, reason.last_day) == (HoldKind.PAID_TWICE, date(2026, 6, 5), date(2026, 6, 5))


@pytest.mark.parametrize(
    "given", ["1-5@640 8-12@640", "1-5@640 6-12@640 15-19@700", "1-12@640 15-15@640"], ids=["over a weekend", "three", "apart"]
)
def test_a_chain_may_become_a_payment_that_is_corrected_by_itself(given: str) -> None:
    case = DecidedCase()
    single = single_payment(only(ordered(case, read_state(given))))
    assert single
    state = replace(case.state, payments={single.payment_id: single})
    again = as_single(single, *(each.period for each in read_state(given)))
    assert micro_chained.derive(again, state, MADE_AT) == (), "what it pays already is no change"
    (corrected,) = micro_chained.derive(as_single(single, june(1, 3, 640)), state, MADE_AT)
    assert [(line.line_id, line.ceased_from) for line in corrected.lines] == [(single.last_line, date(2026, 6, 4))]
    assert case.rail.take(order_xml.encode(corrected)) == "00", "the line is repeated as it was made"


def as_single(payment: Payment, *periods: Period) -> PaymentInstructions:
    given = [(each.start, each.end, each.amount, each.office, each.decided_rate) for each in periods]
    instruction = paying(*merge(given, payment.rate_type), of=payment.payment_id, benefit=payment.benefit, rate=payment.rate_type)
    return PaymentInstructions(TILTAK, (instruction,))


def test_a_chain_with_several_rate_types_can_not_become_one() -> None:
    case = DecidedCase(replace(TILTAK, scheme=Scheme.TILLEGGSSTONADER))
    wanted = [wanting(june(1, 5, 150), "TILSYN_BARN_AAP"), wanting(june(15, 15, 900), "TILSYN_BARN_AAP", rate=RateType.ONE_OFF)]
    assert single_payment(only(case.decides(wanted))) is None
    left = single_payment(only(case.decides(wanted[:1])))
    assert left
    assert (left.rate_type, left.periods) == (RateType.WEEKDAY, (june(1, 5, 150),))
    assert left.last_sent == Period(date(2026, 6, 15), date(2026, 6, 15), 900, rate_type=RateType.ONE_OFF)
    (ceased,) = micro_chained.derive(
        PaymentInstructions(case.decision, (PaymentInstruction(InstructionKind.CEASE_STORED, left.payment_id, None, left.rate_type, ()),)),
        replace(case.state, payments={left.payment_id: left}),
        MADE_AT,
    )
    assert case.rail.take(order_xml.encode(ceased)) == "00", "the line is repeated by the rate type that it was made with"
    assert case.rail.pays() == ()


def test_whole_months_may_go_on_to_the_end_of_time() -> None:
    wanted = [wanting(Period(date(2026, 6, 1), date.max, 640), rate=RateType.MONTH)]
    assert DecidedCase().decides(wanted)


def test_case_ids_have_room_for_a_number_behind_them() -> None:
    assert derive(replace(TILTAK, case_id=CaseId("S" * 26)), (), NEW_CASE, MADE_AT) == refusals.BAD_CASE_ID_OF_CHAINS
    found = derive(replace(TILTAK, case_id=CaseId("S" * 25)), read_state("1-5@640"), replace(NEW_CASE, numbered=9999), MADE_AT)
    assert not isinstance(found, Refusal)
    assert len(found[0].lines[0].line_id) == 30
    order_xml.validate(order_xml.encode(found[0]))


def test_a_case_that_has_used_up_its_numbers_can_still_be_ceased() -> None:
    state = replace(taken_over(last_line=LineId("SAK-1#9999")), numbered=10_000)
    assert derive(TILTAK, read_state("1-12@650"), state, MADE_AT) == refusals.LINE_NUMBERS_USED_UP
    found = derive(TILTAK, (), state, MADE_AT)
    assert not isinstance(found, Refusal)
    assert said_of(found[0].lines) == "#9999!1 15-26@640"


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        (replace(NEW_CASE, person="02020312345"), refusals.unchangeable("personident")),
        (replace(NEW_CASE, left_out=True), refusals.NOT_TAKEN_OVER),
        (taken_over(area=Area("TILLST")), refusals.pays_in_other_area("TILLST", "TILTPENG")),
    ],
)
def test_a_case_that_can_not_go_on_is_refused(state: CaseState, refusal: Refusal) -> None:
    assert derive(TILTAK, read_state("1-5@640"), state, MADE_AT) == refusal
