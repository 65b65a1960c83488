"""Rails are known by name, and a scheme names the one on which its orders leave."""

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.values import Scheme
from kvitt.errors import UnknownRail
from kvitt.rails.oppdrag.rail import Oppdrag


def test_every_scheme_pays_over_the_state_rail_unless_another_is_named() -> None:
    assert {PORTS.rails.of[scheme].name for scheme in Scheme} == {"oppdrag"}
    assert PORTS.rails.default is PORTS.rails.named("oppdrag")
    elsewhere = Rails(Oppdrag(), of_scheme={Scheme.AAP: "bank"})
    assert elsewhere.of[Scheme.DAGPENGER].name == "oppdrag"
    with pytest.raises(UnknownRail, match="no rail is called bank here"):
        elsewhere.of[Scheme.AAP]


def test_two_rails_have_two_names() -> None:
    with pytest.raises(AssertionError, match="two rails have one name"):
        Rails(Oppdrag(), Oppdrag())


def test_the_state_rail_keeps_chains_and_refuses_what_it_has_already() -> None:
    (rail,) = PORTS.rails
    can = rail.capabilities
    assert (can.chains, can.simulates, can.answers_duplicates, can.cancels) == (True, True, True, False)
