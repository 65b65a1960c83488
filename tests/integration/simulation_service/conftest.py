"""A rail that takes orders, pays, and is asked what an order would lead to."""

from collections.abc import Iterator

import pytest

from support.emulator_orders import order_xml
from support.simulation_stage import MAY, SimulatedRail, simulated_rail


@pytest.fixture
def rail(database: str) -> Iterator[SimulatedRail]:
    with simulated_rail(database) as playing:
        yield playing


@pytest.fixture
def paid(rail: SimulatedRail) -> SimulatedRail:
    """A rail that has paid twelve days of May."""
    assert rail.ask(order_xml(MAY)) == ["00"]
    rail.pay("2026-06-15")
    return rail
