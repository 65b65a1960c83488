"""Requests that may be repeated: an Idempotency-Key recognises them, and what was answered is answered again (design §12).

The effects are idempotent by themselves; here stands only who asked what under which key, and the answer. So a process may die between
an effect and its answer: the repeat does the request again, with the same outcome.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.errors import KeyReused, RequestInProgress
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_one
from kvitt.kernel.queries import load

_SQL = load("requests", "kvitt.kernel")
KEY_HEADER: Final = "Idempotency-Key"
"""The header by which a repeat is recognised, where a path has no other one."""
_BUSY: Final = timedelta(seconds=30)
"""How long a request is left to whoever began it."""


class StoredAnswer(Struct, frozen=True):
    """Holds what was answered to a request."""

    status: int
    content_type: str
    body: bytes


class Begun(Struct, frozen=True):
    """A request that is ours to answer. `first_at` is when it came for the first time; `again` says that it came before."""

    first_at: datetime
    again: bool


class _KnownRequest(NamedTuple):
    digest: bytes
    status: int | None
    content_type: str | None
    body: bytes | None


def begin(connection: Connection, clock: Clock, subject: str, key: str, digest: bytes, *, header: str = KEY_HEADER) -> StoredAnswer | Begun:
    """Takes the request, or returns what was answered to it. Raises KeyReused, RequestInProgress, which name the `header` of the key."""
    now = clock()
    asked = {"subject": subject, "key": key, "digest": digest, "now": now, "until": now + _BUSY}
    if begun := fetch_one(connection, Begun, _SQL.begin_request, asked):
        return begun
    known = fetch_one(connection, _KnownRequest, _SQL.request, asked)
    assert known is not None, "what could not be begun is there"
    if known.digest != digest:
        raise KeyReused(f"the {header} was used for another request")
    if known.status is None:
        raise RequestInProgress(f"a request with this {header} is being answered")
    return StoredAnswer(known.status, known.content_type or "", known.body or b"")


def answer(connection: Connection, subject: str, key: str, answered: StoredAnswer) -> None:
    """Keeps what was answered."""
    values = {"subject": subject, "key": key, "status": answered.status, "content_type": answered.content_type, "body": answered.body}
    connection.execute(_SQL.answer_request, values, binary=True)


def give_up(connection: Connection, subject: str, key: str) -> None:
    """The request could not be answered for now; its repeat may be done at once."""
    connection.execute(_SQL.release_request, {"subject": subject, "key": key}, binary=True)
