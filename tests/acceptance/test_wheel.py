"""The built wheel is all that is needed: installed alone, without the checkout, it runs the demo and the hub in an empty folder."""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kvitt.testing.scratch import scratch_directory
from support.console_script import wait_for
from support.patience import PATIENCE_SECONDS

CHECKOUT = Path(__file__).parents[2]


ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("KVITT_", "PYTHON"))}


def _run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(each) for each in command], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """The programs of an environment that has kvitt from its wheel; what kvitt needs is lent by the environment of this run."""
    with scratch_directory() as directory:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
        wheels, home = directory / "wheels", directory / "venv"
        _run(*pip, "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "-w", wheels, CHECKOUT, cwd=directory)
        _run(sys.executable, "-m", "venv", "--without-pip", home, cwd=directory)
        (wheel,) = wheels.glob("kvitt-*.whl")
        _run(*pip, "--python", home, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=directory)
        # What a path file names is searched last, and path files in there are not followed: not even the one that leads to the checkout.
        own = Path(_run(home / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=directory).strip())
        (own / "lent.pth").write_text(sysconfig.get_path("purelib"))
        yield home / "bin"


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    """A folder with nothing in it."""
    with scratch_directory() as directory:
        yield directory


def test_kvitt_comes_from_the_wheel_with_all_that_is_no_code(installed: Path, empty_folder: Path) -> None:
    found = Path(_run(installed / "python", "-c", "import kvitt; print(kvitt.__file__)", cwd=empty_folder).strip()).parent
    assert found.is_relative_to(installed.parent)
    source = CHECKOUT / "src/kvitt"
    wanted = {file.relative_to(source) for file in source.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    wanted |= {Path("examples") / file.relative_to(CHECKOUT / "examples") for file in (CHECKOUT / "examples").rglob("*") if file.is_file()}
    assert {file for file in wanted if not (found / file).is_file()} == set()


def test_the_demo_runs_in_an_empty_folder_and_proves_its_outcome(installed: Path, empty_folder: Path) -> None:
    published = json.loads(_run(installed / "kvitt", "demo", "--cases", 6, "--json", cwd=empty_folder))
    assert published["orders"] == published["accepted"] + published["rejected"] > 0
    assert [published[name] for name in ("unanswered", "doubled", "schedule_differences", "check_differences")] == [0, 0, 0, 0]


def test_a_hub_for_tests_of_others_runs_in_an_empty_folder(installed: Path, empty_folder: Path) -> None:
    page = (CHECKOUT / "docs/testing.md").read_text("utf-8")
    (empty_folder / "mine.py").write_text(page.partition("```python\n")[2].partition("```")[0], "utf-8")
    _run(installed / "python", "mine.py", cwd=empty_folder)


def test_the_hub_runs_in_an_empty_folder_and_says_how_it_is_used(installed: Path, empty_folder: Path) -> None:
    usage = _run(installed / "kvitt", "up", "--help", cwd=empty_folder)
    assert "Ctrl-C or SIGTERM" in usage
    assert "kvitt up --data /srv/kvitt" in usage
    hub = subprocess.Popen([installed / "kvitt", "up"], cwd=empty_folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        (console,) = re.findall(r"console +(http://\S+)", wait_for(hub, "Ctrl-C or SIGTERM"))
        assert "Log in" in httpx.get(f"{console}/login", trust_env=False, timeout=PATIENCE_SECONDS).text
        assert "nothing differs" in _run(installed / "kvitt", "check", cwd=empty_folder)
        hub.send_signal(signal.SIGTERM)
        said = hub.communicate(timeout=PATIENCE_SECONDS)[1].decode()
    finally:
        hub.kill()
    assert (hub.returncode, "kvitt has stopped" in said) == (0, True), said
    assert [each.name for each in empty_folder.iterdir()] == [".kvitt"]
