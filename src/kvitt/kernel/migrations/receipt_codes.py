"""Receipts come to have the rail's code as a column, filled in from their bytes behind migration 0034."""

import re
from html import unescape
from typing import Any

import psycopg

from kvitt.kernel.backfill import BATCH, Backfill, Step
from kvitt.kernel.queries import load

_SQL = load("receipt_codes", "kvitt.kernel.migrations")
_CODE = re.compile(r"<(?:[\w.-]+:)?kodeMelding>([^<]*)<")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_PADDING = " \t\r\n\0"


def code_in(body: bytes) -> str:
    """The code in a receipt of the only rail that there was, whatever else is damaged."""
    found = _CODE.search(_text(body))
    return unescape(found[1]).strip(_PADDING) if found else ""


def _text(body: bytes) -> str:
    if body.startswith(_UTF_16):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("iso-8859-1")


def _codes(cursor: psycopg.Cursor[Any], after: str) -> Step | None:
    rows = cursor.execute(_SQL.receipts_after, (int(after or 0), BATCH)).fetchall()
    if not rows:
        return None
    read = [(number, code_in(body)) for number, outcome, body in rows if outcome != "unreadable"]
    if read:
        cursor.execute(_SQL.store_codes, [list(column) for column in zip(*read, strict=True)])
    return Step(str(rows[-1][0]), len(read))


BACKFILLS = (Backfill("codes of receipts", _codes),)
