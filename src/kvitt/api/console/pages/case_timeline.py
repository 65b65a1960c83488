"""All that happened to a case in one list, by kind if wanted; and its audit: what people did, and the chain in which it stands."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in
from kvitt.api.console.pages.audit import ChainSpan, OperatorWords, chain_span, words_of
from kvitt.api.console.pages.case_head import CaseOnPage, case_looked_at, version
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("case_timeline", "kvitt.api.console.pages")
KINDS: Final = ("message", "order", "line", "receipt", "status", "simulation", "act", "case")
_ROWS: Final = 100
_MOST_ACTS: Final = 50
_MOST_ENTRIES: Final = 500
_LAST: Final = 2_147_483_647
_OPERATORS: Final = 0


class EventOnPage(NamedTuple):
    """One thing that happened."""

    at: datetime
    what: str
    text: str
    message_no: int | None
    order_id: UUID | None
    receipt_no: int | None
    request_no: int | None
    approval_no: int | None
    kind: str
    place: int
    no: int


class ActOnCase(NamedTuple):
    """An act on an order, a receipt or a simulation of the case, with the approval by which it was done, if there was one."""

    seq: int
    at: datetime
    order_id: UUID | None
    approval_no: int | None
    asked_by: str | None
    asked_name: str | None
    decided_by: str | None
    decided_name: str | None
    effect: str | None


class ActInChain(Struct, frozen=True):
    """An act with the words of its entry; `what` it was, and whether the entry follows from the one before it."""

    act: ActOnCase
    what: str
    words: OperatorWords
    follows: bool


def newest_events(visit: Visit, case: CaseOnPage, limit: int) -> Sequence[EventOnPage]:
    """The newest things that happened to a case, of all kinds."""
    return fetch(visit.connection, EventOnPage, _SQL.events, {**_asked(case, None, None), "limit": limit})


def read(visit: Visit) -> Values:
    """A page of what happened, newest first. Raises NotFound, BadRequest."""
    kind = visit.query.get("kind")
    if kind is not None and kind not in KINDS:
        raise BadRequest(("kind", f"is one of {', '.join(KINDS)}"))
    case, place = case_looked_at(visit, "timeline of the case"), place_in(visit.query.get(AFTER), datetime.fromisoformat, int, int)
    rows = fetch(visit.connection, EventOnPage, _SQL.events, {**_asked(case, kind, place), "limit": _ROWS + 1})
    events = listed(rows, lambda each: (each.at.isoformat(), each.place, each.no), place, _ROWS)
    return {"case": case, "events": events, "kind": kind, "kinds": KINDS}


def read_audit(visit: Visit) -> Values:
    """The acts on a case, and its chain, each entry checked. Raises NotFound."""
    case = case_looked_at(visit, "audit of the case")
    acts = fetch(visit.connection, ActOnCase, _SQL.acts, case.asked(_MOST_ACTS + 1))
    return {
        "case": case,
        "acts": [_in_chain(visit, each) for each in acts[:_MOST_ACTS]],
        "has_more_acts": len(acts) > _MOST_ACTS,
        "chain": audited(visit, case),
        "most": _MOST_ACTS,
    }


def audited(visit: Visit, case: CaseOnPage) -> ChainSpan:
    """The newest entries of the chain of a case, each checked against the one before it."""
    return chain_span(visit.connection, case.case_no, _LAST, _MOST_ENTRIES)


def _asked(case: CaseOnPage, kind: str | None, place: Sequence[object] | None) -> dict[str, object]:
    at, in_moment, no = place or (None, None, None)
    return {"case_no": case.case_no, "kind": kind, "at": at, "place": in_moment, "no": no}


def _in_chain(visit: Visit, act: ActOnCase) -> ActInChain:
    span = chain_span(visit.connection, _OPERATORS, act.seq + 1, 1)
    entry = span.entries[0]
    return ActInChain(act, entry.what, words_of(entry), not span.broken)


_LIVE: Final = "messages orders receipts simulations audit"
PAGES: Final = (
    ConsolePage("/cases/{case_no:int}/timeline", "What happened to a case", "case_timeline.html", read, live=_LIVE, version=version),
    ConsolePage("/cases/{case_no:int}/audit", "Audit of a case", "case_audit.html", read_audit, live=_LIVE, version=version),
)
