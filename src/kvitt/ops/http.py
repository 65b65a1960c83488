"""A small HTTP server for probes and scrapes: three pages, read only, bounded in connections, bytes and time.

It has a thread and descriptors of its own, so that it answers whatever happens at the APIs. Whoever says nothing is hung up on, and sooner
when somebody else wants in: probes are never kept out by those who are silent.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader, RawIOBase
from socket import AF_INET, AF_INET6, SHUT_RDWR, socket
from socketserver import TCPServer
from typing import Any, Final, cast

from msgspec import Struct

MOST_CONNECTIONS: Final = 64
_MOST_HEAD_BYTES: Final = 16_384
_SECONDS: Final = 10.0
"""For one request, from the connection to the end of the answer."""
_POLL_SECONDS: Final = 0.1
_BUSY: Final = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Page(Struct, frozen=True):
    """The answer of a path."""

    status: HTTPStatus
    content_type: str
    body: bytes


MakePage = Callable[[], Page]
_NOT_FOUND = Page(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"there are /isalive, /isready and /metrics\n")


class PageServer:
    """Serves pages by their exact path from threads of its own. Raises OSError when the address can not be had."""

    def __init__(self, host: str, port: int, pages: Mapping[str, MakePage], *, seconds: float = _SECONDS) -> None:
        """Port 0 means any free one."""
        self._server = _PageHttpServer((host, port), type("PageHandler", (_PageHandler,), {"pages": pages}), seconds)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="operations", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stops listening; answers that are on their way are not waited for."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _PageHttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], seconds: float) -> None:
        self._seconds, self._lock = seconds, threading.Lock()
        self._open: dict[socket, float] = {}
        """Since when a connection is open, oldest first."""
        self._asking: set[socket] = set()
        """Those who have asked nothing yet."""
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without asking the name service what this machine is called, which the parent's does and which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Makes room if there is none, at the cost of whoever has been silent for longest; where all are being answered, refuses."""
        with self._lock:
            full = len(self._open) >= MOST_CONNECTIONS
            silent = next((each for each in self._open if each in self._asking), None) if full else None
            if full and silent is None:
                with suppress(OSError):
                    request.settimeout(_POLL_SECONDS)
                    request.sendall(_BUSY)
                self.shutdown_request(request)
                return
            if silent is not None:
                self._hang_up(silent)
            self._open[request] = time.monotonic()
            self._asking.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)
                self._asking.discard(request)

    def asked(self, request: socket) -> None:
        """The request is whole, and will be answered."""
        with self._lock:
            self._asking.discard(request)

    def service_actions(self) -> None:
        """Several times a second: hangs up on those who take too long."""
        with self._lock:
            late = time.monotonic() - self._seconds
            for each in [each for each, since in self._open.items() if since < late]:
                self._hang_up(each)

    def _hang_up(self, request: socket) -> None:
        """Wakes its thread, which closes it."""
        self._open.pop(request, None)
        self._asking.discard(request)
        with suppress(OSError):
            request.shutdown(SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked has gone; the answer is theirs to ask for again."""


class _Bounded(RawIOBase):
    """Holds what a caller says, up to so many bytes."""

    def __init__(self, connection: socket, most: int) -> None:
        super().__init__()
        self._connection, self._left = connection, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._connection.recv_into(buffer, min(len(buffer), self._left)) if self._left else 0
        self._left -= count
        return count


class _PageHandler(BaseHTTPRequestHandler):
    pages: Mapping[str, MakePage]
    timeout = _SECONDS
    server_version, sys_version = "kvitt", ""

    def setup(self) -> None:
        """As the parent's, but of a caller only so much is read."""
        super().setup()
        self.rfile.close()
        self.rfile = BufferedReader(_Bounded(self.connection, _MOST_HEAD_BYTES))

    def _answer(self) -> None:
        cast("_PageHttpServer", self.server).asked(self.connection)
        make = self.pages.get(self.path.partition("?")[0])
        page = make() if make else _NOT_FOUND
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(page.body)

    do_GET = do_HEAD = _answer  # noqa: N815 - the names are the standard library's

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Says nothing: a line per probe would drown the others."""
