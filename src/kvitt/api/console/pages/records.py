"""Single records with their bytes: a message with its key, headers and answer, and a receipt."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.pages.answers import call_of, failure, published
from kvitt.errors import NotFound, ReceiptNotFound
from kvitt.kernel.fetch import fetch_one, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("records", "kvitt.api.console.pages")


class MessageOnPage(NamedTuple):
    """A message as it came, and what it was answered."""

    message_no: int
    case_no: int | None
    scheme: str
    case_id: str | None
    source: str
    partition: int
    position: int
    dry_run: bool
    state: str
    received_at: datetime
    derived_at: datetime | None
    answered_at: datetime | None
    key: bytes | None
    headers: bytes | None
    body: bytes
    answer: bytes | None


class ReceiptOnPage(NamedTuple):
    """A receipt as it came."""

    receipt_no: int
    rail: str
    order_id: UUID | None
    case_no: int | None
    scheme: str | None
    case_id: str | None
    received_at: datetime
    severity: str | None
    code: str | None
    note: str | None
    outcome: str
    by_hand: bool
    is_open: bool
    closed_at: datetime | None
    closed_by: str | None
    closed_because: str | None
    body: bytes


def version(visit: Visit) -> str:
    """That of a message: its state, and how long its answer is."""
    return fetch_value(visit.connection, _SQL.message_version, {"message_no": visit.path["message_no"]}) or ""


def receipt_version(visit: Visit) -> str:
    """That of a receipt: what it was taken for, and whether it waits for a person."""
    return fetch_value(visit.connection, _SQL.receipt_version, {"receipt_no": visit.path["receipt_no"]}) or ""


def read_message(visit: Visit) -> Values:
    """One message. Raises NotFound."""
    message = fetch_one(visit.connection, MessageOnPage, _SQL.message, {"message_no": visit.path["message_no"]})
    if message is None:
        raise NotFound("there is no such message")
    _look(visit, f"message {message.message_no}", message.case_no)
    call = call_of(visit, message.message_no)
    refused = bool(fetch_value(visit.connection, _SQL.is_refused_by_rail, {"message_no": message.message_no}))
    return {
        "message": message,
        "call": call,
        "failure": failure(message.answer, call, refused_by_rail=refused),
        "published": published(visit, message.message_no),
    }


def read_receipt(visit: Visit) -> Values:
    """One receipt. Raises ReceiptNotFound."""
    return {"receipt": receipt_on_page(visit)}


def receipt_on_page(visit: Visit) -> ReceiptOnPage:
    """The receipt that the address names; the look is noted. Raises ReceiptNotFound."""
    receipt = fetch_one(visit.connection, ReceiptOnPage, _SQL.receipt, {"receipt_no": visit.path["receipt_no"]})
    if receipt is None:
        raise ReceiptNotFound(f"there is no receipt {visit.path['receipt_no']}")
    _look(visit, f"receipt {receipt.receipt_no}", receipt.case_no)
    return receipt


def _look(visit: Visit, what: str, case_no: int | None) -> None:
    if case_no is None:
        visit.look(what)
    else:
        visit.look_at_case(what, case_no)


PAGES: Final = (
    ConsolePage("/messages/{message_no:int}", "Message", "message.html", read_message, live="messages", version=version),
    ConsolePage("/receipts/{receipt_no:int}", "Receipt", "receipt.html", read_receipt, live="receipts orders", version=receipt_version),
)
