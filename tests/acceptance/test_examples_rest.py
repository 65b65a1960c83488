"""The examples of decisions and payments over REST say what kvitt answers: each is run as it stands, against the real program."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from brokers.broker import free_port

from kvitt.testing.scratch import scratch_directory
from support.console_script import EXAMPLES, kvitt, running
from support.patience import PATIENCE_SECONDS

SCRIPTS = sorted((EXAMPLES / "rest").glob("*.sh"))
_ANSWER = re.compile(r'# ((?:\{.*\} |".*" )?\d{3}|"[A-Z_]+")')

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is what the examples call with")


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A kvitt that is up, and the environment of somebody who calls it."""
    port = str(free_port())
    with scratch_directory() as directory, pytest.MonkeyPatch.context() as patch:
        data = directory / "data"
        patch.setenv("KVITT_REST_PORT", port)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with running(data, "up", until="kvitt token makes tokens") as process:
            yield data, {**os.environ, "API": f"http://127.0.0.1:{port}", "KVITT_DATA": str(data), "PATH": path}
            process.terminate()
            process.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_is_answered_as_it_says(site: tuple[Path, Mapping[str, str]], script: Path) -> None:
    _, environment = site
    done = subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    published = [found[1] for line in script.read_text("utf-8").splitlines() if (found := _ANSWER.fullmatch(line))]
    assert len(published) > 10
    assert [line.strip() for line in done.stdout.splitlines()] == published


def test_what_the_examples_left_can_be_made_again(site: tuple[Path, Mapping[str, str]]) -> None:
    data, _ = site
    assert kvitt(data, "check").returncode == 0
