"""Lets requests in: the size of the body, who sends it, and whether it came before (design §11, §12).

All of it is around the application, so that no route can be forgotten.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import psycopg
import structlog

from kvitt.api.http_headers import (
    AsgiMessage,
    BodyOverLimit,
    CallerGone,
    Receive,
    headers_of,
    repeated_headers,
    whole_body,
)
from kvitt.api.rest.callers import Caller
from kvitt.api.rest.problems import ProblemForms
from kvitt.api.rest.repeats import (
    IdempotencyKeys,
    IdempotentRequest,
    RecordedAnswer,
    Scope,
    digest_of,
)
from kvitt.api.rest.tokens import PATIENCE_SECONDS, Tokens
from kvitt.errors import BadRequest, BodyTooLong, KvittError, NotAuthenticated
from kvitt.formats.json_members import REPEATED
from kvitt.kernel.metrics import METRICS, Counted

MAX_BODY: Final = 1_048_576
DECISIVE: Final = ("authorization", "content-length", "content-type", "idempotency-key")
"""Headers that say who asks, what, and whether it was asked before: of two, nobody can say which counts."""
_log = structlog.get_logger(__name__)

AsgiSend = Callable[[AsgiMessage], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


class Gate:
    """An ASGI app around another one. What it found out stands in the scope: `caller`, and `repeat` of a request with a key."""

    def __init__(self, app: App, tokens: Tokens, keys: IdempotencyKeys, forms: ProblemForms) -> None:
        self._app, self._tokens, self._keys, self._forms = app, tokens, keys, forms

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope["headers"])
        send = _counted(scope, send)
        try:
            if repeated := repeated_headers(scope["headers"], DECISIVE):
                raise BadRequest(*((name, REPEATED) for name in repeated))
            scope["caller"] = caller = await self._caller(headers)
            body = await whole_body(receive, headers, MAX_BODY)
            key = headers.get("idempotency-key")
            if scope["method"] == "POST" and key is not None:
                scope["repeat"] = repeat = IdempotentRequest(self._keys, caller, key, digest_of(scope, body))
                await self._once(scope, body, send, repeat)
            else:
                await self._app(scope, _replayed(body, receive), send)
        except CallerGone:
            return
        except BodyOverLimit:
            await self._refuse(scope, headers, send, BodyTooLong(f"a body has at most {MAX_BODY} bytes"))
        except (KvittError, psycopg.Error) as error:
            await self._refuse(scope, headers, send, error)

    async def _caller(self, headers: Mapping[str, str]) -> Caller:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticated("a bearer token is needed")
        token = token.strip()
        if remembered := self._tokens.remembered(token):
            return remembered
        if fetch := self._tokens.awaited(token):
            # No thread waits: those who come with keys that nobody knows would take them from all others.
            await asyncio.wait([asyncio.wrap_future(fetch)], timeout=PATIENCE_SECONDS)
        return await asyncio.get_running_loop().run_in_executor(self._keys.threads, self._tokens.caller, token)

    async def _refuse(self, scope: Scope, headers: Mapping[str, str], send: AsgiSend, error: Exception) -> None:
        status, formed = self._forms.answered(scope["path"], error, headers)
        shown = {**formed.headers, "content-type": formed.content_type, "content-length": str(len(formed.body))}
        if not formed.body:
            del shown["content-type"]
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in shown.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": formed.body})

    async def _once(self, scope: Scope, body: bytes, send: AsgiSend, repeat: IdempotentRequest) -> None:
        """Keeps the answer before it is sent: who got it once gets no other one later.

        Where it can not be kept it is sent all the same: it is what was done, and the repeat does the same once more, to the same effect.
        """
        recorded = RecordedAnswer()
        try:
            await self._app(scope, _replayed(body, None), recorded)
        finally:
            if repeat.begun is not None:
                try:
                    await repeat.end(recorded.final())
                except psycopg.Error as error:
                    _log.warning("an answer is sent and could not be kept", error=type(error).__name__)
        for message in recorded.messages:
            await send(message)


def _replayed(body: bytes, receive: Receive | None) -> Receive:
    """Gives the body that was read already; then whatever comes, or nothing more."""
    handed_out = False

    async def replay() -> AsgiMessage:
        nonlocal handed_out
        if not handed_out:
            handed_out = True
            return {"type": "http.request", "body": body, "more_body": False}
        if receive is None:
            await asyncio.Event().wait()
            raise AssertionError("waits for ever")
        return await receive()

    return replay


def _counted(scope: Scope, send: AsgiSend) -> AsgiSend:
    """Counts the answer by its route, as the routes are described: paths hold ids, and those are no labels."""

    async def counted(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            template = scope.get("path_template")
            route = f"{scope['method']} {template}" if template else "none"
            METRICS.add(Counted.CALLS, "rest", route, f"{message['status'] // 100}xx")
        await send(message)

    return counted
