"""A TCP proxy between kvitt and PostgreSQL that cuts a connection at a chosen message: before it reaches the server, or before its answer
reaches kvitt. The server is real, and so is what it has done by then.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from support.patience import PATIENCE_SECONDS

_CHUNK = 65_536
_ANSWERED = (b"Q", b"S")
"""The messages of a client that the server answers at once: a query, and the end of a row of others."""


class Cut(StrEnum):
    """Where a connection is cut."""

    BEFORE = "before"  # the message does not reach the server
    AFTER = "after"  # the server has done what it says, and its answer is lost


def is_commit(message: bytes) -> bool:
    """Whether a message of a client asks to commit."""
    return message[:1] == b"Q" and message[5:].strip(b"\0") == b"COMMIT"


class Proxy:
    """Lets everything through until it is asked to cut; each connection has two threads of its own."""

    def __init__(self, target: tuple[str, int] | str) -> None:
        """`target` is where the server listens: host and port, or the path of its socket."""
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._lock = threading.Lock()
        self._when: Callable[[bytes], bool] | None = None
        self._cut, self._times, self._shut_after = Cut.AFTER, 0, False
        self.shut = False
        self.cuts = 0
        self.messages = 0
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, where: Cut, when: Callable[[bytes], bool] = is_commit, *, times: int = 1, shut: bool = False) -> None:
        """Cuts the next connections that send such a message; `shut`: from the first on nobody is let through any more."""
        with self._lock:
            self._when, self._cut, self._times, self._shut_after = when, where, times, shut

    def close(self) -> None:
        """Ends everything."""
        self.shut = True
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in list(self._open):
            _end(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.shut:
                _end(client)
                continue
            server = socket.socket(socket.AF_UNIX) if isinstance(self._target, str) else socket.socket()
            server.connect(self._target)
            self._open |= {client, server}
            _Pair(self, client, server).start()

    def chosen(self, message: bytes) -> Cut | None:
        """Whether to cut at this message."""
        with self._lock:
            self.messages += 1
            if self._when is None or not self._when(message):
                return None
            self._times -= 1
            self._when = self._when if self._times else None
            self.cuts += 1
            self.shut = self.shut or self._shut_after
            return self._cut

    def forget(self, *sockets: socket.socket) -> None:
        """These are closed."""
        self._open -= set(sockets)


class _Pair:
    """One connection, and its way on to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._silent = threading.Event()
        self._answered = threading.Event()

    def start(self) -> None:
        for run in (self._forth, self._back):
            threading.Thread(target=run, daemon=True).start()

    def _forth(self) -> None:
        """From the client, message by message."""
        with suppress(OSError, EOFError):
            self._server.sendall(self._startup())
            while True:
                message = self._message()
                cut = self._proxy.chosen(message)
                if cut is Cut.AFTER:
                    self._silent.set()
                    self._server.sendall(message)
                    if message[:1] in _ANSWERED:
                        # What the server answers to the message says that it has done it.
                        self._answered.wait(PATIENCE_SECONDS)
                if cut:
                    break
                self._server.sendall(message)
        self._close()

    def _back(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(_CHUNK):
                if self._silent.is_set():
                    self._answered.set()
                else:
                    self._client.sendall(data)
        self._answered.set()
        self._close()

    def _startup(self) -> bytes:
        head = self._exactly(4)
        return head + self._exactly(int.from_bytes(head) - 4)

    def _message(self) -> bytes:
        head = self._exactly(5)
        return head + self._exactly(int.from_bytes(head[1:]) - 4)

    def _exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            more = self._client.recv(size - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def _close(self) -> None:
        for each in (self._client, self._server):
            _end(each)
        self._proxy.forget(self._client, self._server)


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextmanager
def proxied(conninfo: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the server, and the conninfo that goes through it."""
    given = conninfo_to_dict(conninfo)
    host, port = str(given.get("host") or "127.0.0.1"), int(given.get("port") or 5432)
    proxy = Proxy(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port))
    try:
        yield proxy, make_conninfo(conninfo, host="127.0.0.1", port=proxy.port, sslmode="disable", gssencmode="disable")
    finally:
        proxy.close()
