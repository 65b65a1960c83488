"""The demo over a real Kafka and a real Artemis proves the same as the embedded one, and says what is missing where they can't be run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from brokers.java import BrokerUnavailable, class_path, java

from support.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]


def demo(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `make demo-kafka` runs, to its end."""
    command = [sys.executable, "-m", "brokers", "demo", *map(str, arguments)]
    given = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


def skip_where_brokers_can_not_be_run() -> None:
    """The demo starts its own, so none that runs elsewhere would do."""
    try:
        java()
        for broker in ("kafka", "artemis"):
            class_path(broker)
    except BrokerUnavailable as reason:
        pytest.skip(str(reason))


def test_every_message_is_answered_once_over_kafka_and_artemis_and_nothing_differs() -> None:
    skip_where_brokers_can_not_be_run()
    done = demo("--json", "--cases", 12)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    published = json.loads(done.stdout)
    assert published["messages"] > 12 * 4
    assert published["orders"] == published["accepted"] + published["rejected"] > 12
    assert [published[key] for key in ("unanswered", "doubled", "schedule_differences", "check_differences")] == [0, 0, 0, 0]


def no_java(directory: Path) -> None:
    """Nothing is there."""


def old_java(directory: Path) -> None:
    """A java that tells an old version of itself, as that one did."""
    program = directory / "java"
    program.write_text("#!/bin/sh\necho 'openjdk version \"11.0.21\" 2023-10-17' >&2\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("make", "published"),
    [
        (no_java, r"no java was found; install a JRE of version 17 or newer \(Debian: openjdk-17-jre-headless\)\n"),
        (old_java, r"\S+/java is Java 11; the brokers need 17 or newer\n"),
    ],
    ids=["no-java", "old-java"],
)
def test_a_machine_without_a_java_that_will_do_hears_what_to_install(tmp_path: Path, make: Callable[[Path], None], published: str) -> None:
    make(tmp_path)
    # `sh` is all that the stand-in needs, and it is called by its path.
    done = demo("--cases", 1, PATH=str(tmp_path), JAVA_HOME="")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"starting Kafka and Artemis …\n" + published, done.stderr), done.stderr
