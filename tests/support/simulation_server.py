"""A server that answers what a test tells it to, in the place of the rail's simulation, its token service and the proxy's issuer.

It knows nothing of simulations: each path has a script of acts, the last of which is repeated, and every request is kept as it came.
"""

import json
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from msgspec import Struct

from kvitt.rails.oppdrag.simulation import SimulationAccess
from kvitt.rails.oppdrag.simulation_tokens import ProxyAccess, TokenService
from kvitt.settings import Settings, SimulationSettings

SIMULATION, STS, ISSUER = "/simulation", "/rest/v1/sts/samltoken", "/issuer"
SAML2 = "urn:ietf:params:oauth:token-type:saml2"

Act = Callable[[BaseHTTPRequestHandler, "ScriptedServer"], None]
"""What is done with one request."""


class Asked(Struct, frozen=True):
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class ScriptedServer:
    """The server; `scripts` has the acts of each path."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.scripts: dict[str, Sequence[Act]] = {}
        self.asked: list[Asked] = []
        self.bodies: dict[BaseHTTPRequestHandler, bytes] = {}
        """Of the request that each connection is at."""
        self.gone = threading.Event()
        """Set when the test is over, so that nobody hangs any more."""
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            do_POST = do_GET  # noqa: N815 - the library calls it so

            def log_message(self, *_: object) -> None:
                """Nothing."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Clients go away, as they may."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Keeps the request and does what its path's script says next."""
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        self.bodies[handler] = body
        with self._lock:
            place = len(self.to(handler.path))
            self.asked.append(Asked(handler.path, {name.lower(): value for name, value in handler.headers.items()}, body))
        script = self.scripts[handler.path]
        script[min(place, len(script) - 1)](handler, self)

    def to(self, path: str) -> list[Asked]:
        """The requests to a path."""
        return [asked for asked in self.asked if asked.path == path]

    def access(self, *, tokens: bool = False, seconds: float = 60.0, at_once: int = 16) -> SimulationAccess:
        """How a client gets here."""
        return SimulationAccess(
            self.url + SIMULATION,
            TokenService(self.url, "srvkvitt", "sæcret") if tokens else None,
            ProxyAccess(self.url + ISSUER, "kvitt", "sæcret", "api://proxy/.default") if tokens else None,
            seconds=seconds,
            at_once=at_once,
        )

    def close(self) -> None:
        """Lets go of everybody."""
        self.gone.set()
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def scripted_server(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """A server for a test."""
    server = ScriptedServer(tls)
    try:
        yield server
    finally:
        server.close()


def asking(server: ScriptedServer, **settings: float) -> Settings:
    """Settings of a hub that asks here."""
    return Settings(simulation=SimulationSettings(url=server.access().url, **{"seconds": 60.0, **settings}))


def says(body: bytes, status: int = 200, **headers: str) -> Act:
    """Answers at once."""

    def act(handler: BaseHTTPRequestHandler, _: ScriptedServer) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Content-Type": "text/xml", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return act


def hangs(_: BaseHTTPRequestHandler, server: ScriptedServer) -> None:
    """Says nothing as long as the test lasts."""
    server.gone.wait()


def trickles(head: bool) -> Act:
    """Says a byte now and then, for ever: of a head, or of a body."""

    def act(handler: BaseHTTPRequestHandler, server: ScriptedServer) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: " if head else b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not server.gone.wait(0.02):
            handler.wfile.write(b"x" if head else b"1\r\nx\r\n")
            handler.wfile.flush()

    return act


def breaks_off(body: bytes, *, declared: bool) -> Act:
    """Closes the connection in the middle of the body, whose length was told or not."""

    def act(handler: BaseHTTPRequestHandler, _: ScriptedServer) -> None:
        length = f"Content-Length: {len(body)}\r\n" if declared else ""
        handler.wfile.write(f"HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n".encode() + body[: len(body) // 2])
        handler.close_connection = True

    return act


def hangs_up(handler: BaseHTTPRequestHandler, _: ScriptedServer) -> None:
    """Closes the connection without a word."""
    handler.close_connection = True


def goes_on(megabytes: int) -> Act:
    """Sends so many megabytes of an answer."""

    def act(handler: BaseHTTPRequestHandler, _: ScriptedServer) -> None:
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {megabytes * 1_000_000}\r\n\r\n".encode())
        for _ in range(megabytes):
            handler.wfile.write(b"<a></a> " * 125_000)

    return act


def later(seconds: float, act: Act) -> Act:
    """Does so after a while."""

    def waited(handler: BaseHTTPRequestHandler, server: ScriptedServer) -> None:
        time.sleep(seconds)
        act(handler, server)

    return waited


def assertion(name: str) -> bytes:
    """A made-up SAML assertion."""
    return f'<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID="{name}"/>'.encode()


def saml(name: str, seconds: float = 3600, kind: str = SAML2) -> Act:
    """A token with this assertion."""
    token = {"access_token": b64encode(assertion(name)).decode(), "issued_token_type": kind, "token_type": "Bearer", "expires_in": seconds}
    return says(json.dumps(token).encode())


def passes(token: str, seconds: float = 3600) -> Act:
    """A token for the proxy."""
    return says(json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": seconds}).encode())
