"""The stage of a hub on real brokers: orders and receipts go through Artemis, what the hub tells is read back from Kafka."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

from confluent_kafka import Message

from kvitt.app.ports import PORTS
from kvitt.broker_settings import KafkaSettings
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.settle import RawReceipt
from kvitt.rails.oppdrag.emulator import Emulator
from kvitt.testing import HandClock
from kvitt.transports.kafka.relay import KafkaRelay
from kvitt.transports.queue.stomp_queue import StompQueue
from support.hub_stage import REPLIES, Stage
from support.kafka_stage import header, read
from support.patience import until
from support.whole_system import GUARD, Play

_LOOK_SECONDS = 0.01
_OUTBOX = """
SELECT o.event_id::text, o.topic, o.key, coalesce(o.value, d.message), o.partition, o.position
FROM outbox AS o
LEFT JOIN orders AS d ON d.order_id = o.order_id
WHERE o.outbox_no > %s
ORDER BY o.outbox_no
"""
Published = tuple[str, str, bytes, bytes]
"""Event id, topic, key and value of a record."""


class BrokerStage(Stage):
    """A stage whose queues are Artemis's and whose log is Kafka's; the queues have names of the stage's own."""

    def __init__(self, conninfo: str, artemis: tuple[str, int], kafka: KafkaSettings) -> None:
        super().__init__(conninfo)
        prefix = uuid4().hex

        def queue(name: str) -> StompQueue:
            return StompQueue(*artemis, f"{prefix}.{name}")

        self._kafka = kafka
        self.requests, self.replies = queue("requests"), queue(REPLIES)
        # How often the rail looks at its clock depends on the broker; the hub's must not tick for it, or equal inputs would differ in time.
        self.emulator = Emulator(conninfo, queue("requests"), queue, wait_seconds=0.0, clock=HandClock())

    def close(self) -> None:
        """Ends all connections."""
        self.emulator.close()
        super().close()

    def rail(self) -> list[RawReceipt]:
        """Waits until the rail has answered, which it always does, and returns its receipts."""
        found: list[RawReceipt] = []
        until(lambda: self._answered(found), what="the rail has not answered")
        while self._answered(found):
            continue
        return found

    def _answered(self, found: list[RawReceipt]) -> int:
        """Takes what the rail has said by now."""
        self.emulator.step()
        deliveries = self.replies.receive(1000, _LOOK_SECONDS)
        self.replies.acknowledge()
        found += [RawReceipt(delivery.message_id, delivery.body) for delivery in deliveries]
        return len(deliveries)

    def relayed(self) -> tuple[Sequence[Published], Sequence[Published]]:
        """Relays what the hub has to tell: what that was, and what stands on Kafka from there on, each in order."""
        before = self.one("SELECT coalesce(max(outbox_no), 0) FROM outbox_places WHERE relayed_at IS NOT NULL")
        held = self.keeper.acquire(self.connection, "relay")
        assert held
        relay = KafkaRelay(self.connection, self.clock, held.lease, self._kafka)
        try:
            while relay.step():
                continue
        finally:
            relay.close()
        rows = self.rows(_OUTBOX, before)
        wanted = [(str(event), str(topic), _bytes(key), _bytes(value)) for event, topic, key, value, *_ in rows]
        start: dict[tuple[str, int], int] = {}
        for _, topic, _, _, partition, position in rows:
            place = str(topic), int(str(partition))
            start[place] = min(start.get(place, int(str(position))), int(str(position)))
        found: list[Message] = []

        def has_come() -> bool:
            # A transaction that is committed is seen a moment later, when the brokers have marked its partitions.
            found[:] = read(self._kafka.bootstrap, start)
            return len(found) >= len(wanted)

        until(has_come, what="Kafka does not hold what was told")
        return wanted, [_published(message) for message in found]


class BrokerPlay(Play):
    """A history on brokers that can not tell what they were given: its receipt clears what is unknown, or the sender, or an operator."""

    def _recover(self) -> None:
        send = self.stage.new_sender()
        (unknown,) = send.mark_unknown()
        assert self.stage.requests.was_put([unknown]) is None
        died_after_put = self.history.fates[(self._fates - 1) % len(self.history.fates)].sender == "dies after put"
        if died_after_put and self._chance.random() < 0.5:
            return
        if died_after_put:
            # Under the id that it had, so the broker drops it.
            (order,) = send.put_again([unknown])
        else:
            Operate(self.stage.connection, self.stage.clock, PORTS).resend(unknown, GUARD)
            (order,) = send.dequeue(1)
        assert order.order_id == unknown
        self._put(order)
        send.sent([(order.order_id, order.message_no)])


def _published(message: Message) -> Published:
    return header(message, "event-id"), str(message.topic()), message.key() or b"", message.value() or b""


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


@contextmanager
def on_brokers(conninfo: str, artemis: tuple[str, int], kafka: KafkaSettings) -> Iterator[BrokerStage]:
    """A stage for as long as the block runs."""
    stage = BrokerStage(conninfo, artemis, kafka)
    try:
        yield stage
    finally:
        stage.close()
