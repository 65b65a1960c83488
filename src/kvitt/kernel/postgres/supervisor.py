"""Keeps one child process running: starts it, starts it again whenever it ends, until asked to stop."""

import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from kvitt.errors import ServerDidNotStart
from kvitt.kernel.state_log import StateLog

LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""The log is begun anew at this size, and one old log is kept."""

LOOK_SECONDS: Final = 30.0
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 5.0
LONG_LIFE_SECONDS: Final = 10.0
"""A child that lived this long was well; the pause before the next one is short again."""

STOP_STAGES: Final = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""Fast shutdown, immediate shutdown, kill; each with the seconds it is given."""

log = structlog.get_logger("kvitt.kernel.postgres")


class Supervisor:
    """Runs `command` with its output in `log_file`; `prepare` is called before every start and clears what a dead child left.

    The thread that starts a child lives as long as the child may: the kernel ends the child together with that thread.
    """

    def __init__(self, command: Sequence[str], log_file: Path, prepare: Callable[[], None]) -> None:
        self._command = list(command)
        self._log_file = log_file
        self._prepare = prepare
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._guard = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="kvitt-postgres", daemon=True)
        self._states = StateLog(log)
        self.ends = 0

    @property
    def pid(self) -> int:
        """Process id of the present child, 0 before the first."""
        return self._child.pid if self._child else 0

    def start(self) -> None:
        """Start the child; return when its process exists, or the first attempt to make it has failed."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """End the child: politely, then firmly, then for certain; return when it is gone."""
        with self._guard:
            self._stopping.set()
        for number, seconds in STOP_STAGES:
            if self._child and self._child.returncode is None:
                self._child.send_signal(number)
            self._thread.join(seconds)
            if not self._thread.is_alive():
                return
        log.error("embedded_postgres_would_not_stop", pid=self.pid)

    def _run(self) -> None:
        pause, lives = FIRST_PAUSE_SECONDS, 0
        while not self._stopping.is_set():
            born = time.monotonic()
            self._live_once()
            if self._stopping.is_set():
                return
            self.ends += 1
            lived_long = time.monotonic() - born > LONG_LIFE_SECONDS
            lives += lived_long
            pause = FIRST_PAUSE_SECONDS if lived_long else min(pause * 2, LONGEST_PAUSE_SECONDS)
            self._states.enters("server", lives, "warning", "embedded_postgres_ended", pid=self.pid, next_start_in_seconds=pause)
            self._stopping.wait(pause)

    def _live_once(self) -> None:
        try:
            self._prepare()
            child = self._spawn()
        except (OSError, ServerDidNotStart) as error:
            self._states.enters("start", str(error), "warning", "embedded_postgres_not_started", reason=str(error))
            return
        finally:
            self._started.set()
        if child:
            self._watch(child)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        """A new child in a session of its own, so that an interrupt from the terminal reaches us alone; None when we are stopping."""
        with self._guard, self._log_file.open("ab") as output:
            if self._stopping.is_set():
                return None
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", start_new_session=True
            )
            return self._child

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        """Return when the child has ended; keeps its log within bounds meanwhile."""
        handle = os.pidfd_open(child.pid)
        try:
            # Not `select`, which knows no descriptor above 1023: a process that serves many callers has those.
            looking = select.poll()
            looking.register(handle, select.POLLIN)
            while not looking.poll(LOOK_SECONDS * 1000):
                self._bound_log()
        finally:
            os.close(handle)
        child.wait()

    def _bound_log(self) -> None:
        # The child appends to the file it has open, so the file is copied and emptied instead of renamed.
        if self._log_file.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self._log_file, self._log_file.with_suffix(".old.log"))
            os.truncate(self._log_file, 0)
