"""Requests with an `Idempotency-Key`: whether one came before, and its answer, recorded as it is sent (design §12).

A request is taken only once its route has let the caller in and its body is one of the route's: nobody gets an answer
that they may not ask for, and what can not be done at all leaves its key free.
"""

import asyncio
import hashlib
from collections.abc import MutableMapping
from typing import Any, Final

from litestar.connection import ASGIConnection

from kvitt.api.http_headers import AsgiMessage
from kvitt.api.rest.callers import Caller
from kvitt.errors import BadRequest
from kvitt.kernel.group_commit import settled
from kvitt.kernel.requests import BeginRequest, Begun, EndRequest, KeyedRequests, RequestId, StoredAnswer

Scope = MutableMapping[str, Any]
_LONGEST_KEY: Final = 255
_SERVER_FAULT: Final = 500
_NOT_FINAL: Final = frozenset({401, 403, 408, 429})
"""Answers that depend on more than the request: the same one may be answered otherwise next time."""


class IdempotentRequest:
    """One request with a key. `name` is the same for all its repeats, and no other's; `begun` is None until it is taken."""

    def __init__(self, requests: KeyedRequests, caller: Caller, key: tuple[str, str], scope: Scope) -> None:
        """`key` has the name of the header in which it came, and its value."""
        self._requests, (self._header, self._key), self._scope = requests, key, scope
        self._id = RequestId(caller.subject, self._key)
        self.name = f"rest/{caller.subject}/{self._key}"
        self.begun: Begun | None = None

    @property
    def digest(self) -> str:
        """The name as a digest, to be kept with what is done for the request."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    async def begin(self, body: bytes) -> StoredAnswer | None:
        """Takes the request with this body; returns its earlier answer, or None where it is ours to answer.

        Raises BadRequest for what can be no key, KeyReused, RequestInProgress, and psycopg errors.
        """
        if not 1 <= len(self._key) <= _LONGEST_KEY or not self._key.isprintable():
            raise BadRequest((self._header, f"has 1 to {_LONGEST_KEY} printable characters"))
        taken = await settled(self._requests.submit(BeginRequest(self._id, _digest_of(self._scope, body), self._header)))
        self.begun = taken if isinstance(taken, Begun) else None
        return taken if isinstance(taken, StoredAnswer) else None

    async def end(self, answered: StoredAnswer | None) -> None:
        """Keeps the answer; None: leaves the request to its next repeat. Raises psycopg errors."""
        await asyncio.shield(settled(self._requests.submit(EndRequest(self._id, answered))))


class RecordedAnswer:
    """Hears what the application answers, to be kept before it is passed on."""

    def __init__(self) -> None:
        self.messages: list[AsgiMessage] = []

    async def __call__(self, message: AsgiMessage) -> None:
        """One part of the answer."""
        self.messages.append(message)

    def final(self) -> StoredAnswer | None:
        """The answer, if the same request will always be answered so: not when kvitt failed, or asks to come again."""
        if not self.messages:
            return None
        status, headers = self.messages[0]["status"], dict(self.messages[0]["headers"])
        if status >= _SERVER_FAULT or status in _NOT_FINAL or b"retry-after" in headers:
            return None
        body = b"".join(message.get("body", b"") for message in self.messages[1:])
        return StoredAnswer(status, headers.get(b"content-type", b"application/json").decode(), body)


def _digest_of(scope: Scope, body: bytes) -> bytes:
    """The digest by which the same request is recognised: method, path and question as they were sent, and the body."""
    path = scope.get("raw_path") or scope["path"].encode()
    return hashlib.sha256(scope["method"].encode() + b" " + path + b"?" + scope["query_string"] + b"\n" + body).digest()


def repeat_of(connection: ASGIConnection[Any, Any, Any, Any]) -> IdempotentRequest | None:
    """The request as one that may be repeated; None: it has no key."""
    repeat = connection.scope.get("repeat")
    return repeat if isinstance(repeat, IdempotentRequest) else None


def is_again(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the same request came before under its key and was not answered: what it asks for may be done already."""
    repeat = repeat_of(connection)
    return repeat is not None and repeat.begun is not None and repeat.begun.again
