"""Calls and replies of Thrift's strict binary protocol: bytes are looked through before anything is made of them."""

import struct
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyMemoryBuffer

from kvitt.errors import BadThrift
from kvitt.formats.thrift.guard import MAX_VALUES, envelope, walk
from kvitt.formats.thrift.interface import module, shape_of

CALL: Final = 1
REPLY: Final = 2
MOST_OF_A_REPLY: Final = 5_000_000
"""Values of a reply: a service that we have chosen to ask may know parties with very many shops."""
_VERSION: Final = 0x80010000


class Called(Struct, frozen=True):
    """A call that was read: its method, its sequence id, and its arguments by name."""

    method: str
    sequence: int
    arguments: Any


class UnknownMethod(Exception):
    """The service has no such method."""


class Service:
    """A service of one of our interface definitions: what its methods take and return."""

    def __init__(self, interface: str, name: str) -> None:
        """`interface` is the name of the definition file, `name` the service in it."""
        self.interface = interface
        self._service = getattr(module(interface), name)
        self.methods: frozenset[str] = frozenset(self._service.thrift_services)

    def arguments(self, method: str) -> Any:
        """The class of a method's arguments."""
        return getattr(self._service, f"{method}_args")

    def result(self, method: str) -> Any:
        """The class of a method's results: field 0 what it returns, the others what it throws."""
        return getattr(self._service, f"{method}_result")

    def read_call(self, body: bytes) -> Called:
        """A call. Raises BadThrift, or UnknownMethod with the method's name."""
        method, sequence, at = envelope(body, CALL)
        if method not in self.methods:
            raise UnknownMethod(method)
        return Called(method, sequence, self._read(body, at, self.arguments(method)))

    def call(self, method: str, sequence: int, arguments: Sequence[Any]) -> bytes:
        """The bytes of a call; the arguments in the order of their ids."""
        kind = self.arguments(method)
        names = [spec[1] for _, spec in sorted(kind.thrift_spec.items())]
        return _head(method, CALL, sequence) + encode(kind(**dict(zip(names, arguments, strict=True))))

    def reply(self, called: Called, value: Any) -> bytes:
        """The bytes of a reply that returns `value`; None for a method that returns nothing."""
        kind = self.result(called.method)
        return _head(called.method, REPLY, called.sequence) + encode(kind(success=value) if 0 in kind.thrift_spec else kind())

    def throw(self, called: Called, thrown: Exception) -> bytes | None:
        """The bytes of a reply that throws; None when the method does not declare such an exception."""
        kind = self.result(called.method)
        for number, spec in kind.thrift_spec.items():
            if number and spec[2] is type(thrown):
                return _head(called.method, REPLY, called.sequence) + encode(kind(**{spec[1]: thrown}))
        return None

    def read_reply(self, body: bytes, method: str, sequence: int) -> Any:
        """Reads the result of a call. Raises the declared exception that it threw, or BadThrift when this is no reply to it."""
        answered, number, at = envelope(body, REPLY)
        if (answered, number) != (method, sequence):
            raise BadThrift("answers another call")
        result = self._read(body, at, self.result(method), MOST_OF_A_REPLY)
        for field, spec in sorted(result.thrift_spec.items()):
            given = getattr(result, spec[1])
            if field and given is not None:
                raise given
        if 0 in result.thrift_spec and result.success is None:
            raise BadThrift("gives no result")
        return getattr(result, "success", None)

    def _read(self, body: bytes, at: int, kind: Any, most: int = MAX_VALUES) -> Any:
        end = walk(body, at, shape_of(kind, self.interface), most)
        return decode(body[at:end], kind)


def decode_event(body: bytes, kind: Any, interface: str) -> Any:
    """A struct that stands alone in `body`, checked. Raises BadThrift."""
    if walk(body, 0, shape_of(kind, interface)) != len(body):
        raise BadThrift("has more behind its end")
    return decode(body, kind)


def decode(body: bytes, kind: Any) -> Any:
    """A struct out of bytes that were looked through."""
    value = kind()
    TCyBinaryProtocol(TCyMemoryBuffer(body)).read_struct(value)
    return value


def encode(value: Any) -> bytes:
    """The bytes of a struct. Raises struct.error or OverflowError for numbers that do not fit."""
    buffer = TCyMemoryBuffer()
    protocol = TCyBinaryProtocol(buffer)
    protocol.write_struct(value)
    buffer.flush()
    return bytes(buffer.getvalue())


def _head(method: str, kind: int, sequence: int) -> bytes:
    name = method.encode()
    return struct.pack(f">Ii{len(name)}si", _VERSION | kind, len(name), name, sequence)
