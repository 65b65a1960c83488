"""The rail hangs: what it says nothing to keeps no place that another could use, and nobody waits longer than was promised."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

from kvitt.contracts.helved import topics
from kvitt.disbursement.simulation_requests import SimulationState, listing
from kvitt.disbursement.simulation_role import QuestionPlaces
from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.emulator.faults import Chance
from kvitt.rails.oppdrag.emulator.habits import ServiceFaults, get_service_faults
from kvitt.rails.oppdrag.simulation import SimulationAccess
from kvitt.rails.oppdrag.simulation_tokens import TokenService
from kvitt.testing import Hub, TestServer, hub
from support.hub_messages import aap
from support.simulator_steps import simulating_at

CASES = count(1)
AAP = topics.primary_input(Scheme.AAP)
TEN_MINUTES = 600.0


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo) as made:
        yield made
        made.check()
        assert made.rail.violations() == ()


def new_cases(number: int) -> list[str]:
    return [f"S-{next(CASES)}" for _ in range(number)]


def ask(site: Hub, *cases: str) -> None:
    """Dry runs whose keys are their cases."""
    for case in cases:
        site.put(AAP, case, aap(case, dryrun=True))
    site.run("intake")


def states(site: Hub, *cases: str) -> list[str]:
    return [listing(site.connection, key=(Scheme.AAP, case))[0].state.value for case in cases]


def heard(site: Hub, case: str) -> list[str]:
    """All that the sender of a dry run has heard: kinds of answers."""
    site.run("relay")
    said = [each.json["@type"] for each in site.published(topics.DRY_RUNS[Scheme.AAP], case)]
    return said + [f"{each.json['status']} {each.json['error']['statusCode']}" for each in site.published(topics.STATUSES, case)]


def answer_all(site: Hub) -> None:
    """The rail speaks again, and the next simulator asks what is left."""
    site.rail.simulation()
    places = QuestionPlaces(at_once=8, hanging=0, hangs_seconds=5.0)
    with simulating_at(site, at_the_rail(site, places), places=places) as simulator:
        simulator.until(lambda: not any(each.is_open for each in listing(site.connection)), "not all have ended")


def hang(site: Hub, number: int) -> None:
    """The rail says nothing to so many questions, the next ones."""
    site.rail.simulation(faults=ServiceFaults(slow=Chance(next=number), slow_seconds=TEN_MINUTES))


def at_the_rail(site: Hub, places: QuestionPlaces) -> SimulationAccess:
    url = site.simulation_url
    return SimulationAccess(
        f"{url}/simulerFpServiceWSBinding", TokenService(url, "kvitt", "kvitt"), seconds=TEN_MINUTES, at_once=places.most
    )


@pytest.mark.parametrize(
    ("ages", "others", "free"),
    [
        ([], 0, 4),
        ([0.1, 0.2], 0, 2),
        ([0.1] * 4, 0, 0),
        ([9.0] * 4, 0, 4),
        ([9.0] * 4 + [0.1] * 3, 0, 1),
        ([9.0] * 8, 0, 2),
        ([9.0] * 10, 0, 0),
        ([9.0] * 12, 0, 0),
        ([0.1], 3, 3),
        ([], 10, 0),
    ],
)
def test_what_hangs_takes_no_place_of_others_as_long_as_there_is_room_for_it(ages: list[float], others: int, free: int) -> None:
    assert QuestionPlaces(at_once=4, hanging=6, hangs_seconds=5.0).free(ages, others) == free


def test_when_all_that_is_asked_at_once_hangs_other_cases_are_answered(site: Hub) -> None:
    places = QuestionPlaces(at_once=4, hanging=8, hangs_seconds=0.01)
    hung, (other, last) = new_cases(places.at_once), new_cases(2)
    hang(site, places.at_once)
    with simulating_at(site, at_the_rail(site, places), places=places) as simulator:
        ask(site, *hung)
        # The rail has begun on them when it has none left to say nothing to.
        simulator.until(lambda: get_service_faults(site.connection).slow.next == 0, "they were not asked")
        ask(site, other, last)
        simulator.until(lambda: states(site, other, last) == ["answered"] * 2, "others were held up")
        assert states(site, *hung) == ["asked"] * places.at_once
        assert (heard(site, other), heard(site, last), heard(site, hung[0])) == (["v2"], ["v2"], [])
    answer_all(site)
    assert [heard(site, case) for case in hung] == [["v2"]] * places.at_once


def test_when_everything_hangs_no_more_is_asked_and_who_waits_hears_so_in_time(site: Hub) -> None:
    places = QuestionPlaces(at_once=2, hanging=1, hangs_seconds=0.01)
    hung, (other, late) = new_cases(places.most), new_cases(2)
    hang(site, places.most + 2)
    with simulating_at(site, at_the_rail(site, places), places=places) as simulator:
        ask(site, *hung, other)
        simulator.until(lambda: states(site, *hung) == ["asked"] * places.most, "they were not asked")
        assert states(site, other) == [SimulationState.REQUESTED.value]
        site.clock.advance(timedelta(seconds=301))
        ask(site, late)
        simulator.until(lambda: states(site, other) == ["failed"], "it was not answered at the end of its time")
        assert states(site, *hung, late) == [*["asked"] * places.most, "requested"]
        assert heard(site, other) == ["FEILET 500"]
    answer_all(site)
    assert [heard(site, case) for case in (*hung, late)] == [["v2"]] * (places.most + 1)
