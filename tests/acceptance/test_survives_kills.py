"""The hub survives the loss of its process, of its database and of both, at every place that is hard and at any moment.

KVITT_KILLS says how often it is killed (by default at every place at its first visit, at places of all parts at a later one, and in every
other way; more go on with later visits of every place and all other ways again and again), KVITT_SOAK_SECONDS ends the killing after that
time, KVITT_SEED makes another sequence, KVITT_SOAK_RESUMES_SECONDS says within which time work has to go on after each kill, on a machine
that does nothing else. Afterwards every message is answered exactly once and the rail pays exactly what was accepted last.
"""

import os
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from random import Random
from statistics import median

import pytest

from kvitt.kernel.database import connect
from kvitt.kernel.fault_points import FAULT_POINTS
from kvitt.kernel.postgres import running_server
from kvitt.kernel.postgres.leftovers import end_leftovers
from kvitt.kernel.postgres.server import Places
from kvitt.rails.oppdrag.emulator import set_faults
from support.kill_harness import Child, Resumed, Watch, watching
from support.kill_harness_load import TROUBLE, EmbeddedLog, Feeder, Script
from support.kill_harness_proof import prove, published_in_log
from support.patience import until

OTHER_WAYS = ("any moment", "any moment", "database", "any moment", "both")
PLACES_IN_TURN = 4
IN_TURN = tuple(place for first in range(3) for place in FAULT_POINTS[first::3])
"""The places in an order in which each few that follow each other are of all parts of the hub."""
KILLS = int(os.environ.get("KVITT_KILLS", str(len(FAULT_POINTS) + PLACES_IN_TURN + len(OTHER_WAYS))))
SOAK_SECONDS = float(os.environ.get("KVITT_SOAK_SECONDS", "inf"))
SEED = int(os.environ.get("KVITT_SEED", "1"))
RESUMES_SECONDS = float(os.environ.get("KVITT_SOAK_RESUMES_SECONDS", "inf"))


def deaths(chance: Random) -> Iterator[str]:
    """How to kill, one after the other, for ever: each place at its first visit, then all kinds in turn."""
    yield from (f"{place}:1" for place in FAULT_POINTS)
    places = cycle(IN_TURN)
    while True:
        yield from (f"{next(places)}:{chance.randint(2, 12)}" for _ in range(PLACES_IN_TURN))
        yield from OTHER_WAYS


class Killer:
    """Starts the hub again and again, kills it as asked, and notes how soon each new one works."""

    def __init__(self, data: Path, log: Path, watch: Watch) -> None:
        self.resumed: list[Resumed] = []
        self._data, self._log, self._watch = data, log, watch
        self._chance = Random(SEED)

    def kill(self, how: str) -> None:
        """One life of the hub, and its end."""
        child = Child(self._data, self._log, how if ":" in how else "")
        try:
            if ":" in how:
                self._await_progress(child, f"start, to die at {how}", self._progress())
                child.await_death()
                return
            self._await_progress(child, "start", self._progress())
            self._await_more(child, self._chance.randrange(300))
            if how in ("database", "both"):
                before, at = self._progress(), time.monotonic()
                child.kill_database()
                if how == "database":
                    until(
                        lambda: child.is_dead or (self._progress() or 0) > (before or 0), what="no progress after the database was killed"
                    )
                    self.resumed.append(Resumed("the database was killed", time.monotonic() - at))
            assert not child.is_dead, f"the hub ended by itself, see {self._log.read_text()[-3000:]}"
        finally:
            child.kill()

    def _progress(self) -> int | None:
        return self._watch.progress()

    def _await_progress(self, child: Child, after: str, before: int | None) -> None:
        """Notes when the new process has committed something; one that is to die may do so before it has."""
        # Nobody can tell the number while there is no server; then the first one that is told is where it stood.
        stood = [before]

        def has_moved() -> bool:
            now = self._progress()
            stood[0] = now if stood[0] is None else stood[0]
            return child.is_dead or (now is not None and stood[0] is not None and now > stood[0])

        until(has_moved, what=f"no progress after {after}")
        if not child.is_dead:
            self.resumed.append(Resumed(after, child.age_seconds))

    def _await_more(self, child: Child, amount: int) -> None:
        goal = (self._progress() or 0) + amount
        until(lambda: child.is_dead or (self._progress() or 0) >= goal, what="no progress under load")


def prepare(data: Path, log: Path) -> None:
    """The first life of the hub, in which the rail is set to make trouble."""
    child = Child(data, log)
    try:
        until(lambda: running_server(data) or child.is_dead, what="the hub did not start")
        conninfo = running_server(data)
        assert conninfo, log.read_text()[-3000:]
        with connect(conninfo) as connection:
            for query in ("SELECT to_regclass('rail.faults') IS NOT NULL", "SELECT count(*) > 0 FROM log_partitions"):
                until(lambda query=query: connection.execute(query).fetchone() == (True,))  # type: ignore[misc]
            set_faults(connection, TROUBLE)
    finally:
        child.kill()


@pytest.fixture
def hub_data(data_dir: Path) -> Iterator[Path]:
    """A data directory whose server is gone in the end, whatever was killed last."""
    data = data_dir / "hub"
    yield data
    places = Places(data / "postgres")
    if places.cluster.exists():
        end_leftovers(places.cluster, places.sockets)


@pytest.mark.timeout(0 if KILLS > 1000 else 1800)
def test_nothing_is_lost_or_doubled_however_often_it_is_killed(hub_data: Path, tmp_path: Path) -> None:
    data, log = hub_data, tmp_path / "hub.log"
    prepare(data, log)
    feeder, began, kills = Feeder(EmbeddedLog(data), Script(SEED).batch), time.monotonic(), 0
    feeder.start()
    try:
        with watching(data) as watch:
            killer = Killer(data, log, watch)
            for how in islice(deaths(Random(SEED)), KILLS):
                killer.kill(how)
                kills += 1
                if time.monotonic() - began > SOAK_SECONDS:
                    break
        print(f"{kills} kills, {len(feeder.fed)} messages, {time.monotonic() - began:.0f} s")
        _prove_after_all(data, log, feeder)
    finally:
        feeder.abandon()
    slowest = max(killer.resumed, key=lambda resumed: resumed.seconds)
    print(f"work went on after {median(each.seconds for each in killer.resumed):.2f} s in the median; slowest: {slowest}")
    assert slowest.seconds <= RESUMES_SECONDS


def _prove_after_all(data: Path, log: Path, feeder: Feeder) -> None:
    """A last life without a kill, in which everything that was fed is answered."""
    child = Child(data, log)
    try:
        feeder.stop()
        with watching(data) as watch:
            open_ends = """SELECT (SELECT count(*) FROM messages WHERE state = 'answered')
                                - (SELECT count(*) FROM unpublished)
                                - (SELECT count(*) FROM queue.message WHERE consumed_at IS NULL)"""
            until(lambda: watch.rows(open_ends) == [(len(feeder.fed),)], what="not everything was answered")
        conninfo = running_server(data)
        assert conninfo
        prove(conninfo, feeder.fed, published_in_log(conninfo))
        assert child.end() == 0
    finally:
        child.kill()
