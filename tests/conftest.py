"""What all tests share: one PostgreSQL server for the run, and a fresh, migrated database for each test that asks for one.

    server     conninfo of the server
    template   conninfo of a migrated database that is only copied from, never connected to by a test
    database   conninfo of the test's own copy of it, dropped afterwards

KVITT_TEST_POSTGRES names a server to use instead of an embedded one; its user must be allowed to create databases.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kvitt.kernel.database import connect
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.postgres import EmbeddedServer
from scratch import leave, scratch_directory

pytest_plugins = ["broker_fixtures", "thrift_fixtures"]

# How long an example takes to make or to run says nothing on a shared machine; and a red test is red for everybody.
settings.register_profile("kvitt", deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=list(HealthCheck))
settings.load_profile("kvitt")

# Tests that are about durability start servers of their own; for all others a sync would only cost, and a long log fill memory.
FAST_AND_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "256MB"}


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Conninfo of the server for this run."""
    if given := os.environ.get("KVITT_TEST_POSTGRES"):
        yield given
        return
    with scratch_directory() as directory, EmbeddedServer(directory, settings=FAST_AND_FORGETFUL) as running:
        yield running.conninfo


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """Conninfo of a migrated database to copy from; PostgreSQL copies it only while nobody is connected to it."""
    with new_database(server, "template0") as conninfo:
        upgrade(conninfo)
        yield conninfo


@pytest.fixture
def database(server: str, template: str) -> Iterator[str]:
    """Conninfo of a fresh, migrated database of the test's own."""
    with new_database(server, str(conninfo_to_dict(template)["dbname"])) as conninfo:
        yield conninfo


@pytest.fixture(scope="module")
def ledger_database(server: str, template: str) -> Iterator[str]:
    """Conninfo of a migrated database that the ledger tests of one file share: their accounts and plans have names of their own."""
    with new_database(server, str(conninfo_to_dict(template)["dbname"])) as conninfo:
        yield conninfo


@pytest.fixture
def empty_database(server: str) -> Iterator[str]:
    """Conninfo of a fresh database with nothing in it."""
    with new_database(server, "template0") as conninfo:
        yield conninfo


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory for a server of the test's own."""
    with scratch_directory() as directory:
        yield directory


@contextmanager
def new_database(server: str, template: str) -> Iterator[str]:
    """Conninfo of a database copied from `template`, for as long as the block runs."""
    name = f"test_{uuid4().hex[:12]}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with connect(server, application="kvitt tests") as connection:
        # 60 tables: 11 ms by copying files, 80 ms through the log, where nothing is synced.
        connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy").format(**names))
    try:
        yield make_conninfo(server, dbname=name)
    finally:
        with connect(server, application="kvitt tests") as connection:
            connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a promise nobody looked at: it fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure() -> None:
    """Nothing of the tests' directories is left."""
    leave()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why the run fails though every test that ran has passed."""
    if os.environ.get("CI") == "true" and terminalreporter.stats.get("skipped"):
        terminalreporter.section("skipped tests fail this run, because CI=true", red=True)
