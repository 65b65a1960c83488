"""Parties of the local directory: each with its shops and their accounts, its contracts, and what every payout under them costs."""

from datetime import datetime
from typing import Final, NamedTuple

from msgspec import MsgspecError
from msgspec.json import decode

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, listed, place_in, text_asked, text_in_place, text_of_place
from kvitt.errors import PartyNotFound
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.queries import load
from kvitt.payouts.directory_file import HouseAccounts, PartyEntry, decode_party
from kvitt.payouts.fees import Fixed, MaxOf, MinOf, Proportion, Volume

_SQL: Final = load("parties", "kvitt.api.console.pages")


class PartyOnPage(NamedTuple):
    """A party as it was loaded last."""

    party_id: str
    revision: int
    loaded_at: datetime
    document: bytes

    @property
    def entry(self) -> PartyEntry | None:
        """All that it has; None where its document can not be read."""
        try:
            return decode_party(self.document)
        except MsgspecError:
            return None


class HouseOnPage(NamedTuple):
    """The accounts in a currency that no shop has."""

    currency: str
    loaded_at: datetime
    document: bytes

    @property
    def accounts(self) -> HouseAccounts | None:
        """These accounts; None where their document can not be read."""
        try:
            return decode(self.document, type=HouseAccounts)
        except MsgspecError:
            return None


def read_all(visit: Visit) -> Values:
    """A page of parties by id, and the accounts of the house."""
    after = place_in(visit.query.get(AFTER), text_of_place)
    rows = fetch(visit.connection, PartyOnPage, _SQL.parties, {"after": after[0] if after else "", "limit": visit.page_rows + 1})
    parties = listed(rows, lambda each: (text_in_place(each.party_id),), after, visit.page_rows)
    return {"parties": parties, "house": fetch(visit.connection, HouseOnPage, _SQL.house)}


def read_one(visit: Visit) -> Values:
    """One party. Raises BadRequest, PartyNotFound."""
    party = fetch_one(visit.connection, PartyOnPage, _SQL.party, {"party_id": text_asked(visit.query, "id") or ""})
    if party is None:
        raise PartyNotFound("the directory has no such party")
    return {"party": party, "entry": party.entry, "in_words": in_words}


def in_words(volume: Volume) -> str:
    """The amount of a movement, in words."""
    match volume:
        case Fixed():
            return f"{volume.amount} minor units"
        case Proportion():
            return f"{volume.parts}/{volume.whole} of the amount"
        case MinOf():
            joined, name = volume.volumes, "the least of"
        case MaxOf():
            joined, name = volume.volumes, "the greatest of"
        case _:
            joined, name = volume.volumes, "the sum of"
    return f"{name} ({'; '.join(map(in_words, joined))})"


PAGES: Final = (
    ConsolePage("/parties", "Parties", "parties.html", read_all, nav="Parties", key="i", live="parties"),
    ConsolePage("/parties/one", "Party", "party.html", read_one),
)
