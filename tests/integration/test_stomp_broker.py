"""What the STOMP adapter promises when its broker or its consumer dies, tried on a broker of the test's own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers.artemis import Artemis

from kvitt.kernel.queue import Outgoing
from kvitt.transports.queue import stomp_connection
from kvitt.transports.queue.stomp_connection import StompTls
from kvitt.transports.queue.stomp_queue import StompQueue
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


def open_queue(broker: Artemis, name: str = "orders", **settings: int) -> StompQueue:
    return StompQueue(*broker.address, name, quiet_seconds=0.4, **settings)


def messages(*ids: str) -> list[Outgoing]:
    return [Outgoing(message_id, b"<x/>") for message_id in ids]


def take_all(queue: StompQueue, least: int = 0) -> list[str]:
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


@pytest.fixture
def taker(own_artemis: Artemis) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the messages a and b of the queue `orders`."""
    open_queue(own_artemis).put(messages("a", "b"))
    command = [sys.executable, "-c", TAKE_AND_STOP, str(own_artemis.port), "orders"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["a", "b"]
        yield process
        process.kill()


def test_what_a_killed_consumer_held_comes_back(own_artemis: Artemis, taker: subprocess.Popen[str]) -> None:
    os.kill(taker.pid, signal.SIGKILL)
    queue = open_queue(own_artemis)
    taken = take_all(queue)
    if len(taken) < 2:
        # Now and then the broker keeps one for itself when a socket just closes (docs/queues.md); it finds it again at its next start.
        queue.close()
        own_artemis.restart()
        taken += take_all(open_queue(own_artemis), 2 - len(taken))
    assert sorted(taken) == ["a", "b"]


def test_messages_survive_a_killed_broker_and_the_adapter_works_again(own_artemis: Artemis) -> None:
    queue = open_queue(own_artemis)
    queue.put(messages("a", "b", "c"))
    queue.receive(1, LONG)
    own_artemis.kill()
    with pytest.raises(ConnectionError):
        queue.acknowledge()
    with pytest.raises(ConnectionError):
        queue.put(messages("d"))
    with pytest.raises(ConnectionError):
        queue.receive(1, SHORT)
    own_artemis.restart()
    queue.put(messages("c", "d"))
    assert take_all(queue, 4) == ["a", "b", "c", "d"]


def test_a_poison_message_that_kills_its_consumers_ends_in_the_brokers_dead_letter_queue(own_artemis: Artemis) -> None:
    open_queue(own_artemis, "counted").put(messages("poison"))
    for _ in range(3):
        # Each a consumer that has never heard of the message, as after a crash.
        consumer = open_queue(own_artemis, "counted")
        assert [got.message_id for got in consumer.receive(5, LONG)] == ["poison"]
        consumer.close()
    assert take_all(open_queue(own_artemis, "counted")) == []
    assert take_all(open_queue(own_artemis, "counted.dlq"), 1) == ["poison"]


def test_only_the_message_that_came_back_is_counted_again(own_artemis: Artemis) -> None:
    open_queue(own_artemis, "counted").put(messages("poison", "good1", "good2"))
    first = open_queue(own_artemis, "counted")
    assert len(first.receive(5, LONG)) == 3
    first.close()
    for _ in range(2):
        consumer = open_queue(own_artemis, "counted")
        assert [(got.message_id, got.redeliveries) for got in consumer.receive(5, LONG)] == [("poison", 1)]
        consumer.close()
    assert take_all(open_queue(own_artemis, "counted"), 2) == ["good1", "good2"]


def test_a_broker_that_falls_silent_is_noticed(own_artemis: Artemis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stomp_connection, "HEART_BEAT_MILLISECONDS", 1000)
    queue = open_queue(own_artemis)
    queue.put(messages("a"))
    queue.receive(1, LONG)
    os.kill(own_artemis.pid, signal.SIGSTOP)
    try:
        until(lambda: queue._consumer is None or queue._consumer.ended, what="nobody noticed that the broker is silent")
        with pytest.raises(ConnectionError):
            queue.acknowledge()
    finally:
        os.kill(own_artemis.pid, signal.SIGCONT)


def test_an_idle_producer_stays_connected(own_artemis: Artemis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stomp_connection, "HEART_BEAT_MILLISECONDS", 500)
    queue = open_queue(own_artemis)
    queue.put(messages("a"))
    connection = queue._producer
    # The broker gives up a peer after three silent beats; by the time that the queue's other end has waited for longer, it would have.
    assert list(open_queue(own_artemis, "empty").receive(1, 4.0)) == []
    queue.put(messages("b"))
    assert queue._producer is connection


def test_there_is_no_connection_to_a_port_where_nobody_listens(own_artemis: Artemis) -> None:
    own_artemis.stop()
    with pytest.raises(ConnectionError):
        open_queue(own_artemis).put(messages("a"))


@pytest.fixture
def secure(tmp_path: Path, artemis: tuple[str, int]) -> Iterator[tuple[Artemis, StompTls]]:
    """A broker behind TLS with a certificate of its own making, and what a client needs to trust it."""
    keytool = shutil.which("keytool")
    if keytool is None:
        pytest.skip("no keytool was found; it comes with Java")
    store, certificate = tmp_path / "broker.p12", tmp_path / "broker.pem"
    common = [keytool, "-alias", "broker", "-keystore", str(store), "-storepass", "made-for-a-test", "-storetype", "PKCS12"]
    made = ["-genkeypair", "-keyalg", "RSA", "-dname", "CN=broker", "-ext", "SAN=ip:127.0.0.1", "-ext", "BC=ca:true"]
    subprocess.run([*common, *made], check=True, capture_output=True)
    subprocess.run([*common, "-exportcert", "-rfc", "-file", str(certificate)], check=True, capture_output=True)
    options = f";sslEnabled=true;keyStorePath={store};keyStorePassword=made-for-a-test;keyStoreType=PKCS12"
    broker = Artemis(tmp_path / "data", options=options)
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
    until(lambda: queue._consumer is None or queue._consumer.ended)
    with pytest.raises(ConnectionError):
        queue.acknowledge()
    broker.restart()
    assert take_all(queue, 1) == ["a"]


def test_a_broker_with_a_certificate_of_a_stranger_is_not_trusted(secure: tuple[Artemis, StompTls]) -> None:
    broker, _ = secure
    with pytest.raises(ConnectionError):
        StompQueue(*broker.address, "orders", tls=StompTls()).put(messages("a"))


def test_a_missing_certificate_file_is_an_error_at_once() -> None:
    with pytest.raises(FileNotFoundError):
        StompQueue("127.0.0.1", 1, "orders", tls=StompTls(ca_file="no/such/file.pem"))
