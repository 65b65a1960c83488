"""Payout events on a real Kafka: the topic, the key, and the bytes that existing readers know (payouts §5)."""

from pathlib import Path
from typing import Any
from uuid import uuid4

from kvitt.app.hub import HubProcess
from kvitt.broker_settings import KafkaSettings
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import decode_event
from kvitt.formats.topics import partition_of
from kvitt.kernel.clock import utc_now
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.model import Cash, NewPayout
from kvitt.payouts.service import PayoutService
from kvitt.settings import Settings
from support.kafka_stage import read
from support.patience import until
from support.rest_stage import earn

TOPIC = "pm-events-payout"
TYPES: Any = module("payouts")


def test_every_event_is_on_the_topic_once_and_in_order_under_its_payout(database: str, kafka: str, tmp_path: Path) -> None:
    earn(database)
    names = [f"{uuid4().hex[:12]}-{number}" for number in range(6)]
    settings = Settings(data=tmp_path, kafka=KafkaSettings(bootstrap=kafka, group=f"payouts-{uuid4().hex[:8]}"))
    hub = HubProcess(database, settings, ["relay", "payouts"])
    hub.start()
    parties = LocalParties(database)
    payouts = PayoutService(database, utc_now, parties)
    try:
        for name in names:
            payouts.create(NewPayout("party-1", "shop-1", Cash(10_000, "RUB"), name))
            payouts.confirm(name)
            payouts.confirm(name)
            payouts.cancel(name, "back")
        start = {(TOPIC, partition): 0 for partition in range(3)}

        def ours() -> list[Any]:
            return [message for message in read(kafka, start) if (message.key() or b"").decode() in names]

        until(lambda: len(ours()) == 3 * len(names), what="not every event is on the topic")
        for name in names:
            published = [message for message in ours() if message.key() == name.encode()]
            events = [decode_event(message.value() or b"", TYPES.Event, "payouts") for message in published]
            assert [event.sequence_id for event in events] == [0, 1, 2]
            assert {message.partition() for message in published} == {partition_of(name.encode(), 3)}
            assert [message.value() for message in published] == [each.body for each in payouts.events(name)]
    finally:
        payouts.close()
        parties.close()
        hub.stop()
