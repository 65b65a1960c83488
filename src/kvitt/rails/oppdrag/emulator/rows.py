"""Rows that a batch adds to the rail's books; those of all kinds leave in one statement."""

from datetime import date, datetime

from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row

_SQL = load("emulator", package="kvitt.rails.oppdrag.emulator")


class ReceivedMessageRow(Row, frozen=True):
    """A message that was received for the first time, with its outcome and what it is reconciled by: nothing where it could not be read."""

    statement = _SQL.add_received
    joins = True
    message_id: str
    digest: bytes
    received_at: datetime
    area: str
    case_id: str
    outcome: str
    severity: str
    note: str
    code: str | None
    component: str | None
    key: str | None
    person: str | None
    kroner: int | None
    made: str | None


class KnownCaseRow(Row, frozen=True):
    """A case that an order opened."""

    statement = _SQL.add_cases
    joins = True
    area: str
    case_id: str
    person: str
    opened_by: str


class LineEntryRow(Row, frozen=True):
    """An accepted line: a new line, or, with `ceased_from`, the cessation of its chain."""

    statement = _SQL.add_entries
    joins = True
    area: str
    case_id: str
    chain: str
    line_id: str
    starts: date
    ends: date
    amount: int
    rate_code: str
    class_code: str
    decided_rate: int | None
    ceased_from: date | None
    payee: str
    grade: int | None
    message_id: str


class Receipt(Row, frozen=True):
    """A receipt on its way; `due_at` None means that it is swallowed or has nowhere to go."""

    statement = _SQL.add_receipts
    joins = True
    receipt_id: str
    message_id: str
    digest: bytes
    reply_to: str
    body: bytes
    due_at: datetime | None
