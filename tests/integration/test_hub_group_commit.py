"""Group commit keeps the order of a lane, bounds what waits, and tells every caller what became of its command."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import pytest

from kvitt.kernel.group_commit import ENOUGH, HEAVY, GroupCommit, GroupCommitClosed
from support.patience import PATIENCE_SECONDS, until

Execute = Callable[[Sequence[int]], Sequence[int]]


class Gate:
    """An `execute` that stands still until it is let go, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, batch: Sequence[int]) -> Sequence[int]:
        self.entered.release()
        self.go.acquire()
        self.batches.append(list(batch))
        return [10 * command for command in batch]


def at_once(batch: Sequence[int]) -> Sequence[int]:
    return [10 * command for command in batch]


def commit(execute: Execute, *, lanes: int = 1, max_batch: int = 128, max_waiting: int = 1024) -> GroupCommit[int, int]:
    return GroupCommit(lambda _: execute, lanes=lanes, max_batch=max_batch, max_waiting=max_waiting)


def test_what_gathers_behind_a_batch_is_the_next_batch_in_order() -> None:
    gate = Gate()
    writers = commit(gate, max_batch=4)
    first = writers.submit(0)
    gate.entered.acquire()
    rest = [writers.submit(number) for number in range(1, 8)]
    gate.go.release(3)
    assert [future.result() for future in (first, *rest)] == [10 * number for number in range(8)]
    assert gate.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]
    writers.close()


def test_a_batch_is_closed_once_it_is_heavy_and_what_is_heavier_by_itself_is_one() -> None:
    gate = Gate()
    writers = GroupCommit(lambda _: gate, max_batch=4, weigh=lambda command: command * (HEAVY // 10 + 1))
    weights = [1, 4, 5, 1, 30, 1, 1, 1, 1, 1]
    futures = [writers.submit(weights[0])]
    gate.entered.acquire()
    futures += [writers.submit(weight) for weight in weights[1:]]
    gate.go.release(8)
    assert [future.result() for future in futures] == [10 * weight for weight in weights]
    assert gate.batches == [[1], [4, 5, 1], [30], [1, 1, 1, 1], [1]]
    writers.close()


def test_a_caller_waits_while_its_lane_is_full() -> None:
    gate = Gate()
    writers = commit(gate, max_batch=1, max_waiting=2)
    writers.submit(0)
    gate.entered.acquire()
    handed_in: queue.Queue[Future[int]] = queue.Queue()

    def hand_in() -> None:
        for number in range(1, 4):
            handed_in.put(writers.submit(number))

    caller = threading.Thread(target=hand_in)
    caller.start()
    until(lambda: handed_in.qsize() == 2)
    assert caller.is_alive()
    gate.go.release(4)
    caller.join()
    assert [handed_in.get().result() for _ in range(3)] == [10, 20, 30]
    writers.close()


def test_a_batch_that_fails_tells_each_of_its_callers_and_the_next_one_goes_on() -> None:
    gate = Gate()

    def execute(batch: Sequence[int]) -> Sequence[int]:
        results = gate(batch)
        if 1 in batch:
            raise OverflowError("one")
        return results

    writers = commit(execute, max_batch=2)
    first = writers.submit(0)
    gate.entered.acquire()
    bad, neighbour, good = (writers.submit(number) for number in (1, 2, 3))
    gate.go.release(3)
    assert first.result() == 0
    for future in (bad, neighbour):
        with pytest.raises(OverflowError, match="one"):
            future.result()
    assert good.result() == 30
    writers.close()


def test_a_writer_that_forgets_a_result_tells_its_callers_and_lives_on() -> None:
    writers = commit(lambda batch: [] if 1 in batch else at_once(batch), max_batch=1)
    with pytest.raises(ValueError, match="result"):
        writers.submit(1).result(timeout=PATIENCE_SECONDS)
    assert writers.submit(2).result(timeout=PATIENCE_SECONDS) == 20
    writers.close()


def test_closing_executes_what_was_handed_in_and_refuses_what_comes_after() -> None:
    gate = Gate()
    writers = commit(gate, max_batch=2)
    futures = [writers.submit(number) for number in range(5)]
    closing = threading.Thread(target=writers.close)
    closing.start()
    gate.go.release(5)
    closing.join()
    assert [future.result(timeout=PATIENCE_SECONDS) for future in futures] == [0, 10, 20, 30, 40]
    with pytest.raises(GroupCommitClosed):
        writers.submit(9)


def test_no_caller_is_left_without_an_answer_however_closing_and_handing_in_meet() -> None:
    for _ in range(50):
        writers = commit(at_once, lanes=2, max_batch=3, max_waiting=2)
        futures: list[Future[int]] = []

        def hand_in(writers: GroupCommit[int, int] = writers, futures: list[Future[int]] = futures) -> None:
            for number in range(1000):
                try:
                    futures.append(writers.submit(number, number))
                except GroupCommitClosed:
                    return

        callers = [threading.Thread(target=hand_in) for _ in range(3)]
        for caller in callers:
            caller.start()
        until(lambda futures=futures: len(futures) > 20)  # type: ignore[misc]
        writers.close()
        for caller in callers:
            caller.join(timeout=PATIENCE_SECONDS)
            assert not caller.is_alive()
        assert all(future.result(timeout=PATIENCE_SECONDS) is not None for future in futures)


def test_lanes_do_not_wait_for_each_other() -> None:
    gate = Gate()
    executes: list[Execute] = [gate, at_once]
    writers: GroupCommit[int, int] = GroupCommit(lambda lane: executes[lane], lanes=2)
    held = writers.submit(1, lane=0)
    assert writers.submit(2, lane=1).result() == 20
    assert not held.done()
    gate.go.release()
    assert held.result() == 10
    writers.close()


def test_callers_who_crowd_are_gathered_until_there_are_enough_and_one_alone_never_waits() -> None:
    gate, batches = Gate(), list[int]()

    def execute(batch: Sequence[int]) -> Sequence[int]:
        batches.append(len(batch))
        return gate(batch)

    writers = GroupCommit(lambda _: execute, max_batch=64, interval_seconds=3600.0)
    gate.go.release(100)
    for number in range(3):
        assert writers.submit(number).result(timeout=PATIENCE_SECONDS) == 10 * number
    assert batches == [1, 1, 1]
    gate.go = threading.Semaphore(0)
    first = writers.submit(0)
    until(lambda: batches == [1, 1, 1, 1])
    crowd = [writers.submit(number) for number in range(3)]
    gate.go.release(100)
    assert [each.result(timeout=PATIENCE_SECONDS) for each in (first, *crowd)] == [0, 0, 10, 20]
    waiting = [writers.submit(number) for number in range(ENOUGH - 1)]
    assert not any(each.done() for each in waiting)
    last = writers.submit(99)
    assert [each.result(timeout=PATIENCE_SECONDS) for each in (*waiting, last)] == [*range(0, 10 * ENOUGH - 10, 10), 990]
    assert batches[4:] == [3, ENOUGH]
    left = [writers.submit(number) for number in range(2)]
    writers.close()
    assert [each.result(timeout=PATIENCE_SECONDS) for each in left] == [0, 10]
