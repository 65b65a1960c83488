"""An ASGI app on an address, served by uvicorn in a thread of its own, so that it starts and stops with a role."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, AF_INET6, IPPROTO_TCP, SO_REUSEADDR, SOL_SOCKET, TCP_NODELAY, socket
from typing import Any

import uvicorn
from msgspec import Struct

from kvitt.errors import DoorPortTaken

_MOST_REQUESTS = 2048
_GRACE_SECONDS = 10
_IDLE_SECONDS = 75
_BACKLOG = 1024


class Address(Struct, frozen=True):
    """Where a door listens, and with which files in PEM. `client_ca_file` wants every client to show a certificate of it.

    `port` None: the usual one if it is free, else any.
    """

    host: str
    port: int | None
    usual_port: int
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None


class HttpDoor:
    """An address that is ours from the beginning, so that a start that can't have it fails at once; an app is served on it for a while."""

    def __init__(self, address: Address, name: str) -> None:
        """Binds the address; port 0 means any free one, None the usual one or, if that is taken, any. Raises DoorPortTaken."""
        self._address, self._name = address, name
        self._socket = _bind(address, name)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._address.certificate_file else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @contextmanager
    def serving(self, app: Any) -> Iterator[threading.Thread]:
        """Answers from a thread of its own until the block ends; what was asked by then is answered, within some seconds."""
        server = uvicorn.Server(_config(app, self._address))
        # The server closes what it is given.
        listening = self._socket.dup()
        listening.listen(_BACKLOG)
        thread = threading.Thread(target=server.run, args=([listening],), name=self._name, daemon=True)
        thread.start()
        try:
            yield thread
        finally:
            server.should_exit = True
            thread.join()

    def close(self) -> None:
        """Gives the address up."""
        self._socket.close()


def _config(app: Any, address: Address) -> uvicorn.Config:
    tls: dict[str, Any] = {}
    if address.certificate_file:
        tls = {"ssl_certfile": str(address.certificate_file), "ssl_keyfile": str(address.key_file or address.certificate_file)}
    if address.client_ca_file:
        tls |= {"ssl_ca_certs": str(address.client_ca_file), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        lifespan="off",
        ws="none",
        **tls,
    )


def _bind(address: Address, name: str) -> socket:
    bound = socket(AF_INET6 if ":" in address.host else AF_INET)
    bound.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    bound.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    try:
        _bind_to(bound, address)
    except OSError as error:
        bound.close()
        port = address.usual_port if address.port is None else address.port
        raise DoorPortTaken(name, address.host, port, error.strerror or type(error).__name__) from error
    return bound


def _bind_to(bound: socket, address: Address) -> None:
    if address.port is not None:
        bound.bind((address.host, address.port))
        return
    # Several processes on one machine need no settings to get along.
    try:
        bound.bind((address.host, address.usual_port))
    except OSError:
        bound.bind((address.host, 0))
