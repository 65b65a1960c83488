"""A small HTTP server for probes and scrapes: three pages, read only, bounded in connections and in time."""

import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, socket
from socketserver import TCPServer
from typing import Any

from msgspec import Struct

_MOST_CONNECTIONS = 16
_SOCKET_SECONDS = 10.0
_POLL_SECONDS = 0.1
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Page(Struct, frozen=True):
    """What a path answers."""

    status: HTTPStatus
    content_type: str
    body: bytes


MakePage = Callable[[], Page]
_NOT_FOUND = Page(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"there are /isalive, /isready and /metrics\n")


class PageServer:
    """Serves pages by their exact path from threads of its own. Raises OSError when the address can not be had."""

    def __init__(self, host: str, port: int, pages: Mapping[str, MakePage]) -> None:
        """Port 0 means any free one."""
        self._server = _Server((host, port), type("Handler", (_Handler,), {"pages": pages}))
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without asking the name service what this machine is called, which the parent's does and which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        _refuse(request)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked has gone; the answer is theirs to ask for again."""


def _refuse(request: socket) -> None:
    request.settimeout(_POLL_SECONDS)
    try:
        request.sendall(_BUSY)
    except OSError:
        return


class _Handler(BaseHTTPRequestHandler):
    pages: Mapping[str, MakePage]
    timeout = _SOCKET_SECONDS
    server_version, sys_version = "kvitt", ""

    def _answer(self) -> None:
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
