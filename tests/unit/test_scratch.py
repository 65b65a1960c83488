"""Directories of tests go with the process that made them, even if it was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from kvitt.testing.scratch import scratch

MAKE = "import os; from kvitt.testing.scratch import scratch; print(scratch(), flush=True); os.kill(os.getpid(), 9)"


def made(place: Path) -> Path:
    """The directory that a process makes before it is killed."""
    environment = {**os.environ, "KVITT_TEST_DIRECTORY": str(place)}
    done = subprocess.run([sys.executable, "-c", MAKE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return Path(done.stdout.strip())


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = made(tmp_path)
    assert killed.is_dir()
    assert made(tmp_path).is_dir()
    assert not killed.exists()


def test_what_a_living_process_has_is_left_alone() -> None:
    mine = scratch()
    made(mine.parent)
    assert mine.is_dir()
