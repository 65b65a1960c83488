"""Audit: what people did, with a second person's word, and the chain in which it stands, made again while it is read (design §11)."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import DecodeError, Struct, json

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.kernel.audit import AuditRow, hash_of
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.queries import load

_SQL: Final = load("audit", "kvitt.api.console.pages")
_OPERATORS: Final = 0
_LAST: Final = 2_147_483_647
_ORDER: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class CheckedEntry(NamedTuple):
    """One entry of a chain as it is stored."""

    seq: int
    at: datetime
    what: str
    message_no: int | None
    order_id: UUID | None
    receipt_no: int | None
    digest: bytes
    note: str | None
    hash: bytes

    def follows(self, chain: int, before: bytes) -> bool:
        """Whether the hash is that of this entry behind the one before."""
        order_id = None if self.order_id is None else str(self.order_id)
        about = self.what, self.message_no, order_id, self.receipt_no
        return hash_of(before, AuditRow(chain, self.seq, self.at, *about, self.digest, self.note, b"")) == self.hash


class OperatorWords(Struct, frozen=True):
    """The words of an act."""

    by: str = ""
    approved_by: str | None = None
    reason: str = ""
    subject: str = ""
    approval: int | None = None


class ChainSpan(Struct, frozen=True):
    """The entries of a chain between two numbers, and the numbers of those that do not follow from the one before them."""

    entries: tuple[CheckedEntry, ...]
    broken: tuple[int, ...]


def chain_span(connection: Connection, chain: int, before: int, limit: int) -> ChainSpan:
    """The entries before a number, newest first, each of them checked against the one before it."""
    rows = fetch(connection, CheckedEntry, _SQL.entries, {"chain": chain, "before": before, "limit": limit + 1})
    pairs = zip_longest(rows, rows[1:])
    checked = [(each, older) for each, older in pairs if older is not None or each.seq == 1]
    broken = [each.seq for each, older in checked if not each.follows(chain, older.hash if older else b"") or _gap(each, older)]
    return ChainSpan(tuple(rows), tuple(broken))


def _gap(entry: CheckedEntry, older: CheckedEntry | None) -> bool:
    return older is not None and older.seq != entry.seq - 1


def words_of(entry: CheckedEntry) -> OperatorWords:
    """The words of an act; none where its note is none that can be read."""
    try:
        return json.decode(entry.note or "{}", type=OperatorWords)
    except DecodeError:
        return OperatorWords(reason=entry.note or "")


def read(visit: Visit) -> Values:
    """A page of acts, newest first."""
    after = place_in(visit.query.get(AFTER), int)
    span = chain_span(visit.connection, _OPERATORS, after[0] if after else _LAST, visit.page_rows)
    acts = listed([(each, words_of(each)) for each in span.entries], lambda each: (each[0].seq,), after, visit.page_rows)
    return {"acts": acts, "orders": _orders(visit.connection, [words.subject for _, words in acts.rows]), "broken": span.broken}


def _orders(connection: Connection, subjects: Sequence[str]) -> dict[str, UUID]:
    """The orders that acts were about, by what the acts say that they were about."""
    named = {subject: UUID(found[0]) for subject in subjects if (found := _ORDER.search(subject))}
    known = set(fetch_values(connection, _SQL.orders_among, {"order_ids": [*named.values()]}))
    return {subject: order_id for subject, order_id in named.items() if order_id in known}


PAGES: Final = (ConsolePage("/audit", "Audit", "audit.html", read, nav="Audit", key="a", live="audit"),)
