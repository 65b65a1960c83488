"""A real server over HTTP with bounds, an app that answers when it may, and callers who say what they like byte by byte."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kvitt.api.http_limits import Limits
from kvitt.api.http_server import HttpListener, ListenAddress
from kvitt.kernel.metrics import METRICS, Counted
from support.patience import PATIENCE_SECONDS

Message = MutableMapping[str, Any]
HEAD = b"POST / HTTP/1.1\r\nhost: kvitt\r\n"
GET = b"GET / HTTP/1.1\r\nhost: kvitt\r\n\r\n"
MAX_BODY = 1_048_576
PATIENT = Limits()


class App:
    """Answers with the length of what it read; waits with its answer until it may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.trailers: list[tuple[bytes, bytes]] = []
        self.answer = b""
        self.client: object = None
        self.gone = 0

    async def __call__(self, scope: Message, receive: Callable[[], Any], send: Callable[[Message], Any]) -> None:
        size, more = 0, True
        self.client = scope["client"][0]
        while more:
            message = await receive()
            if message["type"] != "http.request":
                self.gone += 1
                return
            size += len(message["body"])
            more = message["more_body"]
        await asyncio.get_running_loop().run_in_executor(None, self.may_answer.wait)
        self.trailers = [pair for pair in scope["headers"] if pair[0] == b"trailed"]
        body = self.answer or str(size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})


class Site:
    """Where it answers, and what answers there."""

    def __init__(self, listener: HttpListener, app: App) -> None:
        self.app, self.url = app, urlsplit(listener.url)

    def call(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        """A connection on which so much was said."""
        connection = socket.create_connection(
            (str(self.url.hostname), int(self.url.port or 0)), timeout=PATIENCE_SECONDS, source_address=(source, 0)
        )
        connection.sendall(sent)
        return connection


@contextmanager
def serving(limits: Limits, app: App | None = None, max_body: int = MAX_BODY) -> Iterator[Site]:
    app = app or App()
    listener = HttpListener(ListenAddress("127.0.0.1", 0, 0), "test", limits)
    try:
        with listener.serving(app, max_body):
            try:
                yield Site(listener, app)
            finally:
                app.may_answer.set()
    finally:
        listener.close()


def heard(connection: socket.socket) -> bytes:
    """Everything until the other side ends it."""
    said = b""
    with connection:
        while True:
            try:
                chunk = connection.recv(65536)
            except ConnectionResetError:
                return said
            if not chunk:
                return said
            said += chunk


def status(said: bytes) -> int | None:
    return int(said.split(b" ", 2)[1]) if said else None


def refused(why: str) -> int:
    return sum(count.times for count in METRICS.counts() if count.what is Counted.REFUSED and count.labels == ("test", why))


def pour(connection: socket.socket, chunk: bytes, most: int) -> int:
    """Sends the same again and again until nobody takes it; returns how many bytes were taken."""
    sent = 0
    try:
        while sent < most:
            connection.sendall(chunk)
            sent += len(chunk)
    except (BrokenPipeError, ConnectionResetError):
        return sent
    return sent


def certificate(directory: Path) -> Path:
    """A key and a certificate for the loopback address, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kvitt")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    named = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    made = named.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    file = directory / "kvitt.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made)
    return file
