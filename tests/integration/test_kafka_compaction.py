"""On topics that the brokers have really compacted: every order of a message is still there, and its receipt, each under its own key."""

from collections.abc import Iterator

import pytest
from brokers.kafka import Kafka
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType  # type: ignore[attr-defined]

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.order_keys import further_key
from kvitt.disbursement.values import Area, Scheme
from kvitt.formats import topics
from kvitt.kernel.clock import utc_now
from kvitt.transports.kafka.relay import KafkaRelay
from support.hub_messages import payment_uid, ts, ts_payment
from support.hub_stage import Stage, receipt_with, staged
from support.kafka_stage import header, joined, read
from support.patience import PATIENCE_SECONDS, until

TS = Scheme.TILLEGGSSTONADER
BENEFITS = {"BOUTGIFTER_AAP": "TILLSTBO", "TILSYN_BARN_AAP": "TILLSTPB"}
COMPACTED = (helved_topics.ORDERS, helved_topics.CASES)
START = {(topic, partition): 0 for topic in COMPACTED for partition in range(topics.PARTITIONS)}
NEVER_DELETED = {"cleanup.policy": "compact"}
"""The records are as old as the stage's clock says: what is also deleted by age would be gone before it is compacted."""
AT_ONCE = {"segment.ms": "1", "min.cleanable.dirty.ratio": "0.0", "min.compaction.lag.ms": "0"}
MARK = b"mark"


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


def configure(admin: AdminClient, kind: ResourceType, name: str, **values: str) -> None:
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in values.items()]
    for future in admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=entries)]).values():
        future.result(30)


def compact(kafka: str) -> list[Message]:
    """What is left when the cleaner has been over everything that is there now.

    The records that it is known by come behind all others: a first one, which a second one replaces, and a third, because the segment
    that is written to is never cleaned. A record in time after those of a segment begins a new one.
    """
    admin = AdminClient({"bootstrap.servers": kafka})
    configure(admin, ResourceType.BROKER, "1", **{"log.cleaner.backoff.ms": "100"})
    for topic in COMPACTED:
        configure(admin, ResourceType.TOPIC, topic, **AT_ONCE)
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 0})
    now = int(utc_now().timestamp() * 1000)
    for number in range(4):
        for topic, partition in START:
            producer.produce(topic, str(number).encode(), MARK, partition, timestamp=now + number * 60_000)
        assert producer.flush(PATIENCE_SECONDS) == 0
    left: list[Message] = []

    def is_cleaned() -> bool:
        left[:] = read(kafka, START)
        marks = {(each.topic(), each.partition(), each.value()) for each in left if each.key() == MARK}
        return all((*place, b"0") not in marks for place in START)

    until(is_cleaned, what="the brokers have not compacted the topics")
    return [each for each in left if each.key() != MARK]


def over_two_areas(case: str, **changes: object) -> dict[str, object]:
    payments = [ts_payment(payment_uid(case, number), benefit=benefit) for number, benefit in enumerate(BENEFITS)]
    return ts(case, *payments, **changes)


def areas_of(records: list[Message], topic: str, sender: str) -> dict[bytes, tuple[str, str, bool]]:
    """Under each key that belongs to a sender's: the area of the order, its payments, and whether it has its receipt."""
    found = {}
    for each in records:
        if each.topic() == topic and header(each, "original-key") == sender:
            value = bytes(each.value() or b"")
            (area,) = {area for area in BENEFITS.values() if f">{area}<".encode() in value}
            assert bytes(each.key() or b"") not in found, "compacted: one record per key"
            uids = header(each, "uids") if topic == helved_topics.ORDERS else ""
            found[bytes(each.key() or b"")] = (area, uids, b"<mmel>" in value)
    return found


def test_both_orders_of_a_message_and_their_receipts_survive_compaction(stage: Stage, own_kafka: Kafka) -> None:
    settings: KafkaSettings = joined(own_kafka.address)
    for topic in COMPACTED:
        configure(AdminClient({"bootstrap.servers": own_kafka.address}), ResourceType.TOPIC, topic, **NEVER_DELETED)
    stage.hand_in(TS, ("settled", over_two_areas("S1")))
    stage.settle([receipt_with(each, "08" if b"TILLSTPB" in each.body else "00", "sagt") for each in stage.exchange()])
    stage.hand_in(TS, ("open", over_two_areas("S2")))
    held = stage.keeper.acquire(stage.connection, "relay")
    assert held
    relay = KafkaRelay(stage.connection, utc_now, held.lease, settings)
    while relay.step():
        continue
    relay.close()
    written = read(settings.bootstrap, START)
    left = compact(settings.bootstrap)
    assert len(left) < len(written), "orders under their receipts are compacted away"
    for sender, case, receipted in (("settled", "S1", True), ("open", "S2", False)):
        first, second = (payment_uid(case, number) for number in range(2))
        expected = {sender.encode(): ("TILLSTBO", first, receipted), key(sender): ("TILLSTPB", second, receipted)}
        assert areas_of(left, helved_topics.ORDERS, sender) == expected


def key(sender: str) -> bytes:
    return further_key(sender.encode(), Area("TILLSTPB"))
