"""Real brokers for tests: one of each for the tests of a file, started when the first of them asks for it: idle ones cost, too.

    kafka     address for `bootstrap.servers`; KVITT_TEST_KAFKA=host:port names one to use instead
    artemis   host and port of STOMP; KVITT_TEST_STOMP=host:port names one to use instead

Where neither is possible, the tests that ask are skipped with the reason. Tests that kill a broker start one of their own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from brokers.artemis import Artemis
from brokers.java import BrokerUnavailable, class_path, java
from brokers.kafka import Kafka

from kvitt.testing.scratch import scratch_directory


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """Address of a Kafka broker for this file."""
    if given := os.environ.get("KVITT_TEST_KAFKA"):
        yield given
        return
    with running_kafka() as broker:
        yield broker.address


@pytest.fixture(scope="module")
def artemis() -> Iterator[tuple[str, int]]:
    """Host and port of a STOMP broker for this file."""
    if given := os.environ.get("KVITT_TEST_STOMP"):
        host, _, port = given.rpartition(":")
        yield host, int(port)
        return
    with running_artemis() as broker:
        yield broker.address


@pytest.fixture
def own_kafka() -> Iterator[Kafka]:
    """A running Kafka broker that the test may kill."""
    with running_kafka() as broker:
        yield broker


@contextmanager
def running_kafka() -> Iterator[Kafka]:
    """Runs for the block; skips the test where there is no Java for it."""
    skip_without_java("kafka", "KVITT_TEST_KAFKA")
    with scratch_directory("kafka-") as directory:
        broker = Kafka(directory)
        try:
            broker.start()
            yield broker
        finally:
            # Nothing of it is kept.
            broker.kill()


@contextmanager
def running_artemis() -> Iterator[Artemis]:
    """Runs for the block; skips the test where there is no Java for it."""
    skip_without_java("artemis", "KVITT_TEST_STOMP")
    with scratch_directory("artemis-") as directory:
        broker = Artemis(directory)
        try:
            broker.start()
            yield broker
        finally:
            # Nothing of it is kept.
            broker.kill()


def skip_without_java(broker: str, setting: str) -> None:
    """Skips the test with the reason and the ways out of it. A broker that is there and does not start is a failure, not a skip."""
    try:
        java()
        class_path(broker)
    except BrokerUnavailable as reason:
        pytest.skip(f"{reason}; or name a running broker by {setting}=host:port")
