"""Looks through the bytes of a Thrift message before anything is made of them (payouts §7.2, §12).

Every length is compared with what is left, nesting has a limit, and the fields that are known must have their types, be there when
required and never twice, and be one exactly in a union. What passes here can be decoded by the library without surprises. Fields that
nobody knows are skipped, whatever their order, as newer peers may send them.
"""

import struct
from typing import Final

from thriftpy2.thrift import TType

from kvitt.errors import BadThrift
from kvitt.formats.thrift.interface import Field, Shape

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 50_000
"""That are looked at one by one in a message: more than eight thousand postings, where plans have seven."""
MAX_TEXT: Final = 65_536
_VERSION: Final = 0x80010000
_SIZES: Final = {TType.BOOL: 1, TType.BYTE: 1, TType.I16: 2, TType.I32: 4, TType.I64: 8, TType.DOUBLE: 8}
_STRING, _STRUCT, _MAP, _SET, _LIST, _STOP, _I32 = TType.STRING, TType.STRUCT, TType.MAP, TType.SET, TType.LIST, TType.STOP, TType.I32
_unsigned, _signed, _field_id = struct.Struct(">I").unpack_from, struct.Struct(">i").unpack_from, struct.Struct(">h").unpack_from
_MAX_NAME = 128


def envelope(body: bytes, kind: int) -> tuple[str, int, int]:
    """The method, the sequence id, and where the struct begins, of a message of this kind. Raises BadThrift."""
    try:
        (version,) = _unsigned(body)
        (length,) = _signed(body, 4)
        (sequence,) = _signed(body, 8 + max(0, length))
        name = body[8 : 8 + length].decode()
    except UnicodeDecodeError:
        raise BadThrift("has a method name that is not UTF-8") from None
    except struct.error:
        raise BadThrift("is cut off", cut_off=True) from None
    if version != _VERSION | kind:
        raise BadThrift("is no such message of the strict binary protocol")
    if not 0 <= length <= _MAX_NAME:
        raise BadThrift("has a method name of no possible length")
    return name, sequence, 12 + length


def walk(body: bytes, at: int, shape: Shape, most: int = MAX_VALUES) -> int:
    """Goes through a struct that begins at `at`, of at most so many values; returns where it ends.

    Raises BadThrift naming the field and the rule.
    """
    try:
        return _Walk(body, most).struct(at, shape, 0)
    except (struct.error, IndexError):
        # Reading beyond the end is what the layouts and indexes refuse by themselves.
        raise BadThrift("is cut off", cut_off=True) from None


class _Walk:
    def __init__(self, body: bytes, most: int) -> None:
        self._body, self._end, self._left = body, len(body), most

    def struct(self, at: int, shape: Shape, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise BadThrift(f"{shape.name} is nested too deeply")
        body, fields, seen = self._body, shape.fields, set()
        while (ttype := body[at]) != _STOP:
            (number,) = _field_id(body, at + 1)
            at += 3
            field = fields.get(number)
            if field is None:
                at = self._skip(at, ttype, depth + 1)
                continue
            if field[0] != ttype:
                raise BadThrift(f"{shape.name} field {number} is of type {ttype}, not {field[0]}")
            if number in seen:
                raise BadThrift(f"{shape.name} has field {number} more than once")
            seen.add(number)
            at = self._value(at, field, depth, shape, number)
        if missing := shape.required - seen:
            raise BadThrift(f"{shape.name} lacks field {min(missing)}, which is required")
        if shape.is_union and len(seen) != 1:
            raise BadThrift(f"{shape.name} is a union and has {len(seen)} fields")
        return at + 1

    def _value(self, at: int, field: Field, depth: int, shape: Shape, number: int) -> int:
        ttype, made_of = field
        self._count()
        if ttype == _STRING:
            end = at + 4 + self._length(at, 1)
            if end - at > MAX_TEXT:
                raise BadThrift(f"{shape.name} field {number} is longer than {MAX_TEXT} bytes")
            try:
                if made_of is None:
                    self._body[at + 4 : end].decode()
            except UnicodeDecodeError:
                raise BadThrift(f"{shape.name} field {number} is not UTF-8") from None
            return end
        if ttype == _STRUCT:
            return self.struct(at, made_of, depth + 1)
        if ttype in (_LIST, _SET):
            return self._elements(at, made_of, depth + 1, shape, number)
        if ttype == _MAP:
            return self._pairs(at, made_of, depth + 1, shape, number)
        if ttype == _I32 and made_of is not None and _signed(self._body, at)[0] not in made_of:
            raise BadThrift(f"{shape.name} field {number} is no value of its enum")
        return self._fixed(at, ttype)

    def _fixed(self, at: int, ttype: int) -> int:
        return self._within(at + _SIZES[ttype])

    def _within(self, end: int) -> int:
        if end > self._end:
            raise BadThrift("is cut off", cut_off=True)
        return end

    def _length(self, at: int, each: int) -> int:
        """A length or count at `at`, of things of at least `each` bytes, that the rest of the message has room for."""
        (length,) = _signed(self._body, at)
        if length < 0:
            raise BadThrift("has a negative length")
        if length * each > self._end - at - 4:
            raise BadThrift("has a length beyond its end", cut_off=True)
        return int(length)

    def _elements(self, at: int, element: Field, depth: int, shape: Shape, number: int) -> int:
        if depth > MAX_DEPTH:
            raise BadThrift(f"{shape.name} is nested too deeply")
        ttype, count = self._body[at], self._length(at + 1, _SIZES.get(element[0], 1))
        if ttype != element[0] and count:
            raise BadThrift(f"{shape.name} field {number} holds elements of type {ttype}, not {element[0]}")
        at += 5
        for _ in range(count):
            at = self._value(at, element, depth, shape, number)
        return at

    def _pairs(self, at: int, sides: tuple[Field, Field], depth: int, shape: Shape, number: int) -> int:
        if depth > MAX_DEPTH:
            raise BadThrift(f"{shape.name} is nested too deeply")
        keys, values, count = self._body[at], self._body[at + 1], self._length(at + 2, 2)
        if count and (keys, values) != (sides[0][0], sides[1][0]):
            raise BadThrift(f"{shape.name} field {number} maps {keys} to {values}, not {sides[0][0]} to {sides[1][0]}")
        at += 6
        seen = set()
        for _ in range(count):
            key, at = at, self._value(at, sides[0], depth, shape, number)
            seen.add(self._body[key:at])
            at = self._value(at, sides[1], depth, shape, number)
        if len(seen) != count:
            raise BadThrift(f"{shape.name} field {number} maps a key more than once")
        return at

    def _skip(self, at: int, ttype: int, depth: int) -> int:
        """Passes by a field that nobody knows."""
        if depth > MAX_DEPTH:
            raise BadThrift("an unknown field is nested too deeply")
        self._count()
        if ttype in _SIZES:
            return self._fixed(at, ttype)
        if ttype == _STRING:
            return at + 4 + self._length(at, 1)
        if ttype == _STRUCT:
            while (inner := self._body[at]) != _STOP:
                at = self._skip(at + 3, inner, depth + 1)
            return at + 1
        if ttype in (_LIST, _SET):
            return self._skip_all(at + 5, (self._body[at],), self._length(at + 1, 1), depth)
        if ttype == _MAP:
            return self._skip_all(at + 6, (self._body[at], self._body[at + 1]), self._length(at + 2, 2), depth)
        raise BadThrift(f"has a field of unknown type {ttype}")

    def _skip_all(self, at: int, kinds: tuple[int, ...], count: int, depth: int) -> int:
        """Passes by the elements of a list, or the pairs of a map."""
        if all(kind in _SIZES for kind in kinds):
            return self._within(at + count * sum(_SIZES[kind] for kind in kinds))
        for _ in range(count):
            for kind in kinds:
                at = self._skip(at, kind, depth + 1)
        return at

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise BadThrift("has more values than one message may have")
