"""A hub whose orders are checked before they leave, with the emulator behind it, and one whose rail says what a test wants."""

from collections.abc import Iterator
from itertools import count

import pytest
from msgspec.structs import replace

from kvitt.settings import Settings
from kvitt.testing import Hub, TestServer, hub
from support.order_checks import CHECKS, next_morning
from support.simulation_server import ScriptedServer, asking, scripted_server

_numbers = count(1)


def with_checks(settings: Settings) -> Settings:
    return replace(settings, simulation=replace(settings.simulation, checks=CHECKS))


@pytest.fixture(scope="package")
def emulated_site(kvitt_server: TestServer) -> Iterator[Hub]:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, settings=with_checks(Settings())) as made:
        yield made
        assert made.rail.violations() == ()
        made.check()


@pytest.fixture(scope="package")
def scripted_site(kvitt_server: TestServer) -> Iterator[tuple[Hub, ScriptedServer]]:
    with (
        kvitt_server.database() as conninfo,
        scripted_server() as server,
        hub(conninfo=conninfo, settings=with_checks(asking(server))) as made,
    ):
        yield made, server
        made.check()


@pytest.fixture
def site(emulated_site: Hub) -> Hub:
    """A hub whose rail is the emulator."""
    return next_morning(emulated_site)


@pytest.fixture
def scripted(scripted_site: tuple[Hub, ScriptedServer]) -> tuple[Hub, ScriptedServer]:
    """A hub whose rail takes orders, and simulates what a test wants."""
    site, server = scripted_site
    server.asked.clear()
    return next_morning(site), server


@pytest.fixture
def case() -> str:
    return f"C-{next(_numbers)}"
