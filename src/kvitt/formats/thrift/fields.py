"""Fields of structs in Thrift's strict binary protocol, written straight to bytes: for what is written thousands of times a second.

Each is as the library writes it: a type, the number of the field, its value.
"""

import struct
from collections.abc import Sequence
from typing import Final

_text_head: Final = struct.Struct(">bhi").pack
_i32: Final = struct.Struct(">bhi").pack
_i64: Final = struct.Struct(">bhq").pack
_struct_head: Final = struct.Struct(">bh").pack
_list_head: Final = struct.Struct(">bhbi").pack
_I32, _I64, _TEXT, _STRUCT, _LIST = 8, 10, 11, 12, 15
END: Final = b"\0"
"""Behind the last field of a struct."""


def text(number: int, value: str) -> bytes:
    """A text."""
    encoded = value.encode()
    return _text_head(_TEXT, number, len(encoded)) + encoded


def i32(number: int, value: int) -> bytes:
    """A whole number of 32 bits, or a value of an enum. Raises struct.error for one that does not fit."""
    return _i32(_I32, number, value)


def i64(number: int, value: int) -> bytes:
    """A whole number of 64 bits. Raises struct.error for one that does not fit."""
    return _i64(_I64, number, value)


def nested(number: int, fields: bytes) -> bytes:
    """A struct, or a union, of these fields."""
    return _struct_head(_STRUCT, number) + fields + END


def structs(number: int, each: Sequence[bytes]) -> bytes:
    """A list of structs, each of its fields."""
    return _list_head(_LIST, number, _STRUCT, len(each)) + b"".join([fields + END for fields in each])
