"""What the rail said of an order holds for a working day; and no order meets a question that the rail may be at work on still."""

import json
from datetime import timedelta

from kvitt.contracts.helved import topics
from kvitt.disbursement.calendar import working_days_after
from kvitt.disbursement.holding import UNCHECKED, HoldKind
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.simulate import RAIL_SECONDS
from kvitt.disbursement.states import OrderState, What
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from kvitt.kernel.database import connect
from kvitt.testing import Hub
from support import rapid_messages
from support.hub_messages import aap, dp, payment_uid, tp, ts, ts_payment
from support.order_checks import TWO, ask, check_of, named, of_two_areas, order, orders, put, release, simulated, statuses
from support.simulation_server import SIMULATION, ScriptedServer, hangs_up, says


def agreed(site: Hub, server: ScriptedServer, case: str) -> str:
    """A message whose order is free to leave by what the rail said, and has not left."""
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    key = put(site, Scheme.AAP, case, aap(case))
    site.run("simulator")
    assert (order(site, case).held_for, check_of(order(site, case)).finding) == ((), "agrees")
    return key


def a_working_day_later(site: Hub) -> None:
    site.clock.set(working_days_after(site.clock(), 1) + timedelta(minutes=1))


def test_an_order_leaves_by_what_the_rail_said_for_a_working_day(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    key = agreed(site, server, case)
    until = working_days_after(site.clock(), 1)
    shown = check_of(order(site, case)).leaves_before
    assert shown
    assert until - timedelta(minutes=1) < shown <= until
    site.clock.set(until - timedelta(minutes=1))
    assert ask(site) == 0
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).times_asked) == ("OK", 1)


def test_what_the_rail_said_too_long_ago_lets_no_order_go(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    """Neither the sender nor the question that is asked once more needs the other."""
    site, server = scripted
    key = agreed(site, server, case)
    a_working_day_later(site)
    site.run()
    assert order(site, case).state == OrderState.READY
    server.scripts = {SIMULATION: [says(simulated(case, 4000))]}
    assert ask(site) == 1
    assert order(site, case).held_for == (UNCHECKED,)
    site.check()
    site.run()
    assert [each.kind for each in order(site, case).held_for] == [HoldKind.SIMULATED_OTHERWISE]
    release(site, order(site, case))
    a_working_day_later(site)
    assert ask(site) == 0
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).times_asked) == ("OK", 2)


def test_each_check_of_an_order_is_made_again_from_its_own_answer(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    key = agreed(site, server, case)
    a_working_day_later(site)
    ask(site)
    site.run()
    assert statuses(site, key)[-1] == "OK"
    noted = [each.what for each in order(site, case).noted]
    assert [each for each in noted if each in {What.CHECKED, What.CHECK_OUTDATED}] == [What.CHECKED, What.CHECK_OUTDATED, What.CHECKED]
    site.check()
    statement = b"UPDATE earlier_order_checks SET recovered = recovered + %s WHERE order_id = %s"
    site.connection.execute(statement, [1, order(site, case).order_id])
    assert [each for each in site.findings() if "was checked otherwise" in each]
    site.connection.execute(statement, [-1, order(site, case).order_id])


def test_all_orders_of_a_message_are_asked_about_again_together(site: Hub, case: str) -> None:
    key = of_two_areas(site, case)
    site.run("simulator")
    assert [each.held_for for each in orders(site, case)] == [(), ()]
    a_working_day_later(site)
    assert ask(site) == 2
    assert [each.held_for for each in orders(site, case)] == [(UNCHECKED,), (UNCHECKED,)]
    site.run()
    assert (statuses(site, key)[-1], len({check_of(each).request_no for each in orders(site, case)})) == ("OK", 1)


def test_lines_that_their_sender_made_are_compared_again_with_what_stands(site: Hub) -> None:
    case = "KV5R2WQ7NZEXDJTLMBY4HGASAG"
    need = (
        rapid_messages.EXAMPLE.replace(rapid_messages.CASE_ID, case).replace("0c7c9e0e", "0c7c9e0f").replace("24068715888", "24068715878")
    )
    site.put(RAPID, "24068715888", json.loads(need))
    site.run("intake", "simulator")
    a_working_day_later(site)
    assert ask(site) == 1
    site.run()
    check = check_of(order(site, case))
    assert (check.finding, check.times_asked, order(site, case).state) == ("agrees", 2, OrderState.ACCEPTED)
    site.check()


def test_a_case_that_somebody_has_locked_is_asked_about_again_later(site: Hub, case: str) -> None:
    key = put(site, Scheme.AAP, case, aap(case))
    site.run("simulator")
    a_working_day_later(site)
    with connect(site.conninfo) as other, other.transaction():
        other.execute("SELECT FROM cases WHERE case_id = %s FOR UPDATE", [case])
        assert ask(site) == 0
    assert ask(site) == 1
    site.run()
    assert statuses(site, key)[-1] == "OK"


def test_what_is_left_of_a_message_of_which_something_has_left_is_not_refused_by_what_was_seen(site: Hub, case: str) -> None:
    payments = [ts_payment(payment_uid(case, number), benefit=name) for number, name in enumerate(("TILSYN_BARN_AAP", "LÆREMIDLER_AAP"))]
    site.put(topics.primary_input(Scheme.TILLEGGSSTONADER), f"{case}-seen", ts(case, *payments, dryrun=True))
    site.run()
    operate = Operate(site.connection, site.clock, site.ports)
    operate.stop(["TILLSTPB"], TWO)
    key = named(site, Scheme.TILLEGGSSTONADER, case, ts(case, *payments), f"{case}-seen")
    operate.resume(["TILLSTPB"], TWO)
    assert {each.area: each.state for each in orders(site, case)} == {"TILLSTPB": OrderState.READY, "TILLSTLM": OrderState.ACCEPTED}
    a_working_day_later(site)
    assert ask(site) == 1
    site.run()
    assert statuses(site, key)[-1] == "OK"


# Questions whose answers never came.


def test_an_order_waits_until_the_rail_is_done_with_a_question_that_nobody_listens_to(
    scripted: tuple[Hub, ScriptedServer], case: str
) -> None:
    """Though its scheme lets it go unchecked."""
    site, server = scripted
    server.scripts = {SIMULATION: [hangs_up]}
    key = put(site, Scheme.DAGPENGER, case, dp(case))
    site.run()
    waits = order(site, case)
    assert (waits.state, waits.held_for, check_of(waits).finding) == (OrderState.READY, (), "unavailable")
    site.clock.advance(seconds=RAIL_SECONDS)
    site.run()
    assert statuses(site, key)[-1] == "OK"


def test_an_order_waits_for_a_dry_run_of_its_case_whose_answer_never_came(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [hangs_up]}
    site.put(topics.primary_input(Scheme.TILTAKSPENGER), f"{case}-dry", tp(case, dryrun=True))
    site.run()
    assert statuses(site, f"{case}-dry")[-1] == "FEILET"
    key = put(site, Scheme.TILTAKSPENGER, case, tp(case))
    other = put(site, Scheme.TILTAKSPENGER, f"{case}-other", tp(f"{case}-other"))
    site.run()
    assert (order(site, case).state, statuses(site, other)[-1]) == (OrderState.READY, "OK")
    site.clock.advance(seconds=RAIL_SECONDS)
    site.run()
    assert statuses(site, key)[-1] == "OK"


def test_a_question_that_never_reached_the_rail_holds_up_no_order(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(b"closed", 503)]}
    key = put(site, Scheme.DAGPENGER, case, dp(case))
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "unavailable")
