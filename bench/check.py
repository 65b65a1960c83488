"""The check: how fast the whole store is proved from what came in, and what that takes of memory."""

import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

from bench.end_to_end import log_new_cases, wait_until_answered
from bench.place import Place
from bench.processes import hub_process, peak_mib
from bench.report import Figure, report, rounded
from bench.size import Size
from bench.topics import make_log
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.kernel.database import connect


def _check(conninfo: str, answer: Connection) -> None:
    started = time.perf_counter()
    report = check(conninfo, PORTS)
    answer.send((time.perf_counter() - started, report.clean, peak_mib()))


def run(place: Place, size: Size) -> None:
    """Cases of one message each, all the way to their receipts; the check runs in a process of its own, whose peak of memory is shown."""
    count = size.checked_cases
    context = get_context("spawn")
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        make_log(conninfo)
        with hub_process(conninfo):
            log_new_cases(connection, 0, count)
            wait_until_answered(connection, count)
        here, there = context.Pipe()
        process = context.Process(target=_check, args=(conninfo, there), daemon=True)
        process.start()
        there.close()  # so that a check that dies is an EOFError here and not a standstill
        seconds, clean, mib = here.recv()
        process.join()
    assert clean, "what the hub did itself is consistent"
    durability = place.durability()
    report(Figure(name="check", value=rounded(count / seconds), unit="cases/s", on=f"{count} cases", durability=durability))
    report(Figure(name="check, memory", value=rounded(mib), unit="MiB at most", on=f"{count} cases", durability=durability))
