"""Lets callers in: connections are counted as they come, before TLS and before a byte is read, and turned away beyond limits."""

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socket import socket
from ssl import SSLContext
from typing import Final

import structlog
from msgspec import Struct

from kvitt.api.http_limits import Seat, Seats
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.kernel.state_log import StateLog

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
                self._states.enters(self._name, error.errno, "error", "no descriptor for a connection", door=self._name)
                self._loop.remove_reader(self._listening.fileno())
                self._loop.call_later(_REST_SECONDS, self._go_on)
                return
            self._states.leaves(self._name, "descriptors for connections again", door=self._name)
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
