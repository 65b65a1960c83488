"""What one transaction will write, gathered row by row and written set by set."""

from collections.abc import Sequence
from typing import Any

import psycopg

from kvitt.disbursement.rows import (
    CaseStep,
    DeadLetterRow,
    DeferredRow,
    IdempotencyRow,
    LineRow,
    MessageRow,
    MessageStep,
    OrderRow,
    OutboxRow,
    PaymentRow,
)
from kvitt.kernel.audit import AuditRow
from kvitt.kernel.rows import Row, write


class UnitOfWork:
    """The rows of a transaction by kind. Rows of one kind keep the order in which they were added."""

    def __init__(self) -> None:
        self.messages: list[MessageRow] = []
        self.idempotency: list[IdempotencyRow] = []
        self.steps: list[MessageStep] = []
        self.orders: list[OrderRow] = []
        self.lines: list[LineRow] = []
        self.payments: list[PaymentRow] = []
        self.outbox: list[OutboxRow] = []
        self.audit: list[AuditRow] = []
        self.cases: list[CaseStep] = []
        self.dead: list[DeadLetterRow] = []
        self.deferred: list[DeferredRow] = []

    def kinds(self) -> Sequence[Sequence[Row]]:
        """The rows by kind, in the order in which they are written."""
        return (
            self.messages,
            self.idempotency,
            self.steps,
            self.orders,
            self.lines,
            self.payments,
            self.outbox,
            self.audit,
            self.cases,
            self.dead,
            self.deferred,
        )

    def add(self, other: "UnitOfWork") -> None:
        """Takes over the rows of one message once all of them are known to be sound."""
        for mine, theirs in zip(self.kinds(), other.kinds(), strict=True):
            mine.extend(theirs)  # type: ignore[attr-defined]

    def write(self, cursor: psycopg.Cursor[Any]) -> None:
        """One statement per kind of row that there is."""
        for rows in self.kinds():
            write(cursor, rows)
