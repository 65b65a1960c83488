"""Stages of which `kvitt check` must find nothing to differ when the test is over; a file that wants another one defines its own.

stage   a hub on the test's own database
rapid   the same for what comes over the rapid
made_up_people   names may be typed on a database that is named
"""

from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from support.hub_stage import Stage
from support.rapid_stage import Rapid, rapid_on


@pytest.fixture(scope="module")
def made_up_people() -> Iterator[None]:
    """Commands on a database that is named take typed names, as where people are made up."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KVITT_CONSOLE_LOCAL_PEOPLE", "true")
        yield


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    """A hub whose books are proved at the end."""
    stage = Stage(database)
    yield stage
    stage.close()
    _nothing_differs(database)


@pytest.fixture
def rapid(database: str) -> Iterator[Rapid]:
    """A hub on the rapid whose books are proved at the end."""
    with rapid_on(database) as rapid:
        yield rapid
        _nothing_differs(database)


def _nothing_differs(conninfo: str) -> None:
    assert [repr(difference) for difference in check(conninfo, PORTS).differences] == []
