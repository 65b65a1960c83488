"""Files whose tests share the Kafka broker of the run go to one worker: each worker has its own, which costs time though it does nothing.

The tests of two such files cannot share one at the same time: the topics have fixed names, and a hub takes in all that comes.
"""

import re
from functools import cache
from pathlib import Path

import pytest

_ASKS = re.compile(r"^(?:@pytest\.fixture.*\ndef |def test_)\w+\([^)]*\bkafka: str\b", re.MULTILINE)
_GROUP = "files on Kafka"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Sends whole files to workers, and those on Kafka together; None where files are not kept whole anyway."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return _GROUP if asks_for_kafka(config.rootpath / file) else file

    return Scheduling(config, log)


@cache
def asks_for_kafka(file: Path) -> bool:
    """Whether a test or a fixture in the file asks for the fixture `kafka`."""
    return bool(_ASKS.search(file.read_text()))
