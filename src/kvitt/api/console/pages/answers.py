"""The answers to a message: every record that was published for it, in order, and in words why it failed and who mends it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import DecodeError, Struct, field, json

from kvitt.api.console.frame import Visit
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.queries import load

_SQL: Final = load("records", "kvitt.api.console.pages")
_MOST: Final = 100
_SERVER_FAULT: Final = 500
_FAILED: Final = frozenset({"FEILET", "AVVIST", "FEIL"})


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
