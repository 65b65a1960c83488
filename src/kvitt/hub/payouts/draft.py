"""A request becomes a draft: party, shop, tool, cash flow and what it is worth, before anything is held (payouts §2.2 steps 3-7)."""

from datetime import datetime

from msgspec import Struct

from kvitt.errors import InsufficientFunds, InvalidPayout, PayoutNotFound
from kvitt.hub.payouts.parties import Parties, Party, Shop
from kvitt.hub.payouts.values import NewPayout
from kvitt.kernel.identifiers import wrong_id
from kvitt.rules.payouts import TOO_MUCH, Payout, PayoutStatus, has_room, other_currencies, worth_of


class Draft(Struct, frozen=True):
    """A payout as it shall be, and the account that must stay solvent when it is held."""

    payout: Payout
    settlement: int


def draft(new: NewPayout, payout_id: str, parties: Parties, now: datetime, deadline: datetime | None) -> Draft:
    """Asks the parties; holds and stores nothing.

    Raises PayoutNotFound, InvalidPayout (also where the cash flow, or the shop's account, is in another currency, or the amount has no room
    in the ledger), InsufficientFunds when nothing is left after fees, PayoutsFailed when the parties can't be asked.
    """
    named = {"Party id": new.party_id, "Shop id": new.shop_id, "Currency": new.cash.currency, "Payout tool id": new.payout_tool_id}
    if wrong := [f"{field} {rule}" for field, text in named.items() if text is not None and (rule := wrong_id(text))]:
        raise InvalidPayout(*wrong)
    party = parties.party(new.party_id, deadline=deadline)
    if party is None:
        raise PayoutNotFound(f"Party not found, partyId='{new.party_id}'")
    shop = party.shops.get(new.shop_id)
    if shop is None:
        raise PayoutNotFound(f"Shop not found, shopId='{new.shop_id}'")
    tool = _tool(new, party, shop)
    if shop.settlement is None:
        raise InvalidPayout(f"Settlement account is null with partyId={new.party_id}, shopId={new.shop_id}")
    cash_flow = parties.cash_flow(new.party_id, new.shop_id, new.cash, now, tool, deadline=deadline)
    currency = new.cash.currency
    if wrong := other_currencies(currency, cash_flow, {shop.settlement: shop.currency or currency}):
        raise InvalidPayout(*wrong)
    amount, fee = worth_of(cash_flow)
    if amount <= 0:
        raise InsufficientFunds(f"nothing is left of {new.cash.amount} after fees of {fee}")
    if not has_room(cash_flow):
        raise InvalidPayout(TOO_MUCH)
    payout = Payout(
        payout_id, 0, now, new.party_id, new.shop_id, PayoutStatus.UNPAID, None, cash_flow, tool, amount, fee, new.cash.currency
    )
    return Draft(payout, shop.settlement)


def _tool(new: NewPayout, party: Party, shop: Shop) -> str:
    """The tool that was asked for, if the shop's contract has it, or the shop's own, which is taken as it is (payouts §2.2 step 5)."""
    if new.payout_tool_id is None:
        if shop.payout_tool_id is None:
            raise InvalidPayout(f"PayoutToolId is null with partyId={new.party_id}, shopId={new.shop_id}")
        return shop.payout_tool_id
    tools = party.payout_tools.get(shop.contract_id)
    if tools is None:
        raise PayoutNotFound(f"Contract not found, contractId='{shop.contract_id}'")
    if new.payout_tool_id not in tools:
        raise PayoutNotFound(f"PayoutTool not found, payoutToolId='{new.payout_tool_id}'")
    return new.payout_tool_id
