"""An ASGI app on an address, served by uvicorn in a thread of its own, so that it starts and stops with a role.

Who is let in is http_accept's, what one connection may do is http_protocol's; uvicorn does the rest.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, AF_INET6, IPPROTO_TCP, SO_REUSEADDR, SOL_SOCKET, TCP_NODELAY, socket
from typing import Any, cast

import uvicorn
from msgspec import Struct

from kvitt.api.http_accept import Acceptor, Greeting
from kvitt.api.http_limits import Limits, Seat, Seats
from kvitt.api.http_protocol import BoundedProtocol, ListenerState
from kvitt.errors import ApiPortTaken

_GRACE_SECONDS = 10
_BACKLOG = 1024
_TICKS_PER_SECOND = 10
MAX_BODY = 4_194_304
"""Bytes of a body, unless an app says less."""


class ListenAddress(Struct, frozen=True):
    """An address to listen at, with its files in PEM. `client_ca_file` wants every client to show a certificate of it.

    `port` None: the usual one if it is free, else any.
    """

    host: str
    port: int | None
    usual_port: int
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None


class HttpListener:
    """An address that is ours from the beginning, so that a start that can't have it fails at once; an app is served on it for a while."""

    def __init__(self, address: ListenAddress, name: str, limits: Limits | None = None) -> None:
        """Binds the address; port 0 means any free one, None the usual one or, if that is taken, any. Raises ApiPortTaken."""
        self._address, self._name, self._limits = address, name, limits or Limits()
        self._socket = _bind(address, name)

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._address.certificate_file else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @contextmanager
    def serving(self, app: Any, max_body: int = MAX_BODY) -> Iterator[threading.Thread]:
        """Answers from a thread of its own until the block ends; what was asked by then is answered, within some seconds.

        The block begins when callers are let in, or the thread has ended.
        """
        server = _ListeningServer(_config(app, self._address), ListenerState(self._name, self._limits, max_body))
        listening = self._listening()
        thread = threading.Thread(target=server.run_until_told, args=(listening,), name=self._name, daemon=True)
        thread.start()
        server.opened.wait()
        try:
            yield thread
        finally:
            server.should_exit = True
            thread.join()

    def _listening(self) -> socket:
        """A socket of its own at our address: when it is closed, callers are refused and do not wait in the kernel's queue for nobody."""
        listening = _new_socket(self._address.host)
        try:
            listening.bind(self._socket.getsockname())
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            port = int(self._socket.getsockname()[1])
            raise ApiPortTaken(self._name, self._address.host, port, error.strerror or type(error).__name__) from error
        return listening

    def close(self) -> None:
        """Gives the address up."""
        self._socket.close()


class _ListeningServer(uvicorn.Server):
    """uvicorn, with our way of letting callers in, and a look at all connections once a second."""

    def __init__(self, config: uvicorn.Config, state: ListenerState) -> None:
        super().__init__(config)
        self._state = state
        self.opened = threading.Event()
        """Callers are let in, or never will be."""

    def run_until_told(self, listening: socket) -> None:
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


def _new_socket(host: str) -> socket:
    made = socket(AF_INET6 if ":" in host else AF_INET)
    made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    made.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    return made


def _bind(address: ListenAddress, name: str) -> socket:
    bound = _new_socket(address.host)
    try:
        _bind_to(bound, address)
    except OSError as error:
        bound.close()
        port = address.usual_port if address.port is None else address.port
        raise ApiPortTaken(name, address.host, port, error.strerror or type(error).__name__) from error
    return bound


def _bind_to(bound: socket, address: ListenAddress) -> None:
    if address.port is not None:
        bound.bind((address.host, address.port))
        return
    # Several processes on one machine need no settings to get along.
    try:
        bound.bind((address.host, address.usual_port))
    except OSError:
        bound.bind((address.host, 0))
