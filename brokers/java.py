"""What the brokers run on: a Java that is new enough, and their jars, fetched once by Maven."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

OLDEST_JAVA = 17
HERE = Path(__file__).parent
JARS = HERE.parent / ".kvitt-brokers"
"""Where the jars are kept; git ignores the directory, because it says so itself."""

_FETCH_SECONDS = 600


class BrokerUnavailable(Exception):
    """A broker cannot be run on this machine; the message says what is missing and how to get it."""


class BrokerFailed(Exception):
    """A broker that has all it needs did not start; the message ends with its log."""


@cache
def java() -> Path:
    """The `java` to run brokers with. Raises BrokerUnavailable when there is none, or none that is new enough."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        raise BrokerUnavailable(f"no java was found; install a JRE of version {OLDEST_JAVA} or newer (Debian: openjdk-17-jre-headless)")
    if (version := _version(found)) < OLDEST_JAVA:
        raise BrokerUnavailable(f"{found} is Java {version}; the brokers need {OLDEST_JAVA} or newer")
    return Path(found)


def class_path(broker: str) -> str:
    """The class path of a broker, its jars fetched if they are not here yet. Raises BrokerUnavailable when they can't be."""
    pom = HERE / f"{broker}-pom.xml"
    # Named by what the pom says: a changed pom is fetched anew, beside the old one.
    jars = JARS / f"{broker}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if not jars.is_dir():
        with _alone():
            if not jars.is_dir():
                _fetch(pom, jars)
    return str(jars / "*")


@contextmanager
def _alone() -> Iterator[None]:
    """One process fetches at a time: Maven's own store is not made for several."""
    JARS.mkdir(exist_ok=True)
    with (JARS / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _version(program: str) -> int:
    version = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', version.stderr + version.stdout)
    return int(match.group(1)) if match else 0


def _fetch(pom: Path, target: Path) -> None:
    """Copies the jars that the pom names into `target`; what was half copied by a fetch that ended early is fetched again."""
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailable(
            "no mvn was found, and the broker's jars are not here yet; install Maven (Debian: maven) to fetch them once"
        )
    (JARS / ".gitignore").write_text("*\n")
    half = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.rmtree(half, ignore_errors=True)
    fetch = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={half}"]
    done = subprocess.run(fetch, capture_output=True, text=True, check=False, timeout=_FETCH_SECONDS)
    if done.returncode != 0:
        raise BrokerUnavailable(f"mvn could not fetch the jars of {pom.name}:\n{(done.stdout + done.stderr)[-2000:]}")
    half.rename(target)
