"""The stream of events of a page that is live: names of what has changed, never data, and a beat every two seconds (design §17).

A beat says what does not answer, and by missing that kvitt itself does not: the page judges. A stream ends with its session.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from msgspec import Struct

from kvitt.api.console.sessions import Session
from kvitt.api.console.showing import clock_time
from kvitt.api.console.watch import StoreWatch
from kvitt.api.http_headers import Receive
from kvitt.kernel.clock import Clock

PATH: Final = "/live"
BEAT_SECONDS: Final = 2.0
_STREAMS_PER_SECOND: Final = 10
"""So many pages may fetch themselves anew in a second, all streams of a process together: the more there are, the slower is each."""
_HEADERS: Final = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]


class LiveEvent(Struct, frozen=True, omit_defaults=True):
    """One event. `at` is the time of day; `every` is how many seconds a page waits at least between two fetches of itself."""

    at: str
    faults: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    every: int = 1
    ended: bool = False


class LiveStream:
    """One open stream. What is heard while an event is on its way is in the next one."""

    def __init__(self, session_hash: bytes) -> None:
        self._hash, self._loop = session_hash, asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._parts: set[str] = set()
        self.ended = False
        """Its session has."""

    @property
    def session_hash(self) -> bytes:
        """Whose session it belongs to."""
        return self._hash

    def hear(self, parts: Sequence[str], *, ended: bool = False) -> None:
        """Takes what the watch says, from its thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, parts, ended)

    async def wait(self) -> Sequence[str]:
        """Returns what has changed, as soon as anything has; nothing where it is time for a beat."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                await self._woken.wait()
        self._woken.clear()
        parts, self._parts = sorted(self._parts), set()
        return parts

    def _take(self, parts: Sequence[str], ended: bool) -> None:
        self._parts |= set(parts)
        self.ended |= ended
        self._woken.set()


class LiveStreams:
    """Answers for streams, over one watch."""

    def __init__(self, watch: StoreWatch, clock: Clock) -> None:
        self._watch, self._clock = watch, clock

    async def answer(self, session: Session, receive: Receive, send: Any) -> None:
        """Streams until the browser has gone, the session has ended, or the console stops."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        stream = LiveStream(session.session_hash)
        gone = asyncio.create_task(_until_gone(receive))
        gone.add_done_callback(lambda _: stream.hear(()))
        self._watch.join(stream)
        try:
            while not gone.done() and not self._watch.is_closed:
                await send(_event(self._event(stream, session, await stream.wait())))
                if stream.ended:
                    break
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._watch.leave(stream)
            gone.cancel()

    def _event(self, stream: LiveStream, session: Session, parts: Sequence[str]) -> LiveEvent:
        now = self._clock()
        stream.ended |= now >= session.ends_at
        every = -(-self._watch.hearers // _STREAMS_PER_SECOND)
        return LiveEvent(clock_time(now), tuple(self._watch.faults()), tuple(parts), max(1, every), stream.ended)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(event: LiveEvent) -> dict[str, object]:
    return {"type": "http.response.body", "body": b"data: " + msgspec.json.encode(event) + b"\n\n", "more_body": True}
