"""A rail that answers no simulation in its opening hours is an alarm until it answers; metrics tell how many wait, and how long."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

import kvitt.testing
from kvitt.disbursement.preview import preview
from kvitt.disbursement.simulation_requests import by_call, request
from kvitt.disbursement.values import Scheme
from kvitt.kernel.metrics import AT_THE_RAIL, METRICS, Counted
from kvitt.ops.alarms import SimulationDeadline, list_alarms, watch_simulations
from kvitt.ops.figures import read_figures
from kvitt.ops.metrics import figures_of
from kvitt.rails.oppdrag.emulator import Chance, ServiceFault, ServiceFaults
from kvitt.rails.oppdrag.opening_hours import OpeningHours
from kvitt.testing import Hub
from support.hub_messages import aap

DEADLINE = SimulationDeadline({"oppdrag": OpeningHours()}, timedelta(minutes=5))
CLOSED = ServiceFaults(closed=True)
NO_RULE_OF_OURS = ServiceFaults(fault=Chance(probability=1), answers_with=ServiceFault.NO_RUN_PLAN)


@pytest.fixture
def site(database: str) -> Iterator[Hub]:
    """A hub on a Wednesday at ten in Oslo."""
    with kvitt.testing.hub(conninfo=database) as made:
        yield made


def asked_for(site: Hub) -> int:
    """A simulation that nobody has asked the rail for yet."""
    orders = preview(site.connection, site.ports, Scheme.AAP, b"k", json.dumps(aap("S-1", 500)).encode(), now=site.clock()).orders
    made = request(site.connection, site.ports.rails, (Scheme.AAP, "S-1"), by_call("helved", "tests"), orders, now=site.clock())
    assert isinstance(made, int)
    return made


def ask(site: Hub, *, minutes: float = 0) -> None:
    """Asks the rail, so many minutes later."""
    site.clock.advance(timedelta(minutes=minutes))
    asked_for(site)
    site.run("simulator")


def look(site: Hub) -> tuple[list[str], list[str]]:
    raised, cleared = watch_simulations(site.connection, site.clock(), DEADLINE)
    return [each.rail for each in raised], [each.rail for each in cleared]


def metric(site: Hub, name: str, **labels: str) -> int:
    """A figure as a scrape shows it, whole: the clock goes on by itself, a little."""
    samples = (each for family in figures_of(read_figures(site.connection, site.clock())) for each in family.samples)
    (value,) = [each.value for each in samples if each.name == name and each.labels == labels]
    return int(value)


def test_a_rail_without_answers_is_reported_once_and_again_when_it_answers(site: Hub) -> None:
    site.rail.simulation(faults=CLOSED)
    ask(site)
    assert look(site) == ([], [])
    ask(site, minutes=6)
    assert look(site) == (["oppdrag"], [])
    assert look(site) == ([], [])
    (alarm,) = list_alarms(site.connection, cleared=False, limit=10)
    assert (alarm.kind, alarm.rail, alarm.order_id, alarm.cleared_at) == ("no simulation", "oppdrag", None, None)
    assert metric(site, "kvitt_simulations_unanswered_seconds") == 360
    site.rail.simulation()
    ask(site, minutes=1)
    assert look(site) == ([], ["oppdrag"])
    assert list_alarms(site.connection, cleared=False, limit=10) == []
    assert metric(site, "kvitt_simulations_unanswered_seconds") == 0


def test_what_a_rule_of_the_rail_refuses_is_an_answer(site: Hub) -> None:
    site.rail.simulation(faults=NO_RULE_OF_OURS)
    ask(site)
    ask(site, minutes=6)
    assert look(site) == ([], [])


def test_the_night_says_nothing_about_the_morning(site: Hub) -> None:
    site.rail.simulation(faults=CLOSED)
    ask(site, minutes=13 * 60)
    assert look(site) == ([], [])
    site.clock.advance(timedelta(hours=7, minutes=10))
    assert look(site) == ([], [])  # it is ten past six, and nobody has asked
    ask(site)
    assert look(site) == (["oppdrag"], [])


def test_nothing_is_raised_while_it_is_closed(site: Hub) -> None:
    site.rail.simulation(faults=CLOSED)
    ask(site, minutes=10 * 60 + 50)
    site.clock.advance(timedelta(minutes=20))
    assert look(site) == ([], [])


def test_metrics_tell_how_many_wait_how_each_ended_and_how_long_the_rail_had_it(site: Hub) -> None:
    before = {each.labels: each.times for each in METRICS.counts() if each.what is Counted.SIMULATIONS}
    times = sum(METRICS.durations(AT_THE_RAIL).times)
    asked_for(site)
    site.clock.advance(timedelta(minutes=2))
    assert metric(site, "kvitt_open_simulations", scheme="AAP", state="requested") == 1
    assert metric(site, "kvitt_open_simulations_oldest_seconds") == 120
    site.run("simulator")
    assert metric(site, "kvitt_open_simulations", scheme="AAP", state="requested") == 0
    assert metric(site, "kvitt_open_simulations_oldest_seconds") == 0
    after = {each.labels: each.times for each in METRICS.counts() if each.what is Counted.SIMULATIONS}
    assert {labels: count - before.get(labels, 0) for labels, count in after.items() if count != before.get(labels, 0)} == {
        ("AAP", "answered"): 1
    }
    assert sum(METRICS.durations(AT_THE_RAIL).times) == times + 1


def test_a_simulation_that_nobody_asks_is_reported_in_opening_hours(site: Hub) -> None:
    asked_for(site)
    site.clock.advance(timedelta(minutes=6))
    assert look(site) == (["oppdrag"], [])
    assert look(site) == ([], [])
    site.run("simulator")
    ask(site, minutes=1)
    assert look(site) == ([], ["oppdrag"])
