"""A circle of accounts, each giving 1000 to the next, ends at 0/0/0 though ledger and PostgreSQL are killed meanwhile (payouts §4.8).

KVITT_CIRCLE says how many accounts (40000 is the contract's), KVITT_CIRCLE_KILLS how often something is killed, KVITT_SEED makes another
sequence of kills. Every call is made again until it is answered, as a caller must.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from random import Random

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.kernel.database import connect
from kvitt.kernel.postgres.leftovers import end_leftovers
from kvitt.kernel.postgres.server import Places
from kvitt.ledger.post import LedgerWriter
from support import ledger_circle_server
from support.ledger_stage import clock, made

ACCOUNTS = int(os.environ.get("KVITT_CIRCLE", "300"))
KILLS = int(os.environ.get("KVITT_CIRCLE_KILLS", "8"))
SEED = int(os.environ.get("KVITT_SEED", "1"))
CALLERS = max(8, min(256, ACCOUNTS // 20))
MADE_AT_ONCE = 1000
PLACES = ("ledger.before_commit", "ledger.after_commit")


class Server:
    """One life of the process that serves the ledger; `die_at` names a place and a visit at which it kills itself."""

    def __init__(self, data: Path, log: Path, die_at: str = "") -> None:
        self._data = data
        environment = {**os.environ, "KVITT_DIE_AT": die_at, "KVITT_LOG_LEVEL": "warning"}
        command = [sys.executable, ledger_circle_server.__file__, str(data)]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
            )
        self.conninfo = self.line()

    def line(self) -> str:
        """The next whole line that it tells; empty when it is gone."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        return line.removesuffix("\n") if line.endswith("\n") else ""

    def give(self, line: str) -> None:
        """Hands in a call, which is lost if the process is gone."""
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{line}\n")
        except BrokenPipeError:
            return

    def kill(self) -> None:
        """SIGKILL to the process."""
        self._process.kill()

    def kill_database(self) -> None:
        """SIGKILL to the postmaster below it, if there is one at this moment."""
        pid_file = self._data / "postgres" / "cluster" / "postmaster.pid"
        if pid_file.exists():
            os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)

    def bury(self) -> None:
        """Waits until it is gone."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was not written any more is asked again


class Circle:
    """The callers: which calls wait for an answer, and which come next."""

    def __init__(self, accounts: Sequence[int]) -> None:
        size = len(accounts)
        self._ahead = deque(f"circle.{n} {accounts[n]} {accounts[(n + 1) % size]}" for n in range(size))
        self.waiting: dict[str, None] = {}
        self.answered = self.again = 0

    def begin(self, server: Server) -> None:
        """Makes every call that waits once more, to a new server, and lets idle callers begin."""
        for call in list(self.waiting):
            server.give(call)
        while self._ahead and len(self.waiting) < CALLERS:
            self._make(server, f"HOLD {self._ahead.popleft()}")

    def _make(self, server: Server, call: str) -> None:
        self.waiting[call] = None
        server.give(call)

    def take(self, server: Server, published: str) -> None:
        """Goes on after an answer."""
        outcome, _, call = published.partition(" ")
        if outcome == "again":
            self.again += 1
            server.give(call)
            return
        assert outcome == "ok", published
        del self.waiting[call]
        self.answered += 1
        operation, _, transfer = call.partition(" ")
        if operation == "HOLD":
            self._make(server, f"COMMIT {transfer}")
        elif self._ahead:
            self._make(server, f"HOLD {self._ahead.popleft()}")


def deaths(chance: Random) -> Iterator[tuple[int, str]]:
    """After how many answers what is killed; after them nothing is."""
    calls = 2 * ACCOUNTS
    ways = ["ledger", "database", "both", *(f"{place}:{visit}" for place in PLACES for visit in (1, 2))]
    chance.shuffle(ways)
    yield from zip(sorted(chance.sample(range(calls // 20, calls - 1), KILLS)), cycle(ways))
    yield calls + 1, "nothing"


def strike(server: Server, how: str) -> bool:
    """Kills what it says; True when the process is dead now. One that shall die at a place of its own choice is the next one."""
    if how in ("database", "both"):
        server.kill_database()
    if how != "database":
        server.kill()
    return how != "database"


@pytest.fixture
def ledger_data(data_dir: Path) -> Iterator[Path]:
    """A data directory whose server is gone in the end, whatever was killed last."""
    data = data_dir / "ledger"
    yield data
    places = Places(data / "postgres")
    if places.cluster.exists():
        end_leftovers(places.cluster, places.sockets)


def first_life(data: Path, log: Path) -> list[int]:
    """The accounts, made while nothing is killed."""
    server = Server(data, log)
    try:
        assert server.conninfo, log.read_text()[-3000:]
        with connect(server.conninfo) as connection:
            post = LedgerWriter(connection, clock).execute
            return [each for start in range(0, ACCOUNTS, MADE_AT_ONCE) for each in made(post, min(MADE_AT_ONCE, ACCOUNTS - start))]
    finally:
        server.bury()


@pytest.mark.timeout(0 if ACCOUNTS > 1000 else 1800)
def test_a_circle_ends_at_zero_however_often_the_ledger_and_its_database_are_killed(ledger_data: Path, tmp_path: Path) -> None:
    log = tmp_path / "ledger.log"
    circle = Circle(first_life(ledger_data, log))
    dying = deaths(Random(SEED))
    kills: Counter[str] = Counter()
    began = time.monotonic()
    server = Server(ledger_data, log)
    die_at, is_doomed = "", False
    try:
        circle.begin(server)
        at, how = next(dying)
        while circle.waiting:
            if published := server.line():
                circle.take(server, published)
            else:
                server.bury()
                server = Server(ledger_data, log, die_at)
                assert server.conninfo, log.read_text()[-3000:]
                die_at, is_doomed = "", False
                circle.begin(server)
            if circle.answered >= at and not is_doomed:
                is_doomed = strike(server, how)
                die_at = how if ":" in how else ""
                kills[how.partition(":")[0]] += 1
                at, how = next(dying)
        seconds = time.monotonic() - began
        print(f"seed {SEED}: {ACCOUNTS} transfers, kills {dict(kills)}, {circle.again} calls sent back, {seconds:.0f} s")
        assert kills.total() == KILLS
        prove(server.conninfo)
    finally:
        server.bury()


def prove(conninfo: str) -> None:
    """Every transfer was done once, and nobody has more or less than before."""
    with connect(conninfo) as connection:
        totals = "SELECT posted, available_min, available_max, entries, count(*) FROM ledger.accounts GROUP BY 1, 2, 3, 4"
        assert connection.execute(totals).fetchall() == [(0, 0, 0, 4, ACCOUNTS)]
        assert connection.execute("SELECT state, count(*) FROM ledger.plans GROUP BY 1").fetchall() == [("committed", ACCOUNTS)]
    assert check(conninfo, PORTS).differences == ()
