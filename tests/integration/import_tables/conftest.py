"""A hub that takes over what is in an older system's tables, and that system."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvitt.testing import Hub, TestServer
from support.iverksetting_stage import DecisionSite, decision_site
from support.old_tables import OldSystem


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[DecisionSite]:
    with decision_site(database, tmp_path) as site:
        yield site


@pytest.fixture
def hub(site: DecisionSite) -> Hub:
    return site.hub


@pytest.fixture
def old(kvitt_server: TestServer, hub: Hub) -> Iterator[OldSystem]:
    with kvitt_server.new_database() as conninfo:
        system = OldSystem(conninfo, hub)
        yield system
        system.close()
