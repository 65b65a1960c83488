"""Rails are known by name, and a scheme names the one on which its orders leave."""

import pytest

from kvitt.errors import UnknownRail
from kvitt.rail.oppdrag import Oppdrag
from kvitt.rules.opening_hours import OpeningHours
from kvitt.rules.rail_port import all_rails, default_rail, plugged_in, rail_named, rail_of
from kvitt.rules.values import Scheme

CLOSED = Oppdrag(OpeningHours(closes=OpeningHours().opens))


def test_every_scheme_pays_over_the_state_rail_unless_another_is_named() -> None:
    assert {rail_of(scheme).name for scheme in Scheme} == {"oppdrag"}
    assert default_rail() is rail_named("oppdrag")


def test_a_rail_of_the_same_name_takes_the_place_of_the_one_before_for_as_long_as_it_is_plugged_in() -> None:
    before = rail_named("oppdrag")
    with plugged_in(CLOSED, [Scheme.AAP]):
        assert rail_of(Scheme.AAP) is CLOSED
        assert list(all_rails()) == [CLOSED]
    assert rail_of(Scheme.AAP) is before


def test_a_rail_that_nobody_has_plugged_in_is_refused_by_its_name() -> None:
    with pytest.raises(UnknownRail, match="no rail is called bank here"):
        rail_named("bank")


def test_the_state_rail_keeps_chains_and_refuses_what_it_has_already() -> None:
    can = rail_named("oppdrag").capabilities
    assert (can.chains, can.simulates, can.answers_duplicates, can.cancels) == (True, True, True, False)
