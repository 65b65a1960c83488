"""The interface definitions, loaded once, and what decoding must check of them: field types, required fields, unions.

The modules have names of their own, because two of the services define structs of the same name (payouts §12).
"""

from functools import cache
from importlib.resources import as_file, files
from types import ModuleType
from typing import Any

import thriftpy2
from msgspec import Struct
from thriftpy2.thrift import TType

Field = tuple[int, Any]
"""A Thrift type and what it is made of: the shape of a struct, the field of a list's elements, the fields of a map's sides,
the values of an enum, `bytes` for a text that need not be UTF-8, else None."""
STRUCT, LIST, SET, MAP = TType.STRUCT, TType.LIST, TType.SET, TType.MAP


class Shape(Struct):
    """The shape of a struct on the wire."""

    name: str
    fields: dict[int, Field]
    required: frozenset[int]
    is_union: bool


@cache
def module(name: str) -> ModuleType:
    """The definitions of `idl/<name>.thrift`: `payouts`, `accounter`, `shumpune` or `parties`; those of `plans` stand in both ledgers'."""
    with as_file(files("kvitt.formats.thrift") / "idl") as directory:
        loaded = thriftpy2.load(str(directory / f"{name}.thrift"), module_name=f"kvitt_{name}_thrift", include_dirs=[str(directory)])
    for plans in (each for each in loaded.__thrift_meta__["includes"] if each.__name__ == "plans"):
        vars(loaded).update({kind.__name__: kind for part in ("structs", "exceptions") for kind in plans.__thrift_meta__[part]})
    return loaded


@cache
def unions(name: str) -> frozenset[type]:
    """The unions of a module and of what it includes."""
    meta = module(name).__thrift_meta__
    return frozenset([*meta["unions"], *(union for each in meta["includes"] for union in each.__thrift_meta__["unions"])])


@cache
def shape_of(kind: type, name: str) -> Shape:
    """The shape of a struct of module `name`; for arguments of a call too."""
    specs: dict[int, tuple[Any, ...]] = kind.thrift_spec  # type: ignore[attr-defined]
    shape = Shape(kind.__name__, {}, frozenset(), kind in unions(name))
    shape.fields = {number: _field(spec[0], spec[2] if len(spec) == 4 else None, name) for number, spec in specs.items()}
    shape.required = frozenset(number for number, spec in specs.items() if spec[-1])
    return shape


def _field(ttype: int, made_of: Any, name: str) -> Field:
    if ttype == STRUCT:
        return STRUCT, shape_of(made_of, name)
    if ttype in (LIST, SET):
        return ttype, _side(made_of, name)
    if ttype == MAP:
        return MAP, (_side(made_of[0], name), _side(made_of[1], name))
    if ttype == TType.BINARY:
        # On the wire it is a text whose bytes mean nothing.
        return TType.STRING, bytes
    if ttype == TType.I32:
        return TType.I32, None if made_of is None else frozenset(made_of._VALUES_TO_NAMES)  # noqa: SLF001 - the library's only list of them
    return ttype, None


def _side(spec: Any, name: str) -> Field:
    return _field(spec[0], spec[1], name) if isinstance(spec, tuple) else _field(spec, None, name)
