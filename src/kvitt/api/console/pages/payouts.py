"""Payouts: a list whose filters stand in the address, and one payout with its postings, its events and all that was tried.

An id of a payout is whatever its caller chose: it stands in the query of an address, and not in its path.
"""

from datetime import datetime
from typing import Final, NamedTuple

from msgspec import DecodeError

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in, place_text, text_asked, text_in_place, text_of_place
from kvitt.errors import BadRequest, PayoutNotFound
from kvitt.kernel.actor import decode
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.money import Minor
from kvitt.kernel.queries import load
from kvitt.payouts.rules import PayoutStatus

_SQL: Final = load("payouts", "kvitt.api.console.pages")
STATUSES: Final = tuple(each.value for each in PayoutStatus)
_FILTERS: Final = ("status", "party", "shop", "currency")
_LOOKED_THROUGH: Final = 5_000
_LAST: Final = ("infinity", "")


class PayoutInList(NamedTuple):
    """A payout in a list; `is_end`: behind it nothing was looked at, `fits`: it is one of those that were asked for."""

    payout_id: str
    party_id: str
    shop_id: str
    status: str
    amount_minor: Minor
    fee_minor: Minor
    currency: str
    created_at: datetime
    is_end: bool
    fits: bool


class PayoutOnPage(NamedTuple):
    """One payout as it stands."""

    payout_id: str
    party_id: str
    shop_id: str
    status: str
    amount_minor: Minor
    fee_minor: Minor
    currency: str
    created_at: datetime
    last_at: datetime
    cancel_details: str | None
    ledger: str
    plan_id: str
    reversal_plan_id: str | None
    payout_tool_id: str
    sequence: int
    republished: int


class PostingOfPayout(NamedTuple):
    """A movement between two accounts."""

    position: int
    source_type: str
    source: int
    target_type: str
    target: int
    amount_minor: Minor
    currency: str
    details: str | None


class EventOfPayout(NamedTuple):
    """An event as it was published, and who asked for the change."""

    sequence: int
    at: datetime
    status: str
    actor: str | None
    body: bytes
    hash: bytes


class StepOfPayout(NamedTuple):
    """Something that was tried at another ledger."""

    number: int
    action: str
    plan_id: str
    state: str
    made_at: datetime
    closed_at: datetime | None
    tries: int
    reason: str | None
    next_try_at: datetime | None


class ActOnPayout(NamedTuple):
    """Something that a person did to it."""

    seq: int
    at: datetime
    what: str
    done_by: str
    approved_by: str | None
    reason: str


def read_all(visit: Visit) -> Values:
    """A page of payouts, newest first, by the filters of the address. Raises BadRequest."""
    filters = {name: text_asked(visit.query, name) for name in _FILTERS}
    if filters["status"] not in (None, *STATUSES):
        raise BadRequest(("status", f"is one of {', '.join(STATUSES)}"))
    place = place_in(visit.query.get(AFTER), datetime.fromisoformat, text_of_place)
    at, payout_id = place or _LAST
    filtered = any(filters.values())
    looked_through = _LOOKED_THROUGH if filtered else visit.page_rows + 1
    asked = {**filters, "at": at, "payout_id": payout_id, "looked_through": looked_through, "limit": visit.page_rows + 2}
    statement = _SQL.payouts_of_party if filters["party"] else _SQL.payouts_in_status if filters["status"] else _SQL.payouts
    found = fetch(visit.connection, PayoutInList, statement, asked)
    page = listed([each for each in found if each.fits], _place, place, visit.page_rows)
    end = None if page.older or not found or not found[-1].is_end else found[-1]
    kept = {name: value for name, value in filters.items() if value}
    older = page.older or (place_text(_place(end)) if end else None)
    return {"payouts": page, "older": older, "end": end, "query": kept, "statuses": STATUSES, "looked_through": looked_through}


def _place(payout: PayoutInList) -> tuple[str, str]:
    return payout.created_at.isoformat(), text_in_place(payout.payout_id)


def read_one(visit: Visit) -> Values:
    """One payout. Raises BadRequest, PayoutNotFound."""
    payout = payout_on_page(visit, text_asked(visit.query, "id") or "")
    asked = {"payout_id": payout.payout_id}
    events = fetch(visit.connection, EventOfPayout, _SQL.events, asked)
    return {
        "payout": payout,
        "postings": fetch(visit.connection, PostingOfPayout, _SQL.postings, asked),
        "events": [(each, asker_of(each.actor)) for each in events],
        "steps": fetch(visit.connection, StepOfPayout, _SQL.steps, asked),
        "acts": fetch(visit.connection, ActOnPayout, _SQL.acts, asked),
    }


def payout_on_page(visit: Visit, payout_id: str) -> PayoutOnPage:
    """The payout of this id. Raises PayoutNotFound."""
    payout = fetch_one(visit.connection, PayoutOnPage, _SQL.payout, {"payout_id": payout_id})
    if payout is None:
        raise PayoutNotFound("there is no such payout")
    return payout


def version(visit: Visit) -> str:
    """That of the payout that the query names: its status and its events. Raises BadRequest."""
    return fetch_value(visit.connection, _SQL.payout_version, {"payout_id": text_asked(visit.query, "id") or ""}) or ""


def asker_of(stored: str | None) -> str:
    """Who asked for something at an API, in words; the text as it is stored where it can not be read."""
    try:
        actor = decode(stored)
    except DecodeError:
        return stored or ""
    return "" if actor is None else f"{actor.name} ({actor.channel}{f', {actor.address}' if actor.address else ''})"


PAGES: Final = (
    ConsolePage("/payouts", "Payouts", "payouts.html", read_all, nav="Payouts", key="p", live="payouts"),
    ConsolePage("/payouts/one", "Payout", "payout.html", read_one, live="payouts ledger"),
)
