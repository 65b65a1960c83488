"""An ASGI app on an address, served by uvicorn in a thread of its own, so that it starts and stops with a role.

Connections are counted as they come, before TLS and before a byte is read, and turned away beyond limits. What one connection may do is
http_protocol's; uvicorn does the rest.
"""

import asyncio
import errno
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNIX, IPPROTO_TCP, SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET, TCP_NODELAY, socket
from ssl import SSLContext
from typing import Any, Final, cast

import structlog
import uvicorn
from msgspec import Struct

from kvitt.api.http_limits import Limits, Seat, Seats
from kvitt.api.http_protocol import BoundedProtocol, ListenerState
from kvitt.errors import ApiPortTaken
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.kernel.state_log import StateLog

_GRACE_SECONDS = 10
_BACKLOG = 1024
_TICKS_PER_SECOND = 10
MAX_BODY = 4_194_304
"""Bytes of a body, unless an app says less."""


class ListenAddress(Struct, frozen=True):
    """An address to listen at, with its files in PEM. `client_ca_file` wants every client to show a certificate of it.

    `port` None: the usual one if it is free, else any. `shared`: other processes of the same user may listen at it too, if they say so as
    well, and the system shares callers out among them. `kept`: of those, it is ours to say who.
    """

    host: str
    port: int | None
    usual_port: int
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    shared: bool = False
    kept: bool = False


class HttpListener:
    """An address that is ours from the beginning, so that a start that can't have it fails at once; an app is served on it for a while."""

    def __init__(self, address: ListenAddress, name: str, limits: Limits | None = None) -> None:
        """Binds the address; port 0 means any free one, None the usual one or, if that is taken, any. Raises ApiPortTaken."""
        self._address, self._name, self._limits = address, name, limits or Limits()
        self._socket, self._reserved = _bind(address, name)
        self._server: _ListeningServer | None = None

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._address.certificate_file else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def port(self) -> int:
        """The port at which it listens."""
        return int(self._socket.getsockname()[1])

    @contextmanager
    def serving(self, app: Any, max_body: int = MAX_BODY) -> Iterator[threading.Thread]:
        """Answers from a thread of its own until the block ends; what was asked by then is answered, within some seconds.

        The block begins when callers are let in, or the thread has ended.
        """
        self._server = server = _ListeningServer(_config(app, self._address), ListenerState(self._name, self._limits, max_body))
        listening = self._listening()
        thread = threading.Thread(target=server.run_until_stopped, args=(listening,), name=self._name, daemon=True)
        thread.start()
        server.opened.wait()
        try:
            yield thread
        finally:
            server.should_exit = True
            thread.join()

    def end_soon(self) -> None:
        """Lets nobody in any more, and waits for nothing: listeners that end together do so at the same time."""
        if self._server:
            self._server.should_exit = True

    def _listening(self) -> socket:
        """A socket of its own at our address: when it is closed, callers are refused and do not wait in the kernel's queue for nobody."""
        listening = _new_socket(self._address)
        try:
            listening.bind(self._socket.getsockname())
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            raise ApiPortTaken(self._name, self._address.host, self.port, error.strerror or type(error).__name__) from error
        return listening

    def close(self) -> None:
        """Gives the address up."""
        self._socket.close()
        if self._reserved:
            self._reserved.close()


class _ListeningServer(uvicorn.Server):
    """uvicorn, with our way of letting callers in, and a look at all connections once a second."""

    def __init__(self, config: uvicorn.Config, state: ListenerState) -> None:
        super().__init__(config)
        self._state = state
        self.opened = threading.Event()
        """Callers are let in, or never will be."""

    def run_until_stopped(self, listening: socket) -> None:
        """Serves until `should_exit`."""
        try:
            self.run([listening])
        finally:
            self.opened.set()
            listening.close()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Lets callers in."""
        await self.lifespan.startup()
        assert sockets, "the listener has bound its address"
        limits = self._state.limits
        seats = Seats(limits.connections, limits.connections_per_address)
        greeting = Greeting(self.config.ssl, limits.header_seconds)
        acceptor = Acceptor(self._state.name, sockets[0], self._protocol, seats, greeting)
        self.servers = [cast("asyncio.base_events.Server", acceptor)]
        self.started = True
        self.opened.set()

    def _protocol(self, seat: Seat) -> asyncio.Protocol:
        return BoundedProtocol(self.config, self.server_state, self.lifespan.state, self._state, seat)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % _TICKS_PER_SECOND == 0:
            connections = [each for each in self.server_state.connections if isinstance(each, BoundedProtocol)]
            self._state.sweep(connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)


def _config(app: Any, address: ListenAddress) -> uvicorn.Config:
    tls: dict[str, Any] = {}
    if address.certificate_file:
        tls = {"ssl_certfile": str(address.certificate_file), "ssl_keyfile": str(address.key_file or address.certificate_file)}
    if address.client_ca_file:
        tls |= {"ssl_ca_certs": str(address.client_ca_file), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        # Who calls is who has the connection: what a header says of that, anybody may write.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        lifespan="off",
        ws="none",
        **tls,
    )


def _new_socket(address: ListenAddress) -> socket:
    made = socket(AF_INET6 if ":" in address.host else AF_INET)
    made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    made.setsockopt(SOL_SOCKET, SO_REUSEPORT, address.shared)
    made.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    return made


def _bind(address: ListenAddress, name: str) -> tuple[socket, socket | None]:
    """A socket at the address, and what keeps other processes from it. Several on one machine need no settings to get along."""
    port = address.usual_port if address.port is None else address.port
    try:
        if address.port is None:
            with suppress(OSError):
                return _bind_to(address, port)
            return _bind_to(address, 0)
        return _bind_to(address, port)
    except OSError as error:
        raise ApiPortTaken(name, address.host, port, error.strerror or type(error).__name__) from error


def _bind_to(address: ListenAddress, port: int) -> tuple[socket, socket | None]:
    bound = _new_socket(address)
    try:
        bound.bind((address.host, port))
        return bound, None if address.shared and not address.kept else _reserve(*bound.getsockname()[:2])
    except OSError:
        bound.close()
        raise


def _reserve(host: str, port: int) -> socket | None:
    """Claims an address among processes of kvitt. Before one listens, the system gives it to all that bind it, and then to the first.

    Raises OSError where another one has it. Only Linux has such names, which end with their socket.
    """
    if sys.platform != "linux":
        return None
    reserved = socket(AF_UNIX)
    try:
        reserved.bind(f"\0kvitt {host} {port}")
    except OSError:
        reserved.close()
        raise
    return reserved


_log = structlog.get_logger(__name__)
_AT_ONCE: Final = 128
_REST_SECONDS: Final = 0.25
_SHUTDOWN_SECONDS: Final = 5.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
    b"retry-after: 1\r\nconnection: close\r\n\r\ntoo many connections\n"
)
MakeProtocol = Callable[[Seat], asyncio.Protocol]


class Greeting(Struct, frozen=True):
    """The beginning of a connection, before HTTP: TLS, or nothing, and how long a caller may take over it."""

    tls: SSLContext | None
    seconds: float


class Acceptor:
    """Accepts on a listening socket from the loop that makes it. Has what uvicorn wants of a server of the loop."""

    def __init__(self, name: str, listening: socket, make: MakeProtocol, seats: Seats, greeting: "Greeting") -> None:
        self._name, self._listening, self._make, self._seats = name, listening, make, seats
        self._tls, self._handshake_seconds = greeting.tls, greeting.seconds
        self._loop = asyncio.get_running_loop()
        self._states = StateLog(_log)
        self._arriving: set[asyncio.Task[None]] = set()
        self._open = True
        listening.setblocking(False)
        self._loop.add_reader(listening.fileno(), self._accept)

    def close(self) -> None:
        """Lets nobody in any more; who is in is not disturbed."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._listening.fileno())
            for task in self._arriving:
                task.cancel()

    async def wait_closed(self) -> None:
        """Returns when those who were still greeting have gone."""
        await asyncio.gather(*self._arriving, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, peer = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    continue
                # The connection stays in the kernel's queue: without a rest the loop would spin on it.
                self._states.enters(self._name, error.errno, "error", "no descriptor for a connection", api=self._name)
                self._loop.remove_reader(self._listening.fileno())
                self._loop.call_later(_REST_SECONDS, self._go_on)
                return
            self._states.leaves(self._name, "descriptors for connections again", api=self._name)
            self._seat(connection, str(peer[0]))

    def _go_on(self) -> None:
        if self._open:
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _seat(self, connection: socket, address: str) -> None:
        connection.setblocking(False)
        seat = self._seats.take(address)
        if isinstance(seat, str):
            METRICS.add(Counted.REFUSED, self._name, seat)
            self._turn_away(connection)
            return
        task = self._loop.create_task(self._greet(connection, seat))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _turn_away(self, connection: socket) -> None:
        with suppress(OSError):
            if self._tls is None:
                connection.send(_BUSY)
        connection.close()

    async def _greet(self, connection: socket, seat: Seat) -> None:
        """Gives the connection to a protocol, which leaves the seat when it is lost."""
        # Of a connection without TLS these must not be said.
        timed = {"ssl_handshake_timeout": self._handshake_seconds, "ssl_shutdown_timeout": _SHUTDOWN_SECONDS} if self._tls else {}
        try:
            await self._loop.connect_accepted_socket(partial(self._make, seat), connection, ssl=self._tls, **timed)
        except (OSError, asyncio.CancelledError) as error:
            seat.leave()
            connection.close()
            if isinstance(error, OSError):
                METRICS.add(Counted.REFUSED, self._name, "no greeting")
