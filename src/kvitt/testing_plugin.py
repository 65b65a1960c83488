"""The pytest plugin that comes with kvitt: fixtures `kvitt_hub` and `kvitt_server`. Loads nothing of kvitt until a test asks for one."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kvitt.testing import Hub, TestServer


@pytest.fixture(scope="session")
def kvitt_server() -> Iterator["TestServer"]:
    """The PostgreSQL server of this run, on which tests can have databases of their own; started by the first that asks."""
    from kvitt.testing.server import close_shared_server, shared_server

    yield shared_server()
    close_shared_server()


def pytest_unconfigure() -> None:
    """Stops the server of the run also where no fixture has started it, and removes what was in directories of tests."""
    if server := sys.modules.get("kvitt.testing.server"):
        server.close_shared_server()
    if scratch := sys.modules.get("kvitt.testing.scratch"):
        scratch.leave()


@pytest.fixture
def kvitt_hub(kvitt_server: "TestServer") -> Iterator["Hub"]:
    """A hub of the test's own, on a fresh database: see `kvitt.testing.hub`."""
    from kvitt.testing import hub

    with kvitt_server.database() as conninfo, hub(conninfo=conninfo) as made:
        yield made
