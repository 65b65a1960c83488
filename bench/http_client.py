"""Callers of the REST API that cost little themselves: one connection each, which stays open, with one call at a time on it."""

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


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, token: str) -> None:
        self._head = f"HTTP/1.1\r\nhost: kvitt\r\ncontent-type: application/json\r\nauthorization: Bearer {token}\r\ncontent-length: "
        self._heard, self._status = b"", b""
        self._answer: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._answer is None or b"\r\n\r\n" not in self._heard:
            return
        head, _, body = self._heard.partition(b"\r\n\r\n")
        if len(body) < _length(head):
            return
        heard, self._heard = self._heard, b""
        if heard[_STATUS] == self._status:
            self._answer.set_result(None)
        else:
            self._answer.set_exception(RuntimeError(heard.decode(errors="replace")))

    async def post(self, path: str, body: bytes, status: bytes) -> None:
        """Posts to a path; raises RuntimeError with the answer when its status is another one."""
        self._answer, self._status = asyncio.get_running_loop().create_future(), status
        self._transport.write(b"POST %b %b%d\r\n\r\n%b" % (path.encode(), self._head.encode(), len(body), body))
        await self._answer


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
