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
    pom = _pom(broker)
    jars = JARS / f"{broker}-{_digest(pom.read_bytes())}"
    if not jars.is_dir():
        with alone():
            if not jars.is_dir():
                _fetch(pom, jars)
    return str(jars / "*")


def kept(broker: str) -> Path:
    """Where what a broker of these jars and this Java makes at its first start is kept, so that later ones take half as long.

    Java passes by, without a word, what was made of jars at another place: a checkout that was copied makes its own.
    """
    return JARS / f"{broker}-{_digest(_pom(broker).read_bytes(), _said_version(str(java())).encode(), bytes(JARS))}-start"


def _pom(broker: str) -> Path:
    return HERE / f"{broker}-pom.xml"


def _digest(*parts: bytes) -> str:
    """Names by what is in them: a changed pom is fetched anew, beside the old one."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


@contextmanager
def alone() -> Iterator[None]:
    """One process fetches at a time, or makes what is kept: Maven's own store is not made for several."""
    JARS.mkdir(exist_ok=True)
    with (JARS / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _version(program: str) -> int:
    match = re.search(r'version "(?:1\.)?(\d+)', _said_version(program))
    return int(match.group(1)) if match else 0


@cache
def _said_version(program: str) -> str:
    version = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    return version.stderr + version.stdout


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
