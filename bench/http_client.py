"""Callers over HTTP/1.1 that cost little themselves: one connection each, which stays open, with one call at a time on it."""

import asyncio
import itertools
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Any

HOST = "127.0.0.1"
CALLERS = 128
_START_SECONDS = 60.0
_STATUS = slice(9, 12)


class Connection(asyncio.Protocol):
    """A connection with one exchange at a time on it."""

    def __init__(self) -> None:
        self._heard = b""
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        if self._answer is None or not end or len(body) < _length(head):
            return
        self._heard = b""
        self._answer.set_result((head, body))

    async def exchange(self, request: bytes, status: bytes) -> bytes:
        """The body of the answer to a request; raises RuntimeError with the answer when its status is another one."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        head, body = await self._answer
        if head[_STATUS] != status:
            raise RuntimeError((head + body).decode(errors="replace"))
        return body


class Line(Connection):
    """A caller of the JSON API."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._head = f"HTTP/1.1\r\nhost: kvitt\r\ncontent-type: application/json\r\nauthorization: Bearer {token}\r\ncontent-length: "

    async def post(self, path: str, body: bytes, status: bytes, key: str = "") -> None:
        """Posts to a path, under an Idempotency-Key if one is given. Raises as `exchange`."""
        more = f"\r\nidempotency-key: {key}" if key else ""
        await self.exchange(b"POST %b %b%d%b\r\n\r\n%b" % (path.encode(), self._head.encode(), len(body), more.encode(), body), status)


def _length(head: bytes) -> int:
    """How long the body is; chunks are not expected."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def callers(ports: Sequence[int], token: str) -> Sequence[Line]:
    """Open connections, as soon as all hubs listen; those to one hub lie between those to the others."""
    loop, deadline = asyncio.get_running_loop(), time.monotonic() + _START_SECONDS
    taken_in_turn = list(itertools.islice(itertools.cycle(ports), CALLERS))
    while True:
        try:
            return [(await loop.create_connection(lambda: Line(token), HOST, port))[1] for port in taken_in_turn]
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def each_as_it_can(lines: Sequence[Line], work: Iterable[Any], call: Any) -> float:
    """Pieces of work per second when every line takes the next as soon as it is done with one; `call` does one on a line."""
    waiting, done = iter(work), 0

    async def go_on(line: Line) -> None:
        nonlocal done
        for piece in waiting:
            await call(line, piece)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*map(go_on, lines))
    return done / (time.perf_counter() - began)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
