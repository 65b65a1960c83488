"""Collects what a check found: how much it looked at, and every difference by kind; nothing in it is personal data (design §11)."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import psycopg
from msgspec import Struct, json
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction

import kvitt
from kvitt.kernel.queries import load

KEPT = 1000
"""How many differences are described; all are counted."""
_SQL: Final = load("check_runs", "kvitt.disbursement")


class Kind(StrEnum):
    """Kinds of differences; the value is its name in reports."""

    CHAIN = "audit chain"
    ENTRY = "audit entry"
    CASE = "case"
    MESSAGE = "message"
    ORDER = "order"
    LINE = "order line"
    PAYMENT = "payment"
    RECEIPT = "receipt"
    CONTRADICTION = "contradiction"
    PUBLISHED = "published"
    SIMULATION = "simulation"
    RECONCILIATION = "reconciliation"
    CANCELLATION = "cancellation"
    STUCK = "stuck"
    ORPHAN = "orphan"
    DOUBLE = "double"
    LEDGER = "ledger"
    PAYOUT = "payout"
    APPROVAL = "approval"
    LOG = "log"
    VIEW = "view"


class Difference(Struct, frozen=True):
    """One place where the store is not what its own history makes. `case` is the case's number, `subject` an id of our own."""

    kind: Kind
    case: int | None
    subject: str
    text: str


class Counts(Struct, frozen=True):
    """How many rows of each sort were looked at; `records_published` are those of the outbox, on all topics."""

    cases: int = 0
    messages: int = 0
    orders: int = 0
    lines: int = 0
    idempotency_records: int = 0
    imported_decisions: int = 0
    decisions: int = 0
    payments: int = 0
    receipts: int = 0
    contradictions: int = 0
    order_checks: int = 0
    outside_findings: int = 0
    limited_orders: int = 0
    simulations: int = 0
    reconciliations: int = 0
    reconciliation_triggers: int = 0
    cancellations: int = 0
    records_published: int = 0
    audit_entries: int = 0
    payouts: int = 0
    payout_events: int = 0
    approvals: int = 0


class Report(Struct, frozen=True):
    """The outcome of a check; `differences` describes the first thousand, `by_kind` counts all of them."""

    counts: Counts
    differences: tuple[Difference, ...]
    by_kind: Mapping[Kind, int]

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return not self.by_kind


class Findings:
    """Gathers what a check looks at and finds, in bounded memory."""

    def __init__(self) -> None:
        self._looked_at: Counter[str] = Counter()
        self._by_kind: Counter[Kind] = Counter()
        self._kept: list[Difference] = []

    def looked_at(self, sort: str, rows: int) -> None:
        """Counts rows; `sort` is a field of `Counts`."""
        self._looked_at[sort] += rows

    def differs(self, kind: Kind, case: int | None, subject: object, text: str) -> None:
        """Notes one difference."""
        self._by_kind[kind] += 1
        if len(self._kept) < KEPT:
            self._kept.append(Difference(kind, case, str(subject), text))

    def report(self) -> Report:
        """Returns what was found until now."""
        return Report(Counts(**self._looked_at), tuple(self._kept), dict(self._by_kind))


def note_run(connection: psycopg.Connection[object], report: Report, began_at: datetime, *, of_rail: int, found: list[str]) -> bool:
    """Stores the outcome; `of_rail` counts differences from the rail's books, `found` are the first ones in words.

    Returns False where this user may only read: then nothing is noted.
    """
    by_kind = {kind.value: rows for kind, rows in report.by_kind.items()} | ({"rail": of_rail} if of_rail else {})
    noted = {
        "began_at": began_at,
        "version": kvitt.__version__,
        "looked_at": json.encode(report.counts).decode(),
        "by_kind": json.encode(by_kind).decode(),
        "differences": sum(by_kind.values()),
        "found": found,
    }
    try:
        connection.execute(_SQL.note_check, noted)
    except (InsufficientPrivilege, ReadOnlySqlTransaction):
        return False
    return True
