"""Lets requests in: the size of the body, who sends it, and whether it came before (design §11, §12).

All of it is around the application, so that no route can be forgotten.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import psycopg
import structlog
from msgspec import Struct, field

from kvitt.api.http_headers import (
    AsgiMessage,
    AsgiSend,
    BodyOverLimit,
    Receive,
    headers_of,
    repeated_headers,
    whole_body,
)
from kvitt.api.rest.callers import Caller
from kvitt.api.rest.problems import REFUSED_BY, ProblemForms, longest_of, refuse
from kvitt.api.rest.rates import CallRate, CallRates
from kvitt.api.rest.refused_calls import RefusedCall, RefusedCalls
from kvitt.api.rest.repeats import (
    IdempotentRequest,
    RecordedAnswer,
    Scope,
)
from kvitt.api.rest.tokens import PATIENCE_SECONDS, Tokens
from kvitt.errors import AccessRefused, BadRequest, BodyTooLong, KvittError, NotAuthenticated, NotPermitted, TooManyRequests
from kvitt.formats.json_members import REPEATED
from kvitt.kernel.metrics import METRICS, Counted
from kvitt.kernel.requests import KEY_HEADER, KeyedRequests

MAX_BODY: Final = 1_048_576
DECISIVE: Final = ("authorization", "content-length", "content-type", "idempotency-key", "transaction-id", "if-match", "fagsystem")
"""Headers that say who asks, what, and whether it was asked before: of two, nobody can say which counts."""
_HOST: Final = re.compile(r"[0-9A-Za-z!$&'()*+,;=\-._~:\[\]@%]*")
USUAL_RATE: Final = CallRate(2_000.0, 10_000)
_log = structlog.get_logger(__name__)

REPEATABLE: Final = frozenset({"POST", "PUT", "DELETE"})
"""Methods whose requests may carry an `Idempotency-Key`."""
App = Callable[[Any, Any, Any], Awaitable[None]]


class Gate:
    """An ASGI app around another one. What it found out stands in the scope: `caller`, and `repeat` of a request with a key.

    A body is read when the application asks for it, after its guards: who may not do what they ask is answered before that.
    """

    def __init__(
        self,
        app: App,
        tokens: Tokens,
        requests: KeyedRequests,
        forms: ProblemForms,
        threads: ThreadPoolExecutor,
        *,
        refused: RefusedCalls,
        limits: "GateLimits | None" = None,
    ) -> None:
        """`threads` check tokens that are new, and write down who is refused."""
        self._app, self._tokens, self._requests, self._forms, self._threads = app, tokens, requests, forms, threads
        self._limits, self._refused = limits or GateLimits(), refused

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """One request."""
        headers = headers_of(scope["headers"])
        send = self._watched(scope, send)
        try:
            if repeated := repeated_headers(scope["headers"], DECISIVE):
                raise BadRequest(*((name, REPEATED) for name in repeated))
            if not _HOST.fullmatch(headers.get("host", "")):
                raise BadRequest(("host", "names no host"))
            scope["caller"] = caller = await self._caller(headers)
            self._limits.rates.take(caller)
            body = _Body(receive, headers, self._limits.body_of(scope["path"]))
            header = self._limits.key_header(scope["path"])
            key = headers.get(header.lower())
            if scope["method"] in REPEATABLE and key is not None:
                scope["repeat"] = repeat = IdempotentRequest(self._requests, caller, (header, key), scope)
                await self._once(scope, body, send, repeat)
            else:
                await self._app(scope, body.receive, send)
        except (KvittError, psycopg.Error) as error:
            await refuse(self._forms, scope, send, error)

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
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._tokens.caller, token)

    def _watched(self, scope: Scope, send: AsgiSend) -> AsgiSend:
        """Counts the answer, and writes down who is refused for lack of authority, before they hear of it."""

        async def watched(message: AsgiMessage) -> None:
            if message["type"] == "http.response.start":
                _count(scope, message["status"])
                if refused := _refused_in(scope, message["status"]):
                    await asyncio.get_running_loop().run_in_executor(self._threads, self._refused.add, refused)
            await send(message)

        return watched

    async def _once(self, scope: Scope, body: "_Body", send: AsgiSend, repeat: IdempotentRequest) -> None:
        """Keeps the answer before it is sent: who got it once gets no other one later.

        Where it can not be kept it is sent all the same: it is what was done, and the repeat does the same once more, to the same effect.
        """
        recorded = RecordedAnswer()
        try:
            await self._app(scope, body.receive_alone, recorded)
        finally:
            if repeat.begun is not None:
                try:
                    await repeat.end(recorded.final())
                except psycopg.Error as error:
                    _log.warning("an answer is sent and could not be kept", error=type(error).__name__)
        for message in recorded.messages:
            await send(message)


class GateLimits(Struct, frozen=True):
    """Limits of requests: `bodies`, the bytes that a body may have at a path and all under it; `rates`, how often applications may call.

    `key_headers` are the headers by which repeats are recognised at a path and all under it, where that is another than `Idempotency-Key`.
    """

    bodies: Mapping[str, int] = {}
    rates: CallRates = field(default_factory=lambda: CallRates(USUAL_RATE))
    key_headers: Mapping[str, str] = {}

    def key_header(self, path: str) -> str:
        """The header by which a repeat is recognised at a path."""
        return longest_of(self.key_headers, path) or KEY_HEADER

    def body_of(self, path: str) -> int:
        """The bytes that a body may have at a path."""
        return longest_of(self.bodies, path) or MAX_BODY

    @property
    def longest_body(self) -> int:
        """The bytes of the longest body that is taken at any path."""
        return max([MAX_BODY, *self.bodies.values()])


class _Body:
    """The body of a request, read whole and within bounds when it is first asked for."""

    def __init__(self, receive: Receive, headers: Mapping[str, str], max_bytes: int) -> None:
        self._receive, self._headers, self._max_bytes = receive, headers, max_bytes
        self._handed_out = False

    async def receive(self) -> AsgiMessage:
        """The whole body; then whatever comes. Raises BodyTooLong, and CallerGone for one that breaks off."""
        if self._handed_out:
            return await self._receive()
        try:
            body = await whole_body(self._receive, self._headers, self._max_bytes)
        except BodyOverLimit:
            raise BodyTooLong(f"a body has at most {self._max_bytes} bytes") from None
        self._handed_out = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def receive_alone(self) -> AsgiMessage:
        """The whole body, and nothing more for ever: what is begun is finished, though the caller goes away."""
        if self._handed_out:
            await asyncio.Event().wait()
        return await self.receive()


def _refused_in(scope: Scope, status: int) -> RefusedCall | None:
    """The refusal for lack of authority with which a request ends; None: it ends otherwise, or nobody knows who asked."""
    error = scope.get(REFUSED_BY) or (NotPermitted("by the rules of the contract") if status == NotPermitted.status else None)
    if not isinstance(error, AccessRefused | TooManyRequests):
        return None
    METRICS.add(Counted.REFUSED, "rest", error.code)
    if not isinstance(error, NotAuthenticated | NotPermitted):
        return None
    caller: Caller | None = scope.get("caller")
    application, person = (
        (caller.named, caller.person)
        if caller
        else (error.application, error.person)
        if isinstance(error, NotAuthenticated)
        else (None, None)
    )
    if application is None:
        return None
    path = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "replace")
    route = scope.get("path_template") or "/".join(path.split("/")[:2])
    method = scope["method"]
    return RefusedCall(application, person, f"{method} {path}", f"{method} {route}", error.code, str(error))


def _count(scope: Scope, status: int) -> None:
    """Counts an answer by its route, as the routes are described: paths hold ids, and those are no labels."""
    template = scope.get("path_template")
    METRICS.add(Counted.CALLS, "rest", f"{scope['method']} {template}" if template else "none", f"{status // 100}xx")
