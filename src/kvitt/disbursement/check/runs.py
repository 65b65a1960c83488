"""Notes how a check of the whole store ended, so that whoever asks later sees it with its age."""

from datetime import datetime
from typing import Final

import psycopg
from msgspec import json
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction

import kvitt
from kvitt.disbursement.check.report import Report
from kvitt.kernel.queries import load

_SQL: Final = load("check_runs", "kvitt.disbursement")


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
