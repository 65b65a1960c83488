"""Orders wait for the rail before they leave: while it is silent, while something else holds them, and with all of their message."""

from datetime import UTC, datetime, timedelta

import pytest

from kvitt.contracts.helved import topics
from kvitt.disbursement import order_check_ends, simulate
from kvitt.disbursement.holding import UNCHECKED, HoldKind
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.order_check_ends import AGAIN_AFTER, is_posted
from kvitt.disbursement.resolve import Resolve
from kvitt.disbursement.simulate import RAIL_SECONDS
from kvitt.disbursement.simulation_requests import listing
from kvitt.disbursement.states import OrderState, What
from kvitt.disbursement.values import Scheme
from kvitt.kernel.fault_points import OF_SIMULATIONS
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.emulator.habits import ServiceFaults
from kvitt.testing import Hub
from support.case_histories import answered
from support.hub_messages import aap, dp, payment_uid, tp
from support.order_checks import (
    DAYS,
    TWO,
    ask,
    check_of,
    needs_a_person,
    next_morning,
    of_two_areas,
    order,
    orders,
    put,
    release,
    simulated,
    statuses,
)
from support.simulation_server import SIMULATION, ScriptedServer, says


def test_an_order_waits_for_a_rail_that_is_closed_and_is_asked_about_again(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = put(site, Scheme.AAP, case, aap(case))
    site.run()
    waiting = order(site, case)
    assert (waiting.held_for, check_of(waiting).finding, statuses(site, key)) == ((UNCHECKED,), None, ["MOTTATT"])
    assert check_of(waiting).waits_for
    assert not needs_a_person(site, case)
    assert ask(site) == 0
    site.rail.simulation(faults=ServiceFaults())
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 1
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).times_asked) == ("OK", 2)


def test_one_that_was_asked_about_in_vain_for_long_waits_for_a_person(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    put(site, Scheme.AAP, case, aap(case))
    for _ in range(11):
        site.run()
        assert not needs_a_person(site, case)
        site.clock.advance(AGAIN_AFTER)
        assert ask(site) == 1
    assert needs_a_person(site, case)
    site.rail.simulation(faults=ServiceFaults())
    site.run()
    assert (needs_a_person(site, case), order(site, case).state) == (False, OrderState.ACCEPTED)


def test_nobody_is_asked_again_while_the_rail_is_closed_by_its_hours(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    site.rail.simulation(faults=ServiceFaults())
    evening = site.clock().replace(hour=22)
    site.clock.advance(evening - site.clock())
    assert ask(site) == 0
    next_morning(site)
    assert ask(site) == 1
    site.run()
    assert order(site, case).state == OrderState.ACCEPTED


def test_where_it_may_leave_unchecked_it_does_not_wait(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = put(site, Scheme.DAGPENGER, case, dp(case))
    site.run()
    site.rail.simulation(faults=ServiceFaults())
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "unavailable")


def test_two_people_may_let_an_order_go_that_waits_for_the_rail(site: Hub, case: str) -> None:
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = put(site, Scheme.AAP, case, aap(case))
    site.run()
    site.rail.simulation(faults=ServiceFaults())
    assert release(site, order(site, case)) == ()
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "skipped")


def test_one_that_is_let_go_before_it_is_asked_about_is_not_asked_about(site: Hub, case: str) -> None:
    key = put(site, Scheme.AAP, case, aap(case))
    assert release(site, order(site, case)) == ()
    site.run()
    (request,) = listing(site.connection, key=(Scheme.AAP, case))
    assert (request.times_asked, request.reason, statuses(site, key)[-1]) == (0, "not asked", "OK")


def test_an_order_may_be_taken_back_while_it_waits(site: Hub, case: str) -> None:
    key = put(site, Scheme.AAP, case, aap(case))
    Operate(site.connection, site.clock, site.ports).withdraw(order(site, case).order_id, Operator("kari", "not meant"))
    site.run()
    assert (order(site, case).state, statuses(site, key)[-1]) == (OrderState.WITHDRAWN, "FEILET")


def test_what_waits_while_its_case_is_contradicted_is_derived_and_checked_anew(site: Hub, case: str) -> None:
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    first = order(site, case)
    site.rail.simulation(faults=ServiceFaults(closed=True))
    key = put(site, Scheme.AAP, case, aap(case, 600), number=2)
    site.run()
    site.rail.reply(answered(first.message, "08", "nei"))
    site.run()
    assert [each.kind for each in order(site, case).held_for] == [HoldKind.UNCHECKED, HoldKind.CONTRADICTION]
    site.rail.simulation(faults=ServiceFaults())
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 0
    Resolve(site.connection, site.clock, site.ports).adopt(first.order_id, TWO)
    assert [each.state for each in orders(site, case)] == [OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.READY]
    site.run()
    assert check_of(order(site, case)).finding is not None
    put(site, Scheme.AAP, case, aap(case, 600), number=3)
    release(site, order(site, case))
    site.run()
    assert statuses(site, key)[-1] in {"OK", "FEILET"}


class Died(BaseException):
    """The process is no more."""


@pytest.mark.parametrize(("place", "times_asked"), [*zip(OF_SIMULATIONS, (1, 2, 2, 1), strict=True)])
def test_wherever_the_simulator_dies_a_check_ends_once(
    site: Hub, case: str, place: str, times_asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(there: str) -> None:
        if there == place:
            raise Died

    key = put(site, Scheme.AAP, case, aap(case))
    with monkeypatch.context() as patched:
        patched.setattr(simulate, "fault_point", dies)
        with pytest.raises(Died):
            site.run()
    site.run()
    if times_asked > 1:
        assert order(site, case).state == OrderState.READY  # the rail may be at work on the first question still
        site.clock.advance(seconds=RAIL_SECONDS)
        site.run()
    (request,) = listing(site.connection, key=(Scheme.AAP, case))
    assert (request.times_asked, check_of(order(site, case)).finding, statuses(site, key)[-1]) == (times_asked, "agrees", "OK")
    assert [each.what for each in order(site, case).noted].count(What.CHECKED) == 1


def test_what_is_held_for_something_else_is_asked_about_once_that_is_released(site: Hub, case: str) -> None:
    one, other = payment_uid(case, 1), payment_uid(case, 2)
    entries = [{"id": each, "fom": DAYS[0], "tom": DAYS[1], "sats": 1000, "utbetaltBeløp": 500} for each in (one, other)]
    key = put(site, Scheme.AAP, case, aap(case, utbetalinger=entries))
    site.run()
    assert [each.kind for each in order(site, case).held_for] == [HoldKind.PAID_TWICE, HoldKind.UNCHECKED]
    assert (ask(site), listing(site.connection, key=(Scheme.AAP, case))) == (0, [])
    assert release(site, order(site, case)) == (UNCHECKED,)
    assert ask(site) == 1
    site.run()
    assert (statuses(site, key)[-1], check_of(order(site, case)).finding) == ("OK", "agrees")


def test_a_check_that_can_not_be_ended_waits_for_its_next_attempt_and_holds_up_nobody(
    scripted: tuple[Hub, ScriptedServer], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}

    def fails(*_: object) -> None:
        raise KeyError("of ours")

    with monkeypatch.context() as broken:
        broken.setattr(order_check_ends, "pay_by_payments", fails)
        put(site, Scheme.AAP, case, aap(case))
        site.run()
        assert [each.kind for each in order(site, case).held_for] == [HoldKind.UNCHECKED]
        site.put(topics.primary_input(Scheme.TILTAKSPENGER), f"{case}-dry", tp(f"{case}-other", dryrun=True))
        site.run()
        assert statuses(site, f"{case}-dry") or site.published(topics.DRY_RUNS[Scheme.TILTAKSPENGER], f"{case}-dry")
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 1
    site.run()
    assert order(site, case).state == OrderState.ACCEPTED


def test_before_the_order_before_is_posted_a_difference_says_nothing(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    put(site, Scheme.AAP, case, aap(case))
    site.run()
    server.scripts = {SIMULATION: [says(simulated(case, 5000))]}
    key = put(site, Scheme.AAP, case, aap(case, 400), number=2)
    site.run()
    check = check_of(order(site, case))
    assert (order(site, case).held_for, check.finding) == ((UNCHECKED,), None)
    assert check.due_at
    assert check.due_at > site.clock() + timedelta(minutes=10)
    server.scripts = {SIMULATION: [says(simulated(case, 4000))]}
    site.clock.set(check.due_at + timedelta(hours=8))
    assert ask(site) >= 1
    site.run()
    assert statuses(site, key)[-1] == "OK"


def test_what_is_posted_when() -> None:
    """On the working day after acceptance; Midsummer Eve is one."""
    thursday = datetime(2026, 6, 18, 10, tzinfo=UTC)
    assert is_posted(None, thursday)
    assert [is_posted(thursday, thursday + timedelta(days=days)) for days in (0, 1, 2)] == [False, True, True]
    friday = thursday + timedelta(days=1)
    assert [is_posted(friday, friday + timedelta(days=days)) for days in (0, 1, 2, 3)] == [False, False, False, True]


def test_while_the_rail_is_silent_about_one_order_of_a_message_none_of_them_leaves(scripted: tuple[Hub, ScriptedServer], case: str) -> None:
    site, server = scripted
    server.scripts = {SIMULATION: [says(b"", 503)]}
    of_two_areas(site, case)
    site.run()
    first, second = (check_of(each) for each in orders(site, case))
    assert first.due_at == second.due_at
    assert ask(site) == 0
    assert {each.state for each in orders(site, case)} == {OrderState.READY}
    site.clock.advance(AGAIN_AFTER)
    assert ask(site) == 2


def test_nothing_is_asked_about_a_case_while_an_order_of_it_is_free_to_leave(site: Hub, case: str) -> None:
    of_two_areas(site, case)
    first, _ = orders(site, case)
    release(site, first)
    site.run("simulator")
    (request,) = listing(site.connection, key=(Scheme.TILLEGGSSTONADER, case))
    assert request.state == "requested"
    site.run()
    # The question was about both; what the rail has by now it refuses, and the other is asked about alone.
    assert ask(site) == 1
    site.run()
    assert {each.state for each in orders(site, case)} == {OrderState.ACCEPTED}
    site.check()
