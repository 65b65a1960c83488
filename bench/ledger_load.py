"""Load on the ledger: many callers at once, each of which waits for the answer to its call before it makes the next one."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from statistics import quantiles

from msgspec import Struct

from bench.ledger_shapes import Transfer
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.group_commit import GroupCommit
from kvitt.ledger.calls import (
    Call,
    Done,
    LedgerCommand,
    LedgerResult,
)
from kvitt.ledger.post import LedgerWriter

CALLERS = 256
Writers = GroupCommit[LedgerCommand, LedgerResult | Exception]


class Taken(Struct, frozen=True):
    """What a round took: transfers per second, and milliseconds per call."""

    per_second: float
    p50_ms: float
    p99_ms: float


@contextmanager
def writers(conninfo: str) -> Iterator[Writers]:
    """One writer with a connection of its own, as a process that serves the ledger has it."""
    with connect(conninfo, application="kvitt bench") as connection:
        group: Writers = GroupCommit(lambda _: LedgerWriter(connection, utc_now).execute, max_batch=512, max_waiting=8192, name="ledger")
        try:
            yield group
        finally:
            group.close()


class Callers:
    """Callers as chains of futures: what comes back sets off the next call, so that no thread has to wait for it."""

    def __init__(self, group: Writers, transfers: Sequence[Transfer]) -> None:
        self._group, self._transfers = group, iter(transfers)
        self._milliseconds: list[float] = []
        self._left = threading.Semaphore(0)
        self._failures: list[object] = []

    def run(self, callers: int = CALLERS) -> list[float]:
        """Milliseconds per call; returns when all transfers are done. Raises AssertionError when one was refused."""
        for _ in range(callers):
            self._begin()
        for _ in range(callers):
            self._left.acquire()
        assert not self._failures, self._failures[:3]
        return self._milliseconds

    def _begin(self) -> None:
        following = next(self._transfers, None)
        if following is None:
            self._left.release()
            return
        self._call(following.hold, lambda: self._call(following.commit, self._begin))

    def _call(self, call: Call, after: Callable[[], None]) -> None:
        began = time.perf_counter()

        def answered(future: "Future[LedgerResult | Exception]") -> None:
            self._milliseconds.append(1000 * (time.perf_counter() - began))
            result = future.exception() or future.result()
            if isinstance(result, Done):
                after()
                return
            self._failures.append(result)
            self._left.release()

        self._group.submit(call).add_done_callback(answered)


def measure(group: Writers, transfers: Sequence[Transfer]) -> Taken:
    """One round of all transfers."""
    gc.collect()
    gc.freeze()  # what waits to be handed in is no part of the ledger, so its collector shall not walk through it
    started = time.perf_counter()
    milliseconds = Callers(group, transfers).run()
    seconds = time.perf_counter() - started
    cuts = quantiles(milliseconds, n=100)
    return Taken(len(transfers) / seconds, cuts[49], cuts[98])
