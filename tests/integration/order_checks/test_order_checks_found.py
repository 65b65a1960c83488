"""Orders of a scheme that wants it are simulated before they leave, and held where the rail would do something else."""

import json
from datetime import timedelta

from click.testing import CliRunner

from kvitt.app.main import main
from kvitt.app.ports import checks_of, ports_of
from kvitt.disbursement.holding import UNCHECKED, HoldKind
from kvitt.disbursement.order_page import OrderShown
from kvitt.disbursement.simulation_requests import listing
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.settings import CheckSettings, Settings, SimulationSettings
from kvitt.testing import Hub
from support import rapid_messages
from support import simulation_answers as answers
from support.hub_messages import aap, payment_uid, ts, ts_payment, valp
from support.order_checks import (
    DAYS,
    check_of,
    needs_a_person,
    order,
    orders,
    put,
    release,
    simulated,
    statuses,
    too_long,
)
from support.simulation_server import SIMULATION, ScriptedServer, says


def shown(site: Hub, of: OrderShown, *options: str) -> str:
    """The page of an order, as the command prints it."""
    done = CliRunner().invoke(main, ["order", "show", of.order_id, "--database", site.conninfo, *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_an_order_waits_until_it_is_simulated_and_leaves_when_that_agrees(site: Hub, case: str) -> None:
    key = put(site, Scheme.AAP, case, aap(case))
    assert order(site, case).held_for == (UNCHECKED,)
    site.run("sender", "relay")
    assert order(site, case).state == OrderState.READY
    assert not needs_a_person(site, case)
    site.run()
    assert statuses(site, key)[-1] == "OK"
    check = check_of(order(site, case))
    assert (check.finding, check.recovered, check.differences) == ("agrees", 0, ())
    (part,) = check.picture
    assert (str(part.first_day), str(part.last_day), part.stands_kroner, part.expected_kroner, part.simulated_kroner) == (
        *DAYS,
        0,
        5000,
        5000,
    )


def test_orders_of_other_schemes_leave_at_once(site: Hub, case: str) -> None:
    key = put(site, Scheme.VALP, case, valp(case))
    assert order(site, case).checks == ()
    site.run()
    assert statuses(site, key)[-1] == "OK"


def test_several_areas_of_a_message_leave_together_and_no_order_meets_a_simulation(site: Hub, case: str) -> None:
    payments = [ts_payment(payment_uid(case, number), benefit=name) for number, name in enumerate(("TILSYN_BARN_AAP", "LÆREMIDLER_AAP"))]
    key = put(site, Scheme.TILLEGGSSTONADER, case, ts(case, *payments))
    assert [each.held_for for each in orders(site, case)] == [(UNCHECKED,), (UNCHECKED,)]
    (request,) = listing(site.connection, key=(Scheme.TILLEGGSSTONADER, case))
    site.run()
    assert [check_of(each).request_no for each in orders(site, case)] == [request.request_no] * 2
    assert statuses(site, key)[-1] == "OK"


def test_what_the_rail_would_do_otherwise_holds_the_order_with_both_pictures(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 4000))]}
    key = put(site, Scheme.AAP, case, aap(case))
    site.run()
    held = order(site, case)
    assert held.state == OrderState.READY
    assert [(each.kind, each.text) for each in held.held_for] == [
        (HoldKind.SIMULATED_OTHERWISE, "AAPOR from 2026-06-01 to 2026-06-12: 5000 is wanted, and the rail would pay 4000")
    ]
    assert needs_a_person(site, case)
    check = check_of(held)
    assert (check.finding, check.picture[0].expected_kroner, check.picture[0].simulated_kroner) == ("differs", 5000, 4000)
    assert statuses(site, key) == ["MOTTATT"]
    page = shown(site, held)
    for part in ("simulated before it leaves", "what was decided, and what the rail would do", "5,000", "4,000", "block", "differs"):
        assert part in page
    (heard,) = json.loads(shown(site, held, "--json"))["checks"]
    assert [(each["expected_kroner"], each["simulated_kroner"]) for each in heard["picture"]] == [(5000, 4000)]
    assert [each["kind"] for each in heard["differences"]] == ["other_amount"]
    assert release(site, held) == ()
    site.run()
    assert statuses(site, key)[-1] == "OK"
    site.check()


def test_more_recovered_than_is_allowed_holds_the_order(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    site.clock.advance(timedelta(days=3))
    server.asked.clear()
    server.scripts = {SIMULATION: [says(simulated(case, 4000, recovers=1000)), says(simulated(case, 3000, recovers=2000))]}
    key = put(site, Scheme.AAP, case, aap(case, 400), number=2)
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).recovered) == ("OK", 1000)
    site.clock.advance(timedelta(days=3))
    put(site, Scheme.AAP, case, aap(case, 300), number=3)
    site.run()
    (reason,) = order(site, case).held_for
    assert (reason.kind, reason.amounts_kroner) == (HoldKind.RECOVERS, (1000, 2000))
    release(site, order(site, case))
    site.run()


def test_a_warning_lets_the_order_go_and_is_counted(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    code = "TSTBASISP4-OP"
    server.scripts = {SIMULATION: [says(simulated(case, 1, area="TILLST", code=code, days=("2026-06-01", "2026-06-05")))]}
    before = counted(Scheme.TILLEGGSSTONADER, "differs")
    key = put(site, Scheme.TILLEGGSSTONADER, case, ts(case, ts_payment(payment_uid(case))))
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "differs")
    assert counted(Scheme.TILLEGGSSTONADER, "differs") == before + 1


def counted(scheme: Scheme, finding: str) -> int:
    labels = (Counted.CHECKS, (scheme.value, finding))
    return sum(each.times for each in METRICS.counts() if (each.what, each.labels) == labels)


def test_what_can_not_be_simulated_is_held(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(answers.fault("Personen finnes ikke"), 500)]}
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    (reason,) = order(site, case).held_for
    assert (reason.kind, check_of(order(site, case)).finding) == (HoldKind.SIMULATION_REFUSED, "refused")


def test_an_order_with_too_many_lines_is_held_at_once(site: Hub, case: str) -> None:
    put(site, Scheme.AAP, case, too_long(case))
    (reason,) = [each for each in order(site, case).held_for if each.kind is not HoldKind.PAID_TWICE]
    assert (reason.kind, check_of(order(site, case)).finding) == (HoldKind.SIMULATION_REFUSED, "refused")
    site.run()
    assert (order(site, case).state, listing(site.connection, key=(Scheme.AAP, case))) == (OrderState.READY, [])


def test_an_order_of_the_rapid_is_checked_by_its_senders_lines(site: Hub) -> None:
    site.put(RAPID, "24068715888", json.loads(rapid_messages.EXAMPLE))
    site.run()
    (check,) = order(site, rapid_messages.CASE_ID).checks
    assert (check.finding, check.differences) == ("agrees", ())
    assert sum(each.simulated_kroner for each in check.picture) == 15 * 1450


def test_settings_name_schemes_that_there_are() -> None:
    every = SimulationSettings(checks=dict.fromkeys([each.value for each in Scheme], CheckSettings(policy="warn")))
    assert {*checks_of(every)} == {*Scheme}
    assert checks_of(SimulationSettings(checks={"AAP": CheckSettings()})) == {}
    assert ports_of(Settings().rapid, Settings().ops).rails.checks == {}
