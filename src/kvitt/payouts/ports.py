"""The ports of payouts: PartyManagement, which knows who is to be paid and how, and a ledger that is not ours (design §9)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from kvitt.kernel.money import Minor
from kvitt.ledger.rules import Batch
from kvitt.payouts.model import Cash
from kvitt.payouts.rules import CashFlowPosting


class Shop(Struct, frozen=True):
    """A shop of a party. `settlement` is its account in the ledger, None for a shop that has no accounts yet; `currency` is the account's,
    None where that is not known here.
    """

    shop_id: str
    contract_id: str
    payout_tool_id: str | None
    settlement: int | None
    currency: str | None = None


class Party(Struct, frozen=True):
    """A party as payouts read it: its shops, and by contract the ids of its payout tools."""

    party_id: str
    shops: Mapping[str, Shop]
    payout_tools: Mapping[str, frozenset[str]]


class Parties(Protocol):
    """Knows the parties and their terms (payouts §3). Safe for use by several threads; may take as long as its own time limit."""

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party | None:
        """The party at its current revision, or None. Raises PayoutsFailed when it can't be had."""

    def cash_flow(
        self, party_id: str, shop_id: str, cash: Cash, created_at: datetime, payout_tool_id: str, *, deadline: datetime | None = None
    ) -> tuple[CashFlowPosting, ...]:
        """The movements of a payout at a time.

        Raises PayoutNotFound with the text of payouts §2.2 step 6; InvalidPayout where it is known what the party's terms do not permit;
        PayoutsFailed for all other failures.
        """


def params_text(shop_id: str, cash: Cash, created_at: str, payout_tool_id: str) -> str:
    """The parameters of a cash flow, as they stand in the contract's texts of refusals (payouts §2.2 step 6)."""
    amount = f"Cash(amount:{cash.amount}, currency:CurrencyRef(symbolic_code:{cash.currency}))"
    return f"PayoutParams(id:{shop_id}, amount:{amount}, timestamp:{created_at}, payout_tool_id:{payout_tool_id})"


class LedgerCallFailed(Exception):
    """A call to the ledger did not succeed; the text says why and holds nothing personal."""


class LedgerRefused(LedgerCallFailed):
    """The ledger has refused the call: this call has done nothing."""


class LedgerUnavailable(LedgerCallFailed):
    """The ledger was not reached, or asks to be called again later; the call may be repeated."""


class LedgerResultUnknown(LedgerCallFailed):
    """The call may have been done, may be done later, or not at all."""


class RemoteLedger(Protocol):
    """Knows its accounts; holds, commits and rolls back plans of one batch; every call may be repeated. Safe for use by several threads.

    Each call may take as long as its own time limit, and not beyond `deadline`. All raise LedgerRefused, LedgerUnavailable and
    LedgerResultUnknown (payouts §4.1, §7.3).
    """

    def currency(self, account_id: int, *, deadline: datetime | None = None) -> str | None:
        """The currency of an account, which never changes; None when there is no such account."""

    def hold(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> Mapping[int, Minor]:
        """Holds a plan; returns `available_min` of each account of it, by account id."""

    def commit(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:
        """Commits a plan that was held."""

    def rollback(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:
        """Rolls a plan back that was held."""
