"""The local directory as payouts ask it: parties and their terms as they were loaded last (design §9; payouts §3)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec.json import Decoder

from kvitt.errors import InvalidPayout, PayoutNotFound, PayoutsFailed
from kvitt.formats.times import instant_text
from kvitt.kernel.database import LOCK_MS, Connection, pool
from kvitt.kernel.fetch import fetch_later
from kvitt.payouts.directory import SQL, HouseRow, PartyRow, by_type
from kvitt.payouts.directory_file import ContractEntry, HouseAccounts, PartyEntry, ShopEntry, decode_party
from kvitt.payouts.fees import TermsDoNotFit, cash_flow_of
from kvitt.payouts.model import Cash
from kvitt.payouts.ports import Party, Shop, params_text
from kvitt.payouts.rules import TOO_MUCH, CashFlowPosting, can_be_stored

_READERS: Final = 4
_house_decoder = Decoder(HouseAccounts)


class DirectorySnapshot:
    """Some parties, and the house's accounts in some currencies, as they were loaded last; answers as `Parties` for these."""

    def __init__(self, entries: Mapping[str, PartyEntry], houses: Mapping[str, HouseAccounts]) -> None:
        self._entries, self._houses = entries, houses
        self._parties = {party_id: _party(entry) for party_id, entry in entries.items()}

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party | None:  # noqa: ARG002 - it is at hand
        """The party, or None."""
        return self._parties.get(party_id)

    def cash_flow(
        self,
        party_id: str,
        shop_id: str,
        cash: Cash,
        created_at: datetime,
        payout_tool_id: str,
        *,
        deadline: datetime | None = None,  # noqa: ARG002 - it is at hand
    ) -> tuple[CashFlowPosting, ...]:
        """The movements by the terms that hold at `created_at`. Raises PayoutNotFound, InvalidPayout, PayoutsFailed."""

        def missing(what: str) -> PayoutNotFound:
            params = params_text(shop_id, cash, instant_text(created_at), payout_tool_id)
            return PayoutNotFound(f"{what}NotFound, partyId='{party_id}', payoutParams='{params}'")

        if (entry := self._entries.get(party_id)) is None:
            raise missing("Party")
        shop = next((shop for shop in entry.shops if shop.id == shop_id), None)
        if shop is None:
            raise missing("Shop")
        contract = next(contract for contract in entry.contracts if contract.id == shop.contract)
        tool = next((tool for tool in contract.payout_tools if tool.id == payout_tool_id), None)
        if tool is None:
            raise missing("PayoutTool")
        if wrong := _not_permitted(entry, shop, cash.currency, tool.currency):
            raise InvalidPayout(f"OperationNotPermitted: {wrong}, partyId='{party_id}', shopId='{shop_id}'")
        return _computed(contract, shop, self._houses.get(cash.currency), cash, created_at)


def _party(entry: PartyEntry) -> Party:
    shops = {shop.id: Shop(shop.id, shop.contract, shop.payout_tool, shop.accounts.settlement, shop.currency) for shop in entry.shops}
    tools = {contract.id: frozenset(tool.id for tool in contract.payout_tools) for contract in entry.contracts}
    return Party(entry.id, shops, tools)


class LocalParties:
    """The directory as payouts ask it. Safe for use by several threads; close it when done."""

    def __init__(self, conninfo: str) -> None:
        self._pool = pool(conninfo, application="kvitt parties", size=_READERS, lock_timeout_ms=LOCK_MS)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party | None:  # noqa: ARG002 - it is at hand
        """The party as it was loaded last, or None."""
        with self._pool.connection() as connection:
            return snapshot(connection, [party_id]).party(party_id)

    def cash_flow(
        self,
        party_id: str,
        shop_id: str,
        cash: Cash,
        created_at: datetime,
        payout_tool_id: str,
        *,
        deadline: datetime | None = None,  # noqa: ARG002 - it is at hand
    ) -> tuple[CashFlowPosting, ...]:
        """The movements by the terms that hold at `created_at`. Raises PayoutNotFound, InvalidPayout, PayoutsFailed."""
        with self._pool.connection() as connection:
            known = snapshot(connection, [party_id], [cash.currency])
        return known.cash_flow(party_id, shop_id, cash, created_at, payout_tool_id)


def snapshot(connection: Connection, party_ids: Sequence[str], currencies: Sequence[str] = ()) -> DirectorySnapshot:
    """Those of these parties that there are, and the house's accounts in these currencies."""
    with connection.pipeline():
        found = snapshot_later(connection, party_ids, currencies)
    return found()


def snapshot_later(connection: Connection, party_ids: Sequence[str], currencies: Sequence[str]) -> Callable[[], DirectorySnapshot]:
    """Asks for a snapshot, in a pipeline without waiting for it, and returns what takes it in. What can be no name, nothing has."""
    parties = fetch_later(connection, PartyRow, SQL.some_parties, (_names(party_ids),))
    houses = fetch_later(connection, HouseRow, SQL.houses, (_names(currencies),))

    def taken_in() -> DirectorySnapshot:
        entries = {row.party_id: decode_party(row.document) for row in parties()}
        return DirectorySnapshot(entries, {row.currency: _house_decoder.decode(row.document) for row in houses()})

    return taken_in


def _names(texts: Sequence[str]) -> list[str]:
    """Each name once, and none that the database would stumble over: a batch is not to fail with one of its requests."""
    return [each for each in {*texts} if can_be_stored(each)]


def _not_permitted(party: PartyEntry, shop: ShopEntry, currency: str, tool_currency: str) -> str | None:
    """Why a shop may not be paid, or None."""
    for whose, entry in (("party", party), ("shop", shop)):
        if entry.blocked or entry.suspended:
            return f"the {whose} is {'blocked' if entry.blocked else 'suspended'}"
    for whose, other in (("shop", shop.currency), ("payout tool", tool_currency)):
        if other != currency:
            return f"the {whose} is in {other}, not in {currency}"
    return None


def _computed(
    contract: ContractEntry, shop: ShopEntry, house: HouseAccounts | None, cash: Cash, at: datetime
) -> tuple[CashFlowPosting, ...]:
    terms = next((terms for terms in contract.terms if terms.holds_at(at) and terms.currency in (None, cash.currency)), None)
    if terms is None:
        in_it = f" in {cash.currency}" if any(terms.holds_at(at) for terms in contract.terms) else ""
        raise InvalidPayout(f"OperationNotPermitted: contract {contract.id} has no terms{in_it} at {instant_text(at)}")
    found = cash_flow_of(terms.cash_flow, cash.amount, cash.currency, by_type(shop, house))
    if isinstance(found, TermsDoNotFit):
        if found.too_much:
            raise InvalidPayout(TOO_MUCH)
        raise PayoutsFailed(f"the terms of contract {contract.id} give no cash flow: {found.reason}")
    return found
