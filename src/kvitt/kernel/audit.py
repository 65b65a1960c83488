"""The audit chain: each entry is hashed with the one before, so that nothing can be changed or taken out unseen (design §11).

A case has a chain of its own, whose last hash stands on the case's row: the lock of the case is the lock of its chain.
"""

import hashlib
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row

_SQL: Final = load("audit", "kvitt.kernel")
_PIECE: Final = 2047
"""Bytes that are hashed in one go: of more, Python lets other threads on meanwhile, and waits for its turn for longer than it hashed."""


class AuditRow(Row, frozen=True):
    """One entry of a case's audit chain (chain = case_no) or of the operators' (chain 0)."""

    statement = _SQL.add_audit
    joins = True
    chain: int
    seq: int
    at: datetime
    what: str
    message_no: int | None
    order_id: str | None
    receipt_no: int | None
    digest: bytes
    note: str | None
    hash: bytes


def digest(*contents: bytes) -> bytes:
    """SHA-256 over contents, each preceded by its length, so that no two lists of contents look alike."""
    whole = b"".join([part for content in contents for part in (len(content).to_bytes(8, "big"), content)])
    hashed = hashlib.sha256(whole[:_PIECE])
    for place in range(_PIECE, len(whole), _PIECE):
        hashed.update(whole[place : place + _PIECE])
    return hashed.digest()


def link(previous: bytes, entry: AuditRow) -> AuditRow:
    """The entry with its hash."""
    return replace(entry, hash=hash_of(previous, entry))


def hash_of(previous: bytes, entry: AuditRow) -> bytes:
    """The hash of an entry, which covers all its fields and the hash of the entry before."""
    where = f"{entry.chain}|{entry.seq}|{entry.at.timestamp():.6f}|{entry.what}"
    content = f"{where}|{entry.message_no}|{entry.order_id}|{entry.receipt_no}|{entry.note}"
    return hashlib.sha256(previous + content.encode() + entry.digest).digest()


def event_link(previous: bytes, subject: str, sequence: int, at: datetime, body: bytes, *, actor: str | None) -> bytes:
    """The hash that links a published event of a subject to the one before it: none can be changed or taken out unseen (design §11)."""
    who = () if actor is None else (actor.encode(),)
    return digest(previous, subject.encode(), f"{sequence}|{at.timestamp():.6f}".encode(), body, *who)
