"""HTTP/1.1 of uvicorn within limits: heads, bodies, answers and silences are bounded in bytes and in time.

uvicorn's protocol trusts whoever is before it: headers are collected without end, and nobody who says nothing is ever hung up on. Here
bytes are counted before they are kept, and one sweep a second over all connections ends what takes too long: no timer per connection.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from enum import Enum
from http import HTTPStatus
from math import inf
from typing import Any, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from kvitt.api.http_limits import Limits, Seat
from kvitt.kernel.metrics import METRICS, Counted

_SLICE: Final = 16_384
"""Bytes given to the parser at once: it keeps what it is given of a head before anybody is asked."""
_MOST_QUEUED: Final = 16
"""Requests that a caller may send ahead of the answer to the first."""
_BODY_ROOM: Final = 1_048_576
"""In which the app can see for itself that a body is too long, and say so in its own form."""
_LINGER_SECONDS, _LINGER_BYTES = 3.0, 2_097_152
"""Whoever is refused may go on talking for a while: closed at once, the connection would take the refusal away with it."""


class Phase(Enum):
    """The phase of a connection: what it waits for."""

    IDLE = "the next request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    WHOLE = "our answer"
    LINGERS = "the end"


class _RequestRefused(Exception):
    """Ends the parser, out of one of its callbacks."""


class ListenerState:
    """Keeps what the connections of one listener share. Used by the thread of its loop only."""

    def __init__(self, name: str, limits: Limits, max_body: int) -> None:
        self.name, self.limits, self.max_body = name, limits, max_body
        self.held_bytes = 0

    def sweep(self, connections: Collection["BoundedProtocol"], now: float) -> None:
        """Ends what has taken too long."""
        for each in list(connections):
            each.look(now)

    def hold(self, count: int, connections: Collection["BoundedProtocol"]) -> None:
        """So many bytes of bodies more are held; when that is too much, whoever holds most is refused."""
        self.held_bytes += count
        if self.held_bytes > self.limits.body_memory_bytes:
            unfinished = [each for each in connections if each.phase is Phase.BODY]
            if unfinished:
                max(unfinished, key=lambda each: each.held).refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many long bodies at once")


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `seat` is left when it ends."""

    def __init__(self, config: Config, state: ServerState, app_state: dict[str, Any], listener: ListenerState, seat: Seat) -> None:
        super().__init__(config, state, app_state)
        self._listener, self._limits, self._seat = listener, listener.limits, seat
        self._neighbours = cast("Collection[BoundedProtocol]", self.connections)
        self.phase, self.held = Phase.IDLE, 0
        self._deadline, self._blocked_since = inf, 0.0
        self._messages = self._head_bytes = self._head_fed = self._head_count = 0
        self._body_bytes = self._body_fed = self._declared = self._discarded = 0
        self._refusal = (HTTPStatus.BAD_REQUEST, "not HTTP/1.1")
        self._bodies: deque[int] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller is there, and has to say something soon."""
        super().connection_made(transport)
        self._deadline = self.loop.time() + self._limits.header_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever made it."""
        self._seat.leave()
        self._let_go_of_all()
        self.pipeline.clear()
        super().connection_lost(exc)
        # Without these nothing goes round in circles, and what a connection held is free at once.
        self.cycle = self.scope = self.headers = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Bytes of the caller."""
        if len(data) <= _SLICE:
            self._feed(data)
            return
        whole = memoryview(data)
        for start in range(0, len(whole), _SLICE):
            self._feed(whole[start : start + _SLICE])

    def _feed(self, data: "bytes | memoryview") -> None:
        if self.phase is Phase.LINGERS:
            self._discarded += len(data)
            if self._discarded > _LINGER_BYTES:
                self.transport.abort()
            return
        if self.transport.is_closing():
            return
        message, phase = self._messages, self.phase
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nobody here speaks another protocol: the request is answered as it is, and it was the last.
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()
            return
        except httptools.HttpParserError:
            # A callback may have refused already; `refuse` does it once.
            self.refuse(*self._refusal)
            return
        if message == self._messages and phase in (Phase.HEAD, Phase.BODY):
            self._count(phase, len(data))

    def _count(self, phase: Phase, count: int) -> None:
        """Counts what the parser was given of a head or a body, whatever it made of it."""
        if phase is Phase.HEAD and self.phase is Phase.HEAD:
            self._head_fed += count
            if self._head_fed > self._limits.header_bytes + self._limits.request_line_bytes:
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if self._head_count else HTTPStatus.REQUEST_URI_TOO_LONG
                self.refuse(status, "the head is too long")
        elif phase is Phase.BODY and self.phase is Phase.BODY:
            self._body_fed += count
            if self._body_fed > 2 * self._body_bytes + self._limits.header_bytes + _SLICE:
                self.refuse(HTTPStatus.BAD_REQUEST, "the body has more between its parts than in them")
            elif self._body_bytes > self._listener.max_body and self.cycle.response_complete:
                self._linger()
            elif self._body_bytes > self._listener.max_body + _BODY_ROOM:
                self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long")

    def on_message_begin(self) -> None:
        """A request begins; the first one of a connection has its time from there."""
        if len(self.pipeline) >= _MOST_QUEUED:
            raise self._refused(HTTPStatus.TOO_MANY_REQUESTS, "too many requests ahead of an answer")
        super().on_message_begin()
        if self._messages:
            self._deadline = self.loop.time() + self._limits.header_seconds
        self._messages += 1
        self._head_bytes = self._head_fed = self._head_count = self._body_bytes = self._body_fed = self._declared = 0
        self.phase = Phase.HEAD

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        super().on_url(url)
        if len(self.url) > self._limits.request_line_bytes:
            raise self._refused(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or after the body a trailer, which is counted and dropped: whoever decides by headers has looked already."""
        self._head_bytes += len(name) + len(value)
        self._head_count += 1
        if self._head_count > self._limits.headers or self._head_bytes > self._limits.header_bytes:
            raise self._refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long")
        if self.phase is not Phase.HEAD:
            return
        name = name.lower()
        if name == b"content-length":
            self._declared = int(value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole. The app refuses a body that it says is too long; then nobody waits for it."""
        super().on_headers_complete()
        self.phase, self._deadline = Phase.BODY, self.loop.time() + self._limits.body_seconds
        self._bodies.append(0)
        if self._declared > self._listener.max_body:
            self.cycle.keep_alive = False
            self.cycle.transport = cast("asyncio.Transport", _Lingering(self))

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        super().on_body(body)
        size = len(body)
        self._body_bytes += size
        if self.cycle.response_complete:
            return
        self._bodies[-1] += size
        self.held += size
        self._listener.hold(size, self._neighbours)
        if self.phase is Phase.LINGERS:
            raise _RequestRefused

    def on_message_complete(self) -> None:
        """The request is whole."""
        super().on_message_complete()
        self.phase, self._deadline = Phase.WHOLE, inf
        self._rest_if_done()

    def on_response_complete(self) -> None:
        """An answer is written; the next request, or the wait for one."""
        self.server_state.total_requests += 1
        self._let_go()
        if self.transport.is_closing() or self.phase is Phase.LINGERS:
            return
        self.flow.resume_reading()
        if self.cycle.response_complete:
            # Nobody will read what is left of the body.
            self.cycle.body = bytearray()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.phase is Phase.BODY and self._body_bytes > self._listener.max_body:
            self._linger()
        else:
            self._rest_if_done()

    def _rest_if_done(self) -> None:
        if self.phase is Phase.WHOLE and not self.pipeline and self.cycle.response_complete:
            self.phase, self._deadline = Phase.IDLE, self.loop.time() + self._limits.idle_seconds

    def look(self, now: float) -> None:
        """Ends the connection when the caller has not said, or not taken, what it should have by now."""
        if self.transport.get_write_buffer_size():
            self._blocked_since = self._blocked_since or now
            if now - self._blocked_since > self._limits.answer_seconds:
                self._count_refused("answer not taken")
                self.transport.abort()
        else:
            self._blocked_since = 0.0
        if self.flow.read_paused:
            # Who is not listened to is not late.
            self._deadline = max(self._deadline, now + self._limits.body_seconds)
        if now < self._deadline:
            return
        if self.phase is Phase.LINGERS:
            self.transport.abort()
        elif self.phase is Phase.IDLE:
            if not self._messages:
                self._count_refused("silent")
            self.transport.close()
        else:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT, f"too slow: {self.phase.name.lower()}")

    def refuse(self, status: HTTPStatus, why: str) -> None:
        """Answers, where nothing is in the way, and ends the connection after a while; what the app does for it goes on unheard."""
        if self.phase is Phase.LINGERS or self.transport.is_closing():
            return
        self._count_refused(why)
        queued, cycle = bool(self.pipeline), self.cycle
        self.pipeline.clear()
        under_way = cycle is not None and not cycle.response_complete
        if under_way:
            cycle.disconnected = True
            cycle.message_event.set()
        self._let_go_of_all()
        if queued or (under_way and (cycle.response_started or self.phase is not Phase.BODY)):
            self.transport.abort()
            return
        self.transport.write(_plain(status, why))
        self._linger()

    def _linger(self) -> None:
        self.phase, self._deadline = Phase.LINGERS, self.loop.time() + _LINGER_SECONDS
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def linger(self) -> None:
        """The answer is written, and its request will never be whole."""
        self._linger()

    def _let_go(self) -> None:
        """The first request that is not answered has been."""
        if self._bodies:
            count = self._bodies.popleft()
            self._listener.held_bytes -= count
            self.held -= count

    def _let_go_of_all(self) -> None:
        while self._bodies:
            self._let_go()

    def _refused(self, status: HTTPStatus, why: str) -> _RequestRefused:
        self._refusal = status, why
        return _RequestRefused()

    def _count_refused(self, why: str) -> None:
        METRICS.add(Counted.REFUSED, self._listener.name, why)


class _Lingering:
    """A transport for the answer to a request that is not listened to until its end."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self._protocol = protocol
        self.write, self.is_closing = protocol.transport.write, protocol.transport.is_closing

    def close(self) -> None:
        """When the answer is written."""
        self._protocol.linger()


def _plain(status: HTTPStatus, why: str) -> bytes:
    body = f"{why}\n"
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n{body}".encode()
