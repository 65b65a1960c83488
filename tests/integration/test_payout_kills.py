"""A process that is killed anywhere between two steps of a payout loses nothing, moves nothing twice and leaves nothing held."""

import signal
from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.testing import TestServer
from support import payout_process
from support.doomed_process import ended
from support.payout_remote_stage import remote_stage
from support.payout_stage import payout_stage, published_events, statuses

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


def is_killed(*arguments: object, at: str) -> bool:
    """Whether a process that begins the acts dies there."""
    return ended(payout_process.main, *map(str, arguments), die_at=at) == -signal.SIGKILL


def go_on(*arguments: object) -> None:
    """Does the acts as whoever comes next: nothing of the process before is left but what is stored."""
    payout_process.main(*map(str, arguments))


@pytest.mark.parametrize("die_at", OWN)
def test_in_our_own_ledger(database: str, die_at: str) -> None:
    with payout_stage(database) as stage:
        arguments = (database, stage.settlement, stage.payout, stage.system)
        assert is_killed(*arguments, at=die_at)
        go_on(*arguments)
        assert (statuses(stage.published("p-1")), stage.totals()) == (STORY, FREE)
    assert check(database, PORTS).differences == ()


@pytest.mark.parametrize("die_at", REMOTE)
def test_over_another_ledger(database: str, other: str, die_at: str) -> None:
    with remote_stage(database, other) as stage:
        arguments = (database, stage.settlement, stage.payout, stage.system, other)
        assert is_killed(*arguments, at=die_at)
        # What was left is found by the sweeper in some cases, and by the next call in the others.
        if die_at.endswith(("1", "3")):
            stage.sweep()
            assert stage.ledger.held() in ([], ["payout_p-1"])
        stage.owner_dies()
        go_on(*arguments)
        assert (statuses(published_events(stage.connection, "p-1")), stage.totals(), stage.ledger.held()) == (STORY, FREE, [])
        assert stage.sweep() == 0
    assert [check(each, PORTS).differences for each in (database, other)] == [(), ()]
