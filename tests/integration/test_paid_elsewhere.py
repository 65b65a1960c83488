"""What another case pays the same person on the same days holds an order until two people let it go, whoever sent it (design §8)."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.disbursement.approvable import OrderNamed, order_acts, pairs_act
from kvitt.disbursement.check import check
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.operate import OpenOrder, Operate
from kvitt.disbursement.preview import preview
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.disbursement.values import Scheme
from kvitt.errors import NeedsSecondPerson, NotInThatState
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from support.hub_messages import OTHER_PERSON, PERSON, Json, aap, dp, payment_uid, text, ts, ts_payment
from support.hub_stage import Stage, staged
from support.rapid_messages import line, need
from support.rapid_stage import rapid_on

pytestmark = pytest.mark.usefixtures("made_up_people")

TWO = Operator("Kari", "looked at it", "Ola")
DP, AAP, TS = Scheme.DAGPENGER, Scheme.AAP, Scheme.TILLEGGSSTONADER
KARI = {"ident": PERSON}


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        yield stage
        assert [repr(difference) for difference in check(database, PORTS).differences] == []


def held(stage: Stage) -> list[OpenOrder]:
    return Operate(stage.connection, stage.clock, PORTS).orders([OrderState.READY], held_only=True)


def reasons(stage: Stage) -> list[str]:
    """Why orders are held; every reason is that another case pays."""
    found = [reason for order in held(stage) for reason in order.held_for]
    assert {reason.kind for reason in found} <= {HoldKind.PAID_ELSEWHERE}
    return [reason.text for reason in found]


def let_go(stage: Stage) -> None:
    for order in held(stage):
        Operate(stage.connection, stage.clock, PORTS).release(order.order_id, TWO)
    stage.finish()


def payment_of(stage: Stage, case: str) -> str:
    (row,) = stage.rows("SELECT DISTINCT payment_id::text FROM payments JOIN cases USING (case_no) WHERE case_id = %s", case)
    return str(row[0])


def test_two_cases_of_a_person_are_not_paid_for_the_same_days(stage: Stage) -> None:
    stage.hand_in(DP, ("one", dp("A", **KARI)))
    stage.finish()
    stage.hand_in(DP, ("other", dp("B", 700, days=[3, 4], **KARI)))
    assert stage.finish() == []
    one, other = payment_of(stage, "A"), payment_of(stage, "B")
    first, second = sorted([f"payment {one} of DAGPENGER case A", f"payment {other}"])
    amounts = {f"payment {one} of DAGPENGER case A": 500, f"payment {other}": 700}
    assert reasons(stage) == [f"DAGPENGER on 2026-06-03: {amounts[first]} by {first}, and {amounts[second]} by {second}"]
    assert stage.said("other") == ["MOTTATT"]
    let_go(stage)
    assert stage.final("other").status.value == "OK"


def test_two_cases_of_one_batch_see_each_other(stage: Stage) -> None:
    stage.hand_in(DP, ("one", dp("A", **KARI)), ("other", dp("B", **KARI)))
    (order,) = held(stage)
    assert order.case_id == "B"
    assert len(reasons(stage)) == 1


def test_an_order_that_is_under_way_is_paid_already(stage: Stage) -> None:
    stage.hand_in(DP, ("one", dp("A", **KARI)))
    stage.put()
    stage.hand_in(DP, ("other", dp("B", **KARI)))
    assert [order.case_id for order in held(stage)] == ["B"]


# What the other case has; what this one asks for; whether it is held.
CASES: dict[str, tuple[Scheme, Json, Json, bool]] = {
    "other days": (DP, dp("A", **KARI), dp("B", days=[8, 9], **KARI), False),
    "another person": (DP, dp("A", **KARI), dp("B", ident=OTHER_PERSON), False),
    "an organisation, which many cases pay": (DP, dp("A", ident="987654321"), dp("B", ident="987654321"), False),
    "a day of benefit at another rate": (AAP, aap("A", **KARI), aap("B", 700, **KARI), True),
    "grants of other amounts": (TS, ts("A", personident=PERSON), ts("B", ts_payment(payment_uid("B"), 501), personident=PERSON), False),
    "grants of one amount": (TS, ts("A", personident=PERSON), ts("B", personident=PERSON), True),
}


@pytest.mark.parametrize("name", CASES)
def test_an_order_is_held_for_what_its_scheme_calls_paid_twice(stage: Stage, name: str) -> None:
    scheme, before, then, is_held = CASES[name]
    stage.hand_in(scheme, ("before", before))
    stage.finish()
    stage.hand_in(scheme, ("then", then))
    assert bool(held(stage)) is is_held
    let_go(stage)
    assert stage.final("then").status.value == "OK"


def test_what_has_ceased_or_was_rejected_is_not_paid(stage: Stage) -> None:
    stage.hand_in(AAP, ("one", aap("A", **KARI)))
    stage.finish()
    stage.hand_in(AAP, ("ceased", aap("A", utbetalinger=[], **KARI)))
    stage.finish()
    stage.hand_in(AAP, ("other", aap("B", **KARI)))
    assert held(stage) == []


def test_a_pair_that_two_people_released_holds_no_order_again(stage: Stage) -> None:
    stage.hand_in(DP, ("one", dp("A", **KARI)), ("other", dp("B", **KARI)))
    let_go(stage)
    stage.hand_in(DP, ("more", dp("B", days=[1, 2, 3, 4], **KARI)))
    stage.finish()
    stage.hand_in(DP, ("the other way", dp("A", days=[1, 2, 3, 4, 5], **KARI)))
    stage.finish()
    assert held(stage) == []
    assert stage.final("the other way").status.value == "OK"
    stage.hand_in(DP, ("a third case", dp("C", days=[4], **KARI)))
    assert len(reasons(stage)) == 2


def test_one_person_alone_releases_nothing_and_the_effect_is_shown(stage: Stage) -> None:
    stage.hand_in(DP, ("one", dp("A", **KARI)), ("other", dp("B", **KARI)))
    (order,) = held(stage)
    act = next(each for each in order_acts(stage.clock, PORTS) if each.name == "order release")
    assert "it would be sent" in act.preview(stage.connection, OrderNamed(order.order_id)).text
    assert stage.rows("SELECT count(*) FROM exempt_pairs") == [(0,)]


def test_two_people_have_two_cases_hold_each_others_orders_again(stage: Stage) -> None:
    stage.hand_in(DP, ("one", dp("A", **KARI)), ("other", dp("B", **KARI)))
    (order,) = held(stage)
    operate = Operate(stage.connection, stage.clock, PORTS)
    act = pairs_act(stage.clock, PORTS)
    with pytest.raises(NotInThatState, match="exempts no cases"):
        act.preview(stage.connection, OrderNamed(order.order_id))
    let_go(stage)
    (pair,) = operate.exempt_pairs()
    assert (pair.case_id, pair.other_case_id, pair.class_code, pair.order_id) == ("A", "B", "DAGPENGER", order.order_id)
    assert act.preview(stage.connection, OrderNamed(order.order_id)).text == (
        "DAGPENGER case A and DAGPENGER case B would hold each other's orders of DAGPENGER again"
    )
    with pytest.raises(NeedsSecondPerson):
        operate.hold_again(order.order_id, Operator("Kari", "one case after all"))
    assert operate.exempt_pairs(order.order_id) == [pair]
    assert act.run(stage.connection, OrderNamed(order.order_id), TWO) == "pairs of cases that hold each other's orders again: 1"
    assert (operate.exempt_pairs(), held(stage)) == ([], [])
    noted = stage.one("SELECT note::jsonb ->> 'approved_by' FROM audit WHERE chain = 0 AND what = 'hold again'")
    assert noted == "Ola"
    stage.hand_in(DP, ("longer", dp("A", days=[1, 2, 3, 4, 5], **KARI)))
    stage.finish()
    stage.hand_in(DP, ("as long", dp("B", days=[1, 2, 3, 4, 5], **KARI)))
    assert [each.case_id for each in held(stage)] == ["B"]


def test_operators_list_and_end_what_two_people_let_be(stage: Stage) -> None:
    def kvitt(*words: str) -> str:
        done = CliRunner().invoke(main, ["order", *words, "--database", stage.conninfo])
        assert done.exit_code == 0, done.output
        return done.stdout

    stage.hand_in(DP, ("one", dp("A", **KARI)), ("other", dp("B", **KARI)))
    (order,) = held(stage)
    assert kvitt("exempt") == "all cases hold what others pay as well\n"
    let_go(stage)
    assert json.loads(kvitt("exempt", order.order_id[:8], "--json")) == {
        "scheme": "DAGPENGER",
        "case_id": "A",
        "other_scheme": "DAGPENGER",
        "other_case_id": "B",
        "class_code": "DAGPENGER",
        "order_id": order.order_id,
    }
    words = ("hold-again", order.order_id, "--by", "kari", "--reason", "one case after all")
    asked = kvitt(*words, "--ask")
    assert "DAGPENGER case A and DAGPENGER case B would hold each other's orders of DAGPENGER again" in asked
    assert kvitt(*words, "--approved-by", "ola") == "pairs of cases that hold each other's orders again: 1\n"
    assert kvitt("exempt", "--json") == ""


def test_a_message_that_waited_is_judged_when_its_turn_comes(stage: Stage) -> None:
    stage.hand_in(DP, ("first", dp("B", days=[8], **KARI)), ("waits", dp("B", days=[1], **KARI)), ("one", dp("A", **KARI)))
    assert held(stage) == []
    stage.finish()
    assert [order.case_id for order in held(stage)] == ["B"]


def test_a_preview_holds_what_the_message_would_be_held_for(stage: Stage) -> None:
    stage.hand_in(DP, ("one", dp("A", **KARI)))
    stage.finish()
    seen = preview(stage.connection, PORTS, DP, b"k", text(dp("B", **KARI)), now=stage.clock())
    assert [reason.kind for reasons in seen.held for reason in reasons] == [HoldKind.PAID_ELSEWHERE]


def test_lines_of_senders_are_compared_by_who_gets_the_money(database: str) -> None:
    with rapid_on(database) as stage:
        stage.ask(need(), need(fagsystemId="ANOTHER-EMPLOYERS-CASE", utbetalingId=payment_uid("B"), mottaker="923456789"))
        assert held(stage) == []
        third = {"fagsystemId": "ANOTHER-CASE", "utbetalingId": payment_uid("C")}
        stage.ask(need(**third, linjer=[line(fom="2024-03-20", tom="2024-03-30")]))
        assert [order.case_id for order in held(stage)] == ["ANOTHER-CASE"]
        assert "SPREFAG-IOP from 2024-03-20 to 2024-03-22" in reasons(stage)[0]
        assert check(database, PORTS).differences == ()


def test_an_order_that_pays_otherwise_than_it_was_held_for_is_found(stage: Stage, database: str) -> None:
    stage.hand_in(DP, ("one", dp("A", **KARI)), ("other", dp("B", **KARI)))
    stage.connection.execute("UPDATE outside_findings SET reason = jsonb_set(reason, '{last_day}', '\"2026-06-09\"')")
    assert not check(database, PORTS).clean
    stage.connection.execute("UPDATE outside_findings SET reason = jsonb_set(reason, '{last_day}', '\"2026-06-03\"')")
    stage.connection.execute("INSERT INTO exempt_pairs SELECT case_no - 1, case_no, 'DAGPENGER', order_id FROM outside_findings")
    assert "no order was released" in repr(check(database, PORTS).differences)
    stage.connection.execute("DELETE FROM exempt_pairs")


def test_who_orders_for_a_person_at_the_same_time_takes_turns(stage: Stage) -> None:
    stage.connection.execute("SET lock_timeout = '300ms'")
    with connect(stage.conninfo) as other, other.transaction():
        Submit(other, stage.clock, PORTS).execute([stage.incoming(DP, "one", dp("A", **KARI))])
        free = ("free", dp("C", ident=OTHER_PERSON))
        assert stage.hand_in(DP, ("other", dp("B", **KARI)), free) == [Outcome.DEFERRED, Outcome.DERIVED]
    assert Submit(stage.connection, stage.clock, PORTS).resume((DP, "B"), 10) == 1
    assert [order.case_id for order in held(stage)] == ["B"]
