"""The real console script in processes of its own, run to its end or kept running while a test looks; and its commands without one."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from kvitt.app.main import main
from support.patience import PATIENCE_SECONDS

KVITT = Path(sys.executable).with_name("kvitt")
EXAMPLES = Path(__file__).parents[2] / "examples"


def kvitt(data: Path, *arguments: object, given: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end on a data directory."""
    command = [str(KVITT), *map(str, arguments), "--data", str(data)]
    done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def command(*arguments: object, given: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end within this process: for what it does and says, where that it is a process is promised elsewhere."""
    done = CliRunner().invoke(main, list(map(str, arguments)), input=given, catch_exceptions=False)
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def inside(data: Path, *arguments: object, given: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end on a data directory, likewise within this process."""
    return command(*arguments, "--data", data, given=given)


@contextmanager
def running(data: Path, *arguments: str, until: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that stays; the block begins when it has printed `until`, and the command is killed if it outlives the block."""
    command = [str(KVITT), *arguments, "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            wait_for(process, until)
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_for(process: subprocess.Popen[bytes], text: str) -> str:
    """Reads the command's output until it holds `text`."""
    assert process.stdout
    deadline, said = time.monotonic() + PATIENCE_SECONDS, ""
    while text not in said:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert chunk, (
            f"it ended, or said nothing for too long, before {text!r}: {said} {process.stderr.read().decode() if process.stderr else ''}"
        )
        said += chunk.decode()
    return said
