"""Ids as functions of content: orders, their lines, and the payments of dagpenger and tiltakspenger (design §5)."""

import hashlib
from functools import lru_cache
from uuid import UUID

from kvitt.disbursement.values import (
    Area,
    CaseId,
    LineId,
    OrderId,
    PaymentId,
    Scheme,
)

_NAMESPACE = UUID("6f3c2a56-0d3b-5a7e-9a41-5d1f0f5b7c11").bytes
_JAVA_BITS = 32
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The seventeenth digit of a UUID keeps its two lower bits; the upper ones say which kind of UUID it is."""


def named_uuid(namespace: bytes, name: str) -> str:
    """The text of `uuid5` for the bytes of a namespace, ten times as fast as making the object first."""
    digits = hashlib.sha1(namespace + name.encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def _java_hash(text: str) -> int:
    """Java's `String.hashCode`: 32-bit signed, over UTF-16 units."""
    value = 0
    if text.isascii():
        for unit in text.encode("ascii"):
            value = (31 * value + unit) & 0xFFFFFFFF
    else:
        units = text.encode("utf-16-be")
        for index in range(0, len(units), 2):
            value = (31 * value + (units[index] << 8 | units[index + 1])) & 0xFFFFFFFF
    return value - (1 << _JAVA_BITS) if value >> (_JAVA_BITS - 1) else value


@lru_cache(maxsize=16_384)
def derived_payment_id(scheme: Scheme, case_id: CaseId, reporting_period: str, class_code: str) -> PaymentId:
    """The payment id that dagpenger and tiltakspenger depend on; only 2^32 different ones exist (helved §2.3)."""
    content = _java_hash(f"{scheme.value}{case_id}{reporting_period}{class_code}")
    digits = hashlib.sha256(content.to_bytes(8, "big", signed=True)).hexdigest()
    return PaymentId(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}")


def order_id(scheme: Scheme, area: Area, case_id: CaseId, number: int) -> OrderId:
    """The id of the n-th order of a case; a separator that no id can hold keeps different contents apart."""
    return OrderId(named_uuid(_NAMESPACE, f"{scheme.value}\0{area}\0{case_id}\0{number}"))


def line_id(order: OrderId, position: int) -> LineId:
    """The id of the line at `position` (from 0) of an order."""
    return LineId(named_uuid(_NAMESPACE, f"{order}\0{position}"))


def event_id(order: OrderId, kind: str) -> str:
    """The id of something told about an order, so that whoever hears it twice can drop the second."""
    return named_uuid(_NAMESPACE, f"{order}\0{kind}")
