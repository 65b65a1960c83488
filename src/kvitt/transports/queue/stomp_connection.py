"""A STOMP 1.2 connection for one thread: frames go out, receipts are waited for, messages are taken when asked for.

stomp.py reads in a thread of its own and keeps up the heart-beats; what it reads waits here until our thread takes it.
"""

import socket
import ssl
import time
from collections import deque
from itertools import count
from queue import Empty, SimpleQueue

from msgspec import Struct
from stomp.connect import Protocol12
from stomp.exception import StompException
from stomp.listener import ConnectionListener
from stomp.transport import Transport
from stomp.utils import Frame

from kvitt.kernel.queue import Outgoing

ID_HEADER = "kvitt_message_id"
HEART_BEAT_MILLISECONDS = 10_000
"""Both ways; a peer that is silent for one and a half of it is gone."""

_CONNECT_SECONDS, _RECEIPT_SECONDS = 10.0, 60.0
_READ_BYTES = 256 * 1024
_SUBSCRIPTION = "0"


class StompTls(Struct, frozen=True):
    """Files in PEM: who signed the broker's certificate (empty = whom the system trusts), and ours, where the broker wants one."""

    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    def check(self) -> None:
        """Raises OSError when a file is not there or not what it should be; the library would look for it for ever."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file or None)


class StompMessage(Struct, frozen=True):
    """A message as it came; `message_id` is ours, or the broker's where a stranger has put it."""

    ack: str
    message_id: str
    body: bytes
    reply_to: str
    priority: int
    redelivered: bool


class BrokerRefused(ConnectionError):
    """The broker answered with an ERROR frame, which ends the connection; what has no RECEIPT from it can not be taken as done."""


class StompConnection:
    """Connects when made. Every method raises ConnectionError when the connection ends; it is then of no more use."""

    def __init__(self, host: str, port: int, user: str, password: str, tls: StompTls | None) -> None:
        self._frames: SimpleQueue[Frame | None] = SimpleQueue()
        self._messages: deque[StompMessage] = deque()
        self._receipts = count(1)
        self._transport = _PromptTransport(host, port, tls)
        self._protocol = Protocol12(self._transport, heartbeats=(HEART_BEAT_MILLISECONDS, HEART_BEAT_MILLISECONDS))
        self._transport.set_listener("frames", _Inbox(self._frames))
        try:
            self._transport.start()
            self._protocol.connect(user or None, password or None)
            self._await("CONNECTED", "", _CONNECT_SECONDS)
        except (StompException, OSError) as error:
            self.drop()
            raise ConnectionError(f"no connection to {host}:{port}: {error or type(error).__name__}") from error

    @property
    def ended(self) -> bool:
        """Whether it is known to be of no more use."""
        return not self._transport.is_connected()

    def begin(self, transaction: str) -> None:
        """Opens a transaction for `send`; it ends with `commit` or with the connection."""
        self._write("BEGIN", transaction=transaction)

    def commit(self, transaction: str) -> None:
        """Stores what was sent in the transaction. Raises BrokerRefused when the broker took none of it."""
        self._settle("COMMIT", transaction=transaction)

    def send(self, destination: str, message: Outgoing, transaction: str = "") -> None:
        """Sends a durable message; outside a transaction it is stored, or known to the broker by its queue id, when this returns."""
        headers = {
            "destination": destination,
            "persistent": "true",
            "priority": str(message.priority),
            "correlation-id": message.message_id,
            "_AMQ_DUPL_ID": message.queue_id,
            ID_HEADER: message.queue_id,
            # Said also where there is nothing: without it a broker may take the body for text and change it.
            "content-length": str(len(message.body)),
        }
        if message.reply_to:
            headers["reply-to"] = message.reply_to
        if transaction:
            self._write("SEND", message.body, **headers, transaction=transaction)
        else:
            self._settle("SEND", message.body, **headers)

    def subscribe(self, source: str, window_bytes: int) -> None:
        """Lets messages come; the broker stops when more than this is under way and not acknowledged, which may be one message."""
        headers = {
            "destination": source,
            "id": _SUBSCRIPTION,
            "ack": "client",
            "consumer-window-size": str(window_bytes),
        }
        self._settle("SUBSCRIBE", b"", **headers)

    def unsubscribe(self) -> None:
        """Gives back what was not acknowledged, uncounted and in its place, and lets no more come."""
        self._settle("UNSUBSCRIBE", id=_SUBSCRIPTION)
        self._messages.clear()

    def take(self, seconds: float) -> StompMessage | None:
        """The next message, waited for at most so long."""
        deadline = time.monotonic() + seconds
        while not self._messages:
            frame = self._next(max(0.0, deadline - time.monotonic()))
            if frame is None:
                return None
            if frame.cmd == "MESSAGE":
                self._messages.append(_message(frame))
        return self._messages.popleft()

    def acknowledge(self, last: StompMessage) -> None:
        """Removes this message and all that came before it: one act of the broker, done when this returns."""
        self._settle("ACK", id=last.ack)

    def close(self) -> None:
        """Says good-bye, so that the broker gives back at once what was not acknowledged."""
        if self.ended:
            return
        try:
            self._settle("DISCONNECT")
        finally:
            self.drop()

    def drop(self) -> None:
        """Ends the connection without a word."""
        if self._transport.socket is not None:
            self._transport.disconnect_socket()

    def _settle(self, command: str, body: bytes = b"", **headers: str) -> None:
        """Sends a frame and returns when the broker has done what it asks."""
        receipt = str(next(self._receipts))
        self._write(command, body, **headers, receipt=receipt)
        self._await("RECEIPT", receipt, _RECEIPT_SECONDS)

    def _write(self, command: str, body: bytes = b"", **headers: str) -> None:
        try:
            self._protocol.send_frame(command, headers, body)
        except (StompException, OSError) as error:
            raise ConnectionError(f"the connection ended: {error or type(error).__name__}") from error

    def _await(self, command: str, receipt: str, seconds: float) -> None:
        """Takes frames until the one that is waited for; messages among them are kept."""
        deadline = time.monotonic() + seconds
        while frame := self._next(max(0.0, deadline - time.monotonic())):
            if frame.cmd == command and frame.headers.get("receipt-id", "") == receipt:
                return
            if frame.cmd == "MESSAGE":
                self._messages.append(_message(frame))
        raise ConnectionError(f"the broker sent no {command} within {seconds:.0f} s")

    def _next(self, seconds: float) -> Frame | None:
        try:
            frame = self._frames.get(timeout=seconds)
        except Empty:
            return None
        if frame is None:
            raise ConnectionError("the connection ended")
        if frame.cmd == "ERROR":
            raise BrokerRefused(frame.headers.get("message", "the broker refused"))
        return frame


def _message(frame: Frame) -> StompMessage:
    headers = frame.headers
    return StompMessage(
        ack=headers.get("ack", ""),
        message_id=headers.get(ID_HEADER) or headers.get("message-id", ""),
        body=frame.body,
        reply_to=headers.get("reply-to", ""),
        priority=int(headers.get("priority", "4")),
        redelivered=headers.get("redelivered") == "true",
    )


class _Inbox(ConnectionListener):  # type: ignore[misc]
    """Hands frames from the reading thread to ours; None says that there will be no more."""

    def __init__(self, frames: "SimpleQueue[Frame | None]") -> None:
        self.on_connected = self.on_message = self.on_receipt = self.on_error = frames.put
        self._frames = frames

    def on_disconnected(self) -> None:
        self._frames.put(None)


class _PromptTransport(Transport):  # type: ignore[misc]
    """The library's transport to one broker, tried once, without the delays of a socket that gathers small frames."""

    def __init__(self, host: str, port: int, tls: StompTls | None) -> None:
        super().__init__(
            [(host, port)],
            prefer_localhost=False,
            try_loopback_connect=False,
            reconnect_attempts_max=1,
            timeout=_CONNECT_SECONDS,
            auto_decode=False,
            recv_bytes=_READ_BYTES,
        )
        if tls is not None:
            files = {"ca_certs": tls.ca_file or None, "cert_file": tls.certificate_file or None, "key_file": tls.key_file or None}
            self.set_ssl([(host, port)], **files)

    def attempt_connection(self) -> None:
        """Connects, and sends every frame at once: with Nagle's algorithm each exchange would wait for a delayed acknowledgement."""
        super().attempt_connection()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> bytes | None:
        """Reads what is there. The library takes the end of a TLS connection for a moment of silence and would look again for ever."""
        try:
            read: bytes | None = super().receive()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.running = False
            raise
        if read == b"":
            self.running = False
        return read
