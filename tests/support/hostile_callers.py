"""A process that misuses an API on many connections at once, until each has been hung up on: HOST PORT SOURCE CONNECTIONS AT_ONCE

Prints how many were let in, and the statuses that they heard.
"""

import resource
import selectors
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import cycle

_HEAD = b"POST /payouts HTTP/1.1\r\nhost: kvitt\r\n"
_CHUNKED = _HEAD + b"transfer-encoding: chunked\r\n\r\n"
Kind = tuple[bytes, bytes, int]
KINDS: tuple[Kind, ...] = (
    (b"", b"", 0),
    (b"GET /payo", b"", 0),
    (_HEAD, b"", 0),
    (_HEAD + b"content-length: 1000000\r\n\r\n{", b"", 0),
    (_HEAD, b"x: " + b"a" * 8_000 + b"\r\n", 80_000),
    (_CHUNKED, b"1000\r\n" + b"a" * 4096 + b"\r\n", 80_000),
    # Each crumb is read by itself: more of them from each caller would only take processors.
    (_CHUNKED, b"1\r\na\r\n" * 1000, 12_000),
    (b"", b"GET /payouts/1 HTTP/1.1\r\nhost: kvitt\r\n\r\n" * 100, 80_000),
    (b"\x00" * 100, b"", 0),
)
"""What is said first, what is said again and again for as long as it is taken, and about how many bytes are said at most."""
_SILENT = selectors.EVENT_READ


class Caller:
    """One connection."""

    def __init__(self, place: tuple[str, int], source: str, kind: Kind) -> None:
        self.first, self.again, self.most = kind
        self.sent, self.heard = 0, b""
        self.socket = socket.socket()
        self.socket.bind((source, 0))
        self.socket.setblocking(False)
        self.socket.connect_ex(place)

    @property
    def wants(self) -> int:
        """What it waits for."""
        return selectors.EVENT_READ | selectors.EVENT_WRITE if self.first or (self.again and self.sent < self.most) else _SILENT

    def goes_on(self, ready: int) -> bool:
        """Says more, listens; False when the other side has ended it."""
        try:
            if ready & selectors.EVENT_WRITE:
                said = self.socket.send(self.first or self.again)
                self.first, self.sent = self.first[said:], self.sent + said
            if ready & selectors.EVENT_READ:
                chunk = self.socket.recv(65536)
                self.heard = (self.heard + chunk)[:64]
                return bool(chunk)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


def main(host: str, port: str, source: str, connections: str, at_once: str) -> None:
    """Calls until every connection has been ended."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kinds: Iterator[Kind] = cycle(KINDS)
    place, left, room = (host, int(port)), int(connections), min(int(at_once), hard - 64)
    selector = selectors.DefaultSelector()
    heard: Counter[str] = Counter()
    while left or selector.get_map():
        while left and len(selector.get_map()) < room:
            caller, left = Caller(place, source, next(kinds)), left - 1
            selector.register(caller.socket, caller.wants, caller)
        for key, ready in selector.select(1.0):
            caller = key.data
            if caller.goes_on(ready):
                if caller.wants != key.events:
                    selector.modify(caller.socket, caller.wants, caller)
                continue
            heard[caller.heard[9:12].decode("latin-1") or "closed"] += 1
            selector.unregister(caller.socket)
            caller.socket.close()
    print(dict(heard))


if __name__ == "__main__":
    main(*sys.argv[1:])
