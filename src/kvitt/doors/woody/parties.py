"""PartyManagement over woody: who is to be paid and how the money flows, as another service knows it (payouts §3)."""

from datetime import datetime
from typing import Any, Final

from kvitt.doors.woody.client import CallFailed, WoodyClient
from kvitt.errors import InvalidPayout, PayoutNotFound, PayoutsFailed
from kvitt.hub.payouts.parties import Party, Shop, params_text
from kvitt.hub.payouts.values import Cash
from kvitt.rules.payouts import CashFlowPosting
from kvitt.wire.instants import instant_text
from kvitt.wire.thrift.interface import module
from kvitt.wire.thrift.messages import Service
from kvitt.wire.thrift.payouts import NoSuchAccount, cash_flow_from_wire

SERVICE = Service("parties", "PartyManagement")
_USER: Final = "admin"


class WoodyParties:
    """Asks PartyManagement. Safe for use by several threads.

    The user goes into field 1 of every call: the older generation wants one, and the newer skips what it does not know.
    """

    def __init__(self, client: WoodyClient) -> None:
        """`client` calls `SERVICE`."""
        self._client = client
        self._types: Any = module("parties")
        self._user = self._types.UserInfo(id=_USER, type=self._types.UserType(internal_user=self._types.Nothing()))
        named = ("PartyNotFound", "PartyNotExistsYet", "ShopNotFound", "PayoutToolNotFound")
        self._not_found: tuple[type[Exception], ...] = tuple(getattr(self._types, name) for name in named)
        self._others: tuple[type[Exception], ...] = (self._types.InvalidUser, CallFailed)

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party | None:
        """The party at its current revision, or None. Raises PayoutsFailed when it can't be had."""
        try:
            found = self._client.call("Get", self._user, party_id, deadline=deadline)
        except self._types.PartyNotFound:
            return None
        except self._others as error:
            raise _failed(error) from error
        shops = {shop_id: _shop(shop) for shop_id, shop in found.shops.items()}
        tools = {contract_id: frozenset(tool.id for tool in contract.payout_tools) for contract_id, contract in found.contracts.items()}
        return Party(found.id, shops, tools)

    def cash_flow(
        self, party_id: str, shop_id: str, cash: Cash, created_at: datetime, payout_tool_id: str, *, deadline: datetime | None = None
    ) -> tuple[CashFlowPosting, ...]:
        """The movements as they are computed there. Raises PayoutNotFound with the text of payouts §2.2 step 6, InvalidPayout for what the
        contract does not permit, PayoutsFailed for the rest.
        """
        money, moment = module("money"), instant_text(created_at)
        amount = money.Cash(amount=cash.amount, currency=money.CurrencyRef(symbolic_code=cash.currency))
        params = self._types.PayoutParams(id=shop_id, amount=amount, timestamp=moment, payout_tool_id=payout_tool_id)
        try:
            return cash_flow_from_wire(self._client.call("ComputePayoutCashFlow", self._user, party_id, params, deadline=deadline))
        except self._types.OperationNotPermitted as error:
            told = params_text(shop_id, cash, moment, payout_tool_id)
            raise InvalidPayout(f"OperationNotPermitted, partyId='{party_id}', payoutParams='{told}'") from error
        except self._not_found as error:
            told = params_text(shop_id, cash, moment, payout_tool_id)
            raise PayoutNotFound(f"{type(error).__name__}, partyId='{party_id}', payoutParams='{told}'") from error
        except NoSuchAccount as error:
            raise PayoutsFailed(f"PartyManagement computed an account that a payout can't have: {error}") from error
        except self._others as error:
            raise _failed(error) from error


def _shop(shop: Any) -> Shop:
    return Shop(
        shop.id,
        shop.contract_id,
        shop.payout_tool_id,
        *((account.settlement, account.currency.symbolic_code) if (account := shop.account) else (None, None)),
    )


def _failed(error: Exception) -> PayoutsFailed:
    return PayoutsFailed(f"PartyManagement failed: {type(error).__name__} {error if isinstance(error, CallFailed) else ''}".rstrip())
