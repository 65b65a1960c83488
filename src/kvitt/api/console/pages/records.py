"""Single records with their bytes: a message with its key, headers and answers, and why it failed in words; and a receipt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import DecodeError, Struct, field, json

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.errors import NotFound, ReceiptNotFound
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("records", "kvitt.api.console.pages")
_MOST: Final = 100
_SERVER_FAULT: Final = 500
_FAILED: Final = frozenset({"FEILET", "AVVIST", "FEIL"})


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


class RecordPublished(NamedTuple):
    """A record that was published for a message; without a position it has not left yet."""

    outbox_no: int
    topic: str
    order_id: UUID | None
    made_at: datetime
    relayed_at: datetime | None
    partition: int | None
    position: int | None
    value: bytes | None


class CallOfMessage(NamedTuple):
    """Who called, where the message came in by a call, and what was done of it at once."""

    application: str
    caseworker: str | None
    by_approver: bool
    contract: str
    operation: str
    outcome: str
    refused_status: int | None
    refused_text: str | None


class _SaidError(Struct):
    status: int = field(name="statusCode", default=0)
    text: str = field(name="msg", default="")
    doc: str = ""


class _SaidAnswer(Struct):
    status: str = ""
    error: _SaidError | None = None
    text: str = field(name="beskrivelse", default="")


class FailureInWords(Struct, frozen=True):
    """Why a message failed, who mends it, and where the sender's documentation says more, if anywhere."""

    text: str
    owner: str
    doc: str


def published(visit: Visit, message_no: int) -> Sequence[RecordPublished]:
    """The records that were published for a message, in order."""
    return fetch(visit.connection, RecordPublished, _SQL.published_for, {"message_no": message_no, "limit": _MOST})


def call_of(visit: Visit, message_no: int) -> CallOfMessage | None:
    """The call by which a message came in, if it was one."""
    return fetch_one(visit.connection, CallOfMessage, _SQL.call_of_message, {"message_no": message_no})


def failure(answer: bytes | None, call: CallOfMessage | None, *, refused_by_rail: bool) -> FailureInWords | None:
    """Why a message failed, in words; None where it did not, or its answer does not say so."""
    if call and call.refused_status:
        return FailureInWords(call.refused_text or "", _owner(call.refused_status, refused_by_rail=False), "")
    try:
        found = json.decode(answer or b"{}", type=_SaidAnswer)
    except DecodeError:
        return None
    error = found.error or _SaidError()
    if found.status not in _FAILED:
        return None
    return FailureInWords(error.text or found.text, _owner(error.status, refused_by_rail=refused_by_rail), error.doc)


def _owner(status: int, *, refused_by_rail: bool) -> str:
    if refused_by_rail:
        return "the rail has refused the order; the sender mends what the rail says, and sends anew"
    if status >= _SERVER_FAULT:
        return "kvitt has failed on it: those who run it look into the log, and the sender may send it once more"
    return "the sender mends it, and sends anew"


PAGES: Final = (
    ConsolePage("/messages/{message_no:int}", "Message", "message.html", read_message, live="messages", version=version),
    ConsolePage("/receipts/{receipt_no:int}", "Receipt", "receipt.html", read_receipt, live="receipts orders", version=receipt_version),
)
