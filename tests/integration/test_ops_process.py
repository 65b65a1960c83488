"""A real process shows its health from start to stop, and stops when it is asked to."""

import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.console_script import KVITT, wait_for
from support.patience import PATIENCE_SECONDS, until


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def up(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A hub in a process of its own, killed if it outlives the block."""
    with subprocess.Popen([str(KVITT), "up", "--data", str(data)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def test_a_process_is_alive_and_ready_until_it_is_asked_to_stop(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVITT_OPS_PORT", "0")
    with up(data_dir / "data") as process:
        found = re.search(r"(http://\S+)/isready", wait_for(process, "SIGTERM"))
        assert found
        url = found[1]
        until(lambda: status(f"{url}/isready") == 200, what="the process did not get ready")
        assert (status(f"{url}/isalive"), status(f"{url}/metrics")) == (200, 200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        with pytest.raises(urllib.error.URLError):
            status(f"{url}/isalive")
