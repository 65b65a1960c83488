"""The workers of a hub are one: they wake each other, and what they have counted is added up and never goes down."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socketpair
from threading import Thread
from threading import enumerate as enumerate_threads

import pytest

from kvitt import logs
from kvitt.app.work_order import WorkOrder, decoded, encoded
from kvitt.config import load_settings
from kvitt.kernel.loop import WakeLine
from kvitt.kernel.metrics import METRICS, Counted, Counters
from kvitt.ops.metrics import role_works
from kvitt.ops.readiness import Condition, RoleState, WorkerBoard, WorkerReport
from support.patience import PATIENCE_SECONDS, until

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def lines() -> Iterator[tuple[WakeLine, WakeLine]]:
    """The lines of two processes."""
    with ExitStack() as opened:
        ends = [[opened.enter_context(end) for end in socketpair(AF_UNIX, SOCK_DGRAM)] for _ in range(2)]
        yield WakeLine(ends[0][0], [ends[1][1]]), WakeLine(ends[1][0], [ends[0][1]])
        before = [thread for thread in enumerate_threads() if thread.name == "wake-ups"]
        for _, says in ends:
            says.send(b"")
        for thread in before:
            thread.join()


def test_who_notifies_wakes_the_same_loop_in_every_process_and_no_other(lines: tuple[WakeLine, WakeLine]) -> None:
    (orders, outbox), (their_orders, their_outbox) = ([line.wake_up(), line.wake_up()] for line in lines)
    lines[1].listen()
    sleeper = Thread(target=their_outbox.sleep, args=(PATIENCE_SECONDS,))
    sleeper.start()
    outbox.notify()
    sleeper.join()
    assert outbox._event.is_set()
    assert not orders._event.is_set()
    assert not their_orders._event.is_set()


def test_a_process_that_does_not_listen_holds_up_nobody(lines: tuple[WakeLine, WakeLine]) -> None:
    orders, theirs = (line.wake_up() for line in lines)
    for _ in range(10_000):
        orders.notify()
    lines[1].listen()
    until(theirs._event.is_set)


def test_an_order_says_all_settings_to_a_worker(tmp_path: Path) -> None:
    file = tmp_path / "kvitt.toml"
    file.write_text(
        '[kafka]\nbootstrap = "b:1"\n[kafka.client]\n"sasl.password" = "p"\n[reconciliation]\nat = 07:00:00\nfirst_day = 2026-01-02\n'
        '[rest.rates.one]\ncalls_per_second = 2.5\nburst = 7\n[thrift]\nkey_file = "/k"\n[simulation.checks.AAP]\npolicy = "warn"\n'
    )
    settings = load_settings(file)
    order = WorkOrder(2, "owner", "conninfo", settings, ["intake"], logs.LogTerms(tmp_path, "info", logs.LogForm.JSON), 3, [4, 5])
    assert decoded(encoded(order)) == order
    assert encoded(order).count(b"\n") == 1


def _report(condition: Condition = Condition.WORKS, messages: int = 0) -> WorkerReport:
    counters = Counters()
    counters.add(Counted.MESSAGES, "AAP", "derived", times=messages)
    counters.batch("submit", max(messages, 1))
    counters.took("step", 0.2)
    return WorkerReport((RoleState("intake", condition, NOW, NOW),), counters.tally())


def _messages(board: WorkerBoard) -> int:
    return sum(each.times for each in board.counted().counts() if each.labels == ("AAP", "derived"))


def test_counts_of_workers_are_added_up_and_outlive_them() -> None:
    board = WorkerBoard(lambda: NOW, {1: ("intake",), 2: ("intake",)})
    before = _messages(board)
    board.reported(1, _report(messages=3))
    board.reported(2, _report(messages=4))
    assert _messages(board) == before + 7
    board.ended(1, "SIGKILL")
    assert _messages(board) == before + 7
    board.reported(1, _report(messages=2))
    assert _messages(board) == before + 9
    own = METRICS.tally()
    batches = next(each for each in board.counted().batches() if each.step == "submit")
    assert batches.total - sum(each.total for each in own.batches if each.step == "submit") == 9
    assert sum(board.counted().durations("step").times) == 3


def test_the_whole_is_ready_only_when_each_worker_is() -> None:
    now = [NOW]
    board = WorkerBoard(lambda: now[0], {1: ("intake",), 2: ("intake", "relay")})
    assert {each.condition for each in board.states()} == {Condition.BEGINS}
    board.reported(1, _report())
    assert [(each.worker, each.role, each.condition) for each in board.states()] == [
        (1, "intake", Condition.WORKS),
        (2, "intake", Condition.BEGINS),
        (2, "relay", Condition.BEGINS),
    ]
    assert {sample.labels["role"]: sample.value for sample in role_works(board.states()).samples} == {"intake": 0.0, "relay": 0.0}
    board.reported(2, _report())
    board.ended(1, "SIGKILL")
    (ended, other) = board.states()
    assert (ended.condition, ended.fault, ended.named, other.condition) == (
        Condition.STARTS_ANEW,
        "SIGKILL",
        "intake of worker 1",
        Condition.WORKS,
    )
    now[0] += timedelta(minutes=2)
    assert board.states()[1].condition is Condition.SILENT
