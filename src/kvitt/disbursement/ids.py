"""Ids as functions of content: orders, their lines, and the payments of dagpenger and tiltakspenger (design §5)."""

import hashlib
from functools import lru_cache

from kvitt.disbursement.values import (
    Area,
    CaseId,
    LineId,
    OrderId,
    PaymentId,
    Scheme,
)
from kvitt.kernel.identifiers import OURS, named_uuid

_JAVA_BITS = 32


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
    return OrderId(named_uuid(OURS, f"{scheme.value}\0{area}\0{case_id}\0{number}"))


def line_id(order: OrderId, position: int) -> LineId:
    """The id of the line at `position` (from 0) of an order."""
    return LineId(named_uuid(OURS, f"{order}\0{position}"))
