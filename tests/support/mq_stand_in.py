"""Stands in for IBM's MQ library under the real `ibmmq`, because neither it nor a queue manager can be had here.

Only what the library's own functions are asked for is kept: descriptors as `ibmmq` packs them, units of work, backout counts, and
the commit that a disconnect makes. It says how the adapter uses MQ; it says nothing about how MQ behaves.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import ModuleType
from typing import Any

from kvitt.transports.queue.mq_queue import load_client

OK = (0, 0)
NOTHING_THERE, BROKEN, TRUNCATED = 2033, 2009, 2080


class QueueManager:
    """Queues as lists of (packed descriptor, body), oldest first; connections with what each has put and got in its unit of work."""

    def __init__(self) -> None:
        self.queues: dict[str, list[tuple[bytes, bytes]]] = defaultdict(list)
        self.connections: list[tuple[bytes, ...]] = []
        self.put_options: list[int] = []
        self.get_options: list[int] = []
        self.broken = False
        self._names: list[str] = []
        self._put: dict[int, list[tuple[str, bytes, bytes]]] = defaultdict(list)
        self._got: dict[int, list[tuple[str, bytes, bytes]]] = defaultdict(list)

    def MQCONNX(self, name: bytes, *packed: Any) -> tuple[int, int, int]:  # noqa: N802 - MQ's name
        self.connections.append((name, *packed))
        return (len(self.connections), *self._state())

    def MQDISC(self, connection: int) -> tuple[int, int]:  # noqa: N802 - MQ's name
        return self.MQCMIT(connection)

    def MQOPEN(self, _: int, described: bytes, __: int) -> tuple[int, bytes, int, int]:  # noqa: N802 - MQ's name
        import ibmmq

        target = ibmmq.OD()
        target.unpack(described)
        self._names.append(bytes(target.ObjectName).rstrip(b"\0 ").decode())
        return (len(self._names), described, *self._state())

    def MQCLOSE(self, *_: Any) -> tuple[int, int]:  # noqa: N802 - MQ's name
        return OK

    def MQPUT(self, connection: int, queue: int, descriptor: bytes, options: bytes, body: bytes) -> tuple[Any, ...]:  # noqa: N802 - MQ's name
        self.put_options.append(self._options("PMO", options))
        self._put[connection].append((self._names[queue - 1], descriptor, body))
        return (descriptor, options, *self._state())

    def MQGET(self, connection: int, queue: int, descriptor: bytes, options: bytes, length: int) -> tuple[Any, ...]:  # noqa: N802 - MQ's name
        self.get_options.append(self._options("GMO", options))
        name = self._names[queue - 1]
        if self.broken:
            return (b"", descriptor, options, 0, *self._state())
        if not self.queues[name]:
            return (b"", descriptor, options, 0, 2, NOTHING_THERE)
        stored, body = self.queues[name][0]
        if len(body) > length:
            return (body[:length], stored, options, len(body), 1, TRUNCATED)
        self._got[connection].append((name, *self.queues[name].pop(0)))
        return (body, stored, options, len(body), *OK)

    def MQCMIT(self, connection: int) -> tuple[int, int]:  # noqa: N802 - MQ's name
        if not self.broken:
            for name, descriptor, body in self._put.pop(connection, []):
                self.queues[name].append((descriptor, body))
            self._got.pop(connection, None)
        return self._state()

    def MQBACK(self, connection: int) -> tuple[int, int]:  # noqa: N802 - MQ's name
        self._put.pop(connection, None)
        for name, descriptor, body in reversed(self._got.pop(connection, [])):
            self.queues[name].insert(0, (self._counted(descriptor), body))
        return self._state()

    def end_connections(self) -> None:
        """Every connection breaks; MQ backs out what was under way on it."""
        for connection in range(1, len(self.connections) + 1):
            self.MQBACK(connection)
        self.broken = True

    def _state(self) -> tuple[int, int]:
        return (2, BROKEN) if self.broken else OK

    @staticmethod
    def _options(kind: str, packed: bytes) -> int:
        structure = getattr(sys.modules["ibmmq"], kind)()
        structure.unpack(packed)
        return int(structure.Options)

    @staticmethod
    def _counted(descriptor: bytes) -> bytes:
        import ibmmq

        described = ibmmq.MD()
        described.unpack(descriptor)
        described.BackoutCount += 1
        packed: bytes = described.pack()
        return packed


@contextmanager
def ibmmq_on_a_stand_in() -> Iterator[QueueManager]:
    """The real `ibmmq`, imported anew on top of the stand-in, for as long as the block runs."""
    manager, before = QueueManager(), dict(sys.modules)
    native = ModuleType("ibmmq.ibmmqc")
    structures = {"md": 2, "gmo": 4, "pmo": 3, "od": 4, "cno": 8, "cd": 12, "csp": 3, "sco": 6}
    # What the library asks its native part for when it is imported.
    about = {
        "__strucversions__": structures,
        "__version__": version("ibmmq"),
        "__mqbuild__": "client",
        "__cmdlevel__": "0",
        "MQCBINIT": _ignore,
        "MQLOGCF": _ignore,
    }
    calls = {name: getattr(manager, name) for name in vars(QueueManager) if name.startswith("MQ")}
    vars(native).update(about | calls)
    sys.modules["ibmmq.ibmmqc"] = native
    try:
        load_client()
        yield manager
    finally:
        for name in set(sys.modules) - set(before):
            if name.partition(".")[0] == "ibmmq" or name.startswith("mq"):
                del sys.modules[name]


def _ignore(*_: object) -> None:
    """Callbacks and traces are not used."""
