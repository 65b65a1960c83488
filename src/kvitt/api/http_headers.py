"""Reads a request as it came: headers by name in small letters, as often as they were sent, and a body within bounds."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
AsgiSend = Callable[[AsgiMessage], Awaitable[None]]
_BLANKS = b" \t"


class CallerGone(Exception):
    """The caller went away before the request was whole; nobody gets an answer."""


class BodyOverLimit(Exception):
    """The body has more bytes than the app takes."""


def headers_of(came: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Headers by name. Blanks around a value are none of it (RFC 9110 §5.5), though parsers leave those at its end."""
    return {name.decode("latin-1"): value.strip(_BLANKS).decode("latin-1") for name, value in came}


def repeated_headers(headers: Iterable[tuple[bytes, bytes]], names: Sequence[str]) -> list[str]:
    """Those of `names` that are there more than once. Servers and what stands before them differ in which one they take."""
    came = [name for name, _ in headers]
    if len({*came}) == len(came):
        return []
    return [name for name in names if came.count(name.encode()) > 1]


async def whole_body(receive: Receive, headers: Mapping[str, str], max_bytes: int) -> bytes:
    """The whole body. Raises BodyOverLimit, and CallerGone for one that breaks off: its beginning is not what was asked."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > max_bytes:
        raise BodyOverLimit
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise CallerGone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > max_bytes:
            raise BodyOverLimit
    return bytes(body)
