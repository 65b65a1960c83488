"""Rows that a stranger has locked: their neighbours go on, what came for them waits in its order, and nothing is lost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from hub_messages import dp
from hub_stage import Stage, staged
from kvitt.hub.check import check
from kvitt.hub.loop import Bell
from kvitt.hub.resume import Resume
from kvitt.hub.ruling import Verdict
from kvitt.hub.submit import Outcome, Submit
from kvitt.rules.values import Scheme
from kvitt.store.database import LOCK_MS, connect

DP = Scheme.DAGPENGER


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    """A stage whose hub waits for a lock as the running one does."""
    with staged(database) as stage:
        stage.connection.execute(f"SET lock_timeout = {LOCK_MS}".encode())
        yield stage


@contextmanager
def locked(stage: Stage, statement: str, *arguments: object) -> Iterator[psycopg.Connection[Any]]:
    """Somebody with a console, who has begun a transaction and not ended it."""
    with psycopg.connect(stage.conninfo) as stranger:
        stranger.execute(statement.encode(), arguments)
        yield stranger
        stranger.rollback()


CASE = "SELECT 1 FROM cases WHERE case_id = %s FOR UPDATE"


@contextmanager
def resuming(stage: Stage) -> Iterator[Any]:
    """The step of the loop that handles what has waited."""
    with Resume(stage.conninfo, stage.clock, lambda: None, _Impatient()).steps() as step:
        yield step


class _Impatient(Bell):
    def wait(self, seconds: float) -> None:
        """Not at all."""


def resumed(stage: Stage) -> int:
    """Handles what has waited; gives how much."""
    done = 0
    with resuming(stage) as step:
        while more := step():
            done += more
    return done


def in_order(stage: Stage, *keys: str) -> Sequence[str]:
    rows = stage.rows(
        "SELECT convert_from(key, 'UTF8') FROM messages WHERE convert_from(key, 'UTF8') = ANY (%s) ORDER BY message_no", list(keys)
    )
    return [str(key) for (key,) in rows]


def clean(stage: Stage) -> bool:
    report = check(stage.conninfo)
    assert not report.differences, report.differences
    return True


def test_the_neighbours_of_a_locked_case_go_on_and_what_is_for_it_waits_in_its_order(stage: Stage) -> None:
    stage.hand_in(DP, ("first", dp("held")))
    with locked(stage, CASE, "held"):
        batch = [("held-1", dp("held", 600)), ("free-1", dp("free")), ("held-2", dp("held", 700)), ("free-2", dp("other"))]
        assert stage.hand_in(DP, *batch) == [Outcome.DEFERRED, Outcome.DERIVED, Outcome.DEFERRED, Outcome.DERIVED]
        assert resumed(stage) == 0
        assert stage.hand_in(DP, ("free-3", dp("third")), ("held-3", dp("held", 800))) == [Outcome.DERIVED, Outcome.DEFERRED]
        assert (stage.said("free-1"), stage.said("held-1")) == (["MOTTATT"], [])
    assert stage.hand_in(DP, ("held-4", dp("held", 900))) == [Outcome.DEFERRED], "it may not overtake those that wait"
    assert resumed(stage) == 4
    assert in_order(stage, "held-1", "held-2", "held-3", "held-4") == ["held-1", "held-2", "held-3", "held-4"]
    assert stage.hand_in(DP, ("held-5", dp("held", 950))) == [Outcome.WAITING]
    stage.finish()
    assert [stage.said(f"held-{number}")[-1] for number in range(1, 6)] == ["OK"] * 5
    assert clean(stage)


def test_a_case_that_somebody_is_just_making_holds_up_nobody_else(stage: Stage) -> None:
    with locked(stage, "INSERT INTO cases (scheme, case_id) VALUES ('DAGPENGER', %s)", "new"):
        assert stage.hand_in(DP, ("new-1", dp("new")), ("free-1", dp("free"))) == [Outcome.DEFERRED, Outcome.DERIVED]
        assert resumed(stage) == 0
    assert resumed(stage) == 1
    stage.finish()
    assert (stage.said("new-1")[-1], stage.said("free-1")[-1]) == ("OK", "OK")
    assert clean(stage)


def test_a_position_moves_on_over_what_waits_and_a_new_owner_keeps_the_order(stage: Stage) -> None:
    from msgspec.structs import replace

    held = stage.keeper.take(stage.connection, "intake:x:0")
    assert held
    stage.hand_in(DP, ("first", dp("held")))
    records = [
        replace(stage.incoming(DP, f"held-{n}", dp("held", 500 + n)), edge=held.edge, position=n, follows=n, partition=7) for n in range(3)
    ]
    with locked(stage, CASE, "held"):
        assert stage.submit(records[:2]) == [Outcome.DEFERRED] * 2
        assert stage.one("SELECT position FROM leases WHERE lease = 'intake:x:0'") == 2
        with connect(stage.conninfo, lock_timeout_ms=LOCK_MS) as connection:
            assert Submit(connection, stage.clock)(records[2:]) == [Outcome.DEFERRED]
    assert resumed(stage) == 3
    assert in_order(stage, "held-0", "held-1", "held-2") == ["held-0", "held-1", "held-2"]


def test_a_receipt_of_a_locked_case_is_kept_and_the_others_are_settled(stage: Stage) -> None:
    stage.hand_in(DP, ("a", dp("held")), ("b", dp("free")))
    receipts = stage.exchange()
    with locked(stage, CASE, "held"):
        assert sorted(stage.settle(receipts)) == [Verdict.ACCEPTED, Verdict.DEFERRED]
        assert (stage.said("a")[-1], stage.said("b")[-1]) == ("HOS_OPPDRAG", "OK")
        assert stage.settle(receipts[:1]) in ([Verdict.DEFERRED], [Verdict.REPEAT])
    resumed(stage)
    assert (stage.said("a")[-1], stage.said("b")[-1]) == ("OK", "OK")
    assert stage.settle(receipts) == [Verdict.REPEAT] * 2
    assert stage.said("a").count("OK") == 1
    assert clean(stage)


@pytest.mark.parametrize("row", ["orders", "payments"])
def test_a_locked_order_or_payment_holds_up_only_its_own_case(stage: Stage, row: str) -> None:
    stage.hand_in(DP, ("a", dp("held")), ("b", dp("free")))
    receipts = stage.exchange()
    with locked(stage, f"SELECT 1 FROM {row} AS r JOIN cases AS c USING (case_no) WHERE c.case_id = %s FOR UPDATE OF r", "held"):
        assert sorted(stage.settle(receipts)) == [Verdict.ACCEPTED, Verdict.DEFERRED]
        assert resumed(stage) == 0
        assert stage.said("b")[-1] == "OK"
    assert resumed(stage) == 1
    assert stage.said("a")[-1] == "OK"
    assert clean(stage)


@pytest.mark.parametrize("fault", ["taken_at = now()", "taken_at = NULL"])
def test_the_check_finds_what_waited_and_is_nowhere_or_is_there_twice(stage: Stage, fault: str) -> None:
    stage.hand_in(DP, ("a", dp("held")))
    with locked(stage, CASE, "held"):
        stage.hand_in(DP, ("b", dp("held", 600)))
    if fault == "taken_at = NULL":
        resumed(stage)
    stage.finish()
    assert clean(stage)
    stage.connection.execute(f"UPDATE deferred SET {fault}".encode())
    assert {each.kind for each in check(stage.conninfo).differences} == {"orphan"}


def test_what_waits_is_among_the_figures_until_it_is_handled(stage: Stage) -> None:
    from kvitt.ops.figures import read_figures

    stage.hand_in(DP, ("a", dp("held")))
    receipts = stage.exchange()
    with locked(stage, CASE, "held"):
        stage.settle(receipts)
        stage.hand_in(DP, ("b", dp("held", 600)))
        waits = read_figures(stage.connection, stage.clock(), embedded_log=True).deferred
        assert (waits.messages, waits.receipts, waits.oldest is not None) == (1, 1, True)
    resumed(stage)
    waits = read_figures(stage.connection, stage.clock(), embedded_log=True).deferred
    assert (waits.messages, waits.receipts, waits.oldest) == (0, 0, None)
