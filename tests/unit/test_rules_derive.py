"""From instructions to orders: what differs, what is locked, one order per area, what is omitted ceases (helved §3.4, design §7, §12)."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kvitt.disbursement import refusals
from kvitt.disbursement.catalogue import BENEFITS, UMBRELLA_AREA
from kvitt.disbursement.derive.micro_chained import (
    NEW_CASE,
    AtRail,
    CaseState,
    derive,
)
from kvitt.disbursement.holding import HoldKind, reasons_to_hold
from kvitt.disbursement.instructions import (
    Decision,
    InstructionKind,
    PaymentInstruction,
    PaymentInstructions,
)
from kvitt.disbursement.values import (
    Action,
    HoldBack,
    Order,
    PaymentId,
    Period,
    RateType,
    Refusal,
    Scheme,
)
from support.strategies import DECISION, MADE_AT, OTHER_PAYMENT, PAYMENT, ceasing, june, paying

THIRD_PAYMENT = PaymentId("99999999-aaaa-4bbb-8ccc-dddddddddddd")
LATER = replace(DECISION, decision_id="BEH-2", key="key-2", caseworker="Z900003", approver="Z900004", decided_at="2026-07-15T10:00")
WHOLE = replace(LATER, whole_case=True)
TS = replace(LATER, scheme=Scheme.TILLEGGSSTONADER)
FORTNIGHT = june(1, 12, 640)


def orders_of(state: CaseState, *instructions: PaymentInstruction, by: Decision = LATER) -> tuple[Order, ...]:
    derived = derive(PaymentInstructions(by, instructions), state, MADE_AT)
    assert not isinstance(derived, Refusal), derived
    return derived


def after(state: CaseState, *instructions: PaymentInstruction, by: Decision = DECISION) -> CaseState:
    """The case once every order of these instructions is accepted."""
    orders = orders_of(state, *instructions, by=by)
    payments = {**state.payments, **{payment.payment_id: payment for order in orders for payment in order.payments}}
    areas = state.areas | {order.area for order in orders}
    return CaseState(payments, by.person, areas, state.orders_made + len(orders), state.ids_of_other_cases)


ONE_PAID = after(NEW_CASE, paying(FORTNIGHT))
TWO_PAID = after(ONE_PAID, paying(june(15, 19, 500), of=OTHER_PAYMENT, benefit="TILSYN_BARN_ETTERLATTE"))
CEASED = after(ONE_PAID, ceasing())
UNKNOWN = replace(ONE_PAID.payments[PAYMENT], periods=(), last_sent=None)


def test_the_same_again_is_no_order_whoever_decided_it() -> None:
    held = replace(LATER, hold_back=HoldBack(FORTNIGHT.start, FORTNIGHT.end))
    assert orders_of(ONE_PAID, paying(FORTNIGHT), by=held) == ()


@pytest.mark.parametrize("kind", [InstructionKind.CEASE, InstructionKind.CEASE_STORED])
def test_a_repeated_cessation_is_no_difference(kind: InstructionKind) -> None:
    assert orders_of(CEASED, replace(ceasing(), kind=kind)) == ()


@pytest.mark.parametrize("last_sent", [FORTNIGHT, None])
def test_a_living_payment_without_periods_is_ceased_from_the_first_day_that_an_order_can_have(last_sent: Period | None) -> None:
    state = replace(ONE_PAID, payments={PAYMENT: replace(UNKNOWN, last_sent=last_sent)})
    for (order,) in (orders_of(state, ceasing()), orders_of(state, by=WHOLE)):
        ((line,), (payment,)) = order.lines, order.payments
        assert (line.line_id, line.refers_to, line.ceased_from) == (UNKNOWN.last_line, None, date(2000, 1, 1))
        assert (line.start, line.end) == ((FORTNIGHT.start, FORTNIGHT.end) if last_sent else (date(2000, 1, 1), date(2000, 1, 1)))
        assert (payment.action, payment.last_line) == (Action.DELETE, UNKNOWN.last_line)
        assert (payment.last_sent is None) is (last_sent is None)


def test_paying_no_periods_is_refused_on_a_ceased_payment_as_on_any() -> None:
    for state in (NEW_CASE, ONE_PAID, CEASED, replace(ONE_PAID, payments={PAYMENT: UNKNOWN})):
        assert derive(PaymentInstructions(LATER, (paying(),)), state, MADE_AT) == refusals.NO_PERIODS


def test_another_office_alone_is_no_real_change() -> None:
    refusal = Refusal(
        409, "Ingen reell endring", "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/endre_utbetaling#minimum-changes", "HELVED"
    )
    assert derive(PaymentInstructions(LATER, (paying(replace(FORTNIGHT, office="0220")),)), ONE_PAID, MADE_AT) == refusal


@pytest.mark.parametrize(
    ("decision", "instruction", "field"),
    [
        ({"person": "02020312345"}, {}, "personident"),
        ({}, {"rate_type": RateType.MONTH}, "periodetype"),
        ({}, {"benefit": BENEFITS["LÆREMIDLER_AAP"]}, "stønad"),
        ({"person": "02020312345"}, {"rate_type": RateType.MONTH, "benefit": BENEFITS["LÆREMIDLER_AAP"]}, "personident"),
        ({}, {"rate_type": RateType.MONTH, "benefit": BENEFITS["LÆREMIDLER_AAP"]}, "periodetype"),
    ],
)
@pytest.mark.parametrize("periods", [(FORTNIGHT,), (june(1, 5, 640),)], ids=["equal periods", "other periods"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_a_payment_keeps_for_life_is_locked(
    decision: dict[str, Any], instruction: dict[str, Any], field: str, periods: tuple[Period, ...], dry_run: bool
) -> None:
    by = replace(LATER, dry_run=dry_run, **decision)
    refusal = Refusal(
        400,
        f"Kan ikke endre '{field}'",
        "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/endre_utbetaling#immutable-field",
        "HELVED",
    )
    assert derive(PaymentInstructions(by, (replace(paying(*periods), **instruction),)), ONE_PAID, MADE_AT) == refusal
    assert derive(PaymentInstructions(by, (replace(ceasing(), **instruction),)), ONE_PAID, MADE_AT) == refusal


@pytest.mark.parametrize("instruction", [paying(FORTNIGHT), ceasing(), replace(ceasing(), kind=InstructionKind.CEASE_STORED)])
@pytest.mark.parametrize("person", [DECISION.person, "02020312345"])
def test_a_payment_of_another_case_stays_there(instruction: PaymentInstruction, person: str) -> None:
    state = replace(TWO_PAID, payments={OTHER_PAYMENT: TWO_PAID.payments[OTHER_PAYMENT]}, ids_of_other_cases=frozenset({PAYMENT}))
    assert derive(PaymentInstructions(replace(LATER, person=person), (instruction,)), state, MADE_AT) == refusals.unchangeable("sakId")


def test_a_case_keeps_its_person_also_for_new_payments() -> None:
    by = replace(LATER, person="02020312345")
    assert derive(PaymentInstructions(by, (paying(FORTNIGHT, of=OTHER_PAYMENT),)), ONE_PAID, MADE_AT) == refusals.unchangeable(
        "personident"
    )
    assert derive(PaymentInstructions(replace(by, whole_case=True), ()), ONE_PAID, MADE_AT) == refusals.unchangeable("personident")


def test_one_refused_payment_refuses_the_whole_message() -> None:
    good, bad = paying(june(1, 5, 640)), paying(june(15, 19, 0), of=OTHER_PAYMENT, benefit="TILSYN_BARN_ETTERLATTE")
    assert derive(PaymentInstructions(LATER, (good, bad)), TWO_PAID, MADE_AT) == refusals.ZERO_AMOUNT


def test_a_cessation_names_the_senders_people_and_an_omission_those_that_are_stored() -> None:
    (said,) = orders_of(ONE_PAID, ceasing())
    (omitted,) = orders_of(ONE_PAID, by=WHOLE)
    assert (said.lines[0].caseworker, said.lines[0].approver, said.lines[0].decided_on) == ("Z900003", "Z900004", "2026-07-15")
    assert (omitted.lines[0].caseworker, omitted.lines[0].approver, omitted.lines[0].decided_on) == ("Z900001", "Z900002", "2026-06-30")
    assert (said.caseworker, omitted.caseworker) == ("Z900003", "Z900001")
    assert said.lines[0].decision_id == omitted.lines[0].decision_id == "BEH-2"
    assert said.lines[0].ceased_from == omitted.lines[0].ceased_from == FORTNIGHT.start


def test_a_ceased_payment_is_stored_as_it_was_but_for_what_ended_it() -> None:
    (order,) = orders_of(ONE_PAID, ceasing())
    stored = ONE_PAID.payments[PAYMENT]
    assert order.payments == (replace(stored, action=Action.DELETE, decision_id=LATER.decision_id),)
    assert stored.first_of_case


def test_a_whole_case_message_ceases_what_it_omits_after_what_it_names() -> None:
    (order,) = orders_of(TWO_PAID, paying(june(22, 26, 300), of=THIRD_PAYMENT), by=WHOLE)
    assert [(line.payment_id, line.ceased_from is None) for line in order.lines] == [
        (THIRD_PAYMENT, True),
        (PAYMENT, False),
        (OTHER_PAYMENT, False),
    ]
    assert [payment.action for payment in order.payments] == [Action.CREATE, Action.DELETE, Action.DELETE]
    assert [line.class_code for line in order.lines] == ["TSTBASISP4-OP", "TSTBASISP4-OP", "TSTBASISP5-OP"]


def test_an_empty_whole_case_message_ceases_everything_once() -> None:
    emptied = after(TWO_PAID, by=WHOLE)
    assert {payment.action for payment in emptied.payments.values()} == {Action.DELETE}
    assert orders_of(emptied, by=WHOLE) == orders_of(NEW_CASE, by=WHOLE) == ()


def test_other_messages_leave_what_they_do_not_name() -> None:
    (order,) = orders_of(TWO_PAID, paying(june(1, 5, 640)))
    assert {line.payment_id for line in order.lines} == {PAYMENT}
    assert orders_of(TWO_PAID) == ()


def test_unchanged_payments_are_not_in_the_order() -> None:
    (order,) = orders_of(TWO_PAID, paying(FORTNIGHT), paying(june(15, 26, 500), of=OTHER_PAYMENT, benefit="TILSYN_BARN_ETTERLATTE"))
    assert [payment.payment_id for payment in order.payments] == [OTHER_PAYMENT]


def test_each_area_has_an_order_of_its_own_new_by_itself() -> None:
    instructions = (
        paying(june(1, 5, 300), of=THIRD_PAYMENT, benefit="LÆREMIDLER_AAP"),
        paying(june(1, 5, 640)),
        paying(june(15, 26, 500), of=OTHER_PAYMENT, benefit="TILSYN_BARN_ETTERLATTE"),
    )
    books, care = orders_of(TWO_PAID, *instructions)
    assert [(order.area, order.is_first_order, order.number) for order in (books, care)] == [("TILLSTLM", True, 3), ("TILLSTPB", False, 4)]
    assert [line.payment_id for line in care.lines] == [PAYMENT, OTHER_PAYMENT]
    assert [payment.area for order in (books, care) for payment in order.payments] == ["TILLSTLM", "TILLSTPB", "TILLSTPB"]
    ids = [line.line_id for order in (books, care) for line in order.lines if line.ceased_from is None]
    assert len(set(ids)) == len(ids)


def test_payments_of_one_order_are_never_linked() -> None:
    (order,) = orders_of(NEW_CASE, paying(FORTNIGHT), paying(FORTNIGHT, of=OTHER_PAYMENT))
    assert [line.refers_to for line in order.lines] == [None, None]
    assert order.is_first_order


def test_an_area_is_new_until_the_rail_has_accepted_an_order_there() -> None:
    (order,) = orders_of(replace(NEW_CASE, orders_made=3), paying(FORTNIGHT))
    (again,) = orders_of(replace(NEW_CASE, orders_made=4), paying(FORTNIGHT))
    assert (order.is_first_order, order.number, again.is_first_order, again.number) == (True, 4, True, 5)
    assert order.lines[0].line_id != again.lines[0].line_id, "what the rail has rejected is sent under a new id"


def test_a_living_payment_keeps_its_area_and_a_revived_one_may_change_it_with_its_benefit() -> None:
    umbrella = replace(paying(june(1, 5, 640)), benefit=replace(BENEFITS["TILSYN_BARN_AAP"], area=UMBRELLA_AREA))
    (kept,) = orders_of(ONE_PAID, umbrella)
    (same,) = orders_of(CEASED, umbrella)
    (other,) = orders_of(CEASED, paying(FORTNIGHT, benefit="LÆREMIDLER_AAP"))
    assert [kept.area, same.area, other.area] == ["TILLSTPB", "TILLSTPB", "TILLSTLM"]
    assert same.lines[0].refers_to == CEASED.payments[PAYMENT].last_line
    assert (other.lines[0].refers_to, other.is_first_order) == (None, True), "another area knows nothing of the old chain"


def test_an_order_names_the_office_of_the_earliest_end_in_the_first_payment_that_has_one() -> None:
    first = paying(june(1, 2, 100), june(3, 4, 200, office="0315"), june(5, 6, 300, office="0220"))
    (order,) = orders_of(NEW_CASE, first, paying(june(1, 1, 100, office="0101"), of=OTHER_PAYMENT))
    (without,) = orders_of(NEW_CASE, paying(FORTNIGHT))
    (later,) = orders_of(NEW_CASE, paying(FORTNIGHT), paying(june(1, 1, 100, office="0101"), of=OTHER_PAYMENT))
    assert [order.office, without.office, later.office] == ["0315", None, "0101"]


def test_the_head_of_an_order() -> None:
    held = HoldBack(FORTNIGHT.start, FORTNIGHT.end)
    made_at = datetime(2026, 7, 2, 8, 30)  # noqa: DTZ001
    by = replace(LATER, scheme=Scheme.HISTORISK, hold_back=held)
    derived = derive(PaymentInstructions(by, (paying(FORTNIGHT, benefit="ORTOSE"),)), NEW_CASE, made_at)
    assert not isinstance(derived, Refusal)
    (order,) = derived
    assert (order.scheme, order.case_id, order.person, order.caseworker) == (Scheme.HISTORISK, "SAK-1", by.person, "Z900003")
    assert (order.frequency, order.hold_back, order.made_at) == ("ENG", held, made_at)
    assert order.payments[0].hold_back == held


def test_a_dry_run_makes_the_orders_that_would_be_sent() -> None:
    instruction = paying(june(1, 5, 640), june(8, 12, 700))
    assert orders_of(ONE_PAID, instruction, by=replace(LATER, dry_run=True)) == orders_of(ONE_PAID, instruction)
    assert orders_of(ONE_PAID, by=replace(WHOLE, dry_run=True)) == orders_of(ONE_PAID, by=WHOLE)


@pytest.mark.parametrize(
    ("instruction", "held"),
    [
        pytest.param(paying(FORTNIGHT, of=OTHER_PAYMENT), True, id="the same under another id"),
        pytest.param(paying(june(1, 12, 641), of=OTHER_PAYMENT), False, id="another amount"),
        pytest.param(paying(june(1, 11, 640), of=OTHER_PAYMENT), True, id="another end"),
        pytest.param(paying(june(12, 19, 640), of=OTHER_PAYMENT), True, id="one day"),
        pytest.param(paying(june(13, 19, 640), of=OTHER_PAYMENT), False, id="the days after"),
        pytest.param(paying(FORTNIGHT, of=OTHER_PAYMENT, benefit="TILSYN_BARN_ETTERLATTE"), False, id="another benefit"),
        pytest.param(paying(FORTNIGHT, of=OTHER_PAYMENT, rate=RateType.MONTH), True, id="another rate type"),
        pytest.param(paying(FORTNIGHT, june(15, 19, 1)), False, id="the payment itself"),
    ],
)
def test_an_order_that_pays_again_what_another_payment_pays_is_held(instruction: PaymentInstruction, held: bool) -> None:
    (reasons,) = reasons_to_hold(orders_of(ONE_PAID, instruction, by=TS), ONE_PAID)
    assert [reason.kind for reason in reasons] == [HoldKind.PAID_TWICE] * held


def test_what_has_ceased_is_paid_by_nobody() -> None:
    orders = orders_of(CEASED, paying(FORTNIGHT, of=OTHER_PAYMENT), by=TS)
    assert reasons_to_hold(orders, CEASED) == ((),)


def test_a_payment_that_moves_to_another_id_in_one_message_is_paid_once() -> None:
    orders = orders_of(ONE_PAID, ceasing(), paying(FORTNIGHT, of=OTHER_PAYMENT), by=TS)
    assert reasons_to_hold(orders, ONE_PAID) == ((),)


def test_what_is_known_of_a_payment_without_periods_counts() -> None:
    state = replace(ONE_PAID, payments={PAYMENT: replace(UNKNOWN, last_sent=FORTNIGHT)})
    ((reason,),) = reasons_to_hold(orders_of(state, paying(june(12, 12, 640), of=OTHER_PAYMENT), by=TS), state)
    assert reason.text == (f"TSTBASISP4-OP on 2026-06-12: 640 by payment {PAYMENT}, and 640 by payment {OTHER_PAYMENT}")


@pytest.mark.parametrize(("continues", "held"), [(False, True), (True, False)])
def test_a_chain_of_its_own_that_the_rail_may_have_counts_against_the_payment_itself(continues: bool, held: bool) -> None:
    state = replace(ONE_PAID, at_rail=(AtRail(1, replace(UNKNOWN, periods=(june(15, 19, 100),)), continues),))
    (reasons,) = reasons_to_hold(orders_of(state, paying(FORTNIGHT, june(15, 19, 100)), by=TS), state)
    assert bool(reasons) is held
    (reasons,) = reasons_to_hold(orders_of(state, paying(june(15, 19, 100), of=OTHER_PAYMENT), by=TS), state)
    assert len(reasons) == 1


@pytest.mark.parametrize(("lines", "refused"), [(5000, False), (5001, True)])
def test_an_order_that_no_receipt_could_carry_is_refused(lines: int, refused: bool) -> None:
    days = (Period(date(1990, 1, 1) + timedelta(2 * day), date(1990, 1, 1) + timedelta(2 * day), 1) for day in range(lines))
    instruction = replace(paying(*days), rate_type=RateType.MONTH)
    derived = derive(PaymentInstructions(DECISION, (instruction,)), NEW_CASE, MADE_AT)
    assert (derived == refusals.TOO_MANY_LINES) is refused
