"""Columns of values as PostgreSQL's binary arrays, packed with a few calls per column instead of a few per value.

A batch writes some hundred values per message; the driver's own way of dumping lists was a quarter of all time spent on a message.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import chain, repeat
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format

_NULL: Final = b"\xff\xff\xff\xff"
_HEADER = struct.Struct("!iiIii")
_LENGTH = struct.Struct("!i")
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_POSTGRES_FIRST_DAY = date(2000, 1, 1).toordinal()


class ElementType(Struct, frozen=True):
    """A type of PostgreSQL: its oid, the oid of its arrays, and how values become items, each with its length in front.

    `items` gets no None; it may give one item for several values, as long as all bytes are there in order.
    """

    oid: int
    array_oid: int
    items: Callable[[Sequence[Any]], Iterable[bytes]]


class PackedArray(Struct, frozen=True):
    """A parameter: an array in PostgreSQL's binary form."""

    element: ElementType
    data: bytes


def pack(element: ElementType, values: Sequence[Any]) -> PackedArray:
    """The values as an array; None is NULL. Raises struct.error, OverflowError or AttributeError for values of another type."""
    if not values:
        return PackedArray(element, _HEADER.pack(0, 0, element.oid, 0, 1)[:12])
    nulls = None in values
    items = _with_nulls(element, values) if nulls else element.items(values)
    return PackedArray(element, b"".join((_HEADER.pack(1, nulls, element.oid, len(values), 1), *items)))


def _with_nulls(element: ElementType, values: Sequence[Any]) -> Iterable[bytes]:
    return (_NULL if value is None else b"".join(element.items((value,))) for value in values)


def _sized(contents: Sequence[bytes]) -> Iterable[bytes]:
    """Each content behind its length."""
    return chain.from_iterable(zip(map(_LENGTH.pack, map(len, contents)), contents, strict=True))


def _texts(values: Sequence[str]) -> Iterable[bytes]:
    return _sized([value.encode() for value in values])


def _numbers(values: Sequence[int]) -> Iterable[bytes]:
    count = len(values)
    return (struct.pack(f"!{'iq' * count}", *chain.from_iterable(zip(repeat(8, count), values, strict=True))),)


def _flags(values: Sequence[bool]) -> Iterable[bytes]:
    return map((b"\0\0\0\1\0", b"\0\0\0\1\1").__getitem__, values)


def _days(values: Sequence[date]) -> Iterable[bytes]:
    count = len(values)
    return (struct.pack(f"!{'ii' * count}", *chain.from_iterable((4, value.toordinal() - _POSTGRES_FIRST_DAY) for value in values)),)


def _moments(values: Sequence[datetime]) -> Iterable[bytes]:
    """Microseconds since PostgreSQL's epoch. A batch has few moments, mostly its own."""
    packed = {value: _moment(value) for value in set(values)}
    return map(packed.__getitem__, values)


def _moment(value: datetime) -> bytes:
    since = value - _POSTGRES_EPOCH
    return struct.pack("!iq", 8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


TYPES: Final[dict[type, ElementType]] = {
    str: ElementType(25, 1009, _texts),
    bytes: ElementType(17, 1001, _sized),
    int: ElementType(20, 1016, _numbers),
    bool: ElementType(16, 1000, _flags),
    date: ElementType(1082, 1182, _days),
    datetime: ElementType(1184, 1185, _moments),
}
"""The type of each kind of value: text, bytea, bigint, boolean, date, timestamptz. The statement casts where a column is narrower."""


class _ArrayDumper(Dumper):
    """Hands the bytes on as they are, under the oid of the array."""

    format = Format.BINARY

    def dump(self, obj: PackedArray) -> Buffer:
        return obj.data

    def get_key(self, obj: PackedArray, format: PyFormat) -> tuple[type, int]:  # noqa: A002 - the driver's name
        return (self.cls, obj.element.array_oid)

    def upgrade(self, obj: PackedArray, format: PyFormat) -> "_ArrayDumper":  # noqa: A002 - the driver's name
        dumper = _ArrayDumper(self.cls)
        dumper.oid = obj.element.array_oid
        return dumper


psycopg.adapters.register_dumper(PackedArray, _ArrayDumper)
