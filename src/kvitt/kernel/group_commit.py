"""Group commit: callers hand in commands, a writer executes whatever has gathered in one transaction (design §4).

At low load a command costs one commit; at high load a commit carries a batch. Queues are bounded: who hands in faster than
the database takes waits. Where callers crowd, batches may begin at intervals: what a batch costs however small it is, is paid less often.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import accumulate, islice
from typing import Any, Final, Generic, TypeVar

Command = TypeVar("Command")
Result = TypeVar("Result")
Weigh = Callable[[Command], int]
HEAVY: Final = 4 << 20
"""A batch of this weight is closed: the slowest that is handled takes seconds for so many bytes, and a transaction has an end."""
_CROWD: Final = 3
"""So many commands in one batch are of callers that crowd."""
ENOUGH: Final = 16
"""So many commands do not wait for more."""


async def settled(future: "Future[Any]") -> Any:
    """Waits, in an event loop, for the result of a command that was handed in. Raises the exception that is its result."""
    result = await asyncio.wrap_future(future)
    if isinstance(result, Exception):
        raise result
    return result


class GroupCommitClosed(Exception):
    """The group commit was closed; nothing of this command was done."""


class _Lane(Generic[Command, Result]):
    """One writer thread with what waits for it; commands of a lane are executed in the order in which they came."""

    def __init__(
        self,
        execute: Callable[[Sequence[Command]], Sequence[Result]],
        name: str,
        max_batch: int,
        max_waiting: int,
        *,
        interval_seconds: float,
        weigh: Weigh[Command] | None,
    ) -> None:
        self._execute, self._max_batch, self._max_waiting, self._interval = execute, max_batch, max_waiting, interval_seconds
        self._weigh = weigh
        self._enough = min(ENOUGH, max_batch)
        self._began, self._crowds = 0.0, False
        self._waiting: deque[tuple[Command, Future[Result]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, command: Command) -> Future[Result]:
        future: Future[Result] = Future()
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < self._max_waiting)
            if self._closed:
                raise GroupCommitClosed
            self._waiting.append((command, future))
            if len(self._waiting) in (1, self._enough):
                self._changed.notify_all()
        return future

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _gather(self) -> list[tuple[Command, Future[Result]]]:
        """Returns what waits, up to a batch, taken under one lock; waits for the first; nothing once the lane is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            if self._crowds and (left := self._began + self._interval - time.monotonic()) > 0:
                self._changed.wait_for(lambda: self._closed or len(self._waiting) >= self._enough, left)
            self._began = time.monotonic()
            batch = [self._waiting.popleft() for _ in range(self._fit())]
            self._crowds = len(batch) >= _CROWD
            self._changed.notify_all()
        return batch

    def _fit(self) -> int:
        """How many of those that wait make a batch: one at least, and no more once they are heavy enough."""
        most = min(len(self._waiting), self._max_batch)
        if self._weigh is None:
            return most
        weights = accumulate(self._weigh(command) for command, _ in islice(self._waiting, most))
        return next((count for count, weight in enumerate(weights, 1) if weight >= HEAVY), most)

    def _run(self) -> None:
        while batch := self._gather():
            # Whoever gave up while it waited is left out; from here on nobody can.
            batch = [(command, future) for command, future in batch if future.set_running_or_notify_cancel()]
            if not batch:
                continue
            futures = [future for _, future in batch]
            try:
                results = self._execute([command for command, _ in batch])
                if len(results) != len(batch):
                    raise ValueError(f"{len(batch)} commands gave {len(results)} results")  # noqa: TRY301 - reported like any failure
            except Exception as error:  # noqa: BLE001 - every caller of the batch hears of it, so the failure is not lost
                for future in futures:
                    future.set_exception(error)
                continue
            for future, result in zip(futures, results, strict=True):
                future.set_result(result)


class GroupCommit(Generic[Command, Result]):
    """Lanes of commands, each with its own writer; `execute` runs a batch in one transaction and returns one result per command.

    `make_execute` is called once per lane, so that each writer can have a connection of its own.
    """

    def __init__(
        self,
        make_execute: Callable[[int], Callable[[Sequence[Command]], Sequence[Result]]],
        *,
        lanes: int = 1,
        max_batch: int = 128,
        max_waiting: int = 1024,
        name: str = "writer",
        interval_seconds: float = 0.0,
        weigh: Weigh[Command] | None = None,
    ) -> None:
        """`interval_seconds`: from one batch to the next, while callers crowd and there are fewer than ENOUGH commands.

        `weigh` says how heavy a command is; a batch is closed once it weighs HEAVY.
        """
        self._lanes = [
            _Lane(make_execute(lane), f"{name}-{lane}", max_batch, max_waiting, interval_seconds=interval_seconds, weigh=weigh)
            for lane in range(lanes)
        ]

    def submit(self, command: Command, lane: int = 0) -> "Future[Result]":
        """Hands in a command; blocks while the lane is full. Raises GroupCommitClosed after `close`. Equal `lane` means kept order.

        The future may be cancelled as long as the command waits; then it is not done.
        """
        return self._lanes[lane % len(self._lanes)].submit(command)

    def close(self) -> None:
        """Executes what waits, then ends the writers."""
        for lane in self._lanes:
            lane.close()
