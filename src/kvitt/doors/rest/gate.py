"""What every request passes: the size of its body, who sends it, and whether it came before (design §11, §12).

All of it is around the application, so that no route can be forgotten.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from kvitt.doors.rest.problems import PROBLEM, encoded, problem_of
from kvitt.doors.rest.tokens import Caller, Tokens
from kvitt.errors import BadRequest, BodyTooLong, KvittError, NotAuthenticated
from kvitt.hub.requests import Answered, Begun, answer, begin, give_up
from kvitt.hub.submit import Clock

_log = structlog.get_logger(__name__)
MAX_BODY: Final = 1_048_576
_LONGEST_KEY: Final = 255
_FINAL_FROM, _SERVER_FAULT = 200, 500
_NOT_FINAL: Final = frozenset({401, 403, 408, 429})
"""Answers that depend on more than the request: the same one may be answered otherwise next time."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
Found = TypeVar("Found")


class Gate:
    """An ASGI app around another one. What it found out stands in the scope: `caller`, and `begun` with `request_key`."""

    def __init__(self, app: App, tokens: Tokens, pool: ConnectionPool[Any], clock: Clock, threads: ThreadPoolExecutor) -> None:
        self._app, self._tokens, self._pool, self._clock, self._threads = app, tokens, pool, clock, threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            scope["caller"] = caller = await self._caller(headers)
            body = await _body(receive, headers)
            key = headers.get("idempotency-key")
            if scope["method"] == "POST" and key is not None:
                await self._once(scope, body, send, caller, _checked(key))
            else:
                await self._app(scope, _replayed(body, receive), send)
        except (KvittError, psycopg.Error) as error:
            await _refuse(send, error)

    async def _caller(self, headers: MutableMapping[str, str]) -> Caller:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticated("a bearer token is needed")
        return await self._on_thread(lambda: self._tokens.caller(token.strip()))

    async def _once(self, scope: Scope, body: bytes, send: Send, caller: Caller, key: str) -> None:
        """The answer of before, or a new one that is kept."""
        digest = hashlib.sha256(f"{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}\n".encode() + body).digest()
        taken = await self._on_thread(lambda: self._begin(caller.subject, key, digest))
        if isinstance(taken, Answered):
            await _send(send, taken, replayed=True)
            return
        scope["begun"], scope["request_key"] = taken, f"rest/{caller.subject}/{key}"
        heard = _Heard()
        try:
            await self._app(scope, _replayed(body, None), heard)
        finally:
            await asyncio.shield(self._on_thread(lambda: self._end(caller.subject, key, heard)))
        await heard.pass_on(send)

    def _begin(self, subject: str, key: str, digest: bytes) -> Answered | Begun:
        with self._pool.connection() as connection:
            return begin(connection, self._clock, subject, key, digest)

    def _end(self, subject: str, key: str, heard: "_Heard") -> None:
        with self._pool.connection() as connection:
            if heard.is_final:
                answer(connection, subject, key, heard.answered())
            else:
                give_up(connection, subject, key)

    async def _on_thread(self, do: Callable[[], Found]) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._threads, do)


class _Heard:
    """Hears what the application answers, to be kept before it is passed on."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self._messages.append(message)

    @property
    def is_final(self) -> bool:
        """Whether the same request will always be answered so."""
        if not self._messages:
            return False
        status = self._messages[0]["status"]
        return _FINAL_FROM <= status < _SERVER_FAULT and status not in _NOT_FINAL

    def answered(self) -> Answered:
        headers = dict(self._messages[0]["headers"])
        body = b"".join(message.get("body", b"") for message in self._messages[1:])
        return Answered(self._messages[0]["status"], headers.get(b"content-type", b"application/json").decode(), body)

    async def pass_on(self, send: Send) -> None:
        for message in self._messages:
            await send(message)


def _checked(key: str) -> str:
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable():
        raise BadRequest(("Idempotency-Key", f"has 1 to {_LONGEST_KEY} printable characters"))
    return key


async def _body(receive: Receive, headers: MutableMapping[str, str]) -> bytes:
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY:
        raise BodyTooLong(f"a body has at most {MAX_BODY} bytes")
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False) and message["type"] == "http.request"
        if len(body) > MAX_BODY:
            raise BodyTooLong(f"a body has at most {MAX_BODY} bytes")
    return body


def _replayed(body: bytes, receive: Receive | None) -> Receive:
    """Gives the body that was read already; then whatever comes, or nothing more."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": body, "more_body": False}
        if receive is None:
            await asyncio.Event().wait()
            raise AssertionError("waits for ever")
        return await receive()

    return replay


async def _refuse(send: Send, error: Exception) -> None:
    problem = problem_of(error)
    extra = {401: ("www-authenticate", 'Bearer realm="kvitt"'), 503: ("retry-after", "1")}.get(problem.status)
    if problem.code == "request_in_progress":
        extra = ("retry-after", "1")
    await _send(send, Answered(problem.status, PROBLEM, encoded(problem)), extra=extra)


async def _send(send: Send, answered: Answered, *, replayed: bool = False, extra: tuple[str, str] | None = None) -> None:
    headers = [("content-type", answered.content_type), ("content-length", str(len(answered.body)))]
    headers += [("idempotency-replayed", "true")] if replayed else []
    headers += [extra] if extra else []
    encoded_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answered.status, "headers": encoded_headers})
    await send({"type": "http.response.body", "body": answered.body})
