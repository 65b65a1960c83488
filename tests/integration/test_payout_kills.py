"""A process that is killed anywhere between two steps of a payout loses nothing, moves nothing twice and leaves nothing held."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.testing import TestServer
from support.patience import PATIENCE_SECONDS
from support.payout_remote_stage import remote_stage
from support.payout_stage import payout_stage, published_events, statuses

PROGRAM = Path(__file__).parents[1] / "support/payout_process.py"
STORY = [(0, "unpaid"), (1, "confirmed"), (2, "cancelled")]
FREE = ((5000, 5000, 5000), (0, 0, 0), (0, 0, 0))
OWN = [f"payouts.{place}_commit:{visit}" for place in ("before", "after") for visit in (1, 2, 3)]
REMOTE = [
    *OWN,
    *(f"payouts.saga_step_stored:{visit}" for visit in (1, 2, 3)),
    *(f"payouts.after_hold:{visit}" for visit in (1, 2)),
    *(f"payouts.after_end:{visit}" for visit in (1, 2)),
]


@pytest.fixture
def other(kvitt_server: TestServer) -> Iterator[str]:
    with kvitt_server.database() as conninfo:
        yield conninfo


def run(*arguments: object, die_at: str = "") -> int:
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    path = os.pathsep.join([str(PROGRAM.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KVITT_DIE_AT": die_at, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, check=False, timeout=PATIENCE_SECONDS).returncode


@pytest.mark.parametrize("die_at", OWN)
def test_in_our_own_ledger(database: str, die_at: str) -> None:
    with payout_stage(database) as stage:
        arguments = (database, stage.settlement, stage.payout, stage.system)
        assert run(*arguments, die_at=die_at) == -signal.SIGKILL
        assert run(*arguments) == 0
        assert (statuses(stage.published("p-1")), stage.totals()) == (STORY, FREE)
    assert check(database, PORTS).differences == ()


@pytest.mark.parametrize("die_at", REMOTE)
def test_over_another_ledger(database: str, other: str, die_at: str) -> None:
    with remote_stage(database, other) as stage:
        arguments = (database, stage.settlement, stage.payout, stage.system, other)
        assert run(*arguments, die_at=die_at) == -signal.SIGKILL
        # What was left is found by the sweeper in some cases, and by the next call in the others.
        if die_at.endswith(("1", "3")):
            stage.sweep()
            assert stage.ledger.held() in ([], ["payout_p-1"])
        stage.owner_dies()
        assert run(*arguments) == 0
        assert (statuses(published_events(stage.connection, "p-1")), stage.totals(), stage.ledger.held()) == (STORY, FREE, [])
        assert stage.sweep() == 0
    assert [check(each, PORTS).differences for each in (database, other)] == [(), ()]
