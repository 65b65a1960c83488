"""Receipts: what rails said, newest first, or those of it that wait for a person.

A filter looks through so many receipts at a time: the page says how far back it has looked, and never counts them all.
"""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, kept_of, listed, place_in, place_text, text_asked
from kvitt.api.console.words import STATES
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.queries import load

_SQL: Final = load("receipts", "kvitt.api.console.pages")
_OUTCOMES: Final = tuple(STATES["receipt"])
_LOOKED_THROUGH: Final = 5_000
_LAST: Final = 9_223_372_036_854_775_807
_FILTERS: Final = ("outcome", "code", "rail")


class ReceiptWithOrder(NamedTuple):
    """A word of a rail, what it was taken for, and the order that it is about, if there is one."""

    receipt_no: int
    rail: str
    received_at: datetime
    severity: str | None
    code: str | None
    note: str | None
    outcome: str
    is_open: bool
    order_id: UUID | None
    case_no: int | None
    scheme: str | None
    case_id: str | None


class _EndOfLook(NamedTuple):
    receipt_no: int
    received_at: datetime


def read_all(visit: Visit) -> Values:
    """A page of receipts, newest first, by the filters of the address. Raises BadRequest."""
    query, after = visit.query, place_in(visit.query.get(AFTER), int)
    given = {name: text_asked(query, name) or None for name in _FILTERS}
    if given["outcome"] is not None and given["outcome"] not in _OUTCOMES:
        raise BadRequest(("outcome", f"is one of {', '.join(_OUTCOMES)}"))
    is_open, filtered = query.get("open") == "yes", any(given.values())
    looked = _LOOKED_THROUGH if filtered else visit.page_rows + 1
    asked = {**given, "before": after[0] if after else _LAST, "looked_through": looked, "limit": visit.page_rows + 1}
    found = fetch(visit.connection, ReceiptWithOrder, _SQL.open_receipts if is_open else _SQL.receipts, asked)
    page = listed(found, lambda each: (each.receipt_no,), after, visit.page_rows)
    end = None if page.older or not filtered or is_open else fetch_one(visit.connection, _EndOfLook, _SQL.end_of_look, asked)
    if found:
        visit.look("receipts")
    return {
        "receipts": page,
        "older": page.older or (place_text((end.receipt_no,)) if end else None),
        "end": end,
        "query": kept_of(query),
        "outcomes": _OUTCOMES,
        "looked_through": _LOOKED_THROUGH,
    }


PAGES: Final = (ConsolePage("/receipts", "Receipts", "receipts.html", read_all, nav="Receipts", key="k", live="receipts"),)
