"""The STOMP adapter of the queue port, for ActiveMQ Artemis: one connection, one subscription, cumulative acknowledgement.

The broker pushes messages up to a window of bytes; what was pushed and not yet handed out waits in the connection. Reasons
for this shape, and what the broker does with what a dead consumer held, are in docs/queues.md.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from uuid import uuid4

from kvitt.kernel.queue import Delivery, NotPut, Outgoing
from kvitt.transports.queue.stomp_connection import (
    BrokerRefused,
    StompConnection,
    StompMessage,
    StompTls,
)

DEAD_LETTER_SUFFIX = ".dlq"
_WINDOW_BYTES_PER_MESSAGE = 4096
_REMEMBERED = 10_000


class StompQueue:
    """One named queue of a broker that speaks STOMP 1.2; connects when first used and again after a lost connection.

    Every method raises `ConnectionError` when the connection ends under it; whatever was handed out is then redelivered.
    `quiet_seconds`: a broker that pushes never says that a queue is empty, so silence for so long counts as empty.
    """

    def __init__(
        self,
        host: str,
        port: int,
        name: str,
        *,
        user: str = "",
        password: str = "",
        max_redeliveries: int = 10,
        tls: StompTls | None = None,
        quiet_seconds: float = 0.005,
    ) -> None:
        if tls is not None:
            tls.check()
        self._connect: Callable[[], StompConnection] = lambda: StompConnection(host, port, user, password, tls)
        self._name, self._max_redeliveries, self._quiet_seconds = name, max_redeliveries, quiet_seconds
        self._producer: StompConnection | None = None
        self._consumer: StompConnection | None = None
        self._window = 0
        self._waiting: deque[StompMessage] = deque()
        self._held: tuple[StompMessage, ...] = ()
        self._hand_outs: dict[str, int] = {}

    def put(self, messages: Sequence[Outgoing]) -> None:
        """Stores all of them in order in one transaction; Artemis leaves alone an id that is among the last it has seen.

        A batch with such an id is refused as a whole: its messages are then put one by one, and those that are new are stored.
        """
        first: dict[str, Outgoing] = {}
        for message in messages:
            first.setdefault(message.queue_id, message)
        if not first:
            return
        try:
            with self._connection_errors(self._forget_producer):
                self._put_together(list(first.values()))
        except BrokerRefused:
            with self._connection_errors(self._forget_producer):
                connection = self._producing()
                for message in first.values():
                    connection.send(self._name, message)

    @property
    def drops_repeats(self) -> bool:
        """True: Artemis leaves alone an id that is among the last it has seen."""
        return True

    def connect(self) -> None:
        """Connects for putting, if that is not done."""
        with self._connection_errors(self._forget_producer):
            self._producing()

    def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Hands out up to `limit` messages, high priority first, then in order of put; waits for the first at most `wait_seconds`.

        A message that came back is handed out alone, so that what happens to it is counted against it and not its neighbours.
        Raises RuntimeError when the last hand-out was neither acknowledged nor released.
        """
        if self._held:
            raise RuntimeError("acknowledge or release what was handed out before receiving more")
        deadline = time.monotonic() + max(wait_seconds, self._quiet_seconds)
        with self._connection_errors(self._forget_consumer):
            connection = self._subscribed(limit)
            self._gather(connection, limit, deadline)
            while self._dead_letter_spent(connection):
                self._gather(connection, limit, deadline)
        self._held = self._next_batch(limit)
        deliveries = tuple(self._delivery(place, message) for place, message in enumerate(self._held))
        for message in self._held:
            self._count(message)
        return deliveries

    def acknowledge(self) -> None:
        """Removes everything handed out by the last `receive`, in one act of the broker."""
        held, self._held = self._held, ()
        if not held:
            return
        with self._connection_errors(self._forget_consumer):
            if self._consumer is None:
                raise ConnectionError("the connection that the messages were handed out on is gone")
            self._consumer.acknowledge(held[-1])
        for message in held:
            self._hand_outs.pop(message.message_id, None)

    def release(self) -> None:
        """Ends the connection in order, so that the broker redelivers and counts; what came back too often goes to `<name>.dlq`."""
        if self._held:
            self._close_consumer()

    def was_put(self, queue_ids: Sequence[str]) -> Mapping[str, bool] | None:  # noqa: ARG002 - the port's signature
        """None: a broker that speaks STOMP cannot tell."""
        return None

    def close(self) -> None:
        """Ends the connections; what was handed out is redelivered and counted, what was not is given back untouched."""
        self._close_consumer()
        producer = self._producer
        self._producer = None
        if producer is not None:
            with suppress(ConnectionError):
                producer.close()

    def _close_consumer(self) -> None:
        # A connection that ends by itself on the way gives everything back as well.
        with suppress(ConnectionError):
            if self._consumer is not None and not self._consumer.ended:
                if self._window and not self._held:
                    self._consumer.unsubscribe()
                self._consumer.close()
        self._forget_consumer()

    def _put_together(self, messages: Sequence[Outgoing]) -> None:
        transaction = uuid4().hex
        try:
            connection = self._producing()
            connection.begin(transaction)
            for message in messages:
                connection.send(self._name, message, transaction)
        except BrokerRefused:
            raise
        except ConnectionError as error:
            # What is not committed is rolled back by the broker.
            raise NotPut(f"the connection of queue {self._name} ended before the commit: {error}") from error
        connection.commit(transaction)

    def _gather(self, connection: StompConnection, limit: int, deadline: float) -> None:
        """Takes what has been pushed until there is enough for a hand-out, or nothing has come for a moment."""
        while len(self._waiting) < limit:
            left = self._quiet_seconds if self._waiting else deadline - time.monotonic()
            message = connection.take(max(0.0, left))
            if message is None:
                return
            self._waiting.append(message)

    def _dead_letter_spent(self, connection: StompConnection) -> bool:
        """Moves messages that came back too often to the dead-letter queue; whether there were any.

        First the copy, then the acknowledgement: a crash between them leaves both, and the copy's id keeps it from being made twice.
        """
        moved = False
        while self._waiting and self._is_spent(self._waiting[0]):
            spent = self._waiting.popleft()
            copy = Outgoing(spent.message_id, spent.body, spent.reply_to, spent.priority)
            connection.send(self._name + DEAD_LETTER_SUFFIX, copy)
            connection.acknowledge(spent)
            self._hand_outs.pop(spent.message_id, None)
            moved = True
        return moved

    def _is_spent(self, message: StompMessage) -> bool:
        # A dead-letter queue is the last stop: its own messages are handed out for as long as someone asks.
        return self._redeliveries(message) > self._max_redeliveries and not self._name.endswith(DEAD_LETTER_SUFFIX)

    def _next_batch(self, limit: int) -> tuple[StompMessage, ...]:
        batch: list[StompMessage] = []
        while self._waiting and len(batch) < limit:
            came_back = self._redeliveries(self._waiting[0]) > 0
            if came_back and batch:
                break
            batch.append(self._waiting.popleft())
            if came_back:
                break
        return tuple(batch)

    def _delivery(self, place: int, message: StompMessage) -> Delivery:
        return Delivery(place, message.message_id, message.body, message.reply_to, message.priority, self._redeliveries(message))

    def _redeliveries(self, message: StompMessage) -> int:
        """The broker says only whether there was any; we know those of our own."""
        known = self._hand_outs.get(message.message_id, 0)
        return max(known, 1) if message.redelivered else known

    def _count(self, message: StompMessage) -> None:
        self._hand_outs[message.message_id] = self._redeliveries(message) + 1
        if len(self._hand_outs) > _REMEMBERED:
            # The oldest: most likely another consumer has had it since.
            del self._hand_outs[next(iter(self._hand_outs))]

    def _subscribed(self, limit: int) -> StompConnection:
        """A connection whose window fits the limit: with one message at a time wanted, none but it is kept from other consumers."""
        if self._consumer is None or self._consumer.ended:
            self._forget_consumer()
            self._consumer = self._connect()
        window = 1 if limit == 1 else limit * _WINDOW_BYTES_PER_MESSAGE
        if self._window != window:
            if self._window:
                self._consumer.unsubscribe()
                self._waiting.clear()
            self._consumer.subscribe(self._name, window)
            self._window = window
        return self._consumer

    def _producing(self) -> StompConnection:
        """A connection of its own: what it has refused it ends, and what is handed out must outlive that."""
        if self._producer is None or self._producer.ended:
            self._forget_producer()
            self._producer = self._connect()
        return self._producer

    def _forget_producer(self) -> None:
        if self._producer is not None:
            self._producer.drop()
        self._producer = None

    def _forget_consumer(self) -> None:
        if self._consumer is not None:
            self._consumer.drop()
        self._consumer, self._window, self._held = None, 0, ()
        self._waiting.clear()

    @contextmanager
    def _connection_errors(self, forget: Callable[[], None]) -> Iterator[None]:
        """After an error of a connection it is forgotten, so that the next call makes a new one."""
        try:
            yield
        except ConnectionError:
            forget()
            raise
