"""The Thrift API as an ASGI app that reads calls, has them done, and answers in the contract's classes (payouts §7.1, §7.2).

Every call is answered. What the handlers throw and the method declares is a business error; everything else has a class and a reason
in the headers, without a body.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import structlog
from msgspec import Struct
from thriftpy2.thrift import TException

from kvitt.api.http_headers import (
    AsgiMessage,
    BodyOverLimit,
    CallerGone,
    Receive,
    headers_of,
    whole_body,
)
from kvitt.api.thrift.trace import (
    CONTENT_TYPE,
    ERROR_CLASS,
    ERROR_REASON,
    BadHeaders,
    CallTrace,
    current,
    read_trace,
    refuse_repeated,
)
from kvitt.errors import BadThrift, ResultUnknown
from kvitt.formats.thrift.messages import Called, Service, UnknownMethod
from kvitt.kernel.database import may_pass
from kvitt.kernel.group_commit import GroupCommitClosed
from kvitt.kernel.metrics import METRICS, Counted

_log = structlog.get_logger(__name__)
Method = Callable[[Any], Awaitable[Any]]
"""Does a call: its arguments by name, and its result. Throws what its method declares, CallRefused, BadThrift or errors of kvitt."""
Scope = MutableMapping[str, Any]
MAX_BODY: Final = 4_194_304
BUSINESS, UNEXPECTED, UNAVAILABLE, UNKNOWN = "Business Error", "Result Unexpected", "Resource Unavailable", "Result Unknown"
_MAX_REASON = 512


class CallRefused(Exception):
    """A call that is answered by a status of its own: the class and the reason go into the headers."""

    def __init__(self, status: int, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.error_class, self.reason = status, error_class, reason


class Endpoint(Struct, frozen=True):
    """A service at a path, with who does its methods."""

    service: Service
    handlers: Mapping[str, Method]


class _CallAnswer(Struct, frozen=True):
    status: int
    body: bytes = b""
    error_class: str | None = None
    reason: str | None = None
    method: str = ""


class ThriftApp:
    """Serves endpoints by their path."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Callable[[AsgiMessage], Awaitable[None]]) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        headers = headers_of(scope["headers"])
        trace: CallTrace | None = None
        try:
            refuse_repeated(scope["headers"])
            endpoint = self._endpoint(scope, headers)
            trace = read_trace(headers, client[0] if (client := scope.get("client")) else None)
            answer = await _answered(endpoint, await whole_body(receive, headers, MAX_BODY), trace)
        except BadHeaders as error:
            answer = _CallAnswer(400, b"", UNEXPECTED, str(error))
        except CallRefused as refused:
            answer = _CallAnswer(refused.status, b"", refused.error_class, refused.reason)
        except BodyOverLimit:
            answer = _CallAnswer(413, b"", UNEXPECTED, f"a call has at most {MAX_BODY} bytes")
        except CallerGone:
            return
        # A method that nobody knows is no label: callers could make up any number of them.
        METRICS.add(Counted.CALLS, "thrift", answer.method or "none", (answer.error_class or "Success").lower())
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer, trace)})
        await send({"type": "http.response.body", "body": answer.body})

    def _endpoint(self, scope: Scope, headers: Mapping[str, str]) -> Endpoint:
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None:
            raise CallRefused(404, UNEXPECTED, "no service is at this path")
        if scope["method"] != "POST":
            raise CallRefused(405, UNEXPECTED, "http method wrong")
        if headers.get("content-type", "").lower() != CONTENT_TYPE:
            raise CallRefused(415, UNEXPECTED, "content type wrong/missing")
        return endpoint


async def _answered(endpoint: Endpoint, body: bytes, trace: CallTrace) -> _CallAnswer:
    seconds = None
    if trace.deadline is not None and (seconds := (trace.deadline - datetime.now(UTC)).total_seconds()) <= 0:
        return _CallAnswer(503, b"", UNAVAILABLE, "deadline reached")
    service = endpoint.service
    try:
        called = service.read_call(body)
        current.set(trace)
        async with asyncio.timeout(seconds):
            given = await endpoint.handlers[called.method](called.arguments)
        return _CallAnswer(200, service.reply(called, given), method=called.method)
    except UnknownMethod as error:
        return _CallAnswer(400, b"", UNEXPECTED, f"unknown method: {error}")
    except BadThrift as error:
        return _CallAnswer(400, b"", UNEXPECTED, "thrift transport error" if error.cut_off else "thrift protocol error")
    except TException as thrown:
        return _thrown(service, called, thrown)
    except TimeoutError:
        return _CallAnswer(504, b"", UNKNOWN, "deadline reached", called.method)
    except CallRefused as refused:
        return _CallAnswer(refused.status, b"", refused.error_class, refused.reason, called.method)
    except Exception as error:  # noqa: BLE001 - whoever called gets a failure, and the log says what it was
        return _failed(called.method, error)


def _thrown(service: Service, called: Called, thrown: TException) -> _CallAnswer:
    body = service.throw(called, thrown)
    if body is None:
        return _CallAnswer(400, b"", UNEXPECTED, "internal thrift application error", called.method)
    return _CallAnswer(200, body, BUSINESS, type(thrown).__name__, called.method)


def _failed(method: str, error: Exception) -> _CallAnswer:
    if isinstance(error, ResultUnknown):
        return _CallAnswer(504, b"", UNKNOWN, str(error), method)
    if isinstance(error, GroupCommitClosed) or (isinstance(error, psycopg.Error) and may_pass(error)):
        # Nothing was done: where that is not certain, the result is unknown.
        return _CallAnswer(503, b"", UNAVAILABLE, "database unavailable", method)
    _log.error("thrift call failed", method=method, error=type(error).__name__)
    return _CallAnswer(500, b"", UNEXPECTED, f"{type(error).__name__}:internal failure", method)


def _headers(answer: _CallAnswer, trace: CallTrace | None) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(answer.body)).encode())]
    if trace is not None:
        headers += [(name.encode(), value.encode("latin-1")) for name, value in trace.headers().items()]
    if answer.status == 405:
        headers.append((b"allow", b"POST"))
    if answer.error_class is not None:
        headers.append((ERROR_CLASS.encode(), answer.error_class.encode()))
        headers.append((ERROR_REASON.encode(), header_text(answer.reason or "")))
    return headers


def header_text(text: str) -> bytes:
    """A text that may stand in a header: what is not printable ASCII is escaped, and it is not too long."""
    shown = "".join(each if " " <= each <= "~" else each.encode("unicode_escape").decode() for each in text[:_MAX_REASON])
    return shown.encode()
