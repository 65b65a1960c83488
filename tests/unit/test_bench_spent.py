"""What a benchmark says was used up is what its processes have used, those included that have ended meanwhile."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context

import pytest
from bench.report import Figure, Target
from bench.spent import Meter, Spent
from bench.table import table

# Works for as many seconds as it reads, in a process that has ended when it answers.
SERVER = """
import os, sys, time
for line in sys.stdin:
    if not (child := os.fork()):
        while time.process_time() < float(line): pass
        os._exit(0)
    os.waitpid(child, 0)
    print(flush=True)
"""
BURNT, TOLERANCE = 0.3, 0.2


@contextmanager
def server() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield process
        process.kill()


def burn(seconds: float) -> None:
    """Uses so much of a processor."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def written() -> int:
    """What a server says that writes nothing."""
    return 5


def work(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    assert process.stdout
    print(BURNT, file=process.stdin, flush=True)
    process.stdout.readline()


def test_what_ended_processes_of_the_server_used_counts_and_what_came_before_does_not() -> None:
    with server() as process:
        work(process)
        meter = Meter(process.pid, written)
        with meter.counting():
            work(process)
        work(process)
    assert meter.spent(1000).server == pytest.approx(BURNT, abs=TOLERANCE)


def test_this_process_is_the_hub_unless_another_one_is_named() -> None:
    with server() as process:
        alone, called = Meter(process.pid, written), Meter(process.pid, written)
        with alone.counting():
            burn(BURNT)
        hub = get_context("spawn").Process(target=time.sleep, args=(60,))
        hub.start()
        with called.counting(hub):
            burn(BURNT)
        hub.kill()
    assert (alone.spent(1000).hub, alone.spent(1000).callers) == (pytest.approx(BURNT, abs=TOLERANCE), 0)
    assert called.spent(1000).callers == pytest.approx(BURNT, abs=TOLERANCE)


def test_spans_add_up_and_are_told_for_a_thousand() -> None:
    with server() as process:
        meter = Meter(process.pid, written)
        for _ in range(2):
            with meter.counting():
                work(process)
    assert meter.spent(500).server == pytest.approx(4 * BURNT, abs=4 * TOLERANCE)


def test_a_table_has_a_row_for_each_figure_with_what_it_was_asked_and_what_it_used() -> None:
    figures = [
        Figure(name="submit", value=4500, unit="messages/s", on="12000 messages", target=Target(least=7500), met=False, ratio=4.5),
        Figure(name="relay", value=9, unit="ms", on="1 | 2", target=Target(most=10), met=True, spent=Spent(0.1, 0, 0.2, 900)),
    ]
    rows = [line for line in table(figures).splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        "| submit | 4500 | messages/s | ≥ 7500, missed | 4.5 |  |  |  |  | 12000 messages |",
        "| relay | 9 | ms | ≤ 10 |  | 0.1 |  | 0.2 | 900 | 1 / 2 |",
    ]
