"""Calls the services behind payouts over Thrift: PartyManagement (payouts §3), and a ledger that is not ours (payouts §4.1).

Each class is the adapter of one of the payouts' ports.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from kvitt.api.thrift.client import ServiceUnavailable, ThriftCallFailed, ThriftClient
from kvitt.errors import InvalidPayout, PayoutNotFound, PayoutsFailed
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.formats.times import instant_text
from kvitt.kernel.money import Minor
from kvitt.ledger.rules import Batch
from kvitt.payouts.event import SIDES
from kvitt.payouts.model import Cash
from kvitt.payouts.ports import (
    LedgerRefused,
    LedgerResultUnknown,
    LedgerUnavailable,
    Party,
    Shop,
    params_text,
)
from kvitt.payouts.rules import AccountType, CashFlowPosting

PARTY_MANAGEMENT = Service("parties", "PartyManagement")
ACCOUNTER = Service("accounter", "Accounter")
_USER: Final = "admin"
_TYPE_OF: Final = {side: kind for kind, side in SIDES.items()}


class PartyManagementAdapter:
    """Asks PartyManagement. Safe for use by several threads.

    The user goes into field 1 of every call: the older generation wants one, and the newer skips what it does not know.
    """

    def __init__(self, client: ThriftClient) -> None:
        """`client` calls `PARTY_MANAGEMENT`."""
        self._client = client
        self._types: Any = module("parties")
        self._user = self._types.UserInfo(id=_USER, type=self._types.UserType(internal_user=self._types.Nothing()))
        named = ("PartyNotFound", "PartyNotExistsYet", "ShopNotFound", "PayoutToolNotFound")
        self._not_found: tuple[type[Exception], ...] = tuple(getattr(self._types, name) for name in named)
        self._others: tuple[type[Exception], ...] = (self._types.InvalidUser, ThriftCallFailed)

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
            asked = params_text(shop_id, cash, moment, payout_tool_id)
            raise InvalidPayout(f"OperationNotPermitted, partyId='{party_id}', payoutParams='{asked}'") from error
        except self._not_found as error:
            asked = params_text(shop_id, cash, moment, payout_tool_id)
            raise PayoutNotFound(f"{type(error).__name__}, partyId='{party_id}', payoutParams='{asked}'") from error
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
    return PayoutsFailed(f"PartyManagement failed: {type(error).__name__} {error if isinstance(error, ThriftCallFailed) else ''}".rstrip())


class RemoteLedgerAdapter:
    """Holds, commits and rolls back plans of one batch elsewhere. Safe for use by several threads."""

    def __init__(self, client: ThriftClient) -> None:
        """`client` calls `ACCOUNTER`."""
        self._client = client
        self._types: Any = module("accounter")
        self._account_not_found: type[Exception] = self._types.AccountNotFound
        self._invalid_request: type[Exception] = module("refusals").InvalidRequest

    def currency(self, account_id: int, *, deadline: datetime | None = None) -> str | None:
        """The currency of an account, or None. Raises LedgerRefused, LedgerUnavailable, LedgerResultUnknown."""
        try:
            return str(self._call("GetAccountByID", account_id, deadline).currency_sym_code)
        except self._account_not_found:
            return None

    def hold(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> Mapping[int, Minor]:
        """Holds a plan; returns `available_min` of each account of it, by id.

        Raises LedgerRefused, LedgerUnavailable, LedgerResultUnknown.
        """
        log = self._call("Hold", self._types.PostingPlanChange(id=plan_id, batch=self._batch(batch)), deadline)
        return {account_id: Minor(account.min_available_amount) for account_id, account in log.affected_accounts.items()}

    def commit(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:
        """Commits a plan that was held. Raises LedgerRefused, LedgerUnavailable, LedgerResultUnknown."""
        self._call("CommitPlan", self._types.PostingPlan(id=plan_id, batch_list=[self._batch(batch)]), deadline)

    def rollback(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:
        """Rolls a plan back that was held. Raises LedgerRefused, LedgerUnavailable, LedgerResultUnknown."""
        self._call("RollbackPlan", self._types.PostingPlan(id=plan_id, batch_list=[self._batch(batch)]), deadline)

    def _call(self, method: str, argument: Any, deadline: datetime | None) -> Any:
        try:
            return self._client.call(method, argument, deadline=deadline)
        except self._invalid_request as refused:
            raise LedgerRefused("; ".join(refused.errors)) from refused  # type: ignore[attr-defined]
        except self._types.InvalidPostingParams as refused:
            # The reasons without the postings, which say who is paid.
            raise LedgerRefused("; ".join(sorted(set(refused.wrong_postings.values())))) from refused
        except ServiceUnavailable as failed:
            raise LedgerUnavailable(str(failed)) from failed
        except ThriftCallFailed as failed:
            # A service that failed in the middle of the call may have done it all the same.
            raise LedgerResultUnknown(str(failed)) from failed

    def _batch(self, batch: Batch) -> Any:
        postings = [
            self._types.Posting(from_id=source, to_id=target, amount=amount, currency_sym_code=currency, description=description)
            for source, target, amount, currency, description in batch.postings
        ]
        return self._types.PostingBatch(id=batch.batch_id, postings=postings)


class NoSuchAccount(Exception):
    """A payout can't have an account of this type; the text names it."""


def cash_flow_from_wire(postings: Sequence[Any]) -> tuple[CashFlowPosting, ...]:
    """The movements in their order. Raises NoSuchAccount for types that no payout has: the system's subagent, and wallets."""
    return tuple(
        CashFlowPosting(
            source_type=_type(each.source.account_type),
            source=each.source.account_id,
            target_type=_type(each.destination.account_type),
            target=each.destination.account_id,
            amount=Minor(each.volume.amount),
            currency=each.volume.currency.symbolic_code,
            details=each.details,
        )
        for each in postings
    )


def _type(account: Any) -> AccountType:
    found = next((name, value) for name, value in vars(account).items() if value is not None)
    kind = _TYPE_OF.get(found)
    if kind is None:
        raise NoSuchAccount(f"{found[0]} {found[1]}")
    return kind
