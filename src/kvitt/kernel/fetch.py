"""Reads rows by name: each row becomes a value whose fields are the columns of the statement."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, TypeVar

import psycopg
from psycopg.rows import RowMaker, no_result, scalar_row

from kvitt.kernel.rows import packed

Row = TypeVar("Row")
Arguments = Sequence[Any] | Mapping[str, Any]
Source = psycopg.Connection[Any] | psycopg.Cursor[Any]
"""Where rows are read: on a connection, or on that of a cursor."""
ColumnReader = Callable[[Any], Any]
_ENDED: Final = object()


class Part:
    """A kind of which a part of a row is made, with what reads its fields."""

    def __init__(self, kind: type[Any], **readers: ColumnReader) -> None:
        self.kind, self.readers = kind, readers
        self._same = kind, tuple(readers.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)


FieldReader = ColumnReader | type[Any] | Part
"""How a field is made: from its column by a function, or from the columns of a kind."""


def named(kind: type[Row], **readers: FieldReader) -> Callable[[psycopg.Cursor[Any]], RowMaker[Row]]:
    """A row factory that makes values of `kind`, a struct or a named tuple with a field for each column, in whatever order.

    `readers` make what a field has of what its column has; one that is itself such a kind takes the columns of its own fields.
    The columns are compared with the fields once per statement and not per row. Raises TypeError where they are not the same.
    """

    made: Any = kind
    by_field = tuple(readers.items())

    def factory(cursor: psycopg.Cursor[Any]) -> RowMaker[Row]:
        found = cursor.pgresult
        if found is None or not found.nfields:
            return no_result
        # Not by the cursor's description, which costs more than the rows of a short statement.
        return _maker_of(made, by_field, tuple(map(found.fname, range(found.nfields))))

    return factory


def fetch(source: Source, kind: type[Row], statement: str, arguments: Arguments = (), **readers: FieldReader) -> list[Row]:
    """All rows of a statement as values of `kind`. Raises psycopg errors, and TypeError where columns and fields differ."""
    with _connection(source).cursor(row_factory=named(kind, **readers)) as cursor:
        return cursor.execute(statement, _given(statement, arguments), binary=True).fetchall()


def fetch_later(
    source: Source, kind: type[Row], statement: str, arguments: Arguments = (), **readers: FieldReader
) -> Callable[[], list[Row]]:
    """Sends a statement, in a pipeline without waiting for it, and returns what fetches its rows as `fetch` does."""
    cursor = _connection(source).cursor(row_factory=named(kind, **readers))
    return cursor.execute(statement, _given(statement, arguments), binary=True).fetchall


def fetch_one(source: Source, kind: type[Row], statement: str, arguments: Arguments = (), **readers: FieldReader) -> Row | None:
    """The first row of a statement as a value of `kind`, or None. Raises as `fetch`."""
    with _connection(source).cursor(row_factory=named(kind, **readers)) as cursor:
        return cursor.execute(statement, _given(statement, arguments), binary=True).fetchone()


def fetch_values(source: Source, statement: str, arguments: Arguments = ()) -> list[Any]:
    """The values of a statement with one column. Raises psycopg errors."""
    with _connection(source).cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(statement, _given(statement, arguments), binary=True).fetchall()


def fetch_values_later(source: Source, statement: str, arguments: Arguments = ()) -> Callable[[], list[Any]]:
    """Sends a statement with one column, as `fetch_later` does, and returns what fetches its values."""
    return _connection(source).cursor(row_factory=scalar_row).execute(statement, _given(statement, arguments), binary=True).fetchall


Lookup = Iterator[None]
"""A lookup under way: it sends its statements as `fetch_later` does, yields, and takes in their rows; then it may ask more. One that asks
nothing just ends."""


def look_up(source: Source, *lookups: Lookup) -> None:
    """Does lookups in the order in which they are given, all of them in one round trip. Raises psycopg errors, of the first that fails."""
    with _connection(source).pipeline() if len(lookups) > 1 else nullcontext():
        asked = [each for each in lookups if next(each, _ENDED) is not _ENDED]
    for each in asked:
        next(each, None)


def fetch_value(source: Source, statement: str, arguments: Arguments = ()) -> Any:
    """The one value of a statement with one column; None without a row. Raises psycopg errors."""
    return next(iter(fetch_values(source, statement, arguments)), None)


def _given(statement: str, arguments: Arguments) -> Arguments:
    """The arguments with lists packed, where the statement says what they are arrays of: the driver would look at every element."""
    if "b::" not in statement:
        return arguments
    if isinstance(arguments, Mapping):
        return {name: packed(each) if isinstance(each, list) else each for name, each in arguments.items()}
    return [packed(each) if isinstance(each, list) else each for each in arguments]


def _connection(source: Source) -> psycopg.Connection[Any]:
    return source.connection if isinstance(source, psycopg.Cursor) else source


def _fields_of(kind: Any) -> Sequence[str] | None:
    kind = kind.kind if isinstance(kind, Part) else kind
    return getattr(kind, "__struct_fields__", None) or getattr(kind, "_fields", None)


def _columns_of(kind: type[Any], readers: Mapping[str, FieldReader]) -> list[str]:
    """The columns that a kind is made of: its fields, and in the place of one that is a kind itself the fields of that."""
    nested = {field: _fields_of(reader) for field, reader in readers.items()}
    return list(dict.fromkeys(column for field in _fields_of(kind) or () for column in nested.get(field) or (field,)))


@lru_cache(maxsize=1024)
def _maker_of(kind: type[Any], by_field: tuple[tuple[str, FieldReader], ...], names: tuple[bytes | None, ...]) -> RowMaker[Any]:
    """Makes a statement's rows; remembered, because the same statements come again and again."""
    readers = dict(by_field)
    wanted, columns = _columns_of(kind, readers), [(name or b"").decode() for name in names]
    if {*columns} != {*wanted} or len({*columns}) != len(columns):
        raise TypeError(f"{kind.__name__} has the fields {', '.join(wanted)}, and the row the columns {', '.join(columns)}")
    return _maker(kind, readers, columns)


def _maker(kind: type[Row], readers: Mapping[str, FieldReader], columns: Sequence[str]) -> RowMaker[Row]:
    fields = _fields_of(kind) or ()
    if any(map(_fields_of, readers.values())):
        parts = [_part(readers.get(field), field, columns) for field in fields]
        return lambda values: kind(*[part(values) for part in parts])
    ordered = _in_order(fields, columns)
    if not readers:
        return (lambda values: kind(*values)) if [*columns] == [*fields] else lambda values: kind(*ordered(values))
    reading = [(fields.index(field), reader) for field, reader in readers.items() if not isinstance(reader, Part)]

    def make(values: Sequence[Any]) -> Row:
        row = [*ordered(values)]
        for place, reader in reading:
            row[place] = reader(row[place])
        return kind(*row)

    return make


def _in_order(fields: Sequence[str], columns: Sequence[str]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Returns what takes the fields out of a row, in their order."""
    if [*columns] == [*fields]:
        return lambda values: values
    places = [columns.index(field) for field in fields]
    return itemgetter(*places) if len(places) > 1 else lambda values: (values[places[0]],)


def _part(reader: FieldReader | None, field: str, columns: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    """Returns what takes a field out of a row."""
    if isinstance(reader, Part):
        return _maker(reader.kind, reader.readers, columns)
    if reader is not None and _fields_of(reader):
        assert isinstance(reader, type), "what has fields is a kind of rows"
        return _maker(reader, {}, columns)
    place = columns.index(field)
    return itemgetter(place) if reader is None else lambda values: reader(values[place])
