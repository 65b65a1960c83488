"""Calls, each with who asked, what was done of it and what was answered; and the answers that are kept under idempotency keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, kept_of, listed, place_in, place_text, text_asked, text_in_place, text_of_place
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("requests", "kvitt.api.console.pages")
_LAST: Final = 9_223_372_036_854_775_807
_LOOKED_THROUGH: Final = 5_000
_MOST_CALLERS: Final = 1_000
_MOST_REFUSALS: Final = 50
_DIGITS: Final = 18
OUTCOMES: Final = ("ordered", "unchanged", "repeated", "refused", "queued", "simulated")


class CallInList(NamedTuple):
    """A call. `state`: how far what it asked for has come."""

    message_no: int
    received_at: datetime
    application: str
    caseworker: str | None
    by_approver: bool
    operation: str
    contract: str
    case_no: int | None
    scheme: str
    case_id: str | None
    outcome: str
    state: str | None
    refused_status: int | None
    refused_text: str | None


class RefusedAccess(NamedTuple):
    """A call that was refused for lack of authority, or several of one kind."""

    at: datetime
    done_by: str | None
    subject: str
    reason: str | None


class AnswerUnderKey(NamedTuple):
    """An answer that is kept under a key; without a status none was given yet."""

    key: str
    first_at: datetime
    tries: int
    status: int | None
    content_type: str | None
    body: bytes | None


class CallerNamed(NamedTuple):
    """A caller: its application and its user."""

    subject: str


class _LookedCalls(NamedTuple):
    found: Sequence[CallInList]
    asked: Mapping[str, object]
    case_no: int | None
    filtered: bool


def _look_through(visit: Visit) -> _LookedCalls:
    """The calls that the address asks for, and one more. Raises BadRequest."""
    query, after = visit.query, place_in(visit.query.get(AFTER), int)
    outcome, case_no, application = query.get("outcome"), _case(query.get("case")), text_asked(query, "application")
    if outcome not in (None, *OUTCOMES):
        raise BadRequest(("outcome", f"is one of {', '.join(OUTCOMES)}"))
    filters = {"outcome": outcome, "application": application, "case_no": case_no, "limit": visit.page_rows + 1}
    filtered = bool(outcome or application)
    looked_through = _LOOKED_THROUGH if filtered else visit.page_rows + 1
    asked = {**filters, "before": after[0] if after else _LAST, "looked_through": looked_through}
    found = fetch(visit.connection, CallInList, _SQL.calls_of_case if case_no else _SQL.calls, asked)
    return _LookedCalls(found, asked, case_no, filtered)


def version(visit: Visit) -> str:
    """That of a page of calls: which they are, and how far each has come. Raises BadRequest."""
    found = [(each.message_no, each.outcome, each.state) for each in _look_through(visit).found]
    return sha256(repr(found).encode()).hexdigest()


def read_calls(visit: Visit) -> Values:
    """A page of calls, newest first, of a case, an application or an outcome. Raises BadRequest."""
    found, asked, case_no, filtered = _look_through(visit)
    query, after = visit.query, place_in(visit.query.get(AFTER), int)
    if found:
        visit.look("calls")
    calls = listed(found, lambda each: (each.message_no,), after, visit.page_rows)
    end = fetch_value(visit.connection, _SQL.end_of_look, asked) if filtered and not case_no and not calls.older else None
    return {
        "calls": calls,
        "older": calls.older or (place_text((end,)) if end else None),
        "end": end,
        "looked_through": asked["looked_through"],
        "query": kept_of(query),
        "outcomes": OUTCOMES,
        "refusals": fetch(visit.connection, RefusedAccess, _SQL.refused, {"limit": _MOST_REFUSALS}) if not after else (),
    }


def read_answers(visit: Visit) -> Values:
    """A page of the answers that are kept for a caller, by their keys. Raises BadRequest."""
    caller, after = text_asked(visit.query, "caller"), place_in(visit.query.get(AFTER), text_of_place)
    asked = {"caller": caller, "after": after[0] if after else "", "limit": visit.page_rows + 1}
    rows: Sequence[AnswerUnderKey] = fetch(visit.connection, AnswerUnderKey, _SQL.answers, asked) if caller else []
    if rows:
        visit.look("answers of a caller")
    callers = fetch(visit.connection, CallerNamed, _SQL.callers, {"limit": _MOST_CALLERS})
    answers = listed(rows, lambda each: (text_in_place(each.key),), after, visit.page_rows)
    return {"answers": answers, "caller": caller, "callers": callers, "query": kept_of(visit.query)}


def _case(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise BadRequest(("case", "is a number of a case"))
    return int(text)


PAGES: Final = (
    ConsolePage("/requests", "Requests", "requests.html", read_calls, nav="Requests", key="q", live="messages", version=version),
    ConsolePage("/requests/answers", "Kept answers", "request_answers.html", read_answers),
)
