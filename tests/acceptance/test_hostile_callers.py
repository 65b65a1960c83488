"""A real process among thousands of hostile callers: health answers, messages are taken in, memory stays flat, the APIs come back."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from brokers.broker import free_port

from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.transports.log.embedded_log import NewRecord, append
from support.hub_messages import dp, text
from support.patience import PATIENCE_SECONDS, until

CALLERS = Path(__file__).parents[1] / "support/hostile_callers.py"
HOSTILE, PROCESSES = 10_000, 4
FLAT_BYTES = 96 << 20
"""What the memory of the process may grow by, whoever calls."""
ANSWERS = (200, 503)
"""Of readiness: on a busy machine the database may be slow to answer."""
ROLES = "intake,relay,payouts,ledger"


class Process:
    """A kvitt with APIs, whose callers must be quick."""

    def __init__(self, directory: Path, database: str, *more: str, descriptors: int | None = None) -> None:
        self.thrift, self.rest, self.ops = free_port(), free_port(), free_port()
        config, self.log = directory / "kvitt.toml", directory / "log"
        lines = [
            f"database_url = {json.dumps(database)}",
            f"data = {json.dumps(str(directory))}",
            "[http]\nheader_seconds = 0.5\nbody_seconds = 0.5\nidle_seconds = 0.5",
            *more,
            f"[ops]\nport = {self.ops}",
            f"[thrift]\nport = {self.thrift}",
            f"[rest]\nport = {self.rest}",
        ]
        config.write_text("\n".join(lines), "utf-8")
        command = [sys.executable, "-c", "from kvitt.app.main import main; main()", "run", "--config", str(config), "--roles", ROLES]

        if descriptors:
            command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)

    def health(self, page: str) -> int | None:
        """What a page answers; None when nobody listens yet."""
        assert self.process.poll() is None, self.log.read_text("utf-8")[-2000:]
        try:
            return self._status(self.ops, page)
        except ConnectionRefusedError:
            return None

    def _status(self, port: int, page: str) -> int:
        """What a caller is answered who comes for this page only."""
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection:
            connection.request("GET", page)
            return connection.getresponse().status

    @property
    def memory(self) -> int:
        """Bytes of memory that it has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    @property
    def connections(self) -> int:
        """Descriptors that it has open now."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def api_answers(self) -> bool:
        """Whether the API lets an honest caller in: nobody without a token."""
        try:
            return self._status(self.rest, "/payouts/p") == 401
        except (http.client.HTTPException, OSError):
            return False


@contextmanager
def running(directory: Path, database: str, *more: str, descriptors: int | None = None) -> Iterator[Process]:
    started = Process(directory, database, *more, descriptors=descriptors)
    try:
        until(lambda: started.health("/isready") == 200, what="the process did not get ready")
        yield started
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(PATIENCE_SECONDS) == 0, started.log.read_text("utf-8")[-2000:]
    finally:
        started.process.kill()
        started.process.wait()
    for line in started.log.read_text("utf-8").splitlines():
        assert line.startswith(("{", "kvitt ")), line


@pytest.fixture
def store(database: str) -> Iterator[Connection]:
    """What messages come in by, and are seen to be taken in."""
    with connect(database) as connection:
        yield connection


def taken_in(store: Connection, key: str) -> bool:
    return store.execute("SELECT 1 FROM messages WHERE key = %s", (key.encode(),)).fetchone() is not None


def tell(store: Connection, key: str) -> None:
    append(store, [NewRecord(helved_topics.primary_input(Scheme.DAGPENGER), key.encode(), text(dp(f"case-{key}", 500)))], utc_now())


@contextmanager
def calling(port: int, source: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of hostile callers of an API, who have an address of their own."""
    command = [sys.executable, str(CALLERS), "127.0.0.1", str(port), source, str(HOSTILE // PROCESSES), "450"]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_ten_thousand_hostile_callers_keep_nobody_from_anything(database: str, store: Connection, tmp_path: Path) -> None:
    with running(tmp_path, database) as kvitt, ExitStack() as opened:
        assert kvitt.api_answers()
        before, quiet = kvitt.memory, kvitt.connections
        callers = [
            opened.enter_context(calling(port, f"127.0.0.{2 + number}"))
            for number, port in enumerate([kvitt.rest, kvitt.thrift] * (PROCESSES // 2))
        ]
        rounds, most = 0, before
        while any(caller.poll() is None for caller in callers):
            assert (kvitt.health("/isalive"), kvitt.health("/isready") in ANSWERS) == (200, True)
            tell(store, f"message-{rounds}")
            until(lambda number=rounds: taken_in(store, f"message-{number}"), what="the intake stands still")  # type: ignore[misc]
            most, rounds = max(most, kvitt.memory), rounds + 1
        assert [caller.returncode for caller in callers] == [0] * PROCESSES
        assert rounds > 0
        assert most - before < FLAT_BYTES, f"{before} grew to {most}"
        until(lambda: kvitt.connections <= quiet + 8, what="connections live on")
        until(kvitt.api_answers, what="the API does not come back")


def test_three_hundred_megabytes_of_header_lines_are_refused_early_and_not_kept(database: str, tmp_path: Path) -> None:
    line = b"x-filler: " + b"a" * 1_000 + b"\r\n"
    with running(tmp_path, database) as kvitt:
        before = kvitt.memory
        for port in (kvitt.rest, kvitt.thrift, kvitt.ops):
            sent = 0
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n")
                try:
                    while sent < 300_000_000:
                        connection.sendall(line * 100)
                        sent += len(line) * 100
                except (BrokenPipeError, ConnectionResetError):
                    pass
            assert sent < 30_000_000
            assert kvitt.memory - before < 32 << 20


def test_with_few_descriptors_silent_callers_take_none_that_the_work_needs(database: str, store: Connection, tmp_path: Path) -> None:
    with running(tmp_path, database, descriptors=256) as kvitt, ExitStack() as opened:
        assert kvitt.api_answers()
        for number in range(400):
            caller = socket.socket()
            opened.callback(caller.close)
            caller.bind((f"127.0.0.{2 + number // 50}", 0))
            caller.connect(("127.0.0.1", kvitt.rest if number % 2 else kvitt.thrift))
            if number % 100 == 99:
                assert (kvitt.health("/isalive"), kvitt.health("/isready") in ANSWERS) == (200, True)
                tell(store, f"few-{number}")
                until(lambda number=number: taken_in(store, f"few-{number}"), what="the intake stands still")  # type: ignore[misc]
        assert kvitt.connections < 256
        until(kvitt.api_answers, what="the API does not come back")


def test_ready_is_said_only_once_every_api_lets_callers_in(database: str, tmp_path: Path) -> None:
    kvitt = Process(tmp_path, database)
    try:
        answers: list[int | None] = []

        def answer() -> int | None:
            answers.append(kvitt.health("/isready"))
            return answers[-1]

        # What answers first is not there for a second yet, in which asking without a pause would only take a processor.
        until(answer, what="nobody listens", every=0.002)
        while answers.count(200) < 50:
            if answer() == 200:
                for port in (kvitt.rest, kvitt.thrift):
                    socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS).close()
        assert 503 in answers, "the process was never seen beginning"
        assert answers[-50:] == [200] * 50
    finally:
        kvitt.process.kill()
        kvitt.process.wait()


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVITT_LOG_LEVEL", "info")
