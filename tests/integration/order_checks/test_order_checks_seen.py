"""A decision names the simulation that its approver saw: it leaves only as long as the rail says so."""

from kvitt.contracts.helved import topics
from kvitt.disbursement.holding import UNCHECKED
from kvitt.disbursement.order_check_ends import AGAIN_AFTER
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.emulator.habits import ServiceFaults
from kvitt.testing import Hub
from support import simulation_answers as answers
from support.hub_messages import aap, dp, payment_uid, tp, ts, ts_payment
from support.order_checks import ask, check_of, failure, named, next_morning, order, orders, put, simulated, statuses, too_long
from support.simulation_server import SIMULATION, ScriptedServer, says

FRIDAY = 4


def test_a_decision_that_names_what_was_seen_leaves_as_long_as_the_rail_says_so(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    site.put(topics.primary_input(Scheme.AAP), f"{case}-seen", aap(case, dryrun=True))
    site.run()
    key = named(site, Scheme.AAP, case, aap(case), f"{case}-seen")
    assert statuses(site, key)[-1] == "OK"


def test_one_of_which_the_rail_says_otherwise_now_is_refused_with_both(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    site.put(topics.primary_input(Scheme.AAP), f"{case}-seen", aap(case, dryrun=True))
    site.run()
    server.scripts = {SIMULATION: [says(simulated(case, 3000, recovers=2000))]}
    key = named(site, Scheme.AAP, case, aap(case), f"{case}-seen")
    said = "AAPOR 2026-06-01–2026-06-12: utbetalt 5000 da, 3000 nå, feilutbetalt 0 da, 2000 nå"
    assert failure(site, key) == (409, f"Oppdragssystemet svarer nå noe annet enn simuleringen det vises til: {said}")
    refused = order(site, case)
    assert (refused.state, check_of(refused).refusal) == (OrderState.WITHDRAWN, failure(site, key)[1])
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    again = put(site, Scheme.AAP, case, aap(case), number=2)
    site.run()
    assert statuses(site, again)[-1] == "OK"
    site.check()


def test_one_that_the_rail_does_not_simulate_any_more_is_refused_though_its_scheme_wants_no_check(
    scripted: tuple[Hub, ScriptedServer], case: str
) -> None:
    """Also where the rail names no rule of its own that it breaks."""
    site, server = scripted
    server.scripts = {SIMULATION: [says(answers.empty())]}
    site.put(topics.primary_input(Scheme.TILTAKSPENGER), f"{case}-seen", tp(case, dryrun=True))
    site.run()
    server.scripts = {SIMULATION: [says(answers.fault("Personen finnes ikke"), 500)]}
    key = named(site, Scheme.TILTAKSPENGER, case, tp(case), f"{case}-seen")
    assert failure(site, key) == (
        409,
        "Oppdragssystemet svarer nå noe annet enn simuleringen det vises til: Personen finnes ikke",
    )
    assert order(site, case).state == OrderState.WITHDRAWN
    site.check()


def test_a_message_that_waits_behind_a_refused_one_goes_on(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    site.put(topics.primary_input(Scheme.AAP), f"{case}-one", aap(case), headers=[("simulering", "never asked")])
    site.put(topics.primary_input(Scheme.AAP), f"{case}-two", aap(case))
    site.run()
    assert failure(site, f"{case}-one") == (409, "Simuleringen det vises til finnes ikke for saken")
    assert statuses(site, f"{case}-two")[-1] == "OK"


def test_what_was_seen_before_the_case_had_another_order_is_stale(site: Hub, case: str) -> None:
    """Also where the scheme wants no check by itself."""
    site.put(topics.primary_input(Scheme.TILTAKSPENGER), f"{case}-seen", tp(case, dryrun=True))
    site.run()
    put(site, Scheme.TILTAKSPENGER, case, tp(case, 200))
    site.run()
    key = named(site, Scheme.TILTAKSPENGER, case, tp(case), f"{case}-seen")
    assert failure(site, key) == (409, "Simuleringen det vises til er utdatert; simuler på nytt")


def seen_on_friday(site: Hub, case: str) -> None:
    while site.clock().weekday() != FRIDAY:
        next_morning(site)
    site.put(topics.primary_input(Scheme.TILTAKSPENGER), f"{case}-seen", tp(case, dryrun=True))
    site.run()


def test_what_was_seen_on_friday_is_seen_still_on_monday(site: Hub, case: str) -> None:
    seen_on_friday(site, case)
    site.clock.advance(days=3, minutes=-1)
    key = named(site, Scheme.TILTAKSPENGER, case, tp(case), f"{case}-seen")
    assert statuses(site, key)[-1] == "OK"


def test_what_was_seen_more_than_a_working_day_ago_is_stale(site: Hub, case: str) -> None:
    seen_on_friday(site, case)
    site.clock.advance(days=3, minutes=1)
    assert failure(site, named(site, Scheme.TILTAKSPENGER, case, tp(case), f"{case}-seen"))[0] == 409


def test_orders_of_all_areas_are_refused_together(site: Hub, case: str) -> None:
    payments = [ts_payment(payment_uid(case, number), benefit=name) for number, name in enumerate(("TILSYN_BARN_AAP", "LÆREMIDLER_AAP"))]
    key = named(site, Scheme.TILLEGGSSTONADER, case, ts(case, *payments), "never asked")
    assert {each.state for each in orders(site, case)} == {OrderState.WITHDRAWN}
    assert failure(site, key)[0] == 409


def test_what_nobody_can_have_seen_is_refused_though_its_scheme_wants_no_check(kvitt_hub: Hub, case: str) -> None:
    key = named(kvitt_hub, Scheme.AAP, case, too_long(case), "never asked")
    assert failure(kvitt_hub, key) == (409, "Simuleringen det vises til finnes ikke for saken")
    assert orders(kvitt_hub, case) == []
    kvitt_hub.check()


def test_one_that_names_what_was_seen_waits_for_the_rail_though_its_scheme_does_not(site: Hub, case: str) -> None:
    site.put(topics.primary_input(Scheme.DAGPENGER), f"{case}-seen", dp(case, dryrun=True))
    site.run()
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = named(site, Scheme.DAGPENGER, case, dp(case), f"{case}-seen")
    assert (order(site, case).held_for, statuses(site, key)) == ((UNCHECKED,), ["MOTTATT"])
    site.rail.simulation(faults=ServiceFaults())
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 1
    site.run()
    assert statuses(site, key)[-1] == "OK"
