"""A large ledger: whether the rate stays when very many postings are there, and how fast and in how much memory all of them are checked.

KVITT_BENCH_POSTINGS says how many (10000000 takes minutes and 12 GB of disk); the default is small enough for a run of a minute.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from msgspec import Struct

from bench.ledger_load import measure, writers
from bench.ledger_shapes import close_to_real
from bench.place import Place
from bench.processes import peak_mib
from bench.report import Durability, Figure, Target, report, rounded
from bench.size import Size
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load

LEAST_RATIO = 0.8
LEAST_CHECKED_PER_SECOND = 200_000
MOST_MEMORY_RATIO = 1.25
_FEW_STORED = 10_000
_FEW, _MANY = 10, 10_000
_POSTINGS_PER_PLAN = 3
_WARMING = 1_000
_FULL_ROOMS = 5_000_000
_LOOK_SECONDS = 0.25
_SQL = load("ledger_fill", package="bench")
_STEPS = (_SQL.make_accounts, _SQL.make_plans, _SQL.make_postings, _SQL.make_steps, _SQL.make_entries, _SQL.number_on)


class Checked(Struct, frozen=True):
    """What a check took: seconds, the most memory of its process, and the most that all servers' processes for it had of their own."""

    seconds: float
    mib: float
    server_mib: float


def fill(conninfo: str, postings: int) -> None:
    """Stores so many postings, three to a plan, with everything that committed plans leave behind; the check finds nothing wrong."""
    with connect(conninfo, application="kvitt bench") as connection:
        arguments = {"few": _FEW, "many": _MANY, "plans": postings // _POSTINGS_PER_PLAN}
        with connection.transaction():
            for statement in _STEPS:
                connection.execute(statement, arguments)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def rate(conninfo: str, size: Size, turn: int) -> float:
    """Transfers per second beside what is stored."""
    with writers(conninfo) as group:
        accounts = range(1, 2 * _FEW + _MANY + 1)
        measure(group, close_to_real(accounts, _WARMING, f"warm{turn}"))
        return measure(group, close_to_real(accounts, size.transfers, f"r{turn}")).per_second


def _check(conninfo: str, answer: Connection) -> None:
    started = time.perf_counter()
    report = check(conninfo, PORTS)
    answer.send((time.perf_counter() - started, report.differences, peak_mib()))


def _processes_of(postmaster: int) -> list[Path]:
    """Where the system tells of a server and its children."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    return [Path("/proc") / number for number in (str(postmaster), *children)]


def _server_mib(postmaster: int) -> float:
    """The memory of all processes of a server; what they share counts once."""
    found = 0
    for process in _processes_of(postmaster):
        try:
            lines = (process / "smaps_rollup").read_text(encoding="ascii").splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        found += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found / 1024


def _postmaster(conninfo: str) -> int:
    with connect(conninfo, application="kvitt bench") as connection:
        lines = Path(f"/proc/{connection.info.backend_pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))


@contextmanager
def _watched_server(seen: list[float], conninfo: str) -> Iterator[None]:
    stop, postmaster = threading.Event(), _postmaster(conninfo)

    def look() -> None:
        while not stop.wait(_LOOK_SECONDS):
            seen.append(_server_mib(postmaster))

    thread = threading.Thread(target=look, name="watch")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def checked(conninfo: str) -> Checked:
    """Checks in a process of its own, while the memory of the server's processes is watched."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_check, args=(conninfo, there), daemon=True)
    seen = [0.0]
    with _watched_server(seen, conninfo):
        process.start()
        there.close()  # so that a check that dies is an EOFError here and not a standstill
        seconds, differences, mib = here.recv()
        process.join()
    assert not differences, differences[:3]
    return Checked(seconds, mib, max(seen))


def _tell_check(few: Checked, all_of_them: Checked, postings: int, durability: Durability) -> None:
    on = f"{postings} postings"
    per_second = postings / all_of_them.seconds
    rate_asked = Target(least=LEAST_CHECKED_PER_SECOND)
    report(Figure(name="ledger check", value=rounded(per_second), unit="postings/s", on=on, target=rate_asked, durability=durability))
    # Below a million the rooms for sorting and joining are not full yet, so that more postings do take more memory.
    target = Target(most=MOST_MEMORY_RATIO) if postings >= _FULL_ROOMS else None
    for name, small, large in (("process", few.mib, all_of_them.mib), ("server", few.server_mib, all_of_them.server_mib)):
        ratio = rounded(large / small)
        on = f"{postings} postings, {large:.0f} MiB at most"
        baseline = f"a tenth of them, {small:.0f} MiB"
        report(
            Figure(
                name=f"ledger check, memory of the {name}",
                value=ratio,
                unit="times",
                on=on,
                baseline=baseline,
                target=target,
                durability=durability,
            )
        )


def _tell_rates(rates: list[tuple[float, float]], postings: int, durability: Durability) -> None:
    best_few, best_many = (max(column) for column in zip(*rates, strict=True))
    report(
        Figure(
            name="large ledger",
            value=rounded(best_many / best_few),
            unit=f"of the rate beside {_FEW_STORED} postings",
            on=f"{postings} postings, {best_many:.0f} transfers/s against {best_few:.0f}/s",
            samples=[rounded(large / small) for small, large in rates],
            target=Target(least=LEAST_RATIO),
            durability=durability,
        )
    )


def run(place: Place, size: Size) -> None:
    """Transfers of three postings beside ten thousand stored ones and beside very many, in turn; then the check of all."""
    postings = int(os.environ.get("KVITT_BENCH_POSTINGS", size.postings))
    durability = place.durability()
    with place.database() as conninfo:
        fill(conninfo, postings // 10)
        tenth = checked(conninfo)
    with place.database() as few, place.database() as many:
        fill(few, _FEW_STORED)
        fill(many, postings)
        rates = [(rate(few, size, turn), rate(many, size, turn)) for turn in range(size.rounds)]
        _tell_rates(rates, postings, durability)
        with connect(many, application="kvitt bench") as connection:
            row = connection.execute("SELECT count(*) FROM ledger.postings").fetchone()
        assert row, "a count is always given"
        _tell_check(tenth, checked(many), int(str(row[0])), durability)
