"""Rows that a transaction writes: frozen values that name the statement which writes many of them at once.

A batch is a few arrays, one for each column, with an element for each row. They are packed here, column by column, into the binary form of
the server: the driver would look at every element by itself.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import chain, count
from typing import Any, ClassVar, Final, cast

import msgspec
import psycopg
from msgspec import Struct
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

_MARK: Final = re.compile("%b")
_ARRAY: Final = re.compile(r"%b::(\w+)\[\]")
_PACKED_AS: Final[Mapping[str, str]] = {"bigint": "int8", "integer": "int8", "smallint": "int8", "boolean": "bool", "uuid": "text"}
"""As what values of a type of the server are packed, where that is another one: the server makes the one of the other."""
_NULL: Final = struct.pack("!i", -1)
_length: Final = struct.Struct("!i").pack
_whole: Final = struct.Struct("!iq").pack
_day: Final = struct.Struct("!ii").pack
_FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = date(2000, 1, 1).toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)


class Row(Struct, frozen=True, gc=False):
    """A row to be written by `statement`, whose columns are its fields in their order. It is in no circle."""

    statement: ClassVar[str]
    joins: ClassVar[bool] = False
    """The statement may be a part of one for several kinds: it reads and changes nothing that another of them writes."""


class PackedArray:
    """An array of PostgreSQL in binary form, under the name of the type of its elements."""

    def __init__(self, element: str, packed: bytes) -> None:
        self.element, self.packed = element, packed


class PackedArrayDumper(Dumper):
    """Hands a packed array to the server as it is."""

    format = Format.BINARY

    def get_key(self, obj: PackedArray, format: Any) -> Any:  # noqa: A002, ARG002 - the driver's name
        """A dumper for each type of elements: its arrays have an oid of their own."""
        return (self.cls, obj.element)

    def upgrade(self, obj: PackedArray, format: Any) -> Dumper:  # noqa: A002, ARG002 - the driver's name
        """The dumper of arrays of that type."""
        dumper = PackedArrayDumper(self.cls)
        dumper.oid = types[obj.element].array_oid
        return dumper

    def dump(self, obj: PackedArray) -> bytes:
        """Its bytes."""
        return obj.packed


psycopg.adapters.register_dumper(PackedArray, PackedArrayDumper)


def columns(rows: Sequence[Struct]) -> list[Any]:
    """The rows turned into one array per column, as `unnest` takes them."""
    return [packed(column) for column in zip(*map(msgspec.structs.astuple, rows), strict=True)]


def packed(column: Sequence[Any], nulls_as: str | None = None) -> PackedArray | list[Any]:
    """The values of a column as an array: packed, or as a list for the driver where they are of another kind.

    Where all are None it is one of NULLs of the type `nulls_as`, or a list.
    """
    kinds = {*map(type, column)}
    has_null = type(None) in kinds
    kinds.discard(type(None))
    if not kinds and nulls_as is not None:
        return PackedArray(nulls_as, _head(nulls_as, len(column), has_null=True) + _NULL * len(column))
    packing = _packing_of(kinds.pop()) if len(kinds) == 1 else None
    if packing is None:
        return [*column]
    element, pack = packing
    # Most columns of a batch say the same in every row.
    same = not has_null and column.count(column[0]) == len(column)
    values = pack(column[:1]) * len(column) if same else pack(column)
    return PackedArray(element, _head(element, len(column), has_null=has_null) + values)


def _head(element: str, count: int, *, has_null: bool) -> bytes:
    return struct.pack("!iiIii", 1, has_null, types[element].oid, count, 1)


def write(cursor: psycopg.Cursor[Any], rows: Sequence[Row]) -> None:
    """Writes rows of one kind in one statement; does nothing without rows."""
    if rows:
        cursor.execute(rows[0].statement, columns(rows))


def write_all(cursor: psycopg.Cursor[Any], kinds: Sequence[Sequence[Row]]) -> None:
    """Writes rows of several kinds: those that join in one statement, the others after them in one for each kind that there is."""
    joining, others = [rows for rows in kinds if rows and rows[0].joins], [rows for rows in kinds if rows and not rows[0].joins]
    with cursor.connection.pipeline() if len(others) + bool(joining) > 1 else nullcontext():
        if joining:
            # The driver would read so long a statement anew each time; with the server's own marks it need not.
            with psycopg.RawCursor(cursor.connection) as raw:
                raw.execute(joined(tuple(rows[0].statement for rows in joining)), [each for rows in joining for each in _typed(rows)])
        for rows in others:
            write(cursor, rows)


def _typed(rows: Sequence[Row]) -> Iterator[PackedArray | list[Any]]:
    """The columns of rows of one kind, each always as an array of the same type: whatever is NULL, the server knows the statement again."""
    by_column = zip(*map(msgspec.structs.astuple, rows), strict=True)
    for column, element in zip(by_column, _elements(rows[0].statement), strict=True):
        yield packed(column, element)


@cache
def _elements(statement: str) -> Sequence[str]:
    """The types of elements that values of the columns are packed as, by what the statement makes of them."""
    return [_PACKED_AS.get(each, each) for each in _ARRAY.findall(statement)]


@cache
def joined(statements: tuple[str, ...]) -> str:
    """One statement that does what these do, in whatever order, with marks `$1` and so on: none sees what another has written."""
    *parts, last = (each.rstrip().removesuffix(";") for each in statements)
    text = f"WITH {', '.join(f'part_{number} AS ({each})' for number, each in enumerate(parts))} {last}" if parts else last
    numbers = count(1)
    return _MARK.sub(lambda _: f"${next(numbers)}", text).replace("%%", "%")


class _Lengths(dict[int, bytes]):
    """Lengths as they stand before values; the usual ones are at hand."""

    def __missing__(self, length: int) -> bytes:
        return _length(length)


_LENGTHS: Final = _Lengths({length: _length(length) for length in range(4096)})


def _texts(column: Sequence[str | None]) -> bytes:
    return _bytes([None if each is None else each.encode() for each in column])


def _bytes(column: Sequence[bytes | None]) -> bytes:
    if None in column:
        return b"".join([_NULL if each is None else _LENGTHS[len(each)] + each for each in column])
    values = cast("Sequence[bytes]", column)
    return b"".join(chain.from_iterable(zip(map(_LENGTHS.__getitem__, map(len, values)), values, strict=True)))


def _wholes(column: Sequence[int | None]) -> bytes:
    return b"".join([_NULL if each is None else _whole(8, each) for each in column])


def _truths(column: Sequence[bool | None]) -> bytes:
    return b"".join([_NULL if each is None else b"\0\0\0\1\1" if each else b"\0\0\0\1\0" for each in column])


def _days(column: Sequence[date | None]) -> bytes:
    return b"".join([_NULL if each is None else _day(4, each.toordinal() - _FIRST_DAY) for each in column])


def _moments(column: Sequence[datetime | None]) -> bytes:
    """Most rows of a transaction have one moment in common."""
    known: dict[datetime | None, bytes] = {None: _NULL}
    for each in {*column} - known.keys():
        assert each is not None, "NULL is known"
        known[each] = _whole(8, (each - _FIRST_MOMENT) // _MICROSECOND)
    return b"".join([known[each] for each in column])


_PACKING: Final[Mapping[type, tuple[str, Callable[[Sequence[Any]], bytes]]]] = {
    str: ("text", _texts),
    bytes: ("bytea", _bytes),
    int: ("int8", _wholes),
    bool: ("bool", _truths),
    date: ("date", _days),
    datetime: ("timestamptz", _moments),
}
"""The type of the server that each kind of values is packed for, and how."""


@cache
def _packing_of(kind: type) -> tuple[str, Callable[[Sequence[Any]], bytes]] | None:
    """How values of a kind are packed: as those of the first plain kind that it is, such as words of an enum; None: not here."""
    return next((_PACKING[each] for each in kind.__mro__ if each in _PACKING), None)
