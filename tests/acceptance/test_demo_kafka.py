"""`make demo-kafka`: the demo over a real Kafka and a real Artemis ends clean, and says what it needs where they can not be run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker_fixtures import skip_without_java

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "brokers", "demo", "--json", "--cases", "30"]


@pytest.mark.timeout(300)
def test_the_demo_over_brokers_ends_clean() -> None:
    skip_without_java("kafka", "KVITT_TEST_KAFKA")
    skip_without_java("artemis", "KVITT_TEST_STOMP")
    ended = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["messages"] > 150
    assert [told[name] for name in ("unanswered", "doubled", "schedule_differences", "check_differences")] == [0, 0, 0, 0]


def test_without_java_it_says_what_is_missing(tmp_path: Path) -> None:
    ended = subprocess.run(
        COMMAND,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": str(tmp_path), "JAVA_HOME": str(tmp_path)},
    )
    assert (ended.returncode, "no java was found; install a JRE" in ended.stderr) == (1, True)
