"""A hub of several workers survives the loss of each of them and of the process that began them, and is one hub to whoever looks.

KVITT_KILLS says how often one of them is killed (by default each once), KVITT_SOAK_SECONDS ends the killing after that time, KVITT_SEED
makes another sequence.
"""

import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from brokers.broker import free_port

from kvitt.app.roles import ROLES
from kvitt.app.workers import Crew, Workers
from kvitt.kernel.database import connect
from kvitt.kernel.postgres import running_server
from kvitt.kernel.postgres.leftovers import end_leftovers
from kvitt.kernel.postgres.server import Places
from kvitt.settings import HttpSettings, OpsSettings, RestSettings, Settings, ThriftSettings
from support.console_script import running
from support.kill_harness import Child, Watch, watching, worker_pids
from support.kill_harness_load import EmbeddedLog, Feeder, Script
from support.kill_harness_proof import prove, published_in_log
from support.patience import PATIENCE_SECONDS, until

WORKERS = 2
KILLS = int(os.environ.get("KVITT_KILLS", str(WORKERS + 1)))
SOAK_SECONDS = float(os.environ.get("KVITT_SOAK_SECONDS", "inf"))
SEED = int(os.environ.get("KVITT_SEED", "7"))
MORE = 40
"""Records taken in or published between two kills."""
_OPEN_ENDS = """SELECT (SELECT count(*) FROM messages WHERE state = 'answered')
                     - (SELECT count(*) FROM unpublished)
                     - (SELECT count(*) FROM queue.message WHERE consumed_at IS NULL)"""


@pytest.fixture
def hub_data(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory whose server is gone in the end, whatever was killed last; hubs on it have several workers."""
    monkeypatch.setenv("KVITT_WORKERS", str(WORKERS))
    data = data_dir / "hub"
    yield data
    places = Places(data / "postgres")
    if places.cluster.exists():
        end_leftovers(places.cluster, places.sockets)


def page(port: int, name: str) -> str | None:
    """A page of the hub; None while it is not ready, or not there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=PATIENCE_SECONDS) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def sums(port: int) -> dict[str, float]:
    """Everything that the hub counts, as it is shown now."""
    lines = re.findall(r"(?m)^((?:kvitt|process)_\w+_(?:total|bucket|count)\S*) (\S+)$", page(port, "metrics") or "")
    return {name: float(value) for name, value in lines}


class Scrapes:
    """What was shown of one life of the hub, look by look: sums that go down fail."""

    def __init__(self, port: int) -> None:
        self.port, self.last = port, dict[str, float]()

    def look(self) -> dict[str, float]:
        now = sums(self.port)
        assert {name: (value, now.get(name)) for name, value in self.last.items() if now.get(name, 0.0) < value} == {}
        self.last = now
        return now


def await_progress(watch: Watch, more: int = MORE) -> None:
    stood: list[int] = []

    def has_moved() -> bool:
        now = watch.progress()
        if now is not None and not stood:
            stood.append(now)
        return now is not None and bool(stood) and now >= stood[0] + more

    until(has_moved, what="no progress under load")


def await_all_workers(port: int) -> None:
    until(lambda: page(port, "isready"), what="the whole did not get ready", every=0.05)


@pytest.mark.timeout(0 if KILLS > 1000 else 900)
def test_each_worker_and_the_first_process_may_be_killed_under_load(
    hub_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, port = tmp_path / "hub.log", free_port()
    monkeypatch.setenv("KVITT_OPS_PORT", str(port))
    feeder = Feeder(EmbeddedLog(hub_data), Script(SEED).batch)
    child = Child(hub_data, log)
    try:
        await_all_workers(port)
        feeder.start()
        with watching(hub_data) as watch:
            scrapes, began = Scrapes(port), time.monotonic()
            for killed in islice(deaths(Random(SEED)), KILLS):
                await_progress(watch)
                scrapes.look()
                if killed:
                    kill_worker(child, killed)
                    await_all_workers(port)
                    assert scrapes.look()[f'kvitt_worker_restarts_total{{worker="{killed}"}}'] >= 1.0
                else:
                    child = kill_all(child, hub_data, log)
                    await_all_workers(port)
                    scrapes = Scrapes(port)
                if time.monotonic() - began > SOAK_SECONDS:
                    break
            said = [line for line in log.read_text("utf-8").splitlines() if '"worker ended"' in line]
            assert len(said) >= min(KILLS, 2)
            assert all('"how": "SIGKILL"' in line for line in said)
            await_progress(watch)
            feeder.stop()
            until(lambda: watch.rows(_OPEN_ENDS) == [(len(feeder.fed),)], what="not everything was answered")
        conninfo = running_server(hub_data)
        assert conninfo
        prove(conninfo, feeder.fed, published_in_log(conninfo))
        assert child.end() == 0
    finally:
        child.kill()
        feeder.abandon()


def deaths(chance: Random) -> Iterator[int]:
    """Who is killed, one after the other: each worker by its number, and 0, the process that began them."""
    yield from (1, 2, 0)
    while True:
        yield chance.randrange(WORKERS + 1)


def kill_worker(hub: Child, number: int) -> None:
    """SIGKILL; returns when another one has begun in its place."""
    killed = worker_pids(hub.pid)[number]
    os.kill(killed, signal.SIGKILL)
    until(lambda: worker_pids(hub.pid).get(number, killed) != killed, what="no worker began in its place")


def kill_all(hub: Child, data: Path, log: Path) -> Child:
    """SIGKILL to the first process alone; returns the next hub, which may begin while workers of the one before still end."""
    workers = worker_pids(hub.pid).values()
    hub.kill()
    following = Child(data, log)
    until(lambda: not any(map(alive, workers)), what="a worker outlives the hub")
    return following


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be looked at does not."""
    try:
        # Its sockets are closed when the last of its threads has ended, and the first may have ended before.
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        return threads > 1 or Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_one_interrupt_of_the_terminal_ends_all_and_until_then_there_is_one_port(hub_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    for name in ("OPS_PORT", "THRIFT_PORT", "EMULATOR_PORT"):
        monkeypatch.setenv(f"KVITT_{name}", "0")
    monkeypatch.setenv("KVITT_REST_PORT", str(port))
    with running(hub_data, "up", until="kvitt token makes tokens") as process:
        workers = worker_pids(process.pid)
        assert set(workers) == {1, 2}
        for killed in workers.values():
            os.kill(killed, signal.SIGKILL)
            until(lambda killed=killed: not alive(killed))  # type: ignore[misc]
            # The other one answers, and whoever comes in the place of the first.
            for _ in range(10):
                assert page(port, "schema/openapi.json")
            until(lambda: len(worker_pids(process.pid)) == WORKERS)
            until(lambda: listening(port) == WORKERS, what="the worker does not listen again")
        workers = worker_pids(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert not any(map(alive, workers.values()))
        assert page(port, "schema/openapi.json") is None


def listening(port: int) -> int:
    """How many sockets of this machine listen at a port of the loopback."""
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in map(str.split, lines))


def test_a_worker_that_hangs_is_ended_after_the_grace_and_named(database: str, tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path,
        rest=RestSettings(port=0),
        thrift=ThriftSettings(port=0),
        http=HttpSettings(connections=10),
        emulator_port=0,
        ops=OpsSettings(port=0),
    )
    crew = Crew(WORKERS)
    workers = Workers(database, settings, tuple(ROLES), crew)
    try:
        workers.start()
        assert workers.apis
        assert workers.apis.listening.wait(PATIENCE_SECONDS)
        pids = [*workers.pids()]
        os.kill(pids[1], signal.SIGSTOP)
        assert workers.stop(0.0) == ["worker 2"]
        assert not any(map(alive, pids))
        with connect(database) as connection:
            query = "SELECT count(*) FROM leases WHERE until > now()"
            assert connection.execute(query).fetchone() == (0,)
    finally:
        workers.stop(0.0)
        crew.close()
