"""The audit chain: each entry is hashed with the one before, so that nothing can be changed or taken out unseen (design §11).

A case has a chain of its own, whose head stands on the case's row: the lock of the case is the lock of its chain.
"""

import hashlib
from enum import StrEnum

from msgspec.structs import replace

from kvitt.store.rows import AuditRow


class What(StrEnum):
    """What an entry of a case's chain tells."""

    IMPORTED = "imported"
    LEFT_OUT = "left out"
    FORGOTTEN = "forgotten"
    WAITING = "waiting"
    ORDERED = "ordered"
    SIMULATED = "simulated"
    ANSWERED = "answered"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    WITHDRAWN = "withdrawn"
    CONTRADICTED = "contradicted"
    ADOPTED = "adopted"
    KEPT = "kept"
    REQUEUED = "requeued"


def digest(*contents: bytes) -> bytes:
    """SHA-256 over contents, each preceded by its length, so that no two lists of contents look alike."""
    hashed = hashlib.sha256()
    for content in contents:
        hashed.update(len(content).to_bytes(8, "big"))
        hashed.update(content)
    return hashed.digest()


def link(previous: bytes, entry: AuditRow) -> AuditRow:
    """The entry with its hash, which covers all its fields and the hash of the entry before."""
    where = f"{entry.chain}|{entry.seq}|{entry.at.timestamp():.6f}|{entry.what}"
    told = f"{where}|{entry.message_no}|{entry.order_id}|{entry.receipt_no}|{entry.note}"
    return replace(entry, hash=hashlib.sha256(previous + told.encode() + entry.digest).digest())
