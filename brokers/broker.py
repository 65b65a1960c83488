"""A broker as a child process: started and ready, stopped, killed, and started again on the same port and data."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from brokers.java import BrokerFailed, alone, class_path, java, kept
from kvitt.kernel.postgres import launch

HOST = "127.0.0.1"
_CLASSES = "classes.jsa"
_READY_SECONDS, _STOP_SECONDS, _LOOK_SECONDS = 300.0, 30.0, 0.05


class Broker(ABC):
    """One broker of our own: it ends with the thread that started it, and nothing but it is ever stopped."""

    name: str
    heap: str
    kept_files: Sequence[str] = ()
    """Of its data, what is alike for all of them, and is made once."""

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running broker. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    @property
    def log(self) -> Path:
        """What the broker says."""
        return self.data_dir / f"{self.name}.log"

    def stop(self) -> None:
        """Ends it in order; kills it when that takes too long."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a power cut would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _start(self) -> None:
        """Starts it as the others before it, and returns when it answers. Raises BrokerFailed, BrokerUnavailable."""
        class_path(self.name)
        if not kept(self.name).is_dir():
            with alone():
                if not kept(self.name).is_dir():
                    self._keep()
        self.begin()

    def _keep(self) -> None:
        """Runs a first broker of its kind, and keeps which classes it loaded: those after it need not read and check them again."""
        with tempfile.TemporaryDirectory(dir=kept(self.name).parent) as directory:
            part, first = Path(directory) / "kept", type(self)(Path(directory) / "broker")
            part.mkdir()
            first.begin(f"-XX:ArchiveClassesAtExit={part / _CLASSES}")
            first.stop()
            for each in self.kept_files:
                shutil.copy(first.data_dir / each, part)
            part.rename(kept(self.name))

    def begin(self, *options: str) -> None:
        """Starts it with these options of Java; returns when it answers. Raises BrokerFailed with the end of its log when it doesn't."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._configure()
        with self.log.open("ab") as log:
            command = self._command(self._main(), *options)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BrokerFailed(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(_LOOK_SECONDS)

    def _command(self, main: Sequence[str], *further: str) -> list[str]:
        """A command line that runs Java classes of the broker, bound to our life."""
        options = [f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        classes = kept(self.name) / _CLASSES
        options += further or ([f"-XX:SharedArchiveFile={classes}"] if classes.exists() else [])
        program = [str(java()), *options, "-cp", class_path(self.name), *main]
        return [sys.executable, str(launch.__file__), "same", str(os.getpid()), str(self.data_dir), *program]

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @abstractmethod
    def _configure(self) -> None:
        """Writes the files that it reads at its start."""

    @abstractmethod
    def _main(self) -> Sequence[str]:
        """Its main class and arguments."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it does its work now."""


def free_port() -> int:
    """A port that nobody listens on, below those that systems give to callers: none of them gets it before it is listened on, or again."""
    while True:
        port = SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def is_free(port: int) -> bool:
    """Whether nobody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((HOST, port)) != 0
