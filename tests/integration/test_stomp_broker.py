"""What the STOMP adapter promises when its broker or its consumer dies, tried on a broker of this file's own, which is killed and paused.

Each test has queues of its own there, except for the one whose dead letters the broker's configuration names.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from brokers.artemis import Artemis
from brokers.broker import HOST, free_port

from kvitt.kernel.queue import Outgoing
from kvitt.transports.queue import stomp_connection
from kvitt.transports.queue.stomp_connection import StompTls
from kvitt.transports.queue.stomp_queue import StompQueue
from support.broker_fixtures import running_artemis, skip_without_java
from support.patience import until

LONG = 10.0
SHORT = 1.0

TAKE_AND_STOP = """
import signal, sys
from kvitt.transports.queue.stomp_queue import StompQueue
queue = StompQueue("127.0.0.1", int(sys.argv[1]), sys.argv[2], quiet_seconds=0.4)
print(*[got.message_id for got in queue.receive(10, 10.0)], flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[Artemis]:
    """A broker that a test may kill, if it starts it again."""
    with running_artemis() as running:
        yield running


@pytest.fixture
def orders() -> str:
    """The name of a queue of the test's own."""
    return f"orders.{uuid4().hex[:8]}"


def open_queue(broker: Artemis, name: str, **settings: int) -> StompQueue:
    return StompQueue(*broker.address, name, quiet_seconds=0.4, **settings)


def messages(*ids: str) -> list[Outgoing]:
    return [Outgoing(message_id, b"<x/>") for message_id in ids]


def acquire_all(queue: StompQueue, least: int = 0) -> list[str]:
    """Takes messages until `least` have come, and then until none comes at once."""
    taken: list[str] = []

    def take() -> bool:
        got = queue.receive(10, SHORT)
        taken.extend(delivery.message_id for delivery in got)
        queue.acknowledge()
        return len(taken) >= least

    until(take, what="fewer messages have come than were put")
    while got := queue.receive(10, SHORT):
        taken += [delivery.message_id for delivery in got]
        queue.acknowledge()
    return taken


def left_in(broker: Artemis, name: str, least: int = 0) -> list[str]:
    """Takes all messages of a queue that other tests use too: nobody waits there for theirs afterwards."""
    with closing(open_queue(broker, name)) as queue:
        return acquire_all(queue, least)


@pytest.fixture
def taker(broker: Artemis, orders: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the messages a and b of the queue."""
    open_queue(broker, orders).put(messages("a", "b"))
    command = [sys.executable, "-c", TAKE_AND_STOP, str(broker.port), orders]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["a", "b"]
        yield process
        process.kill()


def test_what_a_killed_consumer_held_comes_back(broker: Artemis, orders: str, taker: subprocess.Popen[str]) -> None:
    os.kill(taker.pid, signal.SIGKILL)
    queue = open_queue(broker, orders)
    taken = acquire_all(queue)
    if len(taken) < 2:
        # Now and then the broker keeps one for itself when a socket just closes (docs/queues.md); it finds it again at its next start.
        queue.close()
        broker.restart()
        taken += acquire_all(open_queue(broker, orders), 2 - len(taken))
    assert sorted(taken) == ["a", "b"]


def test_messages_survive_a_killed_broker_and_the_adapter_works_again(broker: Artemis, orders: str) -> None:
    queue = open_queue(broker, orders)
    queue.put(messages("a", "b", "c"))
    queue.receive(1, LONG)
    broker.kill()
    try:
        with pytest.raises(ConnectionError):
            queue.acknowledge()
        with pytest.raises(ConnectionError):
            queue.put(messages("d"))
        with pytest.raises(ConnectionError):
            queue.receive(1, SHORT)
    finally:
        broker.restart()
    queue.put(messages("c", "d"))
    assert acquire_all(queue, 4) == ["a", "b", "c", "d"]


def test_a_poison_message_that_kills_its_consumers_ends_in_the_brokers_dead_letter_queue(broker: Artemis) -> None:
    open_queue(broker, "counted").put(messages("poison"))
    for _ in range(3):
        # Each a consumer that has never heard of the message, as after a crash.
        consumer = open_queue(broker, "counted")
        assert [got.message_id for got in consumer.receive(5, LONG)] == ["poison"]
        consumer.close()
    assert left_in(broker, "counted") == []
    assert left_in(broker, "counted.dlq", 1) == ["poison"]


def test_only_the_message_that_came_back_is_counted_again(broker: Artemis) -> None:
    open_queue(broker, "counted").put(messages("bad", "good1", "good2"))
    first = open_queue(broker, "counted")
    assert len(first.receive(5, LONG)) == 3
    first.close()
    for _ in range(2):
        consumer = open_queue(broker, "counted")
        assert [(got.message_id, got.redeliveries) for got in consumer.receive(5, LONG)] == [("bad", 1)]
        consumer.close()
    assert left_in(broker, "counted", 2) == ["good1", "good2"]
    assert left_in(broker, "counted.dlq", 1) == ["bad"]


def test_a_broker_that_falls_silent_is_noticed(broker: Artemis, orders: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stomp_connection, "HEART_BEAT_MILLISECONDS", 1000)
    queue = open_queue(broker, orders)
    queue.put(messages("a"))
    queue.receive(1, LONG)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        until(lambda: queue._consumer is None or queue._consumer.ended, what="nobody noticed that the broker is silent")
        with pytest.raises(ConnectionError):
            queue.acknowledge()
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def test_an_idle_producer_stays_connected(broker: Artemis, orders: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stomp_connection, "HEART_BEAT_MILLISECONDS", 500)
    queue = open_queue(broker, orders)
    queue.put(messages("a"))
    connection = queue._producer
    # The broker gives up a peer after three silent beats; by the time that the queue's other end has waited for longer, it would have.
    assert list(open_queue(broker, f"{orders}.empty").receive(1, 4.0)) == []
    queue.put(messages("b"))
    assert queue._producer is connection


def test_there_is_no_connection_to_a_port_where_nobody_listens() -> None:
    with pytest.raises(ConnectionError):
        StompQueue(HOST, free_port(), "orders").put(messages("a"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Artemis, StompTls]]:
    """A broker behind TLS with a certificate of its own making, and what a client needs to trust it."""
    skip_without_java("artemis", "KVITT_TEST_STOMP")
    directory = tmp_path_factory.mktemp("secure")
    keytool = shutil.which("keytool")
    if keytool is None:
        pytest.skip("no keytool was found; it comes with Java")
    store, certificate = directory / "broker.p12", directory / "broker.pem"
    common = [keytool, "-alias", "broker", "-keystore", str(store), "-storepass", "made-for-a-test", "-storetype", "PKCS12"]
    made = ["-genkeypair", "-keyalg", "RSA", "-dname", "CN=broker", "-ext", "SAN=ip:127.0.0.1", "-ext", "BC=ca:true"]
    subprocess.run([*common, *made], check=True, capture_output=True)
    subprocess.run([*common, "-exportcert", "-rfc", "-file", str(certificate)], check=True, capture_output=True)
    options = f";sslEnabled=true;keyStorePath={store};keyStorePassword=made-for-a-test;keyStoreType=PKCS12"
    broker = Artemis(directory / "data", options=options)
    try:
        broker.start()
        yield broker, StompTls(ca_file=str(certificate))
    finally:
        broker.stop()


def test_messages_pass_through_tls_whole_and_a_closed_connection_is_noticed(secure: tuple[Artemis, StompTls]) -> None:
    broker, tls = secure
    queue = StompQueue(*broker.address, "orders", tls=tls, quiet_seconds=0.4)
    body = bytes(range(256)) * 4000
    queue.put([Outgoing("a", body)])
    assert [got.body for got in queue.receive(1, LONG)] == [body]
    broker.kill()
    try:
        until(lambda: queue._consumer is None or queue._consumer.ended)
        with pytest.raises(ConnectionError):
            queue.acknowledge()
    finally:
        broker.restart()
    assert acquire_all(queue, 1) == ["a"]


def test_a_broker_with_a_certificate_of_a_stranger_is_not_trusted(secure: tuple[Artemis, StompTls]) -> None:
    broker, _ = secure
    with pytest.raises(ConnectionError):
        StompQueue(*broker.address, "orders", tls=StompTls()).put(messages("a"))


def test_a_missing_certificate_file_is_an_error_at_once() -> None:
    with pytest.raises(FileNotFoundError):
        StompQueue("127.0.0.1", 1, "orders", tls=StompTls(ca_file="no/such/file.pem"))
