"""Several processes share the input: whoever is killed, paused or cut off, each record has one effect and none is left out (design §4)."""

import signal

import psycopg
import pytest
from brokers.kafka import Kafka
from confluent_kafka import Producer

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from support.hub_messages import dp, text
from support.kafka_stage import Neighbour, ends, joined, neighbours, send, until
from support.patience import PATIENCE_SECONDS

DP = helved_topics.EXTERNAL_INPUTS[Scheme.DAGPENGER]
Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    return joined(kafka)


def count(connection: Connection, query: str = "SELECT count(*) FROM messages") -> int:
    ((number,),) = connection.execute(query.encode()).fetchall()
    assert isinstance(number, int)
    return number


def owners(connection: Connection) -> int:
    """How many processes have taken the partitions as they are shared now."""
    return count(connection, "SELECT count(DISTINCT owner) FROM leases WHERE lease LIKE 'intake:%'")


def load(settings: KafkaSettings, name: str, number: int) -> None:
    """Messages for as many cases, each message twice, the second time out of order."""
    records = [(f"{name}-{index}".encode(), text(dp(f"{name}-{index}"))) for index in range(number)]
    send(settings.bootstrap, DP, *records, *reversed(records))


def assert_each_once(connection: Connection, records: int) -> None:
    """Every record is stored under its own place, and made at most one order; nothing of the topic was left out."""
    assert count(connection) == records
    assert count(connection, "SELECT count(*) FROM cases") == records // 2
    assert count(connection, "SELECT count(*) FROM orders") == records // 2
    steps = "SELECT position - lag(position) OVER (PARTITION BY source, partition ORDER BY position) AS step FROM messages"
    assert count(connection, f"SELECT count(*) FROM ({steps}) AS s WHERE step <> 1") == 0


def test_a_killed_and_a_paused_member_leave_no_gap_and_no_double(database: str, settings: KafkaSettings) -> None:
    first, second = Neighbour(database, settings, "intake"), Neighbour(database, settings, "intake")
    with neighbours(first, second), connect(database) as connection:
        until(lambda: owners(connection) == 2)
        load(settings, "a", 600)
        until(lambda: count(connection) > 100)
        second.signal(signal.SIGSTOP)
        load(settings, "b", 600)
        # Past its session and its leases: the first has everything.
        until(lambda: count(connection) == 2400)
        until(lambda: owners(connection) == 1)
        second.signal(signal.SIGCONT)
        until(lambda: owners(connection) == 2)
        load(settings, "c", 600)
        until(lambda: count(connection) > 2500)
        first.signal(signal.SIGKILL)
        until(lambda: count(connection) == 3600)
        assert_each_once(connection, 3600)


def test_members_that_come_and_go_under_load_hand_over_at_the_exact_record(database: str, settings: KafkaSettings) -> None:
    first = Neighbour(database, settings, "intake")
    with neighbours(first), connect(database) as connection:
        for index in range(3):
            load(settings, f"w{index}", 400)
            guest = Neighbour(database, settings, "intake")
            with neighbours(guest):
                until(lambda: owners(connection) == 2)
            until(lambda: owners(connection) == 1)
        until(lambda: count(connection) == 2400)
        assert_each_once(connection, 2400)


def test_a_killed_broker_only_delays(database: str, own_kafka: Kafka) -> None:
    settings = joined(own_kafka.address)
    producer = Producer({"bootstrap.servers": settings.bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True})
    start = ends(settings.bootstrap, [helved_topics.STATUSES])
    with neighbours(Neighbour(database, settings, "intake", "relay")), connect(database) as connection:
        for index in range(2000):
            producer.produce(DP, text(dp(f"B{index}")), f"B{index}".encode())
            producer.poll(0)
            if index == 1000:
                producer.flush()
                until(lambda: count(connection) > 50)
                own_kafka.kill()
        own_kafka.restart()
        assert producer.flush(PATIENCE_SECONDS) == 0
        until(lambda: count(connection) == 2000)
        until(lambda: count(connection, "SELECT count(*) FROM unpublished") == 0)
        assert count(connection, "SELECT count(*) FROM cases") == 2000
    assert sum(ends(settings.bootstrap, [helved_topics.STATUSES]).values()) >= 2000 + sum(start.values())
