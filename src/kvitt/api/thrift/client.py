"""Calls services over Thrift and HTTP, with trace headers and a deadline; calls fail in three ways (payouts §7.3)."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from kvitt.api.thrift.trace import (
    CONTENT_TYPE,
    ERROR_CLASS,
    ERROR_REASON,
    CallTrace,
    current,
    root,
)
from kvitt.errors import BadThrift
from kvitt.formats.thrift.messages import Service

_CONNECT_SHARE: Final = 0.05
_CONNECT_LEAST, _CONNECT_MOST = 0.001, 0.25
_ACCEPTED: Final = {"content-type": CONTENT_TYPE, "accept": CONTENT_TYPE}
_MOST_SEQUENCE = 2**31
_SILENT = "without sending a response"


class ThriftCallFailed(Exception):
    """A call to a service that gave neither a result nor an exception of its own; the text says why."""


class ServiceUnavailable(ThriftCallFailed):
    """Nothing was done: the call may be made again."""


class CallResultUnknown(ThriftCallFailed):
    """It may have been done or not."""


class CallResultUnexpected(ThriftCallFailed):
    """The service failed on the call."""


_CLASSES: Final[dict[str, type[ThriftCallFailed]]] = {
    "resource unavailable": ServiceUnavailable,
    "result unknown": CallResultUnknown,
    "result unexpected": CallResultUnexpected,
}


class ThriftClient:
    """Calls one service. Safe for use by several threads; keeps its connections open until it is closed."""

    def __init__(self, url: str, service: Service, *, seconds: float = 5.0, verify: bool | str = True) -> None:
        """`seconds` is how long a call may take that no deadline bounds; `verify` may name a file of certificates that are trusted."""
        self._url, self.service, self._seconds = url, service, seconds
        self._sequence = itertools.count(1)
        self._http = httpx.Client(verify=verify, trust_env=False)

    def call(self, method: str, *arguments: Any, deadline: datetime | None = None) -> Any:
        """Calls a method and returns its result. Raises what it declares, ServiceUnavailable, CallResultUnknown, CallResultUnexpected.

        The deadline is the earliest of `deadline` and that of the call for which this thread works, else now and `seconds`.
        """
        inbound = current.get()
        until = _earliest(deadline, inbound.deadline if inbound else None) or datetime.now(UTC) + timedelta(seconds=self._seconds)
        remaining = (until - datetime.now(UTC)).total_seconds()
        if remaining <= 0:
            raise ServiceUnavailable("deadline reached")
        sequence = next(self._sequence) % _MOST_SEQUENCE
        response = self._post(self.service.call(method, sequence, arguments), (inbound or root()).child(until), remaining)
        try:
            return self.service.read_reply(_body_of(response), method, sequence)
        except BadThrift as error:
            raise CallResultUnexpected(str(error)) from error

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _post(self, body: bytes, trace: CallTrace, remaining: float) -> httpx.Response:
        connect = min(max(remaining * _CONNECT_SHARE, _CONNECT_LEAST), _CONNECT_MOST)
        headers = _ACCEPTED | trace.headers() | trace.baggage()
        try:
            return self._http.post(
                self._url, content=body, headers=headers, timeout=httpx.Timeout(remaining, connect=connect, pool=connect)
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise ServiceUnavailable(type(error).__name__) from error
        except httpx.RemoteProtocolError as error:
            # Closed in good order without a word, as servers do with idle connections: by the contract that is no answer at all.
            failure = ServiceUnavailable if _SILENT in str(error) else CallResultUnknown
            raise failure(type(error).__name__) from error
        except httpx.HTTPError as error:
            raise CallResultUnknown(type(error).__name__) from error


def _body_of(response: httpx.Response) -> bytes:
    """The body of an answer that has one. Raises the failure that the answer stands for."""
    if response.status_code == 200:
        return response.content
    reason = response.headers.get(ERROR_REASON, "")
    said = f"{response.status_code} {reason}".strip()
    if response.status_code == 503:
        raise ServiceUnavailable(said)
    if response.status_code == 504:
        raise CallResultUnknown(said)
    if response.status_code == 502:
        raise _CLASSES.get(response.headers.get(ERROR_CLASS, "").lower(), CallResultUnexpected)(said)
    raise CallResultUnexpected(said)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
