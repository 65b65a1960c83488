"""A day that would be paid twice holds its order until two people let it go, whatever makes it twice (design §8)."""

from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, check
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.operate import OpenOrder, Operate
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.emulator import schedule
from support.hub_messages import FORTNIGHT, Json, aap, dp, historisk, payment_uid, tp, ts, ts_payment
from support.hub_stage import Stage, receipt_with, staged
from support.rapid_messages import CASE_ID, line, need
from support.rapid_stage import Rapid

TWO = Operator("Kari", "looked at it", "Ola")
NEXT_FORTNIGHT = "2026-06-15/2026-06-28"
TS, AAP, DP = Scheme.TILLEGGSSTONADER, Scheme.AAP, Scheme.DAGPENGER
ONE, OTHER, THIRD = (payment_uid("S", number) for number in (1, 2, 3))


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        yield stage
        assert [repr(difference) for difference in check(database, PORTS).differences] == []


def held(stage: Stage) -> list[OpenOrder]:
    return Operate(stage.connection, stage.clock, PORTS).orders([OrderState.READY], held_only=True)


def reasons(stage: Stage) -> list[str]:
    """Why the one held order is held; every reason is that something is paid twice."""
    (order,) = held(stage)
    assert {reason.kind for reason in order.held_for} == {HoldKind.PAID_TWICE}
    return [reason.text for reason in order.held_for]


def let_go(stage: Stage) -> None:
    for order in held(stage):
        Operate(stage.connection, stage.clock, PORTS).release(order.order_id, TWO)
    stage.finish()


def entry(uid: str, first: int, last: int, amount: int = 500) -> Json:
    return {"id": uid, "fom": f"2026-06-{first:02}", "tom": f"2026-06-{last:02}", "sats": 1000, "utbetaltBeløp": amount}


def measure(**changes: object) -> Json:
    (entry,) = tp("S")["perioder"]  # type: ignore[misc]
    return {**entry, **changes}


def day(number: int, amount: int, fortnight: str = FORTNIGHT) -> Json:
    paid = {"sats": 1000, "utbetaltBeløp": amount, "utbetalingstype": "Dagpenger"}
    return {"meldeperiode": fortnight, "dato": f"2026-06-{number:02}", **paid}


def test_one_day_in_two_reporting_periods_is_not_paid_a_thousand_for_five_hundred(stage: Stage) -> None:
    stage.hand_in(DP, ("k", dp("S", utbetalinger=[day(2, 500), day(3, 500), day(2, 500, NEXT_FORTNIGHT)])))
    assert stage.finish() == []
    (reason,) = reasons(stage)
    one, other = sorted(str(uid) for (uid,) in stage.rows("SELECT DISTINCT payment_id::text FROM payments"))
    assert reason == f"DAGPENGER on 2026-06-02: 500 by payment {one}, and 500 by payment {other}"
    assert stage.said("k") == ["MOTTATT"]


def test_two_equal_payments_in_one_message_are_held(stage: Stage) -> None:
    stage.hand_in(TS, ("k", ts("S", ts_payment(ONE), ts_payment(OTHER))))
    first, second = sorted((ONE, OTHER))
    assert reasons(stage) == [f"TSTBASISP4-OP from 2026-06-01 to 2026-06-05: 500 by payment {first}, and 500 by payment {second}"]


# Accepted first; then a message; whether its order is held.
CASES = {
    "one day of overlap": (TS, ts("S", ts_payment(ONE)), ts("S", ts_payment(OTHER, spans=[(5, 9)])), True),
    "the days after": (TS, ts("S", ts_payment(ONE)), ts("S", ts_payment(OTHER, spans=[(8, 9)])), False),
    "only a weekend between": (TS, ts("S", ts_payment(ONE, spans=[(1, 7)])), ts("S", ts_payment(OTHER, spans=[(6, 9)])), False),
    "grants of other amounts": (TS, ts("S", ts_payment(ONE)), ts("S", ts_payment(OTHER, 501)), False),
    "another benefit": (TS, ts("S", ts_payment(ONE)), ts("S", ts_payment(OTHER, benefit="TILSYN_BARN_ETTERLATTE")), False),
    "a copy of what the message also lengthens": (
        TS,
        ts("S", ts_payment(ONE)),
        ts("S", ts_payment(ONE, spans=[(1, 9)]), ts_payment(OTHER)),
        True,
    ),
    "a copy of what the message also raises": (TS, ts("S", ts_payment(ONE)), ts("S", ts_payment(ONE, 700), ts_payment(OTHER)), True),
    "a copy that is paid once": (
        TS,
        ts("S", ts_payment(ONE, spans=[(2, 2)])),
        ts("S", ts_payment(OTHER, spans=[(2, 2)]), rate="EN_GANG"),
        True,
    ),
    "a copy that is paid by the month": (
        TS,
        ts("S", ts_payment(ONE, spans=[(2, 2)]), rate="EN_GANG"),
        ts("S", ts_payment(OTHER, spans=[(1, 30)]), rate="MND"),
        True,
    ),
    "a copy in the umbrella area": (
        TS,
        ts("S", ts_payment(ONE)),
        ts("S", {**ts_payment(OTHER, spans=[(3, 9)]), "brukFagområdeTillst": True}),
        True,
    ),
    "a day of benefit at another rate": (
        AAP,
        aap("S", uid=ONE),
        aap("S", utbetalinger=[entry(ONE, 1, 12), entry(OTHER, 12, 19, 700)]),
        True,
    ),
    "sent again under a new id": (AAP, aap("S", uid=ONE), aap("S", utbetalinger=[entry(ONE, 1, 12), entry(OTHER, 1, 12)]), True),
    "moved to a new id": (AAP, aap("S", uid=ONE), aap("S", utbetalinger=[entry(OTHER, 1, 12)]), False),
    "made room for": (AAP, aap("S", uid=ONE), aap("S", utbetalinger=[entry(ONE, 1, 5), entry(OTHER, 8, 12)]), False),
    "the supplement for children": (Scheme.TILTAKSPENGER, tp("S"), tp("S", perioder=[measure(), measure(barnetillegg=True)]), False),
    "a day of two reporting periods": (
        Scheme.TILTAKSPENGER,
        tp("S"),
        tp("S", perioder=[measure(), measure(meldeperiode=NEXT_FORTNIGHT, fom="2026-06-12", tom="2026-06-26")]),
        True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_order_is_held_when_it_makes_a_day_paid_twice(stage: Stage, name: str) -> None:
    scheme, before, then, is_held = CASES[name]
    stage.hand_in(scheme, ("before", before))
    stage.finish()
    assert stage.final("before").status.value == "OK"
    stage.hand_in(scheme, ("then", then))
    assert bool(held(stage)) is is_held
    let_go(stage)
    assert stage.final("then").status.value == "OK"


def test_two_areas_of_one_message_that_pay_the_same_days_are_both_held(stage: Stage) -> None:
    stage.hand_in(TS, ("k", ts("S", ts_payment(ONE), {**ts_payment(OTHER), "brukFagområdeTillst": True})))
    assert sorted(order.area for order in held(stage)) == ["TILLST", "TILLSTPB"]


def test_what_was_let_go_once_does_not_hold_the_next_order_and_more_of_it_does(stage: Stage) -> None:
    both = [entry(ONE, 1, 12), entry(OTHER, 10, 19)]
    stage.hand_in(AAP, ("one", aap("S", utbetalinger=both)))
    assert len(reasons(stage)) == 1
    let_go(stage)
    stage.hand_in(AAP, ("third", aap("S", utbetalinger=[*both, entry(THIRD, 22, 26)])))
    assert held(stage) == []
    stage.finish()
    stage.hand_in(AAP, ("less", aap("S", utbetalinger=[entry(ONE, 2, 12), entry(OTHER, 10, 19, 700), entry(THIRD, 22, 26)])))
    assert held(stage) == []
    stage.finish()
    stage.hand_in(AAP, ("more", aap("S", utbetalinger=[entry(ONE, 2, 15), entry(OTHER, 10, 19, 700), entry(THIRD, 22, 26)])))
    first, second = sorted((ONE, OTHER))
    amounts = (500, 700) if first == ONE else (700, 500)
    assert reasons(stage) == [f"AAPOR from 2026-06-13 to 2026-06-15: {amounts[0]} by payment {first}, and {amounts[1]} by payment {second}"]


def test_an_operator_sees_three_and_how_many_more_there_are(stage: Stage) -> None:
    entries = [each for first in (1, 3, 8, 10, 15) for each in (entry(ONE, first, first, first), entry(OTHER, first, first))]
    stage.hand_in(AAP, ("k", aap("S", utbetalinger=entries)))
    assert len(reasons(stage)) == 4
    assert reasons(stage)[-1].startswith("and 2 more")


def test_grants_without_an_end_are_compared_and_not_counted(stage: Stage) -> None:
    def forever(uid: str, first: str) -> Json:
        periods = [{"fom": first, "tom": "9999-12-31", "beløp": 900}]
        return {"id": uid, "stønad": "TILSYN_BARN_AAP", "perioder": periods}

    stage.hand_in(TS, ("k", ts("S", forever(ONE, "2026-06-01"), forever(OTHER, "2026-07-01"), rate="MND")))
    (reason,) = reasons(stage)
    assert "from 2026-07-01 to 9999-12-31" in reason


def test_an_order_that_somebody_called_rejected_and_the_rail_may_have_holds_its_repeat(stage: Stage) -> None:
    stage.hand_in(DP, ("first", dp("S", 553)))
    stage.exchange()
    order_id = str(stage.one("SELECT order_id::text FROM orders"))
    Operate(stage.connection, stage.clock, PORTS).decide(order_id, accepted=False, operator=TWO)
    stage.hand_in(DP, ("again", dp("S", 553)))
    assert stage.finish() == []
    (reason,) = reasons(stage)
    assert f"553 by order 1 (payment {stage.one('SELECT payment_id::text FROM payments LIMIT 1')}), which the rail may have" in reason
    assert len(schedule(stage.connection, "DP", "S")) == 3
    assert {each.amount for each in schedule(stage.connection, "DP", "S")} == {553}


def test_what_the_rail_rejected_itself_does_not_hold_its_repeat(stage: Stage) -> None:
    stage.hand_in(DP, ("first", dp("S")))
    (receipt,) = stage.exchange()
    stage.settle([receipt_with(receipt, "08", "nei")])
    stage.hand_in(DP, ("again", dp("S")))
    assert held(stage) == []


def test_a_change_that_somebody_called_rejected_holds_no_other_change_of_the_same_chain(stage: Stage) -> None:
    stage.hand_in(AAP, ("one", aap("S", uid=ONE)))
    stage.finish()
    stage.hand_in(AAP, ("more", aap("S", 700, uid=ONE)))
    stage.exchange()
    order_id = str(stage.one("SELECT order_id::text FROM orders WHERE number = 2"))
    Operate(stage.connection, stage.clock, PORTS).decide(order_id, accepted=False, operator=TWO)
    stage.hand_in(AAP, ("again", aap("S", 700, uid=ONE)))
    assert held(stage) == []
    stage.finish()
    assert stage.final("again").status.value == "OK"
    assert {each.amount for each in schedule(stage.connection, "AAP", "S")} == {700}


def test_one_off_grants_of_one_kind_on_one_day_are_held_when_they_are_equal(stage: Stage) -> None:
    stage.hand_in(Scheme.HISTORISK, ("one", historisk("S")))
    stage.finish()
    stage.hand_in(Scheme.HISTORISK, ("other", historisk("S", 1501, id=OTHER)))
    assert held(stage) == []
    stage.finish()
    stage.hand_in(Scheme.HISTORISK, ("copy", historisk("S", id=THIRD)))
    assert len(reasons(stage)) == 1


def changed(number: int, *lines: Json) -> Json:
    return need(utbetalingId=f"00000000-0000-4000-8000-{number:012d}", endringskode="ENDR", linjer=list(lines))


NEEDS = {
    "one day of overlap": (line(delytelseId=2, fom="2024-03-22", tom="2024-03-29"), True),
    "the days after": (line(delytelseId=2, fom="2024-03-25", tom="2024-03-29"), False),
    "another amount": (line(delytelseId=2, sats=1451), False),
    "the same chain goes on": (line(delytelseId=2, refDelytelseId=1, refFagsystemId=CASE_ID, fom="2024-03-11"), False),
}


@pytest.mark.parametrize("name", NEEDS)
def test_a_forwarded_line_is_held_when_its_chain_pays_what_another_pays(rapid: Rapid, name: str) -> None:
    asked, is_held = NEEDS[name]
    rapid.ask(need())
    rapid.finish()
    rapid.ask(changed(2, asked))
    assert bool(held(rapid)) is is_held


def test_two_chains_of_one_need_that_pay_the_same_days_are_held(rapid: Rapid) -> None:
    rapid.ask(need(linjer=[line(), line(delytelseId=2, fom="2024-03-20", tom="2024-03-29")]))
    assert reasons(rapid) == [
        f"SPREFAG-IOP from 2024-03-20 to 2024-03-22: 1450 by the chain of line {CASE_ID}#1, and 1450 by the chain of line {CASE_ID}#2"
    ]


def test_days_that_a_cessation_has_cut_can_be_paid_by_another_chain(rapid: Rapid) -> None:
    rapid.ask(need())
    rapid.finish()
    rapid.ask(changed(2, line(endringskode="ENDR", statuskode="OPPH", datoStatusFom="2024-03-11")))
    rapid.finish()
    rapid.ask(changed(3, line(delytelseId=2, fom="2024-03-11", tom="2024-03-22")))
    assert held(rapid) == []
    rapid.finish()
    rapid.ask(changed(4, line(delytelseId=3, fom="2024-03-08", tom="2024-03-08")))
    assert len(reasons(rapid)) == 1


def test_a_forwarded_order_that_somebody_called_rejected_holds_what_pays_its_days_in_another_chain(rapid: Rapid) -> None:
    rapid.ask(need())
    rapid.exchange()
    order_id = str(rapid.one("SELECT order_id::text FROM orders"))
    Operate(rapid.connection, rapid.clock, PORTS).decide(order_id, accepted=False, operator=TWO)
    rapid.ask(changed(2, line(delytelseId=2, fom="2024-03-04", tom="2024-03-04")))
    assert len(reasons(rapid)) == 1


def test_an_order_that_was_judged_by_older_rules_is_not_judged_again(database: str) -> None:
    with staged(database) as stage:
        stage.hand_in(DP, ("k", dp("S", utbetalinger=[day(2, 500), day(2, 500, NEXT_FORTNIGHT)])))
        stage.connection.execute("UPDATE orders SET held_for = '[]'")
        assert check(database, PORTS).by_kind == {Kind.ORDER: 1}
        stage.connection.execute("UPDATE orders SET guard = 1")
        assert check(database, PORTS).differences == ()
