"""The audit chain: each entry is hashed with the one before, so that nothing can be changed or taken out unseen (design §11).

A case has a chain of its own, whose head stands on the case's row: the lock of the case is the lock of its chain.
"""

import hashlib
from datetime import datetime
from enum import StrEnum

from kvitt.store.rows import AuditRow


class What(StrEnum):
    """What an entry of a case's chain tells."""

    WAITING = "waiting"
    ORDERED = "ordered"
    SIMULATED = "simulated"
    ANSWERED = "answered"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    WITHDRAWN = "withdrawn"


def digest(*contents: bytes) -> bytes:
    """SHA-256 over contents, each preceded by its length, so that no two lists of contents look alike."""
    hashed = hashlib.sha256()
    for content in contents:
        hashed.update(len(content).to_bytes(8, "big"))
        hashed.update(content)
    return hashed.digest()


def link(
    previous: bytes,
    chain: int,
    seq: int,
    at: datetime,
    what: str,
    message_no: int | None,
    order_id: str | None,
    receipt_no: int | None,
    content: bytes,
    note: str | None = None,
) -> AuditRow:
    """The entry that follows the one whose hash is `previous`; `content` is the digest of what the entry tells of."""
    told = f"{chain}|{seq}|{at.timestamp():.6f}|{what}|{message_no}|{order_id}|{receipt_no}|{note}"
    hashed = hashlib.sha256(previous + told.encode() + content).digest()
    return AuditRow(chain, seq, at, what, message_no, order_id, receipt_no, content, note, hashed)
