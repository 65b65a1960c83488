"""Callers of the ledger in several processes with several threads each, every one on a connection of its own."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

from kvitt.kernel.database import connect
from kvitt.ledger.calls import Call
from kvitt.ledger.post import LedgerWriter
from support.ledger_stage import clock
from support.patience import PATIENCE_SECONDS

PROCESSES, THREADS = 2, 4
CALLERS = PROCESSES * THREADS
Script = Sequence[Sequence[Call]]
"""What a caller does: transaction after transaction."""

_together: list[Barrier] = []


def _remember(barrier: Barrier) -> None:
    _together.append(barrier)


def _play(conninfo: str, script: Script, in_step: bool) -> list[list[object]]:
    answers: list[list[object]] = []
    with connect(conninfo, application="kvitt crowd") as connection:
        post = LedgerWriter(connection, clock).execute
        for batch in script:
            if in_step:
                _together[0].wait(PATIENCE_SECONDS)
            answers.append(list(post(batch)))
    return answers


def _play_all(conninfo: str, scripts: Sequence[Script], in_step: bool) -> list[list[list[object]]]:
    with ThreadPoolExecutor(len(scripts)) as pool:
        return list(pool.map(lambda script: _play(conninfo, script, in_step), scripts))


class Crowd:
    """Eight callers in two processes."""

    def __init__(self, pool: ProcessPoolExecutor, conninfo: str) -> None:
        self._pool, self._conninfo = pool, conninfo

    def play(self, scripts: Sequence[Script], *, in_step: bool) -> list[list[list[object]]]:
        """What each caller was answered, per transaction. In step: the n-th transactions of all are let go at the same moment."""
        parts = [self._pool.submit(_play_all, self._conninfo, scripts[number::PROCESSES], in_step) for number in range(PROCESSES)]
        answers = [part.result() for part in parts]
        return [answers[number % PROCESSES][number // PROCESSES] for number in range(len(scripts))]


@contextmanager
def crowd(conninfo: str) -> Iterator[Crowd]:
    """The processes, for as long as the block runs."""
    context = get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, initializer=_remember, initargs=(context.Barrier(CALLERS),)) as pool:
        yield Crowd(pool, conninfo)
