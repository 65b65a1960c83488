"""The IBM MQ adapter of the queue port: units of work for both directions, no JMS headers on what is put.

`ibmmq` is imported when the first queue is made: it needs IBM's client library, which only those who use MQ have.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from msgspec import Struct

from kvitt.errors import QueueClientMissing
from kvitt.kernel.queue import (
    HANDED_OUT_BYTES,
    Delivery,
    NotPut,
    Outgoing,
    queue_id,
)

DEAD_LETTER_SUFFIX = ".DLQ"
UTF8_CCSID = 1208
_ID_BYTES = 24

_CONNECTION_ENDED = (
    "MQRC_BACKED_OUT",
    "MQRC_CALL_INTERRUPTED",
    "MQRC_CHANNEL_NOT_AVAILABLE",
    "MQRC_CONNECTION_BROKEN",
    "MQRC_CONNECTION_QUIESCING",
    "MQRC_CONNECTION_STOPPING",
    "MQRC_HCONN_ERROR",
    "MQRC_HOST_NOT_AVAILABLE",
    "MQRC_Q_MGR_NOT_AVAILABLE",
    "MQRC_Q_MGR_QUIESCING",
    "MQRC_Q_MGR_STOPPING",
    "MQRC_RECONNECT_FAILED",
)
"""Reasons after which a new connection may help."""


class MqServer(Struct, frozen=True):
    """Where the queue manager is and who we are to it. `cipher` (with `key_repository`) turns TLS on; no user means no MQCSP."""

    host: str
    port: int
    queue_manager: str
    channel: str
    user: str = ""
    password: str = ""
    cipher: str = ""
    key_repository: str = ""


class MqReplyTo(Struct, frozen=True):
    """Where the answer shall go; no manager means the one that the message is put on."""

    queue: str
    queue_manager: str = ""


class MqQueue:
    """One named queue of a queue manager; connects when first used and again after a lost connection.

    Every method raises `ConnectionError` when the connection ends under it. Raises QueueClientMissing where `ibmmq` does not work.
    """

    def __init__(self, server: MqServer, name: str, *, max_redeliveries: int = 10, dead_letters: str = "") -> None:
        self._mq = load_client()
        self._server, self._name, self._max_redeliveries = server, name, max_redeliveries
        self._dead_letters = dead_letters or name + DEAD_LETTER_SUFFIX
        # A unit of work belongs to a connection: one for both would commit what is held together with what is put.
        self._producer: _Link | None = None
        self._consumer: _Link | None = None
        self._holding = False

    def put(self, messages: Sequence[Outgoing]) -> None:
        """Stores all of them in order in one unit of work. The queue manager does not compare ids: a repeat is stored again."""
        if not messages:
            return
        try:
            self.connect()
            assert self._producer is not None, "connected right above"
            with self._connection_errors():
                for message in messages:
                    self._producer.put(self._name, message)
        except ConnectionError as error:
            # What is not committed is backed out by the queue manager.
            raise NotPut(str(error)) from error
        with self._connection_errors():
            self._producer.commit()

    @property
    def drops_repeats(self) -> bool:
        """False: a queue manager stores what it is given."""
        return False

    def connect(self) -> None:
        """Connects for putting, if that is not done."""
        with self._connection_errors():
            self._producer = self._producer or _Link(self._mq, self._server, self._name)

    def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:
        """Hands out up to `limit` messages under syncpoint; waits for the first at most `wait_seconds`.

        Text is converted to UTF-8 by the queue manager. What was backed out too often goes to the dead-letter queue instead.
        Raises RuntimeError when the last hand-out was neither acknowledged nor released.
        """
        if self._holding:
            raise RuntimeError("acknowledge or release what was handed out before receiving more")
        with self._connection_errors():
            self._consumer = self._consumer or _Link(self._mq, self._server, self._name)
            return self._gather(self._consumer, limit, wait_seconds)

    def acknowledge(self) -> None:
        """Commits the unit of work of the last `receive`."""
        self._finish(lambda link: link.commit())

    def release(self) -> None:
        """Backs out the unit of work of the last `receive`; the queue manager counts it for each of its messages."""
        self._finish(lambda link: link.back_out())

    def was_put(self, queue_ids: Sequence[str]) -> Mapping[str, bool] | None:  # noqa: ARG002 - the port's signature
        """None: the queue manager does not remember what has been consumed."""
        return None

    def close(self) -> None:
        """Ends the connections; what was handed out is backed out."""
        links, self._producer, self._consumer, self._holding = (self._producer, self._consumer), None, None, False
        for link in links:
            if link is not None:
                with suppress(self._mq.MQMIError):
                    link.close()

    def _gather(self, link: "_Link", limit: int, wait_seconds: float) -> tuple[Delivery, ...]:
        deliveries: list[Delivery] = []
        while len(deliveries) < limit and sum(len(each.body) for each in deliveries) < HANDED_OUT_BYTES:
            delivery = link.get(len(deliveries), 0 if deliveries else wait_seconds)
            if delivery is None:
                break
            if delivery.redeliveries > self._max_redeliveries and self._name != self._dead_letters:
                link.put_same(self._dead_letters, delivery)
                if not deliveries:
                    link.commit()
            else:
                deliveries.append(delivery)
                self._holding = True
        return tuple(deliveries)

    def _finish(self, end: "Callable[[_Link], None]") -> None:
        if not self._holding:
            return
        self._holding = False
        with self._connection_errors():
            if self._consumer is None:
                raise ConnectionError("the connection that the messages were handed out on is gone")
            end(self._consumer)

    @contextmanager
    def _connection_errors(self) -> Iterator[None]:
        """After any error of MQ: new connections, nothing held; the end of the connection becomes ConnectionError."""
        try:
            yield
        except self._mq.MQMIError as error:
            self.close()
            if error.reason not in {getattr(self._mq.CMQC, name) for name in _CONNECTION_ENDED}:
                raise
            raise ConnectionError(f"the connection of queue {self._name} ended: {error}") from error


class _Link:
    """One connection and its unit of work."""

    def __init__(self, mq: Any, server: MqServer, name: str) -> None:
        self._mq, self._constants = mq, mq.CMQC
        self._manager = _connect(mq, server)
        self._queue_name = name
        self._input: Any = None
        self._outputs: dict[str, Any] = {}
        self._last: Any = None

    def put(self, name: str, message: Outgoing) -> None:
        """Adds a message to the unit of work: persistent text without headers, as `targetClient=1` gives."""
        constants, reply = self._constants, reply_to(message.reply_to)
        descriptor = self._mq.MD()
        descriptor.Format = constants.MQFMT_STRING
        descriptor.CodedCharSetId = UTF8_CCSID
        descriptor.Persistence = constants.MQPER_PERSISTENT
        descriptor.Priority = message.priority
        descriptor.MsgId, descriptor.CorrelId = mq_id(message.message_id, message.resend), mq_id(message.message_id)
        descriptor.ReplyToQ, descriptor.ReplyToQMgr = reply.queue.encode(), reply.queue_manager.encode()
        if reply.queue:
            descriptor.MsgType = constants.MQMT_REQUEST
        self._put(name, message.body, descriptor)

    def put_same(self, name: str, delivery: Delivery) -> None:
        """Adds the message got last to the unit of work again, on another queue, described as it was."""
        self._put(name, delivery.body, self._last)

    def get(self, place: int, wait_seconds: float) -> Delivery | None:
        """The next message, in the unit of work; None when there is none within the time."""
        constants = self._constants
        if self._input is None:
            self._input = self._mq.Queue(self._manager, self._queue_name, constants.MQOO_INPUT_SHARED | constants.MQOO_FAIL_IF_QUIESCING)
        options = self._mq.GMO()
        options.Options = (
            constants.MQGMO_SYNCPOINT | constants.MQGMO_CONVERT | constants.MQGMO_NO_PROPERTIES | constants.MQGMO_FAIL_IF_QUIESCING
        )
        options.Options |= constants.MQGMO_WAIT if wait_seconds else constants.MQGMO_NO_WAIT
        options.WaitInterval = int(wait_seconds * 1000)
        options.MatchOptions = constants.MQMO_NONE
        descriptor = self._mq.MD()
        descriptor.CodedCharSetId = UTF8_CCSID
        body = self._read(descriptor, options)
        if body is None:
            return None
        self._last = descriptor
        return Delivery(place, descriptor.MsgId.hex(), body, _reply_text(descriptor), descriptor.Priority, descriptor.BackoutCount)

    def commit(self) -> None:
        """Ends the unit of work: what was put is there, what was got is gone."""
        self._manager.commit()

    def back_out(self) -> None:
        """Ends the unit of work as if it had not been."""
        self._manager.backout()

    def close(self) -> None:
        """Ends the connection. Backs out first: a disconnect by itself would commit what is under way."""
        self._manager.backout()
        self._manager.disconnect()

    def _put(self, name: str, body: bytes, descriptor: Any) -> None:
        constants = self._constants
        options = self._mq.PMO()
        options.Options = constants.MQPMO_SYNCPOINT | constants.MQPMO_FAIL_IF_QUIESCING
        if name not in self._outputs:
            self._outputs[name] = self._mq.Queue(self._manager, name, constants.MQOO_OUTPUT | constants.MQOO_FAIL_IF_QUIESCING)
        self._outputs[name].put(body, descriptor, options)

    def _read(self, descriptor: Any, options: Any) -> bytes | None:
        constants = self._constants
        while True:
            try:
                body: bytes = self._input.get(None, descriptor, options)
                return body
            except self._mq.MQMIError as error:
                if error.reason == constants.MQRC_NO_MSG_AVAILABLE:
                    return None
                if error.comp != constants.MQCC_WARNING:
                    raise
                if error.reason != constants.MQRC_TRUNCATED_MSG_FAILED:
                    # It could not be converted; it is ours all the same, as it is.
                    left: bytes = error.message
                    return left
                # A larger one came in between; the library has noted its size.


def reply_to(text: str) -> MqReplyTo:
    """Reads `QUEUE`, `queue:///QUEUE` and `queue://MANAGER/QUEUE`, each with or without `?targetClient=1` and the like."""
    path = text.partition("?")[0]
    if not path.startswith("queue://"):
        return MqReplyTo(path)
    manager, _, queue = path.removeprefix("queue://").partition("/")
    return MqReplyTo(queue, manager)


def mq_id(message_id: str, resend: int = 0) -> bytes:
    """24 bytes that stand for an id of ours and which resend it is: the 16 of a UUID as an operator can read it, else a digest."""
    try:
        return UUID(message_id).bytes + resend.to_bytes(_ID_BYTES - 16, "big")
    except ValueError:
        return hashlib.sha256(queue_id(message_id, resend).encode()).digest()[:_ID_BYTES]


def _reply_text(descriptor: Any) -> str:
    queue, manager = (bytes(name).rstrip(b"\0 ").decode() for name in (descriptor.ReplyToQ, descriptor.ReplyToQMgr))
    return f"queue://{manager}/{queue}" if queue else ""


def _connect(mq: Any, server: MqServer) -> Any:
    channel = mq.CD()
    keys = None
    if server.cipher:
        channel.SSLCipherSpec = server.cipher.encode()
        keys = mq.SCO()
        keys.KeyRepository = server.key_repository.encode()
    address = f"{server.host}({server.port})"
    user, password = (server.user, server.password) if server.user else (None, None)
    return mq.connect(server.queue_manager, server.channel, address, user, password, cd=channel, sco=keys)


def load_client() -> Any:
    """Returns `ibmmq`. Raises QueueClientMissing where it does not work.

    It is kept from writing properties of its own into each message where OpenTelemetry is installed: messages are as the rail knows them.
    """
    os.environ.setdefault("MQIPY_NOOTEL", "1")
    try:
        import ibmmq
    except (ImportError, OSError) as error:
        raise QueueClientMissing(str(error)) from error
    return ibmmq
