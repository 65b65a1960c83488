"""What all tests share: one PostgreSQL server for the run, and a migrated database with nothing in it for each test that asks for one.

    kvitt_server      the server, in the place of that of kvitt's own pytest plugin; it goes for `kvitt_hub` as well
    server            its conninfo
    database          conninfo of the test's own migrated database; another test may have used it before, and nothing of that is left
    unused_database   the same, made for this test and dropped afterwards

How they come to be: `kvitt.testing`, `support.used_again`.
"""

import gc
import os
import ssl
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import HealthCheck, settings

from kvitt.rails.oppdrag import order_xml
from kvitt.testing import TestServer, shared_server
from kvitt.testing.scratch import scratch_directory
from kvitt.testing.server import close_shared_server
from support.kept_connections import keep_connections
from support.tried import tried
from support.used_again import UsingAgain

pytest_plugins = [
    "support.broker_files",
    "support.broker_fixtures",
    "support.console_fixtures",
    "support.stage_fixtures",
    "support.thrift_fixtures",
    "kvitt.testing_plugin",
]

# How long an example takes to make or to run says nothing on a shared machine; and a red test is red for everybody.
settings.register_profile("kvitt", tried(), deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck))
settings.load_profile("kvitt")


# What is collected stays: while it is, nobody need look again and again for what may go.
gc.set_threshold(100_000, 50, 100)

# Each order that a test has made is read by the schema, also those that are known to be valid without.
order_xml.sampled_every = 1

# A hub of one process starts with less; what is about several says how many.
os.environ.setdefault("KVITT_WORKERS", "1")

keep_connections()

_new_context = ssl.create_default_context
_of_all_authorities = cache(lambda file: _new_context(cafile=file))
_ALL_AUTHORITIES = {certifi.where(), os.environ.get("SSL_CERT_FILE")}


def _shared_context(*arguments: Any, **options: Any) -> ssl.SSLContext:
    asks_for_all = not arguments and options.keys() == {"cafile"} and options["cafile"] in _ALL_AUTHORITIES - {None}
    return _of_all_authorities(options["cafile"]) if asks_for_all else _new_context(*arguments, **options)


# A client of httpx reads the certificates of all authorities in the world when it is made (those that the machine names, else certifi's),
# also one that asks a plain server here: 28 ms each time.
ssl.create_default_context = _shared_context


@pytest.fixture(scope="session")
def kvitt_server() -> Iterator[UsingAgain]:
    """The server of the run; its databases are used again."""
    again = UsingAgain(shared_server())
    yield again
    again.close()
    close_shared_server()


@pytest.fixture(scope="session")
def server(kvitt_server: TestServer) -> str:
    """Conninfo of the server for this run."""
    return kvitt_server.conninfo


@pytest.fixture
def database(kvitt_server: TestServer) -> Iterator[str]:
    """Conninfo of a migrated database of the test's own, with nothing in it."""
    with kvitt_server.database() as conninfo:
        yield conninfo


@pytest.fixture
def unused_database(kvitt_server: UsingAgain) -> Iterator[str]:
    """The same for a test that says what new sessions are to have: nobody has ever connected to it."""
    with kvitt_server.unused() as conninfo:
        yield conninfo


@pytest.fixture(scope="module")
def ledger_database(kvitt_server: TestServer) -> Iterator[str]:
    """Conninfo of a migrated database that the ledger tests of one file share: their accounts and plans have names of their own."""
    with kvitt_server.database() as conninfo:
        yield conninfo


@pytest.fixture
def empty_database(kvitt_server: TestServer) -> Iterator[str]:
    """Conninfo of a fresh database with nothing in it."""
    with kvitt_server.new_database() as conninfo:
        yield conninfo


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory for a server of the test's own."""
    with scratch_directory() as directory:
        yield directory


def pytest_collection_finish() -> None:
    """What was collected lives as long as the run: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a promise nobody looked at: it fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why the run fails though every test that ran has passed."""
    if os.environ.get("CI") == "true" and terminalreporter.stats.get("skipped"):
        terminalreporter.section("skipped tests fail this run, because CI=true", red=True)
