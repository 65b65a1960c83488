"""What tests of the console share; a file that wants a store with something in it, or another console, defines its own by the same name.

conninfo     a migrated database of the file's own
connection   a connection to it
site         a console on it
"""

from collections.abc import Iterator

import pytest

from kvitt.kernel.database import Connection, connect
from kvitt.testing import TestServer
from support.case_histories import CaseStage
from support.console_stage import ConsoleSite, console_site


@pytest.fixture(scope="module")
def conninfo(kvitt_server: TestServer) -> Iterator[str]:
    """A database of the file's own."""
    with kvitt_server.database() as made:
        yield made


@pytest.fixture(scope="module")
def connection(conninfo: str) -> Iterator[Connection]:
    """A connection to that database."""
    with connect(conninfo) as made:
        yield made


@pytest.fixture(scope="module")
def site(conninfo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A console on that database."""
    with console_site(conninfo, tmp_path_factory.mktemp("console")) as made:
        yield made


@pytest.fixture(scope="module")
def cases(conninfo: str) -> Iterator[CaseStage]:
    """A hub on that database, stepped by hand."""
    made = CaseStage(conninfo)
    yield made
    made.close()
