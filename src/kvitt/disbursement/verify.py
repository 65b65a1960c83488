"""The hash chains, made again from their entries: of operators, of each case, of each payout (design §11).

A part of `kvitt check` that is quick enough to be asked for often, and that can be asked for one chain alone.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.disbursement.check.chain import Chain
from kvitt.disbursement.check.report import Findings, Kind
from kvitt.disbursement.values import Scheme
from kvitt.errors import CaseNotFound, PayoutNotFound
from kvitt.kernel.audit import AuditRow, digest, event_link
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch, fetch_value, named
from kvitt.kernel.queries import load

_SQL = load("acts", "kvitt.disbursement")
OPERATORS = 0
"""The chain of what operators did."""


class Group(StrEnum):
    """The chains that can be verified without naming one."""

    ALL = "all"
    OPERATORS = "operators"


class Verified(Struct, frozen=True):
    """How much was verified, and every break as a sentence. `last_hash` where one chain was asked for."""

    chains: int
    entries: int
    last_hash: str | None
    breaks: tuple[str, ...]


def verify(conninfo: str, chain: "Group | tuple[Scheme, str] | str" = Group.ALL) -> Verified:
    """Verifies all chains, the operators', one case's (scheme and id) or one payout's (its id), in one read-only snapshot.

    Streams: memory does not grow with the chains. Raises CaseNotFound, PayoutNotFound.
    """
    with connect(conninfo, application="kvitt audit", paused_ms=0) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction(), connection.cursor() as cursor:
            verifying = _Verifying(cursor)
            if isinstance(chain, Group):
                verifying.chains(None if chain is Group.ALL else 0)
                if chain is Group.ALL:
                    verifying.payouts(None)
            elif isinstance(chain, str):
                verifying.payouts(chain)
            else:
                verifying.chains(_number(cursor, *chain))
            return verifying.verified(one=chain is not Group.ALL)


def _number(cursor: psycopg.Cursor[Any], scheme: Scheme, case_id: str) -> int:
    number: int | None = fetch_value(cursor, _SQL.case_number, {"scheme": scheme.value, "case_id": case_id})
    if number is None:
        raise CaseNotFound(scheme.value, case_id)
    return number


class _ChainedEntry(NamedTuple):
    entry: AuditRow
    last_seq: int
    last_hash: bytes


class _EmptyChain(NamedTuple):
    chain: int
    audit_seq: int


class _StoredPayoutEvent(NamedTuple):
    payout_id: str
    sequence: int | None
    at: datetime
    body: bytes
    actor: str | None
    hash: bytes
    last_event_hash: bytes | None


class _Verifying:
    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor, self._found = cursor, Findings()
        self._chains = self._entries = 0
        self._last_hash: bytes = b""

    def chains(self, number: int | None) -> None:
        """The chains of cases and operators; None means all."""
        asked = {"chain": number}
        with self._cursor.connection.cursor(row_factory=named(_ChainedEntry, entry=AuditRow)) as entries:
            for chain, its in groupby(entries.stream(_SQL.chains, asked, binary=True), key=attrgetter("entry.chain")):
                self._chain(Chain(chain, self._found), its)
        for empty in fetch(self._cursor, _EmptyChain, _SQL.empty_chains, asked):
            self._found.differs(Kind.CHAIN, empty.chain, 0, f"has no entries, where its row names entry {empty.audit_seq}")

    def _chain(self, chain: Chain, rows: Iterator[_ChainedEntry]) -> None:
        self._chains += 1
        end = (0, b"")
        for row in rows:
            entry = row.entry
            chain.follow(entry)
            self._entries += 1
            if entry.chain == OPERATORS and digest((entry.note or "").encode()) != entry.digest:
                self._found.differs(Kind.ENTRY, entry.chain, entry.seq, "is not noted in the words that were digested")
            end = (row.last_seq, row.last_hash)
        chain.end(*end)
        self._last_hash = end[1]

    def payouts(self, payout_id: str | None) -> None:
        """The chains of payouts; None means all. Raises PayoutNotFound for one that is not there."""
        with self._cursor.connection.cursor(row_factory=named(_StoredPayoutEvent)) as rows:
            found = rows.stream(_SQL.payout_chains, {"payout_id": payout_id}, binary=True)
            for payout, events in groupby(found, key=attrgetter("payout_id")):
                self._payout(payout, events)
        if payout_id is not None and not self._chains:
            raise PayoutNotFound(f"Payout not found, payoutId='{payout_id}'")

    def _payout(self, payout_id: str, events: Iterator[_StoredPayoutEvent]) -> None:
        self._chains += 1
        made, end = b"", b""
        for place, event in enumerate(events):
            sequence = event.sequence
            if sequence is None:
                self._found.differs(Kind.PAYOUT, None, payout_id, "has no events")
                return
            self._entries += 1
            if sequence != place:
                self._found.differs(Kind.PAYOUT, None, payout_id, f"has an event {sequence} in place {place}")
            if event_link(made, payout_id, sequence, event.at, event.body, actor=event.actor) != event.hash:
                self._found.differs(Kind.PAYOUT, None, payout_id, f"has an event {sequence} with another hash than its content has")
            made, end = event.hash, event.last_event_hash or b""
        if made != end:
            self._found.differs(Kind.PAYOUT, None, payout_id, "names another last event than there is")
        self._last_hash = end

    def verified(self, *, one: bool) -> Verified:
        """Returns what was found."""
        differences = self._found.report().differences
        breaks = [f"{each.kind.value} {_name(each.case, each.subject)} {each.text}" for each in differences]
        return Verified(self._chains, self._entries, self._last_hash.hex() if one and self._last_hash else None, tuple(breaks))


def _name(chain: int | None, subject: str) -> str:
    if chain is None:
        return subject
    return f"of operators, entry {subject}" if chain == 0 else f"of case number {chain}, entry {subject}"
