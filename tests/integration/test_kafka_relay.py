"""The relay to Kafka: published in order, under known ids, where Java would put it; once, or recognisably twice (helved §1)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from brokers.kafka import Kafka
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.outputs import encode_payment
from kvitt.disbursement import payment_document
from kvitt.disbursement.values import Scheme
from kvitt.errors import LeaseLost
from kvitt.formats.topics import partition_of
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import LOCK_MS, connect
from kvitt.transports.kafka.relay import KafkaRelay
from kvitt.transports.kafka.topics import TopicsDiffer, ensure_topics
from support.hub_messages import dp
from support.hub_stage import Stage, staged
from support.kafka_stage import Neighbour, ends, header, joined, neighbours, read, until
from support.patience import PATIENCE_SECONDS
from support.topics import TOPIC_TERMS, TOPICS

Connection = psycopg.Connection[tuple[object, ...]]
OUTPUTS = [helved_topics.STATUSES, helved_topics.ORDERS, helved_topics.PENDING_PAYMENTS, helved_topics.PAYMENTS, helved_topics.CASES]

JAVA = {b"": 275646681, b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}
"""Hashes of keys as Java's client makes them (the vectors of its own test of murmur2)."""


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    return joined(kafka)


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


def relay_of(stage: Stage, settings: KafkaSettings, max_batch: int = 2000) -> KafkaRelay:
    held = stage.keeper.acquire(stage.connection, "relay")
    assert held
    return KafkaRelay(stage.connection, utc_now, held.lease, settings, max_batch=max_batch)


def tell_all(relay: KafkaRelay) -> int:
    published = 0
    while number := relay.step():
        published += number
    return published


def by_key(records: list[Message]) -> dict[tuple[object, object], list[bytes]]:
    found: dict[tuple[object, object], list[bytes]] = {}
    for each in records:
        found.setdefault((each.topic(), each.key()), []).append(bytes(each.value() or b""))
    return found


def test_everything_is_published_in_order_with_its_bytes_ids_and_times(stage: Stage, settings: KafkaSettings) -> None:
    for amount in (500, 600, 700):
        stage.hand_in(Scheme.DAGPENGER, *[(f"{settings.group}-{index}", dp(f"C{index}", amount)) for index in range(20)])
        stage.finish()
    start = ends(settings.bootstrap, OUTPUTS)
    relay = relay_of(stage, settings, max_batch=37)
    published = tell_all(relay)
    relay.close()
    records = read(settings.bootstrap, start)
    assert len(records) == published == stage.one("SELECT count(*) FROM outbox")
    query = """SELECT o.topic, o.key, coalesce(o.value, d.message), o.event_id::text, o.partition, o.position FROM outbox AS o
               LEFT JOIN orders AS d ON d.order_id = o.order_id ORDER BY outbox_no"""
    expected: dict[tuple[object, object], list[bytes]] = {}
    for topic, key, value, *_ in stage.rows(query):
        expected.setdefault((topic, bytes(key)), []).append(bytes(value))  # type: ignore[call-overload]
    assert by_key(records) == expected
    noted = {(row[0], row[4], row[5]): row[3] for row in stage.rows(query)}
    assert {(each.topic(), each.partition(), each.offset()): header(each, "event-id") for each in records} == noted
    for each in records:
        assert each.partition() == partition_of(bytes(each.key() or b""))
        assert header(each, "x-ts") == header(each, "x-st") == str(each.timestamp()[1])
        assert int(header(each, "x-sy")) > 0
        assert header(each, "fagsystem") == "DAGPENGER"


def test_keys_land_where_java_puts_them() -> None:
    assert {key: partition_of(key, 1000) for key in JAVA} == {key: (hashed & 0x7FFFFFFF) % 1000 for key, hashed in JAVA.items()}


def test_the_state_topics_hold_what_is_accepted_and_nothing_else(stage: Stage, settings: KafkaSettings) -> None:
    start = ends(settings.bootstrap, OUTPUTS)
    for index, days in enumerate(((1, 2, 3), (1, 2), ())):
        stage.hand_in(Scheme.DAGPENGER, *[(f"{settings.group}-{index}-{case}", dp(f"S{case}", days=days)) for case in range(5)])
        stage.finish()
    relay = relay_of(stage, settings)
    tell_all(relay)
    relay.close()
    newest = {(each.topic(), each.key()): each.value() for each in read(settings.bootstrap, start)}
    payments = {bytes(key or b""): value for (topic, key), value in newest.items() if topic == helved_topics.PAYMENTS}
    stored = stage.rows("SELECT payment_id::text, document FROM payments WHERE state = 'accepted' AND NOT superseded")
    assert payments == {
        str(payment_id).encode(): encode_payment(payment_document.decode(bytes(document)))  # type: ignore[call-overload]
        for payment_id, document in stored
    }
    assert [value for (topic, _), value in newest.items() if topic == helved_topics.CASES] == [b"[]"] * 5


def test_an_old_relay_is_fenced_and_tells_nothing_more(stage: Stage, settings: KafkaSettings) -> None:
    stage.hand_in(Scheme.DAGPENGER, (f"{settings.group}-1", dp("F1")))
    old = relay_of(stage, settings)
    old.step()
    new = relay_of(stage, settings)
    stage.hand_in(Scheme.DAGPENGER, (f"{settings.group}-2", dp("F2")))
    start = ends(settings.bootstrap, OUTPUTS)
    with pytest.raises(LeaseLost):
        old.step()
    assert not read(settings.bootstrap, start)
    assert tell_all(new) == 3
    assert len(read(settings.bootstrap, start)) == 3
    old.close()
    new.close()


@pytest.mark.parametrize(("die_at", "repeats"), [("relay.before_commit:1", True), ("relay.after_commit:1", False)])
def test_a_killed_relay_repeats_a_batch_at_most_under_the_same_ids(
    stage: Stage, settings: KafkaSettings, die_at: str, repeats: bool
) -> None:
    stage.hand_in(Scheme.DAGPENGER, *[(f"{settings.group}-{index}", dp(f"K{index}")) for index in range(900)])
    start = ends(settings.bootstrap, OUTPUTS)
    victim = Neighbour(stage.conninfo, settings, "relay", die_at=die_at)
    with neighbours(victim):
        until(victim.is_dead)
        heir = Neighbour(stage.conninfo, settings, "relay")
        with neighbours(heir):
            until(lambda: stage.one("SELECT count(*) FROM unpublished") == 0)
    heard = Counter(header(each, "event-id") for each in read(settings.bootstrap, start))
    assert set(heard) == {event for (event,) in stage.rows("SELECT event_id::text FROM outbox")}
    assert sum(heard.values()) - len(heard) == (2000 if repeats else 0)


LOCKS = ["SELECT FROM outbox LIMIT 1 FOR UPDATE", "SELECT FROM unrelayed LIMIT 1 FOR UPDATE", "LOCK TABLE unrelayed IN SHARE MODE"]


@pytest.mark.parametrize("lock", LOCKS)
def test_what_somebody_has_locked_is_published_once_and_noted_late(stage: Stage, settings: KafkaSettings, lock: str) -> None:
    stage.connection.execute(f"SET lock_timeout = {LOCK_MS}".encode())
    stage.hand_in(Scheme.DAGPENGER, (settings.group, dp("L1")))
    start = ends(settings.bootstrap, OUTPUTS)
    with closing(relay_of(stage, settings)) as relay:
        with psycopg.connect(stage.conninfo) as stranger:
            stranger.execute(lock.encode())
            told = relay.step()
            assert [relay.step(), relay.step()] == [0, 0]
        assert (told, relay.step()) == (stage.one("SELECT count(*) FROM outbox"), 0)
        assert stage.one("SELECT count(*) FROM unpublished") == 0
    assert len(read(settings.bootstrap, start)) == told


def test_what_a_relay_of_an_older_version_has_noted_is_not_published_again(stage: Stage, settings: KafkaSettings) -> None:
    stage.hand_in(Scheme.DAGPENGER, (settings.group, dp("M1")))
    stage.connection.execute("UPDATE outbox SET relayed_at = now(), partition = 0, position = outbox_no WHERE outbox_no % 2 = 1")
    left = stage.one("SELECT count(*) FROM outbox WHERE relayed_at IS NULL")
    with closing(relay_of(stage, settings)) as relay:
        assert tell_all(relay) == left
    assert stage.one("SELECT count(*) FROM unpublished") == 0


def test_an_order_of_many_megabytes_gets_through(stage: Stage, settings: KafkaSettings) -> None:
    value = b"<oppdrags-linje-150>" * 400_000
    insert = "INSERT INTO outbox (topic, key, value, headers, event_id, made_at) VALUES (%s, 'big', %s, '[]', gen_random_uuid(), now())"
    stage.connection.execute(insert.encode(), (helved_topics.ORDERS, value))
    start = ends(settings.bootstrap, [helved_topics.ORDERS])
    relay = relay_of(stage, settings)
    assert relay.step() == 1
    relay.close()
    assert [each.value() for each in read(settings.bootstrap, start)] == [value]


def test_a_broker_that_is_killed_in_between_gets_everything_in_order(stage: Stage, own_kafka: Kafka) -> None:
    settings = joined(own_kafka.address)
    start = ends(settings.bootstrap, OUTPUTS)
    with neighbours(Neighbour(stage.conninfo, settings, "relay")), connect(stage.conninfo) as connection:
        for amount in range(500, 900, 100):
            stage.hand_in(Scheme.DAGPENGER, *[(f"b{index}", dp(f"B{index}", amount)) for index in range(100)])
            stage.finish()
            if amount == 600:
                until(lambda: count(connection, "relayed_at IS NOT NULL") > 100)
                own_kafka.kill()
        own_kafka.restart()
        until(lambda: count(connection, "relayed_at IS NULL") == 0)
        expected = count(connection, "true")
    records = read(settings.bootstrap, start)
    first_heard = list({header(each, "event-id"): each for each in reversed(records)}.values())[::-1]
    assert len(first_heard) == expected
    for key in {each.key() for each in first_heard if each.topic() == helved_topics.STATUSES}:
        published = [header(each, "event-id") for each in first_heard if (each.topic(), each.key()) == (helved_topics.STATUSES, key)]
        written = stage.rows(
            "SELECT event_id::text FROM outbox WHERE topic = %s AND key = %s ORDER BY outbox_no", helved_topics.STATUSES, key
        )
        assert published == [event for (event,) in written]


def count(connection: Connection, condition: str) -> int:
    ((number,),) = connection.execute(f"SELECT count(*) FROM outbox WHERE {condition}".encode()).fetchall()
    assert isinstance(number, int)
    return number


def test_topics_are_made_as_the_contract_says_and_checked_afterwards(own_kafka: Kafka) -> None:
    settings = KafkaSettings(bootstrap=own_kafka.address)
    with pytest.raises(TopicsDiffer, match="is missing"):
        ensure_topics(KafkaSettings(bootstrap=settings.bootstrap, make_topics=False), TOPIC_TERMS)
    assert set(ensure_topics(settings, TOPIC_TERMS)) == set(TOPICS)
    assert ensure_topics(settings, TOPIC_TERMS) == []
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    assert config(admin, helved_topics.PAYMENTS)[0] == config(admin, helved_topics.CASES)[0] == "compact"
    assert config(admin, helved_topics.STATUSES) == ("delete,compact", str(336 * 3_600_000)) or config(admin, helved_topics.STATUSES) == (
        "compact,delete",
        str(336 * 3_600_000),
    )
    for future in admin.delete_topics([helved_topics.STATUSES, helved_topics.CASES]).values():
        future.result()
    until(lambda: not {helved_topics.STATUSES, helved_topics.CASES} & set(admin.list_topics(timeout=PATIENCE_SECONDS).topics))
    wrong = [NewTopic(helved_topics.STATUSES, 4, 1, config={"cleanup.policy": "compact,delete"}), NewTopic(helved_topics.CASES, 3, 1)]
    for future in admin.create_topics(wrong).values():
        future.result()
    until(lambda: {helved_topics.STATUSES, helved_topics.CASES} <= set(admin.list_topics(timeout=PATIENCE_SECONDS).topics))
    with pytest.raises(TopicsDiffer, match=r"status\.v1 has 4 partitions, not 3; helved\.saker\.v1 has cleanup delete, not compact"):
        ensure_topics(settings, TOPIC_TERMS)


def config(admin: AdminClient, topic: str) -> tuple[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    entries = admin.describe_configs([resource])[resource].result(10)
    return entries["cleanup.policy"].value, entries["retention.ms"].value
